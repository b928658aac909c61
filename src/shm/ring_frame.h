/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both sides of the log ring know of its inside.
 *
 * A frame: {offset of the stream, n, flags}, n bytes, up to the next multiple of 16. So a head never turns over the ring's end; its bytes
 * may. A block's frame holds {reference, bytes of the stream in it}.
 */
#ifndef BULKHEAD_SHM_RING_FRAME_H
#define BULKHEAD_SHM_RING_FRAME_H

#include <string.h>

#include "shm/ring.h"

struct frame {
	uint64_t offset;
	uint32_t n;
	uint32_t flags;
};
_Static_assert(sizeof(struct frame) == 16, "never turns over");

#define FRAME_LAST 1u     /* of its transaction */
#define FRAME_IS_BLOCK 2u

struct frame_block {
	ref block;
	uint64_t n;
};

#define FRAME_HEAD 16u
#define FRAME_BLOCK ((uint32_t)sizeof(struct frame_block))

enum { SLEEPS_NOT, SLEEPS_TILL_ANY, SLEEPS_TILL_HALF };

static inline uint64_t frame_room(uint64_t n)
{
	return FRAME_HEAD + ((n + 15) & ~15ull);
}

/* The byte at a position. */
static inline char *ring_at(uint64_t pos)
{
	return STORE_BASE + SUPER->off_ring + PAGE_BYTES + (pos & (RING_BYTES - 1));
}

/* How many bytes from `pos` on lie in a row, of n. */
static inline uint64_t ring_row(uint64_t pos, uint64_t n)
{
	uint64_t left = RING_BYTES - (pos & (RING_BYTES - 1));
	return n < left ? n : left;
}

static inline void ring_put(uint64_t pos, const char *from, uint64_t n)
{
	uint64_t row = ring_row(pos, n);
	memcpy(ring_at(pos), from, row);
	if (row < n)
		memcpy(ring_at(0), from + row, n - row);
}

/* Bytes of the ring in use. */
static inline uint64_t ring_fill(void)
{
	uint64_t consumed = atomic_load_explicit(&ring()->consumed, memory_order_acquire);
	return atomic_load_explicit(&ring()->tail, memory_order_acquire) - consumed;
}

/* Bytes in blocks that the ring refers to. What came out is read first, for it is never more than what had come in by then. */
static inline uint64_t ring_referenced(void)
{
	uint64_t out = atomic_load_explicit(&ring()->referenced_out, memory_order_acquire);
	return __atomic_load_n(&ring()->referenced_in, __ATOMIC_ACQUIRE) - out;
}

#define SELECT_MAX 48u

/* SELECT as RESP; returns its length. */
uint64_t select_text(uint32_t db, char out[SELECT_MAX]);

#endif
