/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the tables of a database are filled, for DEBUG HTSTATS. Run by workers; changes nothing.
 *
 * Locks: one stripe for a moment, when reading by version fails three times. A command that is cancelled gets what was counted so far.
 */
#include "store/table_stats.h"

#include "base/stop.h"
#include "internal.h"

#define TRIES 3

_Static_assert(TABLE_CELLS == CELLS, "cells of a bucket");

static void count_bucket(const uint64_t *cells, struct table_stats *s)
{
	unsigned used = 0;

	for (unsigned i = 0; i < CELLS; i++)
		used += __atomic_load_n(&cells[i], __ATOMIC_RELAXED) != 0;
	s->filled[used]++;
	s->keys += used;
}

/* Adds one stripe of the database. What is torn adds nonsense, which the caller throws away. */
static void count_bin(uint32_t db, uint32_t stripe, uint64_t version, bool locked, struct table_stats *s)
{
	const struct root *root = db_root(db);
	if (root == NULL)
		return;
	const struct bin *bin = &root->bins[stripe];
	struct bin b = bin_read(bin);
	const uint64_t *table = locked || version_same(stripe, version) ? peek(b.table, b.nbuckets * 64ull) : NULL;
	if (table == NULL || b.nbuckets == 0)
		return;
	s->tables += b.count != 0;
	s->buckets += b.nbuckets;
	s->largest = b.nbuckets > s->largest ? b.nbuckets : s->largest;
	s->expires += __atomic_load_n(&bin->expires, __ATOMIC_RELAXED);
	s->queued += __atomic_load_n(&bin->ndue, __ATOMIC_RELAXED);
	s->queue_room += __atomic_load_n(&bin->due_cap, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < b.nbuckets; i++)
		count_bucket(table + i * CELLS, s);
}

static void count_stripe(uint32_t db, uint32_t stripe, struct table_stats *s)
{
	const struct table_stats before = *s;

	for (int i = 0; i < TRIES; i++) {
		uint64_t v = version_read(stripe);
		if (v & 1)
			continue;
		count_bin(db, stripe, v, false, s);
		if (version_same(stripe, v))
			return;
		*s = before;
	}
	if (!stripe_lock(stripe))
		return;
	count_bin(db, stripe, 0, true, s);
	stripe_unlock(stripe);
}

void table_stats(uint32_t db, struct table_stats *out)
{
	*out = (struct table_stats){0};
	for (uint32_t s = 0; s < STRIPES && !cancel_requested(); s++)
		count_stripe(db, s, out);
}
