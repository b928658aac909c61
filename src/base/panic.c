/* SPDX-License-Identifier: BSD-2-Clause */
/* The two ways to end a process (base/panic.h).
 *
 * Runs in every process. Owns nothing, takes no locks, and releases none: what the dead process held in shared memory
 * is for whoever recovers it.
 */
#include "base/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

void fatal(const char *fmt, ...)
{
	char message[LOG_MESSAGE_MAX + 1];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_write(LOG_LEVEL_WARNING, "%s", message);
	_exit(1);
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
	char message[LOG_MESSAGE_MAX + 1];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_write(LOG_LEVEL_WARNING, "panic at %s:%d: %s", file, line, message);
	abort();
}
