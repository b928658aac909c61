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
	bool beside;         /* others live; see check_begin_beside */
	uint64_t *reached;   /* a bit per 8 bytes from the first extent on: a block found by way of references */
	uint64_t meta[HEAPS_MAX + 1]; /* bytes of reached BLOCK_META per heap; the last for runs */
};

/* Begins: locks free, versions even, slots and pins in order, heaps and arena consistent in themselves. */
bool check_begin(struct check *c, char *why, size_t cap);

/*
 * The same while other processes live: the caller holds every stripe and the arena lock, and the journals of all others were empty
 * after it had the stripes. They can wait for locks, read, and take and drop pins; nothing else.
 */
bool check_begin_beside(struct check *c, char *why, size_t cap);

/* Whether slot `i` has nothing under way that could change a byte while its process holds no stripe. */
bool check_slot_rests(uint32_t i);

/* Heaps', arena's and map's locks alone: nobody holds one. Part of check_begin. */
bool check_leaf_locks(struct check *c);

/*
 * The block at `r` is in use as `kind` for at least `size` bytes, and nothing else refers to it. `what` names it, `from` is the
 * word that refers to it, for the report.
 */
bool check_reach(struct check *c, const void *from, ref r, uint64_t size, enum block_kind kind, const char *what);

/* Whether the block was reached already. */
bool check_was_reached(const struct check *c, ref r);

/* Every allocated block was reached, and the sums agree. */
bool check_leaks(struct check *c);

void check_end(struct check *c);

/* Notes what is wrong at offset `off`; returns false. */
bool check_bad(struct check *c, uint64_t off, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
