/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks: size classes in slabs, one heap per core; larger blocks as runs of slabs.
 *
 * Both calls are the body of a leaf operation the caller ends with leaf_end (or leaf_cancel): so the caller can make its own
 * record of the block part of the same step.
 */
#ifndef BULKHEAD_SHM_HEAP_H
#define BULKHEAD_SHM_HEAP_H

#include "shm/layout.h"

#define RUN_HEAD 64u /* a block that is a run of slabs begins here in its first slab; no block of a slab that has many does */

enum block_kind {
	BLOCK_DATA, /* items: the dataset */
	BLOCK_META, /* roots, tables, queues */
	BLOCK_ASIDE, /* journals, what the log ring refers to: for the time being, and no matter of maxmemory */
};

/*
 * A block of at least `size` bytes (> 0), 8-aligned; 64-aligned when its class size is a multiple of 64. Content undefined.
 * Takes the leaf locks heap and arena as needed. `urgent`: may use the reserve. REF_NONE: no memory.
 */
ref heap_alloc(uint64_t size, enum block_kind kind, bool urgent);

/* A block of the class that `like` has, from the slabs that there are: none is made for it. REF_NONE: they are full. Body of a leaf operation too. */
ref heap_fill(ref like, enum block_kind kind);

/*
 * Emptying slabs, so that they serve other sizes: one process at a time, no lock held. heap_close has up to `want` of those with the fewest
 * blocks closed, no more than the others of their class have room for; nothing is taken from them any more. Whoever keeps the blocks then moves them
 * (heap_fill), and heap_reopen gives back what is empty and lets the rest be used again, also what a dead process has left closed.
 * heap_close returns how many it has closed; heap_could_gain, how many slabs there would be if all blocks lay close together.
 */
uint64_t heap_could_gain(void);
uint32_t heap_close(uint32_t want);
void heap_reopen(void);

/* The same for all slabs with room among `n` neighbours; and for the one of a block, which the caller keeps from being freed. Not for runs. */
void heap_close_range(uint64_t first, uint64_t n);
void heap_close_of(ref block);

/* Bytes of an allocated block. */
uint64_t heap_block_size(ref block);

/* The same of what may be torn or stale: 0, or any number, when it is no block. */
uint64_t heap_block_bytes(ref block);

/* Slabs of a block that is a run; 0: it is none. May be asked of what is torn or stale. */
static inline uint64_t heap_run_slabs(ref r)
{
	return (r.off & (SLAB_BYTES - 1)) == RUN_HEAD ? heap_block_bytes(r) / SLAB_BYTES : 0;
}

/* Slabs of a block of that size; 0: it shares one with others. */
uint64_t heap_slabs_for(uint64_t size);

/* Calls `each` for the number of every closed slab. */
void heap_each_closed(void (*each)(uint64_t slab));

/* Frees a block of that kind. Panics when it is not an allocated block. */
void heap_free(ref block, enum block_kind kind);

/* Bytes of the last block that this process could not have. */
uint64_t heap_refused(void);

/* Bytes a block of `size` bytes really takes. */
uint64_t heap_class_size(uint64_t size);

/* Sums over all heaps and runs, without locks. */
uint64_t heap_used(void);
uint64_t heap_meta(void);
uint64_t heap_aside(void);
uint64_t heap_counted(void); /* used - aside */

/* Visits every allocated block (quiet store: tests, checks). */
void heap_each(void (*each)(void *arg, ref block, uint64_t size), void *arg);

#endif
