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
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "shm/control.h"
#include "shm/leaf.h"
#include "shm/heap.h"
#include "shm/region.h"
#include "shm/ring.h"
#include "shm/slowlog.h"
#include "shm/wake.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1; where the kernel has no such thing, nothing happens */
#endif

#define KEEP_EMPTY_EXTENTS 4u
#define GATHER_PART 10
#define GATHER_PAUSE_MAX 500000 /* us */
#define GATHER_LOOKS 5u
#define LIMIT_SLACK 8000000u
#define FEWEST_EXTENTS 3u
#define FULL_MS 50u
#define SPARE_LOW 8u /* slabs beyond the reserve: time for the expirer to grow the store, before a writer must */
#define PUNCH_COUNT 40 /* in arena.punching and .window */
#define PUNCH_FIRST ((1ull << PUNCH_COUNT) - 1)
#define PUNCH_MAX 16u  /* extents at a time */
#define EXTENT_BITS 0xffffffffull
#define GROWER_SLOT 40 /* in arena.grower */
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

/* First of `n` free neighbours in [from, end), or SLAB_NONE. */
static uint64_t find_between(uint64_t from, uint64_t end, uint64_t n)
{
	uint64_t run = 0;
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

/* First of `n` free neighbours, or SLAB_NONE. Those that are being emptied for a run go to the urgent, if there are no others. */
static uint64_t find_free(uint64_t n, bool urgent)
{
	const struct arena *a = &SUPER->arena;
	uint64_t from = a->hint, end = a->nextents * SLABS_PER_EXTENT, w = atomic_load_explicit(&a->window, memory_order_relaxed);
	if (w == 0)
		return find_between(from, end, n);
	uint64_t first = (w & PUNCH_FIRST) - 1, behind = first + (w >> PUNCH_COUNT);
	uint64_t found = find_between(from, first < end ? first : end, n);
	if (found == SLAB_NONE)
		found = find_between(from > behind ? from : behind, end, n);
	return found == SLAB_NONE && urgent ? find_between(from, end, n) : found;
}

void arena_set_window(uint64_t first, uint64_t n)
{
	atomic_store(&SUPER->arena.window, n ? (first + 1) | n << PUNCH_COUNT : 0);
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

static bool is_punched(uint64_t e)
{
	uint64_t p = SUPER->arena.punching, first = (p & PUNCH_FIRST) - 1;
	return p && e >= first && e < first + (p >> PUNCH_COUNT);
}

bool arena_punching_is_sound(void)
{
	uint64_t p = SUPER->arena.punching, n = p >> PUNCH_COUNT, first = (p & PUNCH_FIRST) - 1;
	if (p == 0)
		return true;
	if (n == 0 || n > PUNCH_MAX || first >= SUPER->arena.nextents || n > SUPER->arena.nextents - first)
		return false;
	for (uint64_t e = first; e < first + n; e++)
		if (arena_is_backed(e * SLABS_PER_EXTENT))
			return false;
	return true;
}

/* Backs an extent. The kernel's refusal takes milliseconds when memory is full, so it is believed for a while. */
static bool back_extent(uint64_t e)
{
	struct arena *a = &SUPER->arena;
	uint64_t now = clock_mono_ns() / 1000000;
	if (now < atomic_load_explicit(&a->full_until, memory_order_relaxed))
		return false;
	if (region_back(SUPER->fixed + e * EXTENT_BYTES, EXTENT_BYTES))
		return true;
	atomic_store_explicit(&a->full_until, now + FULL_MS, memory_order_relaxed);
	return false;
}

static uint32_t taken_of(uint64_t e)
{
	return (uint32_t)(*taken_word(e * SLABS_PER_EXTENT) >> (e * SLABS_PER_EXTENT % 64));
}

/*
 * Where to grow for `n` neighbours: the first hole of the lowest stretch that has room for them once its holes are backed, or the object's
 * end. A stretch that is longer than an extent begins and ends anywhere in one.
 */
static uint64_t place_for(uint64_t n)
{
	const uint64_t end = SUPER->arena.nextents;
	uint64_t room = 0, hole = end;
	for (uint64_t e = 0; SUPER->arena.holes && e < end; e++) {
		bool is_hole = !arena_is_backed(e * SLABS_PER_EXTENT) && !is_punched(e);
		uint32_t taken = is_hole ? 0 : taken_of(e);
		if (is_hole && hole == end)
			hole = e;
		room += taken ? (uint64_t)__builtin_ctz(taken) : SLABS_PER_EXTENT;
		if (room >= n && hole < end)
			return hole;
		if (taken) {
			room = (uint64_t)__builtin_clz(taken);
			hole = end;
		}
	}
	return hole;
}

/* Memory of the machine the store takes besides its extents. What the slow log takes later, when there is no extent to give back, comes on top. */
static uint64_t beside_extents(void)
{
	uint64_t slow = atomic_load_explicit(&SUPER->slow_backed, memory_order_relaxed) * (uint64_t)sizeof(struct slow_entry);
	uint64_t log = atomic_load_explicit(&ring()->backed, memory_order_relaxed) ? RING_BYTES : 0;
	uint64_t first = SUPER->off_slots + atomic_load(&SUPER->slot_high) * (uint64_t)PAGE_BYTES;
	/* Gathered into huge pages, the first of it takes a whole number of them. Pages of bitmaps and heads are apart. */
	return (first + EXTENT_BYTES - 1) / EXTENT_BYTES * EXTENT_BYTES + slow + log + 16 * PAGE_BYTES;
}

/*
 * Extents that may have memory at once by maxmemory, those kept back among them: what does not count, and 2% and 8 MB more than the limit may
 * be used, so that blocks can lie less than perfectly. Not for the urgent.
 */
static uint64_t most_extents(void)
{
	uint64_t limit = (uint64_t)control->config.maxmemory, beside = beside_extents();
	/* What is loaded is all there before anything is evicted. */
	if (limit == 0 || atomic_load(&control->persistence.trouble) & TROUBLE_LOADING)
		return UINT64_MAX;
	uint64_t all = limit + limit / 50 + LIMIT_SLACK + heap_aside() + atomic_load_explicit(&SUPER->retained_bytes, memory_order_relaxed);
	uint64_t n = all > beside ? (all - beside) / EXTENT_BYTES : 0;
	return n > FEWEST_EXTENTS ? n : FEWEST_EXTENTS;
}

bool arena_is_limited(void)
{
	const struct arena *a = &SUPER->arena;
	/* What is being given back has its memory until that is done. */
	uint64_t holes = __atomic_load_n(&a->holes, __ATOMIC_RELAXED) - (__atomic_load_n(&a->punching, __ATOMIC_RELAXED) >> PUNCH_COUNT);
	return __atomic_load_n(&a->nextents, __ATOMIC_RELAXED) - holes >= most_extents();
}

/* Backs a hole, or grows the object at its end, on the way to `n` neighbours. False when there is no memory. Arena lock held, leaf operation open. */
static bool grow_one(uint64_t n, bool urgent)
{
	struct arena *a = &SUPER->arena;
	if (!urgent && arena_is_limited())
		return false;
	uint64_t e = place_for(n);
	if (e < a->nextents) {
		if (!back_extent(e))
			return false;
		leaf_set(&a->holes, a->holes - 1);
		extent_add(e);
		return true;
	}
	if ((e + 1) * EXTENT_BYTES > SUPER->reserve || !back_extent(e))
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

/* What the present command of a slot is called in arena.grower; 0: it is in none. */
static uint64_t grower_of(uint32_t slot)
{
	uint64_t activity = atomic_load(&store_slot(slot)->activity);
	return activity & 1 ? (activity & ((1ull << GROWER_SLOT) - 1)) | (uint64_t)slot << GROWER_SLOT : 0;
}

/* Whether somebody grows the store for a large run, whose extents look empty until it has them all. Who dies is in no command any more. */
static bool somebody_grows(void)
{
	uint64_t g = atomic_load(&SUPER->arena.grower);
	return g != 0 && g >> GROWER_SLOT <= atomic_load(&SUPER->slot_high) && g == grower_of((uint32_t)(g >> GROWER_SLOT));
}

/* Lets others at the arena between two extents of a large run: nothing is under way. */
static void give_way(void)
{
	atomic_store(&SUPER->arena.grower, grower_of(self_id));
	leaf_drop(LEAF_ARENA);
	leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
}

/* Grows until `n` neighbours and the reserve are there, or the command is cancelled. */
static uint64_t grow_for(uint64_t n, bool urgent)
{
	struct arena *a = &SUPER->arena;
	uint64_t first = find_free(n, urgent);
	while (first == SLAB_NONE || a->free_slabs < n + (urgent ? 0 : RESERVE_SLABS)) {
		count_held_up(COUNTER_GROWTHS);
		uint32_t mark_n = atomic_load_explicit(&self->nleaf, memory_order_relaxed);
		if (!grow_one(first == SLAB_NONE ? n : 1, urgent))
			return urgent || first == SLAB_NONE || a->free_slabs >= n + RESERVE_SLABS ? first : SLAB_NONE;
		/* A grown extent stays, whatever becomes of the operation: its notes can go, the ones before it stay. */
		atomic_store_explicit(&self->nleaf, mark_n, memory_order_release);
		atomic_signal_fence(memory_order_seq_cst);
		if (n > SLABS_PER_EXTENT && mark_n == 0)
			give_way();
		if (!urgent && cancel_requested())
			return SLAB_NONE;
		first = find_free(n, urgent);
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
	if (a->free_slabs < RESERVE_SLABS + SPARE_LOW)
		wake_expirer();
	return first;
}

void arena_give(uint64_t first, uint64_t n)
{
	struct arena *a = &SUPER->arena;
	leaf_lock(LEAF_ARENA, &a->lock);
	if (!arena_is_taken(first))
		panic("slab %llu is given back twice", (unsigned long long)first);
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
	uint64_t slow = atomic_load_explicit(&SUPER->slow_backed, memory_order_relaxed) * (uint64_t)sizeof(struct slow_entry);
	return SUPER->off_taken + PAGE_BYTES + slow + extents * EXTENT_BYTES;
}

uint64_t arena_spare(void)
{
	uint64_t n = __atomic_load_n(&SUPER->arena.free_slabs, __ATOMIC_RELAXED);
	return n > RESERVE_SLABS ? n - RESERVE_SLABS : 0;
}

uint64_t arena_taken(void)
{
	struct arena *a = &SUPER->arena;
	uint64_t extents = __atomic_load_n(&a->nextents, __ATOMIC_RELAXED) - __atomic_load_n(&a->holes, __ATOMIC_RELAXED);
	uint64_t free_slabs = __atomic_load_n(&a->free_slabs, __ATOMIC_RELAXED), all = extents * SLABS_PER_EXTENT;
	return all > free_slabs ? (all - free_slabs) * SLAB_BYTES : 0;
}

/* Keeps the reserve and one extent beyond it free, so that writers rarely grow the object themselves. */
static bool spare_enough(void)
{
	return __atomic_load_n(&SUPER->arena.free_slabs, __ATOMIC_RELAXED) >= RESERVE_SLABS + SLABS_PER_EXTENT / 2;
}

static void keep_spare(void)
{
	bool grown = true;
	while (grown && !spare_enough()) {
		leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
		grown = spare_enough() || grow_one(1, false);
		leaf_end();
	}
}

/* ---- huge pages ---- */

/* Bytes at the start of the fixed part that have memory: all but the pages of slots that nobody has taken yet. */
static uint64_t backed_fixed(void)
{
	return SUPER->off_slots + (atomic_load(&SUPER->slot_high) + 1ull) * PAGE_BYTES;
}

/*
 * The kernel copies an extent in one go, and lets nobody else have the core meanwhile: 1 ms, and up to 7 where the host of a virtual machine must find the
 * memory first. So it is done a tenth of the time at most.
 */
static void gather(uint64_t offset)
{
	int64_t start = clock_mono_us();
	madvise(STORE_BASE + offset, EXTENT_BYTES, MADV_COLLAPSE);
	int64_t pause = (clock_mono_us() - start) * (GATHER_PART - 1);
	/* On a busy machine it waits for others, for seconds, which costs nobody anything. */
	nanosleep(&(struct timespec){0, (pause < GATHER_PAUSE_MAX ? pause : GATHER_PAUSE_MAX) * 1000}, NULL);
}

/* Extents that were there GATHER_LOOKS looks ago: what has just grown, in a flood of changes, may be given back as soon. */
static uint64_t old_extents(void)
{
	static uint64_t seen[GATHER_LOOKS], looks;
	uint64_t *oldest = &seen[looks++ % GATHER_LOOKS], n = *oldest;
	*oldest = __atomic_load_n(&SUPER->arena.nextents, __ATOMIC_ACQUIRE);
	return n;
}

/*
 * Extent by extent in the order of growth, so one number tells what is done; a hole that is backed again stays in small pages. The first
 * 2 MiB hold the stripes and most slots: with them a new process faults once, not 20 times. Of the other slots only what is full
 * anyway.
 */
void arena_gather(void)
{
	static uint64_t fixed_done, done;
	while (fixed_done == 0 || (fixed_done + 1) * EXTENT_BYTES <= backed_fixed())
		gather(fixed_done++ * EXTENT_BYTES);
	for (uint64_t n = old_extents(); done < n && !stop_requested(); done++)
		if (arena_is_backed(done))
			gather(SUPER->fixed + done * EXTENT_BYTES);
}

/* ---- giving memory back ---- */

/* Slots that were in a command when the extents had been taken out of use. Private to the one process that keeps house. */
static struct {
	bool noted;
	uint32_t n, cap;
	struct { uint32_t slot; uint64_t activity; } *v;
} readers;

static bool is_empty(uint64_t e)
{
	return *backed_word(e) >> (e % 64) & 1 && !taken_of(e);
}

/* The highest backed and wholly free extents, at most `max` neighbours whose bits share a word. Their number, 0: none. */
static uint64_t find_empty(uint64_t max, uint64_t *first)
{
	uint64_t e = SUPER->arena.nextents, n = 0;
	while (e > 0 && !is_empty(e - 1))
		e--;
	while (n < max && n < e && is_empty(e - 1 - n) && (e - 1 - n) / 64 == (e - 1) / 64)
		n++;
	*first = e - n;
	return n;
}

/* Takes empty extents out of use and remembers that they are being punched. False: none to spare. */
static bool begin_punch(void)
{
	struct arena *a = &SUPER->arena;
	const uint64_t keep = RESERVE_SLABS + KEEP_EMPTY_EXTENTS * SLABS_PER_EXTENT;
	leaf_lock(LEAF_ARENA, &a->lock);
	uint64_t first, spare = a->free_slabs > keep && !somebody_grows() && !atomic_load(&a->wanted) ? (a->free_slabs - keep) / SLABS_PER_EXTENT : 0;
	uint64_t n = spare ? find_empty(spare < PUNCH_MAX ? spare : PUNCH_MAX, &first) : 0;
	if (n) {
		uint64_t *b = backed_word(first), mask = (n == 64 ? ~0ull : (1ull << n) - 1) << (first % 64);
		leaf_note((first * SLABS_PER_EXTENT) | LEAF_RUN, n * SLABS_PER_EXTENT);
		arena_mark(first * SLABS_PER_EXTENT, n * SLABS_PER_EXTENT, true);
		leaf_set(b, *b & ~mask);
		leaf_set(&a->free_slabs, a->free_slabs - n * SLABS_PER_EXTENT);
		leaf_set(&a->holes, a->holes + n);
		leaf_set(&a->punching, (first + 1) | n << PUNCH_COUNT);
	}
	leaf_end();
	return n != 0;
}

void arena_note_readers(void)
{
	/*
	 * Pairs with activity_enter: after it, a slot seen even has not yet followed any reference that is gone now. Where the call is
	 * missing, 10 ms are longer than any store waits to be seen.
	 */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	uint32_t high = atomic_load(&SUPER->slot_high); /* pages above were never backed and must not be touched */
	readers.n = 0;
	for (uint32_t i = 1; i <= high; i++) {
		uint64_t activity = atomic_load_explicit(&store_slot(i)->activity, memory_order_acquire);
		if (i == self_id || !(activity & 1))
			continue;
		if (readers.n == readers.cap) {
			readers.cap = readers.cap ? 2 * readers.cap : 64;
			readers.v = realloc(readers.v, readers.cap * sizeof *readers.v);
			if (!readers.v)
				fatal("out of memory for the list of readers");
		}
		readers.v[readers.n].slot = i;
		readers.v[readers.n++].activity = activity;
	}
}

bool arena_readers_left(void)
{
	for (int i = 0; i < 5; i++) {
		while (readers.n > 0 && atomic_load_explicit(&store_slot(readers.v[readers.n - 1].slot)->activity,
							     memory_order_acquire) != readers.v[readers.n - 1].activity)
			readers.n--;
		if (readers.n == 0)
			return true;
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	return false;
}

/* Goes on with what begin_punch began, here or in a process that died. False: somebody still reads. */
static bool punch(void)
{
	uint64_t p = __atomic_load_n(&SUPER->arena.punching, __ATOMIC_RELAXED);
	if (!readers.noted)
		arena_note_readers();
	readers.noted = true;
	if (!arena_readers_left())
		return false;
	/* One by one: on few cores others wait for what the kernel does in one call. */
	for (uint64_t e = (p & PUNCH_FIRST) - 1, end = e + (p >> PUNCH_COUNT); e < end; e++) {
		region_punch(SUPER->fixed + e * EXTENT_BYTES, EXTENT_BYTES);
		sched_yield();
	}
	leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
	leaf_set(&SUPER->arena.punching, 0);
	leaf_end();
	readers.noted = false;
	return true;
}

void arena_keep_house(void)
{
	keep_spare();
	for (int i = 0; i < 32; i++)
		if ((!__atomic_load_n(&SUPER->arena.punching, __ATOMIC_RELAXED) && !begin_punch()) || !punch())
			return;
}
