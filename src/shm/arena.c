/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arena: slabs from extents. Run by every process that maps the store; arena_keep_house by the expirer.
 *
 * Owns the arena head and its two bitmaps; lock: arena (a leaf lock, innermost). Every change is part of a leaf operation, so a
 * death in the middle is undone by the medic; backing an extent with memory before it counts leaves at worst memory that the next
 * growth finds backed already.
 */
#include "shm/arena.h"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/leaf.h"
#include "shm/region.h"

#define KEEP_EMPTY_EXTENTS 4u
#define PUNCH_OWNER 40
#define PUNCH_EXTENT ((1ull << PUNCH_OWNER) - 1)
#define EXTENT_BITS 0xffffffffull
_Static_assert(SLABS_PER_EXTENT == 32, "an extent is half a bitmap word");

static uint64_t *taken_word(uint64_t slab)
{
	return (uint64_t *)(STORE_BASE + SUPER->off_taken) + slab / 64;
}

static uint64_t *backed_word(uint64_t extent)
{
	return (uint64_t *)(STORE_BASE + SUPER->off_backed) + extent / 64;
}

bool arena_is_taken(uint64_t i)
{
	return *taken_word(i) >> (i % 64) & 1;
}

bool arena_is_backed(uint64_t i)
{
	uint64_t e = i / SLABS_PER_EXTENT;
	return *backed_word(e) >> (e % 64) & 1;
}

void arena_mark(uint64_t first, uint64_t n, bool taken)
{
	while (n > 0) {
		uint64_t bit = first % 64, len = 64 - bit < n ? 64 - bit : n;
		uint64_t mask = (len == 64 ? ~0ull : (1ull << len) - 1) << bit;
		uint64_t *w = taken_word(first);
		__atomic_store_n(w, taken ? *w | mask : *w & ~mask, __ATOMIC_RELAXED);
		first += len, n -= len;
	}
}

/* First of `n` free neighbours at or after `from`, or SLAB_NONE. */
static uint64_t find_free(uint64_t from, uint64_t n)
{
	uint64_t end = SUPER->arena.nextents * SLABS_PER_EXTENT, run = 0;
	for (uint64_t i = from; i < end;) {
		uint64_t w = *taken_word(i) >> (i % 64);
		if (w == 0 && i % 64 == 0 && i + 64 <= end) {
			run += 64, i += 64;
		} else if (w & 1) {
			run = 0;
			i += ~w ? (uint64_t)__builtin_ctzll(~w) : 64;
			continue;
		} else {
			uint64_t free = w ? (uint64_t)__builtin_ctzll(w) : 64 - i % 64;
			run += free, i += free;
		}
		if (i > end)
			run -= i - end, i = end;
		if (run >= n)
			return i - run;
	}
	return SLAB_NONE;
}

/* Adds the extent to those in use: its slabs become free. Its memory is backed. */
static void extent_add(uint64_t e)
{
	struct arena *a = &SUPER->arena;
	uint64_t *t = taken_word(e * SLABS_PER_EXTENT), *b = backed_word(e);
	leaf_set(t, *t & ~(EXTENT_BITS << (e * SLABS_PER_EXTENT % 64)));
	leaf_set(b, *b | 1ull << (e % 64));
	leaf_set(&a->free_slabs, a->free_slabs + SLABS_PER_EXTENT);
	if (a->hint > e * SLABS_PER_EXTENT)
		leaf_set(&a->hint, e * SLABS_PER_EXTENT);
}

/* Backs a hole, or grows the object at its end. False when there is no memory. Arena lock held, leaf operation open. */
static bool grow_one(bool at_end)
{
	struct arena *a = &SUPER->arena;
	for (uint64_t e = 0; !at_end && a->holes && e < a->nextents; e++) {
		if (*backed_word(e) >> (e % 64) & 1 || (a->punching & PUNCH_EXTENT) == e + 1)
			continue;
		if (!region_back(SUPER->fixed + e * EXTENT_BYTES, EXTENT_BYTES))
			return false;
		leaf_set(&a->holes, a->holes - 1);
		extent_add(e);
		return true;
	}
	uint64_t e = a->nextents;
	if ((e + 1) * EXTENT_BYTES > SUPER->reserve || !region_back(SUPER->fixed + e * EXTENT_BYTES, EXTENT_BYTES))
		return false;
	/* The bitmaps' own pages are backed as the store grows past what they cover. */
	uint64_t bits = SUPER->off_taken + e * SLABS_PER_EXTENT / 8;
	if (bits % PAGE_BYTES == 0 && !region_back(bits, PAGE_BYTES))
		return false;
	if (e / 8 % PAGE_BYTES == 0 && e % 8 == 0 && !region_back(SUPER->off_backed + e / 8, PAGE_BYTES))
		return false;
	leaf_set(&a->nextents, e + 1);
	extent_add(e);
	return true;
}

/* Grows until `n` neighbours and the reserve are there. A large run grows at the end, in leaf operations of their own. */
static uint64_t grow_for(uint64_t n, bool urgent)
{
	struct arena *a = &SUPER->arena;
	uint64_t first = find_free(a->hint, n);
	while (first == SLAB_NONE || a->free_slabs < n + (urgent ? 0 : RESERVE_SLABS)) {
		uint32_t mark_n = atomic_load_explicit(&self->nleaf, memory_order_relaxed);
		if (!grow_one(first == SLAB_NONE && n > SLABS_PER_EXTENT))
			return urgent || first == SLAB_NONE || a->free_slabs >= n + RESERVE_SLABS ? first : SLAB_NONE;
		/* A grown extent stays, whatever becomes of the operation: its notes can go, the ones before it stay. */
		atomic_store_explicit(&self->nleaf, mark_n, memory_order_release);
		first = find_free(a->hint, n);
	}
	return first;
}

uint64_t arena_take(uint64_t n, bool urgent)
{
	struct arena *a = &SUPER->arena;
	leaf_lock(LEAF_ARENA, &a->lock);
	uint64_t first = grow_for(n, urgent);
	if (first == SLAB_NONE)
		return SLAB_NONE;
	leaf_set(&a->free_slabs, a->free_slabs - n);
	if (first == a->hint)
		leaf_set(&a->hint, first + n);
	leaf_note(first | LEAF_RUN, n);
	arena_mark(first, n, true);
	return first;
}

void arena_give(uint64_t first, uint64_t n)
{
	struct arena *a = &SUPER->arena;
	leaf_lock(LEAF_ARENA, &a->lock);
	leaf_set(&a->free_slabs, a->free_slabs + n);
	if (first < a->hint)
		leaf_set(&a->hint, first);
	/* Last, and word by word in one direction: what is cleared is free, and the counts are right only after leaf_end. */
	if (n == 1) {
		uint64_t *w = taken_word(first);
		leaf_set(w, *w & ~(1ull << (first % 64)));
		return;
	}
	leaf_note(first | LEAF_RUN | LEAF_RUN_GIVEN, n);
	arena_mark(first, n, false);
}

uint64_t arena_committed(void)
{
	struct arena *a = &SUPER->arena;
	uint64_t extents = __atomic_load_n(&a->nextents, __ATOMIC_RELAXED) - __atomic_load_n(&a->holes, __ATOMIC_RELAXED);
	return SUPER->off_taken + PAGE_BYTES + extents * EXTENT_BYTES;
}

/* Keeps the reserve and one extent beyond it free, so that writers rarely grow the object themselves. */
static void keep_spare(void)
{
	struct arena *a = &SUPER->arena;
	if (__atomic_load_n(&a->free_slabs, __ATOMIC_RELAXED) >= RESERVE_SLABS + SLABS_PER_EXTENT / 2)
		return;
	leaf_lock(LEAF_ARENA, &a->lock);
	if (a->free_slabs < RESERVE_SLABS + SLABS_PER_EXTENT / 2)
		grow_one(false);
	leaf_end();
}

/*
 * Huge pages, a few per call. Extent by extent in the order of growth, so one number tells what is done; a hole that is backed
 * again stays in small pages. The first 2 MiB hold the stripes and most slots: with them a new process faults once, not 20 times.
 */
static void collapse_some(void)
{
#ifdef MADV_COLLAPSE
	static uint64_t done;
	if (done == 0)
		madvise(STORE_BASE, EXTENT_BYTES, MADV_COLLAPSE), done = 1;
	for (int i = 0; i < 8 && done <= __atomic_load_n(&SUPER->arena.nextents, __ATOMIC_ACQUIRE); i++, done++)
		madvise(STORE_BASE + SUPER->fixed + (done - 1) * EXTENT_BYTES, EXTENT_BYTES, MADV_COLLAPSE);
#endif
}

/* The highest extent that is backed and wholly free, or SLAB_NONE. Arena lock held. */
static uint64_t find_empty(void)
{
	for (uint64_t e = SUPER->arena.nextents; e-- > 0;)
		if (*backed_word(e) >> (e % 64) & 1 &&
		    !(*taken_word(e * SLABS_PER_EXTENT) >> (e * SLABS_PER_EXTENT % 64) & EXTENT_BITS))
			return e;
	return SLAB_NONE;
}

/* Takes an empty extent out of use and remembers that it is being punched. SLAB_NONE: none to spare. */
static uint64_t begin_punch(void)
{
	struct arena *a = &SUPER->arena;
	leaf_lock(LEAF_ARENA, &a->lock);
	uint64_t e = a->free_slabs > RESERVE_SLABS + KEEP_EMPTY_EXTENTS * SLABS_PER_EXTENT ? find_empty() : SLAB_NONE;
	if (e != SLAB_NONE) {
		uint64_t *t = taken_word(e * SLABS_PER_EXTENT), *b = backed_word(e);
		leaf_set(t, *t | EXTENT_BITS << (e * SLABS_PER_EXTENT % 64));
		leaf_set(b, *b & ~(1ull << (e % 64)));
		leaf_set(&a->free_slabs, a->free_slabs - SLABS_PER_EXTENT);
		leaf_set(&a->holes, a->holes + 1);
		leaf_set(&a->punching, (e + 1) | (uint64_t)self_id << PUNCH_OWNER);
	}
	leaf_end();
	return e;
}

static void end_punch(void)
{
	leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
	leaf_set(&SUPER->arena.punching, 0);
	leaf_end();
}

void arena_keep_house(void)
{
	keep_spare();
	collapse_some();
	for (int i = 0; i < 32; i++) {
		uint64_t free = __atomic_load_n(&SUPER->arena.free_slabs, __ATOMIC_RELAXED);
		if (free <= RESERVE_SLABS + KEEP_EMPTY_EXTENTS * SLABS_PER_EXTENT)
			return;
		uint64_t e = begin_punch();
		if (e == SLAB_NONE)
			return;
		activity_wait_all();
		region_punch(SUPER->fixed + e * EXTENT_BYTES, EXTENT_BYTES);
		end_punch();
	}
}

void arena_recover(uint32_t id)
{
	uint64_t p = SUPER->arena.punching & PUNCH_EXTENT;
	if (p == 0 || p > SUPER->arena.nextents || SUPER->arena.punching >> PUNCH_OWNER != id)
		return;
	activity_wait_all();
	region_punch(SUPER->fixed + (p - 1) * EXTENT_BYTES, EXTENT_BYTES);
	end_punch();
}

void activity_wait_all(void)
{
	/* Pairs with activity_enter: after it, a slot seen even has not yet followed any reference that is gone now. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	uint32_t high = atomic_load(&SUPER->slot_high); /* pages above were never backed and must not be touched */
	for (uint32_t i = 1; i <= high; i++) {
		struct slot *s = store_slot(i);
		uint64_t seen = atomic_load_explicit(&s->activity, memory_order_acquire);
		if (s == self || !(seen & 1))
			continue;
		struct timespec ms = {0, 1000000};
		while (atomic_load_explicit(&s->activity, memory_order_acquire) == seen)
			nanosleep(&ms, NULL);
	}
}
