/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The due queue of a bin: a 4-ary heap of words, due time in units of 4 ms (40 bits) | tag (24 bits). Internal to src/store.
 *
 * For each key with a due time D there is an entry with its tag and a time <= D. Entries may also be stale.
 */
#ifndef BULKHEAD_STORE_DUE_H
#define BULKHEAD_STORE_DUE_H

#include "index.h"

#define DUE_ARITY 4u
#define DUE_MAX ((1ull << 40) - 1) /* later times are looked at again then: 139 years from 1970 */

/* The entry for `due` (wall ms; in the past counts as 0). */
static inline uint64_t due_entry(uint32_t tag, int64_t due)
{
	uint64_t t = due <= 0 ? 0 : ((uint64_t)due + 3) / 4;
	return (t > DUE_MAX ? DUE_MAX : t) << TAG_BITS | tag;
}

/* Wall ms of an entry (the end of its 4 ms), and its tag. */
static inline int64_t due_time(uint64_t entry)
{
	return (int64_t)(entry >> TAG_BITS) * 4;
}

/* Adds an entry for `due` (wall ms; in the past counts as 0). Stripe held. False: no memory. Lowers the expirer's hint. */
bool due_insert(uint32_t stripe, struct bin *b, uint32_t tag, int64_t due);

/* The earliest entry; ndue > 0. */
static inline uint64_t due_first(const struct bin *b)
{
	return *(const uint64_t *)at(b->due);
}

/* Removes the earliest entry. Stripe held. False: no memory for the journal. */
bool due_pop(uint32_t stripe, struct bin *b);

/* Frees the queue's block of a bin that goes away. */
bool due_free(struct bin *b);

#endif
