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

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

void pauses_begin(struct channel_request *r)
{
	struct pause_wish wish;
	int64_t now = clock_mono_ms(), left = 0;
	uint64_t before = atomic_load_explicit(&control->pause, memory_order_relaxed);
	enum pause_mode mode = before ? pause_mode_of(before, &left) : PAUSE_NONE;
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
	/* Before the answer, for all to see: seq_cst is the fence of shm/pause.h. */
	if (left > 0)
		atomic_store(&control->pause, pause_word(mode, until));
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
	if (atomic_exchange(&control->pause, 0))
		table_each(wake);
	answer(r, "+OK");
}

int64_t pauses_deadline(void)
{
	uint64_t word = atomic_load_explicit(&control->pause, memory_order_relaxed);
	return word ? (int64_t)(word >> PAUSE_MODE_BITS) : INT64_MAX;
}

void pauses_tick(int64_t now)
{
	if (pauses_deadline() <= now)
		atomic_store_explicit(&control->pause, 0, memory_order_relaxed);
}
