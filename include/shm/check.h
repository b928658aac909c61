/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a quiet store: what src/shm keeps in it. The keys are store/fsck.h's.
 *
 * Quiet: no process changes anything while it is looked at. Everything is bounds-checked before it is believed; the first thing wrong is
 * kept with its offset. Private memory: a bit per 8 bytes of the store.
 */
#ifndef BULKHEAD_SHM_CHECK_H
#define BULKHEAD_SHM_CHECK_H

#include "shm/heap.h"

struct check {
	char *why;           /* receives the first thing wrong */
	size_t cap;
	uint64_t *reached;   /* a bit per 8 bytes from the first extent on: a block found by way of references */
	uint64_t meta[HEAPS_MAX + 1]; /* bytes of reached BLOCK_META per heap; the last for runs */
};

/* Begins: locks free, versions even, slots and pins in order, heaps and arena consistent in themselves. */
bool check_begin(struct check *c, char *why, size_t cap);

/* The block at `r` is in use as `kind` for at least `size` bytes, and nothing else refers to it. `what` names it. */
bool check_reach(struct check *c, ref r, uint64_t size, enum block_kind kind, const char *what);

/* Whether the block was reached already. */
bool check_was_reached(const struct check *c, ref r);

/* Every allocated block was reached, and the sums agree. */
bool check_leaks(struct check *c);

void check_end(struct check *c);

/* Notes what is wrong at offset `off`; returns false. */
bool check_bad(struct check *c, uint64_t off, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
