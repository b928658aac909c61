/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timer behind command-timeout (base/deadline.h).
 *
 * Run by workers. Time is counted in steps that the process has seen for itself, a tenth of command-timeout each: a process, or a machine,
 * that stood still for a minute finds one signal, not sixty, and has used up one step. A command is cancelled when it has been seen
 * running at as many ticks in a row; it notices within its next few microseconds, or is not looking: then the process ends itself, and a
 * medic undoes what it did.
 *
 * Private memory of the process; no locks. The handler runs between any two instructions: it reads `deadline_command` once and writes
 * only what is its own, the flag, and `armed`. Death at any point leaves nothing.
 */
#include "base/deadline.h"

#include <errno.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

#define STEPS 10
#define STEP_MAX_MS 100
#define REACT_MS 1000 /* who has not reacted for so long to the flag will not */

volatile sig_atomic_t cancel_flag, deadline_command, deadline_waiting;

static volatile sig_atomic_t armed;
static int64_t step;       /* ms, as the timer is set */
static sig_atomic_t seen;  /* the command running at the last tick */
static int64_t ran;        /* ms it was seen running */
static int64_t late;       /* ms of these since the flag was set: the parameter may have been lowered only then */

static int64_t step_of(int64_t timeout)
{
	int64_t ms = (timeout + STEPS - 1) / STEPS;
	return ms < STEP_MAX_MS ? ms : STEP_MAX_MS;
}

/* Every `ms` milliseconds from now on; 0: never. */
static void set_timer(int64_t ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	struct itimerval every = {t, t};
	step = ms;
	setitimer(ITIMER_REAL, &every, NULL);
}

void deadline_start(void)
{
	static sig_atomic_t number;
	number = number % INT32_MAX + 1;
	deadline_command = number;
	/* A tick before that store has disarmed itself and said so; one after it sees the command. */
	if (armed)
		return;
	armed = 1;
	set_timer(step_of(config->command_timeout));
}

static void count_step(int64_t timeout)
{
	ran += step;
	if (!cancel_flag) {
		cancel_flag = ran >= timeout;
		late = 0;
		return;
	}
	late += deadline_waiting ? 0 : step;
	if (late < REACT_MS)
		return;
	log_signal_safe("A command did not react to command-timeout: ending its process");
	kill(getpid(), SIGKILL);
}

void deadline_tick(int sig)
{
	int64_t timeout = config->command_timeout;
	sig_atomic_t now = deadline_command;
	int why = errno;
	(void)sig;
	if (now == 0 || timeout == 0) {
		set_timer(0);
		armed = 0;
		seen = 0;
	} else if (now != seen) {
		seen = now;
		ran = 0;
	} else {
		count_step(timeout);
	}
	if (armed && step != step_of(timeout))
		set_timer(step_of(timeout));
	errno = why;
}
