/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log ring, the side of its consumer (shm/ring.h). Run by the AOF writer under a slot of its own; ring_drop by whoever ends a log.
 *
 * Owns `consumed` and what moves with it. A block is freed, and its frame consumed, in one leaf operation: a writer that dies leaves a frame
 * with its block, or neither. What is written to the file and not consumed is written again by the next one, which first cuts the file.
 */
#include <linux/futex.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/panic.h"
#include "ring_frame.h"
#include "shm/heap.h"
#include "shm/leaf.h"
#include "shm/lock.h"
#include "shm/region.h"
#include "shm/txn.h"

uint64_t select_text(uint32_t db, char out[SELECT_MAX])
{
	char number[12];
	int n = snprintf(number, sizeof number, "%u", db);
	return (uint64_t)snprintf(out, SELECT_MAX, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", n, number);
}

static void wake_all(_Atomic uint32_t *word, _Atomic uint32_t *waiters)
{
	atomic_fetch_add(word, 1);
	if (atomic_load(waiters))
		syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool ring_back(void)
{
	struct ring *r = ring();
	if (atomic_load(&r->backed))
		return true;
	if (!region_back(SUPER->off_ring, PAGE_BYTES + RING_BYTES))
		return false;
	atomic_store(&r->backed, 1);
	return true;
}

/* ---- on and off ---- */

bool ring_switch_on(uint64_t *offset)
{
	struct ring *r = ring();
	if (!ring_back())
		return false;
	lock_take(&r->lock, self_id);
	if (!atomic_load(&SUPER->log_on)) {
		ASSERT(atomic_load(&r->consumed) == atomic_load(&r->tail));
		r->db = RING_NO_DB;
		atomic_store(&r->durable, atomic_load(&r->offset));
		atomic_store(&SUPER->log_on, 1);
	}
	*offset = atomic_load(&r->offset);
	lock_release(&r->lock);
	/* Who began while it was off has committed by now, or runs again. */
	txn_cancel_others();
	return true;
}

void ring_switch_off(void)
{
	struct ring *r = ring();
	lock_take(&r->lock, self_id);
	atomic_store(&SUPER->log_on, 0);
	lock_release(&r->lock);
	wake_all(&r->room_moved, &r->room_waiters);
	wake_all(&r->durable_moved, &r->durable_waiters);
}

void ring_drop(void)
{
	struct ring_piece p;
	uint64_t pos = atomic_load(&ring()->consumed);
	while (ring_read(pos, &p))
		pos = p.next;
	ring_consume(pos);
}

/* ---- reading ---- */

static struct frame frame_at(uint64_t pos)
{
	struct frame f = *(const struct frame *)ring_at(pos);
	ASSERT(f.flags & FRAME_IS_BLOCK ? f.n == FRAME_BLOCK : f.n <= RING_INLINE_MAX);
	return f;
}

static struct frame_block block_at(uint64_t pos)
{
	/* 16 bytes behind a head of 16: they do not turn over. */
	return *(const struct frame_block *)ring_at(pos + FRAME_HEAD);
}

bool ring_read(uint64_t pos, struct ring_piece *out)
{
	if (pos >= atomic_load_explicit(&ring()->tail, memory_order_acquire))
		return false;
	struct frame f = frame_at(pos);
	*out = (struct ring_piece){.offset = f.offset, .next = pos + frame_room(f.n), .last = f.flags & FRAME_LAST};
	if (f.flags & FRAME_IS_BLOCK) {
		struct frame_block b = block_at(pos);
		out->p[0] = at(b.block);
		out->n[0] = out->length = b.n;
		return true;
	}
	out->length = f.n;
	out->p[0] = ring_at(pos + FRAME_HEAD);
	out->n[0] = ring_row(pos + FRAME_HEAD, f.n);
	out->p[1] = ring_at(0);
	out->n[1] = f.n - out->n[0];
	return true;
}

uint64_t ring_consumed(uint64_t *offset)
{
	struct ring *r = ring();
	struct ring_piece p;
	uint64_t pos = atomic_load(&r->consumed);
	lock_take(&r->lock, self_id); /* who appends moves the offset first, then the tail */
	*offset = ring_read(pos, &p) ? p.offset : atomic_load(&r->offset);
	lock_release(&r->lock);
	return pos;
}

/*
 * Writers see the new position before the operation is complete, and it may yet be undone. So it moves by this one frame, and they leave room for
 * one such frame (ring.c).
 */
static void consume_block(struct ring *r, uint64_t pos, uint64_t next, ref block)
{
	uint64_t size = heap_block_size(block);
	atomic_store_explicit(&r->consumed, pos, memory_order_release);
	heap_free(block, BLOCK_ASIDE);
	leaf_set((uint64_t *)&r->consumed, next);
	leaf_set((uint64_t *)&r->referenced_out, atomic_load(&r->referenced_out) + size);
	leaf_end();
}

void ring_consume(uint64_t pos)
{
	struct ring *r = ring();
	for (uint64_t at_pos = atomic_load(&r->consumed); at_pos < pos;) {
		struct frame f = frame_at(at_pos);
		uint64_t next = at_pos + frame_room(f.n);
		if (f.flags & FRAME_IS_BLOCK)
			consume_block(r, at_pos, next, block_at(at_pos).block);
		at_pos = next;
	}
	atomic_store_explicit(&r->consumed, pos, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	wake_all(&r->room_moved, &r->room_waiters);
}

void ring_set_durable(uint64_t offset)
{
	struct ring *r = ring();
	atomic_store(&r->durable, offset);
	wake_all(&r->durable_moved, &r->durable_waiters);
}

void ring_fail(int why)
{
	struct ring *r = ring();
	atomic_store(&r->failed, (uint32_t)why);
	wake_all(&r->room_moved, &r->room_waiters);
	wake_all(&r->durable_moved, &r->durable_waiters);
}

uint64_t ring_rotations(uint64_t *where)
{
	uint64_t n = atomic_load(&ring()->rotations);
	*where = atomic_load(&ring()->rotate_at);
	return n;
}

uint64_t ring_memory(void)
{
	return (atomic_load(&ring()->backed) ? RING_BYTES : 0) + PAGE_BYTES + ring_referenced();
}

/* ---- sleeping ---- */

void ring_sleep(uint64_t pos, int64_t ms, bool at_once)
{
	struct ring *r = ring();
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	uint32_t seen = atomic_load(&r->wake);
	atomic_store(&r->asleep, at_once ? SLEEPS_TILL_ANY : SLEEPS_TILL_HALF); /* before the look at the tail: see ring_commit */
	if (at_once ? atomic_load(&r->tail) == pos : ring_fill() <= RING_BYTES / 2)
		syscall(SYS_futex, &r->wake, FUTEX_WAIT, seen, &t, NULL, 0);
	atomic_store(&r->asleep, SLEEPS_NOT);
}

void ring_wake(void)
{
	struct ring *r = ring();
	atomic_store(&r->asleep, SLEEPS_NOT);
	atomic_fetch_add(&r->wake, 1);
	syscall(SYS_futex, &r->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}
