/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LATENCY: what took long, by event and second, and how long commands take.
 *
 * Runs in workers, without an access. Owns nothing: series of events are src/shm/events.c's, histograms src/shm/command_stats.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "args.h"
#include "base/config.h"
#include "help.h"
#include "info.h"
#include "shm/events.h"

#define GRAPH_COLUMNS 80u
#define GRAPH_ROWS 4u
#define LAST_END 1073741u /* us: where the last octave ends, as redis-server shows it */

struct series {
	struct event_sample samples[EVENT_SAMPLES];
	unsigned n;
	uint64_t worst;
	uint32_t low, high; /* of the samples there are, ms */
};

static bool series_read(enum event e, struct series *s)
{
	s->n = event_read(e, s->samples, &s->worst);
	s->low = UINT32_MAX;
	s->high = 0;
	for (unsigned i = 0; i < s->n; i++) {
		s->low = s->samples[i].ms < s->low ? s->samples[i].ms : s->low;
		s->high = s->samples[i].ms > s->high ? s->samples[i].ms : s->high;
	}
	return s->n > 0;
}

/* The series of the event an argument names, letters as they are. */
static bool series_of(const struct arg *name, struct series *s)
{
	for (int e = 0; e < EVENTS; e++)
		if (str_eq(name->p, name->n, event_name((enum event)e)))
			return series_read((enum event)e, s);
	s->n = 0;
	return false;
}

/* ---- LATEST, HISTORY, RESET ---- */

enum cmd_result cmd_latency_latest(struct cmd *c)
{
	size_t mark = reply_defer(c->out), n = 0;
	struct series s;

	for (int e = 0; e < EVENTS; e++) {
		if (!series_read((enum event)e, &s))
			continue;
		reply_array(c->out, 4);
		reply_bulk_str(c->out, event_name((enum event)e));
		reply_i64(c->out, s.samples[s.n - 1].time);
		reply_i64(c->out, s.samples[s.n - 1].ms);
		reply_i64(c->out, (int64_t)s.worst);
		n++;
	}
	reply_defer_array(c->out, mark, n);
	return CMD_DONE;
}

enum cmd_result cmd_latency_history(struct cmd *c)
{
	struct series s;

	series_of(&c->argv[2], &s);
	reply_array(c->out, s.n);
	for (unsigned i = 0; i < s.n; i++) {
		reply_array(c->out, 2);
		reply_i64(c->out, s.samples[i].time);
		reply_i64(c->out, s.samples[i].ms);
	}
	return CMD_DONE;
}

enum cmd_result cmd_latency_reset(struct cmd *c)
{
	int64_t n = 0;

	for (int e = 0; e < EVENTS; e++) {
		bool named = c->argc == 2;
		for (int i = 2; i < c->argc; i++)
			named = named || str_eq(c->argv[i].p, c->argv[i].n, event_name((enum event)e));
		n += named && event_reset((enum event)e);
	}
	reply_i64(c->out, n);
	return CMD_DONE;
}

/* ---- GRAPH ---- */

/* How long ago, in the largest unit that fits. */
static void age_text(char out[16], uint32_t time_then)
{
	int64_t s = (int64_t)time(NULL) - time_then;
	s = s < 0 ? 0 : s;
	if (s < 60)
		snprintf(out, 16, "%ds", (int)s);
	else if (s < 3600)
		snprintf(out, 16, "%dm", (int)(s / 60));
	else if (s < 86400)
		snprintf(out, 16, "%dh", (int)(s / 3600));
	else
		snprintf(out, 16, "%dd", (int)(s / 86400 % 100000));
}

/* What a column of the given height, in thirds of a row, shows in a row counted from the bottom. */
static char column_char(unsigned height, unsigned row)
{
	static const char tops[3] = {'_', 'o', '#'};

	if (height < 3 * row)
		return ' ';
	return height < 3 * row + 3 ? tops[height - 3 * row] : '|';
}

/* Columns from .. to: rows of the picture, an empty line, and how long ago each was, to be read downwards. */
static void append_picture(struct buf *b, const struct series *s, unsigned from, unsigned to)
{
	uint32_t span = s->high > s->low ? s->high - s->low : 1;
	char age[16];

	for (unsigned row = GRAPH_ROWS; row-- > 0;) {
		for (unsigned i = from; i < to; i++) {
			uint64_t height = (uint64_t)(s->samples[i].ms - s->low) * 3 * GRAPH_ROWS / span;
			buf_append_char(b, column_char(height < 3 * GRAPH_ROWS ? (unsigned)height : 3 * GRAPH_ROWS - 1, row));
		}
		buf_append_char(b, '\n');
	}
	for (unsigned i = from; i < to; i++)
		buf_append_char(b, ' ');
	buf_append_char(b, '\n');
	for (unsigned line = 0, any = 1; any; line++) {
		size_t mark = b->len;
		any = 0;
		for (unsigned i = from; i < to; i++) {
			age_text(age, s->samples[i].time);
			bool has = strlen(age) > line;
			buf_append_char(b, has ? age[line] : ' ');
			any |= has;
		}
		buf_append_char(b, '\n');
		if (!any)
			b->len = mark;
	}
}

enum cmd_result cmd_latency_graph(struct cmd *c)
{
	struct series s;
	struct buf b;

	if (!series_of(&c->argv[2], &s)) {
		reply_errorf(c->out, "ERR No samples available for event '%.*s'", (int)c->argv[2].n, c->argv[2].p);
		return CMD_DONE;
	}
	buf_init(&b);
	buf_printf(&b, "%.*s - high %u ms, low %u ms (all time high %llu ms)\n", (int)c->argv[2].n, c->argv[2].p, s.high,
		   s.low, (unsigned long long)s.worst);
	for (unsigned i = 0; i < GRAPH_COLUMNS; i++)
		buf_append_char(&b, '-');
	buf_append_char(&b, '\n');
	for (unsigned from = 0; from < s.n; from += GRAPH_COLUMNS) {
		if (from > 0)
			buf_append_char(&b, '\n');
		append_picture(&b, &s, from, from + GRAPH_COLUMNS < s.n ? from + GRAPH_COLUMNS : s.n);
	}
	reply_verbatim(c->out, "txt", b.data, b.len);
	buf_deinit(&b);
	return CMD_DONE;
}

/* ---- DOCTOR ---- */

static const char *const advice[EVENTS] = {
    [EVENT_COMMAND] = "Commands over many elements are slow by nature; they hold up only the client that sent them, and whoever "
		      "writes the same keys. SLOWLOG GET names them; 'command-timeout' limits them.",
    [EVENT_FAST_COMMAND] = "Commands that are fast by nature took long: they waited for a processor or for a lock, or the machine was "
			   "short of memory. Look for more busy processes than there are cores, for swapping, and at 'lock-wait'.",
    [EVENT_EXPIRE_CYCLE] = "Many keys fell due at once. Due times that are spread over a few minutes spread the work, too.",
    [EVENT_LOCK_WAIT] = "Clients write the same keys, or keys that share a lock with them, and one of them took long. A process that is "
			"stopped with a lock is ended after 'lock-timeout'.",
};

/* "1. command: 5 spikes, mean 344 ms, ..." */
static void append_diagnosis(struct buf *b, unsigned number, enum event e, const struct series *s)
{
	uint64_t sum = 0, apart = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->samples[i].ms;
	uint64_t mean = sum / s->n;
	for (unsigned i = 0; i < s->n; i++)
		apart += s->samples[i].ms > mean ? s->samples[i].ms - mean : mean - s->samples[i].ms;
	double seconds = (double)(s->samples[s->n - 1].time - s->samples[0].time);
	buf_printf(b, "%u. %s: %u latency spikes (average %llums, mean deviation %llums, period %.2f sec). ", number,
		   event_name(e), s->n, (unsigned long long)mean, (unsigned long long)(apart / s->n), seconds / s->n);
	buf_printf(b, "Worst all time event %llums.\n   %s\n", (unsigned long long)s->worst, advice[e]);
}

enum cmd_result cmd_latency_doctor(struct cmd *c)
{
	int64_t threshold = config->latency_monitor_threshold, slow = config->slowlog_log_slower_than;
	unsigned found = 0;
	struct series s;
	struct buf b;

	buf_init(&b);
	for (int e = 0; e < EVENTS; e++) {
		if (!series_read((enum event)e, &s))
			continue;
		if (found++ == 0)
			buf_append_str(&b, "These took longer than latency-monitor-threshold:\n\n");
		append_diagnosis(&b, found, (enum event)e, &s);
	}
	if (found == 0 && threshold == 0)
		buf_append_str(&b, "Nothing is watched: latency-monitor-threshold is 0. \"CONFIG SET latency-monitor-threshold "
				   "<milliseconds>\" switches the watch on.\n");
	else if (found == 0)
		buf_append_str(&b, "No latency spike was seen since the watch began or was reset.\n");
	else if (slow < 0 || slow / 1000 > threshold)
		buf_printf(&b, "\nThe slow log lacks some of the commands concerned; 'CONFIG SET slowlog-log-slower-than %lld' has "
			       "them in it.\n", (long long)threshold * 1000);
	reply_verbatim(c->out, "txt", b.data, b.len);
	buf_deinit(&b);
	return CMD_DONE;
}

/* ---- HISTOGRAM ---- */

/* A row's calls, cumulated at the end of each octave that has some, in microseconds. False: it has none. */
static bool reply_histogram(struct cmd *c, const struct command *row, const struct command_sum *s)
{
	uint64_t calls = command_sum_timed(s), sum = 0;
	size_t n = 0;

	if (calls == 0)
		return false;
	reply_bulk_str(c->out, row->name);
	reply_map(c->out, 2);
	reply_bulk_str(c->out, "calls");
	reply_i64(c->out, (int64_t)calls);
	reply_bulk_str(c->out, "histogram_usec");
	size_t mark = reply_defer(c->out);
	for (unsigned i = 0; i < OCTAVES; i++) {
		if (s->octaves[i] == 0)
			continue;
		sum += s->octaves[i];
		reply_i64(c->out, i + 1 < OCTAVES ? (int64_t)(octave_end(i) / 1000) : LAST_END);
		reply_i64(c->out, (int64_t)sum);
		n++;
	}
	reply_defer_map(c->out, mark, n);
	return true;
}

/* A command, or those of its subcommands that were called. */
static size_t reply_histograms(struct cmd *c, const struct command *row, const struct command_sum *sums)
{
	size_t n = reply_histogram(c, row, &sums[row->number]);

	for (const struct command *sub = command_first_sub(row); sub != NULL; sub = command_next_sub(sub))
		n += reply_histogram(c, sub, &sums[sub->number]);
	return n;
}

enum cmd_result cmd_latency_histogram(struct cmd *c)
{
	struct command_sum *sums = info_command_sums();
	size_t n = 0, mark = reply_defer(c->out);

	for (int i = 2; i < c->argc; i++) {
		const struct command *row = command_find_full(c->argv[i].p, c->argv[i].n);
		n += row == NULL ? 0 : reply_histograms(c, row, sums);
	}
	for (const struct command *row = NULL; c->argc == 2 && (row = command_next(row)) != NULL;)
		n += reply_histogram(c, row, &sums[row->number]);
	reply_defer_map(c->out, mark, n);
	free(sums);
	return CMD_DONE;
}

enum cmd_result cmd_latency_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
