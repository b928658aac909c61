/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted per command, for commandstats and latencystats, and per error code, for errorstats.
 *
 * Each process counts on its own page of the control region, in as many entries as commands are used there, 16 at most. Commands that
 * find all of them taken are counted in the totals, which all processes share; the entries of a process that has ended are added to
 * those. The sum for all is totals plus pages.
 *
 * CONFIG RESETSTAT moves an epoch on: entries of an older one count as nothing, and their owners clear them when they count next.
 *
 * Death: a run of commands that is not counted yet is lost with its process. Nothing but what INFO shows depends on any of this.
 */
#ifndef BULKHEAD_SHM_COMMAND_STATS_H
#define BULKHEAD_SHM_COMMAND_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_ROWS_MAX 512u /* numbers of commands are below this */
#define OCTAVES 21u           /* of durations: see octave_of */
#define COMMAND_ENTRIES 16u
#define ERROR_CODES 128u      /* different ones that are told apart */
#define ERROR_CODE_MAX 32u    /* bytes of one, with its NUL */

/* Written by the owner of the page; by the supervisor while it has none. */
struct command_entry {
	_Atomic uint16_t row;   /* + 1; 0: free */
	uint16_t reserved;
	_Atomic uint32_t epoch; /* of control->stats_epoch */
	_Atomic uint32_t calls, rejected, failed;
	_Atomic uint32_t octaves[OCTAVES];
	_Atomic uint64_t ns;    /* spent in all calls */
	uint64_t reserved2[2];
};
_Static_assert(sizeof(struct command_entry) == 128, "two cache lines");

struct command_page {
	uint8_t entry_of[COMMAND_ROWS_MAX]; /* entry + 1; 0: none. For the owner alone. */
	uint32_t used;                      /* entries that have a row. For the owner alone. */
	struct command_entry entries[COMMAND_ENTRIES];
};

/* Sums over everybody. */
struct command_total {
	_Atomic uint64_t calls, rejected, failed, ns;
	_Atomic uint64_t octaves[OCTAVES];
};

struct error_total {
	_Atomic uint32_t state; /* 0: free; 1: being named; 2: named */
	char code[ERROR_CODE_MAX];
	_Atomic uint64_t count;
};

/* In the shared figures, which every process may write. */
struct shared_stats {
	struct command_total commands[COMMAND_ROWS_MAX];
	struct error_total errors[ERROR_CODES];
	_Atomic uint64_t other_errors; /* with codes that found no room */
};

/*
 * Durations by octave: the first one to 1031 ns, each next one twice as far, the last one for all that is longer. (These are the steps in
 * which redis-server shows its histograms.)
 */
static inline uint64_t octave_end(unsigned octave)
{
	return (UINT64_C(1032) << octave) - 1;
}

static inline unsigned octave_of(uint64_t ns)
{
	uint64_t n = ns / 1032;
	unsigned o = n == 0 ? 0 : 64 - (unsigned)__builtin_clzll(n);
	return o < OCTAVES ? o : OCTAVES - 1;
}

/*
 * Counts n calls (0 < n < 1000) of a command that took `ns` together on this process's page. `last_slow`: something held up the last of
 * them, so the others are taken to have been as quick as those before. Returns how long the last one took. Durations go into the
 * histogram if `histogram`.
 */
uint64_t command_stats_add(uint32_t row, uint32_t n, uint64_t ns, bool last_slow, bool histogram);

/* Counts a call that was not executed, or that failed. */
void command_stats_rejected(uint32_t row);
void command_stats_failed(uint32_t row);

/* Counts an error reply: n bytes, which begin with its code. */
void error_stats_add(const char *text, size_t n);

/* Adds a page to the totals and clears it. Its process has ended; supervisor only. */
void command_stats_fold(struct command_page *p);

/* All of it to zero. Supervisor only. What somebody counts in the same moment may survive. */
void command_stats_reset(void);

/* Sums as of about now. */
struct command_sum {
	uint64_t calls, rejected, failed, ns;
	uint64_t octaves[OCTAVES];
};
/* Of all commands by number, COMMAND_ROWS_MAX of them. */
void command_stats_read(struct command_sum *out);

/* Error codes with their counts, in the order of the codes. Returns how many; `out` has room for ERROR_CODES + 1. */
struct error_sum {
	char code[ERROR_CODE_MAX];
	uint64_t count;
};
size_t error_stats_read(struct error_sum *out);

#endif
