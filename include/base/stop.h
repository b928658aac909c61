/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether this process was asked to end (SIGTERM), which what runs long looks at between two steps, or to wake (SIGURG). */
#ifndef BULKHEAD_BASE_STOP_H
#define BULKHEAD_BASE_STOP_H

#include <signal.h>
#include <stdbool.h>

/* Written by the signal handler of src/proc/signals.c alone. */
extern volatile sig_atomic_t stop_flag;

static inline bool stop_requested(void)
{
	return stop_flag != 0;
}

/* Set by each SIGURG: whoever is about to sleep looks here first, and clears it. */
extern volatile sig_atomic_t wake_flag;

#endif
