/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slab header, shared by the heap and the check of it. Internal to src/shm.
 */
#ifndef BULKHEAD_SHM_SLAB_H
#define BULKHEAD_SHM_SLAB_H

#include "shm/heap.h"

#define SLAB_MAGIC 0x42414c53u /* "SLAB" */
#define RUN_MAGIC 0x4e55522eu  /* ".RUN" */

/* At the start of each slab, and of each run. Guard: the heap's lock; magic, class and sizes never change while in use. */
struct slab {
	uint32_t magic;
	uint16_t class, heap;
	uint32_t nblocks, data_off, size;
	uint32_t nslabs;     /* of a run */
	uint64_t nused;
	uint64_t hint;       /* no free block in bitmap words below; only a hint, not undone */
	ref next, prev;      /* in the heap's list of slabs with room; of closed ones `next` alone */
	uint64_t closed;     /* 1: nothing is taken from it, it is on the arena's list of closed ones instead (slab_close) */
	uint64_t bitmap[];   /* 1: allocated */
};
_Static_assert(sizeof(struct slab) == 64, "run data starts behind the header");

/* Whether what never changes in a slab's head is as it was made. */
bool slab_has_shape(const struct slab *s);

static inline const struct slab *slab_at(uint64_t off)
{
	return (const struct slab *)(STORE_BASE + (off & ~(uint64_t)(SLAB_BYTES - 1)));
}

#endif
