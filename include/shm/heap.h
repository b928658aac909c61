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

enum block_kind {
	BLOCK_DATA, /* items: the dataset */
	BLOCK_META, /* roots, tables, queues, journals */
};

/*
 * A block of at least `size` bytes (> 0), 8-aligned; 64-aligned when its class size is a multiple of 64. Content undefined.
 * Takes the leaf locks heap and arena as needed. `urgent`: may use the reserve. REF_NONE: no memory.
 */
ref heap_alloc(uint64_t size, enum block_kind kind, bool urgent);

/* Frees a block of that kind. Panics when it is not an allocated block. */
void heap_free(ref block, enum block_kind kind);

/* Bytes a block of `size` bytes really takes. */
uint64_t heap_class_size(uint64_t size);

/* Bytes of an allocated block. */
uint64_t heap_block_size(ref block);

/* The same of what may be torn or stale: 0, or any number, when it is no block. */
uint64_t heap_block_bytes(ref block);

/* Sums over all heaps and runs, without locks. */
uint64_t heap_used(void);
uint64_t heap_meta(void);

/* Visits every allocated block (quiet store: tests, checks). */
void heap_each(void (*each)(void *arg, ref block, uint64_t size), void *arg);

#endif
