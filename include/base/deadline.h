/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command-timeout: how long a command may run, watched by a timer of the process itself.
 *
 *     deadline_begin();
 *     ... cancel_requested() turns true when the time is up (base/stop.h)
 *     deadline_settle();   from here on it takes the time it takes
 *     ...
 *     deadline_end();
 *
 * While the parameter is 0 this costs a look at it. Else a store at the beginning and one at the end: the timer is armed by the first
 * command and disarms itself when it finds none running.
 */
#ifndef BULKHEAD_BASE_DEADLINE_H
#define BULKHEAD_BASE_DEADLINE_H

#include "base/config.h"
#include "base/stop.h"

/* The number of the command that is being timed; 0: none. Written by the functions here. */
extern volatile sig_atomic_t deadline_command;

/*
 * Set while this process waits for a lock that it must have, cancelled or not: it will look at the flag when it has it, and to end it would not
 * help; whoever holds the lock is the matter of lock-timeout.
 */
extern volatile sig_atomic_t deadline_waiting;

/* A command begins now. */
void deadline_start(void);

static inline void deadline_begin(void)
{
	if (__builtin_expect(config->command_timeout != 0, 0))
		deadline_start();
}

/* The command commits, rolls back, or waits for somebody who answers: no cancelling any more. What cancel_requested says stays. */
static inline void deadline_settle(void)
{
	if (__builtin_expect(deadline_command != 0, 0))
		deadline_command = 0;
}

/* The command is over. */
static inline void deadline_end(void)
{
	deadline_settle();
	if (cancel_requested())
		cancel_flag = 0;
}

/* The handler of SIGALRM. */
void deadline_tick(int sig);

#endif
