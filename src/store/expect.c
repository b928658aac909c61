/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fetching ahead for a pipeline: what its next commands will look at, for all of them at once.
 *
 * Why: a command on a large store waits for memory four times, one after the other: stripe, bin, bucket, item. A processor waits for sixteen
 * lines at once in about the time of one, so sixteen commands wait four times in all. Where all keys are the same one, there is
 * nothing to fetch; then it is not tried again for a while.
 *
 * Run by workers, between commands. Owns nothing, locks nothing, writes nothing: what it reads may be torn or over, as for every reader
 * without a lock, and is only fetched, never believed. So that nothing it reads is a hole it is in a command like others (activity);
 * a process that dies here leaves that word odd, which the medic makes even.
 */
#include "internal.h"

#define BATCHES_OFF 64 /* not tried for so many times after one key was all there was */

struct expected {
	struct key_hash hash;
	const struct bin *bin;
	const uint64_t *bucket;
};

static void fetch_bins(struct expected *e, uint32_t n, const struct root *root)
{
	for (uint32_t i = 0; i < n; i++) {
		e[i].bin = &root->bins[e[i].hash.stripe];
		__builtin_prefetch(e[i].bin);
		__builtin_prefetch(store_stripe(e[i].hash.stripe));
	}
}

static void fetch_buckets(struct expected *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct bin b = bin_read(e[i].bin);
		const uint64_t *table = b.nbuckets ? peek(b.table, (uint64_t)b.nbuckets * CELLS * 8) : NULL;
		e[i].bucket = table ? table + (uint64_t)index_home(e[i].hash.tag, b.nbuckets) * CELLS : NULL;
		if (e[i].bucket)
			__builtin_prefetch(e[i].bucket);
	}
}

static void fetch_items(const struct expected *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; e[i].bucket && c < CELLS; c++) {
			uint64_t cell = __atomic_load_n(e[i].bucket + c, __ATOMIC_RELAXED);
			if (cell && cell_tag(cell) == e[i].hash.tag)
				__builtin_prefetch(STORE_BASE + cell_ref(cell).off);
		}
}

/* Hashes the keys; false: they are all one. */
static bool hash_all(struct expected *e, const struct arg *keys, uint32_t n)
{
	bool differ = false;
	for (uint32_t i = 0; i < n; i++) {
		e[i].hash = key_hash_of(keys[i].p, keys[i].n);
		differ |= e[i].hash.stripe != e[0].hash.stripe;
	}
	return differ;
}

void store_expect(uint32_t db, const struct arg *keys, uint32_t n)
{
	static int off;
	struct expected e[STORE_EXPECT_MAX];
	if (n < 2)
		return;
	if (off > 0) {
		off--;
		return;
	}
	if (!hash_all(e, keys, n)) {
		off = BATCHES_OFF;
		return;
	}
	activity_enter();
	const struct root *root = db_root(db);
	if (root) {
		fetch_bins(e, n, root);
		fetch_buckets(e, n);
		fetch_items(e, n);
	}
	activity_leave();
}
