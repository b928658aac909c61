/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INFO's sections about commands and errors: commandstats, errorstats, latencystats.
 *
 * Runs in workers, without an access. Owns nothing; reads the totals and the pages of all processes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "base/config.h"
#include "base/panic.h"
#include "info.h"

struct command_sum *info_command_sums(void)
{
	struct command_sum *sums = malloc(COMMAND_ROWS_MAX * sizeof *sums);

	if (sums == NULL)
		fatal("out of memory for the sums of commands");
	command_stats_read(sums);
	return sums;
}

uint64_t command_sum_timed(const struct command_sum *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < OCTAVES; i++)
		n += s->octaves[i];
	return n;
}

void info_commandstats(struct buf *b)
{
	struct command_sum *sums = info_command_sums();

	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		const struct command_sum *s = &sums[row->number];
		uint64_t us = s->ns / 1000;
		if (s->calls == 0 && s->rejected == 0 && s->failed == 0)
			continue;
		buf_printf(b, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,", row->name,
			   (unsigned long long)s->calls, (unsigned long long)us,
			   s->calls ? (double)us / (double)s->calls : 0);
		buf_printf(b, "rejected_calls=%llu,failed_calls=%llu\r\n", (unsigned long long)s->rejected,
			   (unsigned long long)s->failed);
	}
	free(sums);
}

void info_errorstats(struct buf *b)
{
	struct error_sum sums[ERROR_CODES + 1];
	size_t n = error_stats_read(sums);

	for (size_t i = 0; i < n; i++)
		buf_printf(b, "errorstat_%s:count=%llu\r\n", sums[i].code, (unsigned long long)sums[i].count);
}

/* ---- latencystats ---- */

/* The duration, in ns, that so many percent of the calls took at most: from the octave it falls into, as if all took different times there. */
static double percentile(const struct command_sum *s, double percent)
{
	double rank = percent / 100 * (double)command_sum_timed(s), before = 0;

	for (unsigned i = 0; i < OCTAVES; i++) {
		double n = (double)s->octaves[i], from = i ? (double)octave_end(i - 1) : 0;
		if (n > 0 && before + n >= rank) {
			double at = rank > before ? (rank - before) / n : 0;
			return from + at * ((double)octave_end(i) - from);
		}
		before += n;
	}
	return (double)octave_end(OCTAVES - 1);
}

/* A percentile's name: as redis-server writes the number, without zeros at its end. */
static void append_percent(struct buf *b, double percent)
{
	char text[64];
	int n = snprintf(text, sizeof text, "%f", percent);

	while (n > 0 && text[n - 1] == '0')
		n--;
	if (n > 0 && text[n - 1] == '.')
		n--;
	buf_printf(b, "p%.*s", n, text);
}

static void keep_value(void *arg, const char *name, const char *value)
{
	(void)name;
	snprintf(arg, CONFIG_TEXT, "%s", value ? value : "");
}

static void append_percentiles(struct buf *b, const struct command_sum *s, const char *percents)
{
	const char *comma = "";

	for (char *end; *percents != 0; percents = end, comma = ",") {
		double percent = strtod(percents, &end);
		if (end == percents)
			break;
		buf_append_str(b, comma);
		append_percent(b, percent);
		buf_printf(b, "=%.3f", percentile(s, percent) / 1000);
	}
}

void info_latencystats(struct buf *b)
{
	struct arg name = arg_of("latency-tracking-info-percentiles");
	char percents[CONFIG_TEXT] = "";

	if (!config->latency_tracking)
		return;
	config_get(&name, 1, keep_value, percents);
	struct command_sum *sums = info_command_sums();
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		if (command_sum_timed(&sums[row->number]) == 0)
			continue;
		buf_printf(b, "latency_percentiles_usec_%s:", row->name);
		append_percentiles(b, &sums[row->number], percents);
		buf_append_str(b, "\r\n");
	}
	free(sums);
}
