/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT PAUSE and UNPAUSE (proc/pauses.h, shm/pause.h).
 *
 * The supervisor alone. A second pause can make the first one longer and stricter, never shorter or milder. Clients that wait know when
 * the pause ends and wake up by themselves; only when it ends early are they woken. Whom to wake is what their own pages say: a worker that lies
 * there sleeps on, alone. Death: the word goes with the control region, so no pause outlives the server.
 */
#include "proc/pauses.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "proc/process.h"
#include "shm/pause.h"

static uint64_t wanted; /* the word that clients have asked for */
static bool held;       /* writers wait for the supervisor's own sake */

/* For all to see; seq_cst is the fence of shm/pause.h. */
static void publish(void)
{
	enum pause_mode mode = wanted ? pause_mode_of(wanted, NULL) : PAUSE_NONE;
	atomic_store(&control->pause, held ? pause_word(mode == PAUSE_ALL ? mode : PAUSE_WRITE, PAUSE_UNTIL_MAX) : wanted);
}

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

void pauses_begin(struct channel_request *r)
{
	struct pause_wish wish;
	int64_t now = clock_mono_ms(), left = 0;
	enum pause_mode mode = wanted ? pause_mode_of(wanted, &left) : PAUSE_NONE;
	if (r->n != sizeof wish) {
		answer(r, "ERR malformed request");
		return;
	}
	memcpy(&wish, r->text, sizeof wish);
	if ((wish.mode != PAUSE_WRITE && wish.mode != PAUSE_ALL) || wish.ms < 0) {
		answer(r, "ERR malformed request");
		return;
	}
	if (mode == PAUSE_NONE || wish.mode > (uint32_t)mode)
		mode = (enum pause_mode)wish.mode;
	if (wish.ms > left)
		left = wish.ms;
	int64_t until = left < PAUSE_UNTIL_MAX - now ? now + left : PAUSE_UNTIL_MAX;
	/* Before the answer. */
	if (left > 0) {
		wanted = pause_word(mode, until);
		publish();
	}
	answer(r, "+OK");
}

/* Clients that wait, and the expirer, which sleeps longer in a pause. */
static void wake(uint32_t slot, struct process *p)
{
	bool waits = p->kind == PROC_WORKER && atomic_load(&control_page(slot)->waiting);
	if (waits || p->kind == PROC_EXPIRER)
		kill(p->pid, SIGURG);
}

void pauses_end(struct channel_request *r)
{
	if (wanted) {
		wanted = 0;
		publish();
		table_each(wake);
	}
	answer(r, "+OK");
}

void pauses_hold(bool yes)
{
	if (held == yes)
		return;
	held = yes;
	publish();
	if (!yes)
		table_each(wake);
}

int64_t pauses_deadline(void)
{
	return wanted ? (int64_t)(wanted >> PAUSE_MODE_BITS) : INT64_MAX;
}

void pauses_tick(int64_t now)
{
	if (pauses_deadline() > now)
		return;
	wanted = 0;
	publish();
}
