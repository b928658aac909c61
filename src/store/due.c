/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Due queues. Run by writers and the expirer, in transactions; guard: the bin's stripe. Each moved word is touched; a grown queue is a new
 * block. A death in the middle is undone by the journal.
 */
#include "due.h"

#include <stdlib.h>

#include "shm/txn.h"
#include "shm/wake.h"

static bool put(uint32_t stripe, uint64_t *word, uint64_t v)
{
	if (!txn_touch(stripe, word, 8))
		return false;
	__atomic_store_n(word, v, __ATOMIC_RELAXED);
	return true;
}

static bool sift_up(uint32_t stripe, uint64_t *q, uint32_t i, uint64_t v)
{
	while (i > 0 && q[(i - 1) / DUE_ARITY] > v) {
		if (!put(stripe, &q[i], q[(i - 1) / DUE_ARITY]))
			return false;
		i = (i - 1) / DUE_ARITY;
	}
	return put(stripe, &q[i], v);
}

static bool sift_down(uint32_t stripe, uint64_t *q, uint32_t n, uint64_t v)
{
	uint32_t i = 0;
	for (;;) {
		uint32_t first = i * DUE_ARITY + 1, least = first;
		for (uint32_t c = first + 1; c < first + DUE_ARITY && c < n; c++)
			if (q[c] < q[least])
				least = c;
		if (first >= n || q[least] >= v)
			return put(stripe, &q[i], v);
		if (!put(stripe, &q[i], q[least]))
			return false;
		i = least;
	}
}

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

/* Fills `to` with one entry per key with a due time, sorted (a sorted array is a heap). Returns their number. */
static uint32_t collect(const struct bin *b, uint64_t *to, uint32_t cap)
{
	const uint64_t *table = at(b->table);
	uint32_t n = 0;
	for (uint32_t i = 0; i < b->nbuckets * CELLS && n < cap; i++) {
		struct parts p;
		if (table[i] && item_read(cell_ref(table[i]), &p) && p.flags & ITEM_DUE)
			to[n++] = due_entry(cell_tag(table[i]), p.due);
	}
	qsort(to, n, 8, compare);
	return n;
}

/* A new block for the queue: larger, or without the stale entries when these are the majority. */
static bool renew(uint32_t stripe, struct bin *b)
{
	bool stale = b->ndue > 2 * b->expires + 16;
	uint64_t want = stale ? b->expires + b->expires / 8 + 4 : b->ndue + b->ndue / 8 + 4;
	ref r = txn_alloc(want * 8, BLOCK_META);
	if (ref_is_none(r))
		return false;
	uint32_t cap = (uint32_t)(heap_block_size(r) / 8), n = b->ndue;
	if (stale)
		n = collect(b, at(r), cap);
	else if (n)
		memcpy(at(r), at(b->due), n * 8ull);
	if (!txn_touch(stripe, b, sizeof *b) || (b->due_cap && !txn_free(b->due, BLOCK_META)))
		return false;
	b->due = r;
	b->due_cap = cap;
	b->ndue = n;
	return true;
}

bool due_insert(uint32_t stripe, struct bin *b, uint32_t tag, int64_t due)
{
	if (b->ndue == b->due_cap && !renew(stripe, b))
		return false;
	if (!txn_touch(stripe, &b->ndue, sizeof b->ndue))
		return false;
	uint64_t e = due_entry(tag, due);
	/* The version is odd by now: an expirer that cleared the hint before this will see the entry. */
	hint_lower(stripe, due_time(e));
	b->ndue++;
	return sift_up(stripe, at(b->due), b->ndue - 1, e);
}

bool due_pop(uint32_t stripe, struct bin *b)
{
	uint64_t *q = at(b->due);
	if (!txn_touch(stripe, &b->ndue, sizeof b->ndue))
		return false;
	b->ndue--;
	return b->ndue == 0 || sift_down(stripe, q, b->ndue, q[b->ndue]);
}

bool due_free(struct bin *b)
{
	return b->due_cap == 0 || txn_free(b->due, BLOCK_META);
}
