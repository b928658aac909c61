/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this process was asked for by a signal, and what runs long looks at between two steps: to end (SIGTERM), to wake (SIGURG), to
 * give up the command it is in (base/deadline.h).
 */
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

/* Set by the timer of base/deadline.h, cleared when the command is over. Never set outside a command. */
extern volatile sig_atomic_t cancel_flag;

/* The command has run too long: whatever it has done will be undone, so its body ends the quickest way, with any result. */
static inline bool cancel_requested(void)
{
	return __builtin_expect(cancel_flag != 0, 0);
}

#endif
