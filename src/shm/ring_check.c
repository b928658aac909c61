/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking the log ring: part of a check of a whole store (shm/check.h). Changes nothing.
 *
 * Nobody appends meanwhile: whoever checks has all stripes, or the store to itself. A consumer beside may move on over short frames, which stay
 * readable; a block it cannot free, since blocks are runs of slabs, and the arena's lock is taken.
 */
#include "ring_frame.h"
#include "shm/check.h"
#include "shm/lock.h"
#include "shm/slot.h"

static bool check_block(struct check *c, const struct frame *f, const struct frame_block *b)
{
	if (f->n != FRAME_BLOCK)
		return check_bad(c, (uint64_t)((const char *)f - STORE_BASE), "a frame of the log with a block and %u bytes", f->n);
	return check_reach(c, &b->block, b->block, b->n, BLOCK_ASIDE, "a block of the log");
}

static bool check_frame(struct check *c, uint64_t pos, uint64_t tail, uint64_t *offset)
{
	const struct frame *f = (const struct frame *)(const void *)ring_at(pos);
	const struct frame_block *b = (const struct frame_block *)(const void *)ring_at(pos + FRAME_HEAD);
	uint64_t off = (uint64_t)((const char *)f - STORE_BASE);
	if (f->flags & ~(FRAME_LAST | FRAME_IS_BLOCK) || f->n == 0 || f->n > RING_INLINE_MAX || pos + frame_room(f->n) > tail)
		return check_bad(c, off, "a damaged frame of the log");
	if (*offset && f->offset != *offset)
		return check_bad(c, off, "a frame of the log at offset %llu, not %llu", (unsigned long long)f->offset,
				 (unsigned long long)*offset);
	if (f->flags & FRAME_IS_BLOCK && !check_block(c, f, b))
		return false;
	*offset = f->offset + (f->flags & FRAME_IS_BLOCK ? b->n : f->n);
	return true;
}

bool check_ring(struct check *c)
{
	const struct ring *r = ring();
	uint64_t pos = atomic_load(&r->consumed), tail = atomic_load(&r->tail), offset = 0;
	uint32_t flags = FRAME_LAST;
	if (pos > tail || tail - pos > RING_BYTES || (pos | tail) & (FRAME_HEAD - 1) || (tail > pos && !atomic_load(&r->backed)))
		return check_bad(c, SUPER->off_ring, "the log ring is consumed up to %llu of %llu", (unsigned long long)pos,
				 (unsigned long long)tail);
	while (pos < tail) {
		if (!check_frame(c, pos, tail, &offset))
			return false;
		flags = ((const struct frame *)(const void *)ring_at(pos))->flags;
		pos += frame_room(((const struct frame *)(const void *)ring_at(pos))->n);
	}
	if (!(flags & FRAME_LAST))
		return check_bad(c, SUPER->off_ring, "the log ends in the middle of a transaction");
	return offset == 0 || offset == atomic_load(&r->offset) ||
	       check_bad(c, SUPER->off_ring, "the log ends at offset %llu, not %llu", (unsigned long long)atomic_load(&r->offset),
			 (unsigned long long)offset);
}

void check_mark_ring(struct check *c, bool alone)
{
	struct ring *r = ring();
	if (__atomic_load_n(&r->referenced_in, __ATOMIC_RELAXED) == atomic_load(&r->referenced_out))
		return;
	if (!alone)
		lock_take(&r->lock, self_id);
	uint64_t tail = atomic_load(&r->tail);
	for (uint64_t pos = atomic_load(&r->consumed); pos < tail;) {
		const struct frame *f = (const struct frame *)(const void *)ring_at(pos);
		if (f->flags & FRAME_IS_BLOCK)
			check_mark(c, ((const struct frame_block *)(const void *)ring_at(pos + FRAME_HEAD))->block);
		pos += frame_room(f->n);
	}
	if (!alone)
		lock_release(&r->lock);
}
