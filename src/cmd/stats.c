/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting and timing commands: where runs end (stats.h).
 *
 * Runs in workers, between commands. Owns the session's run; writes its own page and the shared figures, neither of which anything
 * depends on. Takes no lock. A death in here loses the counts of a run.
 */
#include "stats.h"

#include "base/clock.h"
#include "base/config.h"
#include "shm/events.h"

#define RUN_MAX 16          /* a few microseconds */
#define WANTS_EACH 1000     /* us: who asks for commands as quick as that wants to see each of them */

/* How many commands may be timed together. */
static int run_max(void)
{
	int64_t slow = config->slowlog_log_slower_than;
	return slow >= 0 && slow < WANTS_EACH ? 1 : RUN_MAX;
}

static bool is_slow(uint64_t us)
{
	int64_t slow = config->slowlog_log_slower_than;
	return slow >= 0 && us >= (uint64_t)slow;
}

static void read_clock(struct session *s)
{
	s->clock_ns = clock_wall_ns();
	s->now = s->clock_ns / 1000000;
	s->now_uses = run_max();
}

void stats_turn(struct session *s)
{
	if (s->run != 0)
		stats_end_run(s, NULL);
	else
		read_clock(s);
	s->now_uses--;
}

void stats_end_run(struct session *s, const struct cmd *c)
{
	uint32_t held_up = atomic_load_explicit(&my_page->held_up, memory_order_relaxed);
	bool slow = s->held_up != held_up || (c != NULL && !stats_is_short(c));
	int64_t before = s->clock_ns;

	read_clock(s);
	uint64_t ns = s->clock_ns > before ? (uint64_t)(s->clock_ns - before) : 0;
	uint64_t last = command_stats_add(s->timed->number, s->run, ns, slow, config->latency_tracking);
	s->run = 0;
	s->held_up = held_up;
	event_took(s->timed->flags & COMMAND_FAST ? EVENT_FAST_COMMAND : EVENT_COMMAND, last);
	if (c != NULL && is_slow(last / 1000) && !(s->timed->flags & COMMAND_SKIP_SLOWLOG))
		slowlog_note(c, last / 1000);
}

void stats_errors(struct session *s, uint64_t before, const struct command *row, bool rejected)
{
	const struct buf *out = &s->out.out;

	count_add(COUNTER_ERRORS, s->out.errors - before);
	for (uint64_t i = before; i < s->out.errors; i++)
		error_stats_add(out->data + s->out.error_at, out->len - s->out.error_at);
	/* Nobody's time: the next command's begins later. */
	if (rejected)
		s->now_uses = 0;
	if (row == NULL)
		return;
	if (rejected)
		command_stats_rejected(row->number);
	else
		command_stats_failed(row->number);
}
