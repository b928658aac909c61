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
	bool live;           /* others work; see check_begin_live */
	uint64_t nslabs;     /* of the store as it was at the beginning */
	uint64_t *looked;    /* live: a bit per slab whose head was checked */
	uint32_t may_look;   /* live: heads that may still be checked while this stripe is held */
	uint64_t *reached;   /* a bit per 8 bytes from the first extent on: a block found by way of references */
	uint64_t meta[HEAPS_MAX + 1]; /* bytes of reached BLOCK_META per heap; the last for runs */
};

/* Begins: locks free, versions even, slots and pins in order, heaps and arena consistent in themselves. */
bool check_begin(struct check *c, char *why, size_t cap);

/*
 * The same while other processes live: the caller holds every stripe and the arena lock, and the journals of all
 * others were empty after it had the stripes. They can wait for locks, read, and take and drop pins; nothing else.
 */
bool check_begin_beside(struct check *c, char *why, size_t cap);

/*
 * The same while others work. Then check_reach is for blocks referred to by what a stripe guards that the caller
 * holds; it checks the slab they are in under its heap's lock, at most may_look of them. That a block is referred to
 * twice it cannot tell.
 */
bool check_begin_live(struct check *c, char *why, size_t cap);

/* The block is known to somebody: for references that may not be followed yet. */
void check_mark(struct check *c, ref r);

/*
 * Live: a copy of which blocks are allocated, in the shape of `reached`; free() it. Each slab is copied under its
 * heap's lock. What looks like a slab within a large value may be copied too: check_starts tells when everybody
 * rests.
 */
uint64_t *check_copy_allocated(struct check *c);

/* Whether an allocated block seems to start there. */
bool check_is_block(ref r);

/* Whether the slab or run that a block is in is one of the arena's. Arena lock held. */
bool check_starts(ref block);

/* Whether slot `i` has nothing under way that could change a byte while its process holds no stripe. */
bool check_slot_rests(uint32_t i);

/* The log ring: its frames, and the blocks they hold. Nobody appends. */
bool check_ring(struct check *c);

/* Marks the log's blocks as known. `alone`: the caller has all stripes, so that nobody appends; else takes the ring's lock for it. */
void check_mark_ring(struct check *c, bool alone);

/* Heaps', arena's and map's locks alone: nobody holds one. Part of check_begin. */
bool check_leaf_locks(struct check *c);

/*
 * The block at `r` is in use as `kind` for at least `size` bytes, and nothing else refers to it. `what` names it,
 * `from` is the word that refers to it, for the report.
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
