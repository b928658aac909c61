/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow log: a ring of the last SLOWLOG_MAX slow commands, of which slowlog-max-len says how many are kept. It has words of clients, keys
 * and values among them, so it lies in the store: who has not logged in maps none, adds nothing and can read nothing. It outlives the
 * server as the data do.
 */
#ifndef BULKHEAD_SHM_SLOWLOG_H
#define BULKHEAD_SHM_SLOWLOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SLOWLOG_MAX 1024u  /* entries, whatever slowlog-max-len says */
#define SLOWLOG_FEW 128u   /* places that are used in turn, at least; a power of two like that */
#define SLOWLOG_WORDS 34u  /* of an entry: its client's address and name, then up to 32 of the command */
#define SLOWLOG_ROOM 6080u /* bytes of text in an entry: 32 words of 128 and what is said of those that were cut */

/*
 * Written by whoever takes the next number; read by all. `check` is over everything from `time` on and over the number: an entry that is
 * half-written, or written by two at once, has a wrong one, and does not exist.
 */
struct slow_entry {
	_Atomic uint64_t number; /* id + 1; 0: being written */
	uint64_t check;
	int64_t time;            /* seconds since 1970 */
	uint64_t us;
	uint32_t nwords, nbytes;
	uint32_t ends[SLOWLOG_WORDS]; /* where each word ends in text */
	char text[SLOWLOG_ROOM];
};

/* Places that are used in turn while so many entries are kept: what bounds the memory of the slow log. */
uint32_t slowlog_places(uint64_t keep);

/*
 * Adds an entry of n words, SLOWLOG_WORDS at most; words that find no room are left out. `keep`: how many entries there may be. Nothing is
 * added where the machine has no memory for it. The store is attached.
 */
void slowlog_add(int64_t time, uint64_t us, const struct arg *words, uint32_t n, uint64_t keep);

/* Ids of entries are at or above *first and below *next. */
void slowlog_range(uint64_t *first, uint64_t *next);

/* Copies an entry. False: there is none of that id. */
bool slowlog_read(uint64_t id, struct slow_entry *out);

/* Word i of a copy. */
struct arg slow_word(const struct slow_entry *e, uint32_t i);

/* How many entries there are. The store is attached, here and above. */
uint64_t slowlog_length(void);

void slowlog_reset(void);

#endif
