/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting and timing commands, for INFO, SLOWLOG and LATENCY.
 *
 * To read the clock twice for each command would cost a pipeline a quarter of its speed. So short commands of one row that follow each
 * other in a batch are a run: the clock is read at its ends, calls and sum are exact, and the histogram gets each call at the run's mean.
 * A run ends after 16, when another row follows, when the batch is at its end, and with every command that was not short or that something
 * held up (a lock, a retry, memory that had to be found first): what such a one took over its neighbours is counted to itself. The
 * reading that ends a run is also what the next command takes for the time.
 *
 * It is the wall clock that is read, because commands need it anyway. When it is set, the runs of that moment get a wrong length, never
 * a negative one.
 */
#ifndef BULKHEAD_CMD_STATS_H
#define BULKHEAD_CMD_STATS_H

#include "cmd/cmd.h"
#include "cmd/command.h"
#include "shm/control.h"

#define SHORT_WORDS 8     /* a command with more is not short, */
#define SHORT_REPLY 4096u /* nor one with a longer reply */

/* Before a command: ends the run it does not belong to, and reads the clock if need be. `row` NULL: it is none. */
void stats_turn(struct session *s);
static inline void stats_before(struct session *s, const struct command *row)
{
	if (s->now_uses-- <= 0 || (row != s->timed && s->run != 0))
		stats_turn(s);
	s->timed = row;
}

/* Ends the run after its last command, c; NULL when that is not known any more, and so cannot come into the slow log. */
void stats_end_run(struct session *s, const struct cmd *c);

static inline bool stats_is_short(const struct cmd *c)
{
	return (c->row->flags & (COMMAND_FAST | COMMAND_SHORT)) && !(c->row->flags & (COMMAND_NO_AUTH | COMMAND_BLOCKING)) &&
	       c->argc <= SHORT_WORDS && c->out->out.len - c->reply_start <= SHORT_REPLY;
}

/* After a command that ran. `last`: the client has sent nothing beyond it. */
static inline void stats_after(struct cmd *c, bool last)
{
	struct session *s = c->session;

	count_add(COUNTER_COMMANDS, 1);
	if (c->hits)
		count_add(COUNTER_HITS, c->hits);
	if (c->misses)
		count_add(COUNTER_MISSES, c->misses);
	if (c->changes)
		count_add(COUNTER_WRITE_COMMANDS, c->changes);
	s->run++;
	if (last || s->now_uses <= 0 || !stats_is_short(c) ||
	    s->held_up != atomic_load_explicit(&my_page->held_up, memory_order_relaxed))
		stats_end_run(s, c);
}

/* Enters the command into the slow log. */
void slowlog_note(const struct cmd *c, uint64_t us);

/* After errors were replied since `before`: counts them. `row`: the command's, if there is one; `rejected`: it did not run. */
void stats_errors(struct session *s, uint64_t before, const struct command *row, bool rejected);

#endif
