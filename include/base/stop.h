/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether this process was asked to end (SIGTERM): what runs long looks here between two steps. */
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

#endif
