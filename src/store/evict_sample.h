/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which keys go first, for evict.c: candidates by samples, as maxmemory-policy says. Internal to src/store.
 *
 * No function needs a lock or takes one. What they keep is of this process.
 */
#ifndef BULKHEAD_STORE_EVICT_SAMPLE_H
#define BULKHEAD_STORE_EVICT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* What may go. `score`: the higher, the sooner. */
struct candidate {
	uint64_t score;
	uint64_t cell; /* as it stood in the table: tag and item */
	uint32_t db, stripe, clock;
};

/* Whether the policy lets only keys with a due time go. */
bool sample_only_volatile(void);

/* Looks for candidates; `now` in wall ms. False: there is none in any database that was asked, and nobody was at work where one might be. */
bool sample_keys(int64_t now);

/* The best candidate there is, which so is none any more. It may be gone, changed or used since. False: there is none left. */
bool sample_take(struct candidate *out);

/* Whether the next sample leaves databases out, because nothing was found in them a moment ago; `now` in wall ms. */
bool sample_leaves_out(int64_t now);

/* No database is left out any more. */
void sample_ask_all(void);

#endif
