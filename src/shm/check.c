/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a quiet store (shm/check.h). Run on request by a process that has the store attached; changes nothing, takes no locks. Its death
 * leaves nothing.
 */
#include "shm/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/panic.h"
#include "base/stop.h"
#include "base/version.h"
#include "shm/arena.h"
#include "shm/leaf.h"
#include "shm/lock.h"
#include "shm/ring.h"
#include "shm/pin.h"
#include "shm/region.h"
#include "shm/slot.h"
#include "slab.h"

bool check_bad(struct check *c, uint64_t off, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(c->why, c->cap, "at %#llx: ", (unsigned long long)off);
	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < c->cap)
		vsnprintf(c->why + n, c->cap - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static uint64_t off_of(const volatile void *p)
{
	return (uint64_t)((const volatile char *)p - STORE_BASE);
}

/* ---- locks, slots, pins ---- */

static bool lock_free(struct check *c, lock_word *l, const char *what, uint32_t i)
{
	uint32_t owner = lock_owner(l);
	return owner == 0 || check_bad(c, off_of(l), "the lock of %s %u is held by slot %u", what, i, owner);
}

bool check_leaf_locks(struct check *c)
{
	for (uint32_t i = 0; i < SUPER->heaps; i++)
		if (!lock_free(c, &store_heap(i)->lock, "heap", i))
			return false;
	if (!c->beside && !lock_free(c, &SUPER->arena.lock, "the arena", 0))
		return false;
	return lock_free(c, &SUPER->map_lock, "the map", 0) && (c->beside || lock_free(c, &ring()->lock, "the log ring", 0));
}

static bool check_locks(struct check *c)
{
	for (uint32_t i = 0; i < STRIPES; i++) {
		struct stripe *s = store_stripe(i);
		if (!(c->beside && lock_owner(&s->lock) == self_id) && !lock_free(c, &s->lock, "stripe", i))
			return false;
		if (atomic_load(&s->version) & 1)
			return check_bad(c, off_of(s), "the version of stripe %u is odd", i);
	}
	/* A sweeper holds its lock between transactions too. */
	return check_leaf_locks(c) && (c->beside || lock_free(c, &SUPER->sweep_lock, "the sweeper", 0));
}

bool check_slot_rests(uint32_t i)
{
	const struct slot *s = store_slot(i);
	uint64_t state = atomic_load(&s->state);
	/* One that waits for its first stripe has state RUNNING and no journal. */
	return state != TXN_COMMITTED && state != TXN_ROLLED_BACK && __atomic_load_n(&s->jlen, __ATOMIC_ACQUIRE) == 0 &&
	       __atomic_load_n(&s->seg.off, __ATOMIC_ACQUIRE) == 0 && atomic_load(&s->nleaf) == 0;
}

static bool check_slot(struct check *c, uint32_t i)
{
	struct slot *s = store_slot(i);
	uint64_t off = off_of(s);
	if (c->beside)
		return i == self_id || check_slot_rests(i) || check_bad(c, off, "slot %u has something under way", i);
	if (i != self_id && atomic_load(&s->activity) & 1)
		return check_bad(c, off, "slot %u is in a command", i);
	if (atomic_load(&s->state) != TXN_IDLE)
		return check_bad(c, off, "slot %u has a transaction", i);
	if (atomic_load(&s->nheld) || atomic_load(&s->held_all) || atomic_load(&s->outer))
		return check_bad(c, off, "slot %u names locks", i);
	for (int k = 0; k < 3; k++)
		if (atomic_load(&s->leaf_locks[k]))
			return check_bad(c, off, "slot %u names a leaf lock", i);
	if (atomic_load(&s->nleaf))
		return check_bad(c, off, "slot %u has a leaf log", i);
	if (s->jlen || !ref_is_none(s->seg))
		return check_bad(c, off, "slot %u has a journal", i);
	return true;
}

static bool check_slots(struct check *c)
{
	for (uint32_t i = 1; i <= atomic_load(&SUPER->slot_high); i++)
		if (!check_slot(c, i))
			return false;
	/* Beside others a pin may be on its way. */
	return c->beside || pin_check() || check_bad(c, SUPER->off_pins, "a pin that the mask does not show");
}

/* ---- arena ---- */

/* Bits and counts. What the taken slabs are is check_slabs' business. */
static bool check_arena(struct check *c)
{
	const struct arena *a = &SUPER->arena;
	uint64_t free = 0, holes = 0, off = off_of(a);
	if (a->hint > a->nextents * SLABS_PER_EXTENT)
		return check_bad(c, off, "the arena has %llu extents", (unsigned long long)a->nextents);
	for (uint64_t i = 0; i < a->nextents * SLABS_PER_EXTENT; i++) {
		bool backed = arena_is_backed(i), taken = arena_is_taken(i);
		if (!backed && !taken)
			return check_bad(c, slab_off(i), "slab %llu is free but in a hole", (unsigned long long)i);
		if (!taken && i < a->hint)
			return check_bad(c, slab_off(i), "slab %llu is free below the hint", (unsigned long long)i);
		free += !taken;
		holes += !backed && i % SLABS_PER_EXTENT == 0;
	}
	if (!arena_punching_is_sound())
		return check_bad(c, off_of(&a->punching), "what is being given back to the kernel is in use");
	if (free != a->free_slabs)
		return check_bad(c, off, "%llu slabs are free, not %llu", (unsigned long long)free, (unsigned long long)a->free_slabs);
	if (holes != a->holes)
		return check_bad(c, off, "%llu extents are holes, not %llu", (unsigned long long)holes, (unsigned long long)a->holes);
	return true;
}

/* ---- slabs ---- */

struct slabs {
	uint64_t used[HEAPS_MAX], run_bytes;
	uint32_t with_room[HEAPS_MAX][CLASSES_MAX];
};

/* Head and bitmap agree. */
static bool check_bitmap(struct check *c, uint64_t i)
{
	const struct slab *s = slab_at(slab_off(i));
	uint64_t used = 0;
	if (!slab_has_shape(s))
		return check_bad(c, slab_off(i), "a slab with a damaged head");
	for (uint32_t w = 0; w < (s->nblocks + 63) / 64; w++) {
		uint32_t left = s->nblocks - w * 64;
		uint64_t beyond = left < 64 ? ~0ull << left : 0;
		if ((s->bitmap[w] & beyond) != beyond)
			return check_bad(c, slab_off(i), "a slab with a free block beyond its last");
		used += (uint64_t)__builtin_popcountll(s->bitmap[w] & ~beyond);
	}
	if (used != s->nused)
		return check_bad(c, slab_off(i), "a slab with %llu blocks used, not %llu", (unsigned long long)used,
				 (unsigned long long)s->nused);
	return true;
}

static bool check_slab(struct check *c, uint64_t i, struct slabs *t)
{
	const struct slab *s = slab_at(slab_off(i));
	if (!check_bitmap(c, i))
		return false;
	t->used[s->heap] += s->nused * s->size;
	t->with_room[s->heap][s->class] += s->nused < s->nblocks && !s->closed;
	return true;
}

static bool check_run(struct check *c, uint64_t i, struct slabs *t)
{
	const struct slab *s = slab_at(slab_off(i));
	uint64_t end = SUPER->arena.nextents * SLABS_PER_EXTENT;
	if (s->nslabs == 0 || s->nslabs > end - i || s->data_off != RUN_HEAD)
		return check_bad(c, slab_off(i), "a run with a damaged head");
	for (uint64_t k = i; k < i + s->nslabs; k++)
		if (!arena_is_taken(k) || !arena_is_backed(k))
			return check_bad(c, slab_off(k), "a slab of a run that is not taken");
	t->run_bytes += (uint64_t)s->nslabs * SLAB_BYTES;
	return true;
}

static bool check_slabs(struct check *c, struct slabs *t)
{
	for (uint64_t i = 0; i < SUPER->arena.nextents * SLABS_PER_EXTENT;) {
		const struct slab *s = slab_at(slab_off(i));
		if (!arena_is_backed(i) || !arena_is_taken(i)) {
			i++;
		} else if (s->magic == RUN_MAGIC) {
			if (!check_run(c, i, t))
				return false;
			i += s->nslabs;
		} else {
			if (s->magic != SLAB_MAGIC)
				return check_bad(c, slab_off(i), "slab %llu is taken by nothing", (unsigned long long)i);
			if (!check_slab(c, i, t))
				return false;
			i++;
		}
	}
	return true;
}

/* The list holds exactly the slabs of that heap and class with room, linked both ways. */
static bool check_list(struct check *c, uint32_t h, uint32_t class, uint32_t with_room)
{
	ref r = store_heap(h)->partial[class], prev = REF_NONE;
	for (uint32_t n = 0; !ref_is_none(r); n++) {
		const struct slab *s = peek(r, sizeof *s);
		if (n == with_room || !s || r.off % SLAB_BYTES || !arena_is_taken(slab_index(r.off)) || s->magic != SLAB_MAGIC)
			return check_bad(c, r.off, "heap %u lists for class %u what is no slab with room", h, class);
		if (s->heap != h || s->class != class || s->prev.off != prev.off || s->nused == s->nblocks)
			return check_bad(c, r.off, "a slab in the wrong list, or linked wrongly");
		prev = r;
		r = s->next;
		if (ref_is_none(r) && n + 1 != with_room)
			return check_bad(c, prev.off, "heap %u has %u slabs of class %u with room, but lists %u", h, with_room, class,
					 n + 1);
	}
	return !ref_is_none(prev) || with_room == 0 ||
	       check_bad(c, off_of(store_heap(h)), "heap %u lists no slab of class %u with room", h, class);
}

static bool check_heaps(struct check *c)
{
	struct slabs *t = calloc(1, sizeof *t);
	if (!t)
		fatal("out of memory for a check");
	bool ok = check_slabs(c, t);
	for (uint32_t h = 0; ok && h < SUPER->heaps; h++) {
		if (t->used[h] != store_heap(h)->used)
			ok = check_bad(c, off_of(store_heap(h)), "heap %u has %llu bytes used, not %llu", h,
				       (unsigned long long)t->used[h], (unsigned long long)store_heap(h)->used);
		for (uint32_t class = 0; ok && class < CLASSES_MAX; class++)
			ok = check_list(c, h, class, t->with_room[h][class]);
	}
	if (ok && t->run_bytes != SUPER->arena.used)
		ok = check_bad(c, off_of(&SUPER->arena), "runs have %llu bytes, not %llu", (unsigned long long)t->run_bytes,
			       (unsigned long long)SUPER->arena.used);
	free(t);
	return ok;
}

/* ---- blocks ---- */

static bool begin(struct check *c, char *why, size_t cap, bool beside)
{
	*c = (struct check){.why = why, .cap = cap, .beside = beside};
	why[0] = 0;
	if (SUPER->magic != STORE_MAGIC || SUPER->format != BULKHEAD_STORE_FORMAT || SUPER->fixed % EXTENT_BYTES)
		return check_bad(c, 0, "not a store of this format");
	const char *fault = region_fault();
	if (fault)
		return check_bad(c, 0, "%s", fault);
	if (!check_locks(c) || !check_slots(c) || !check_arena(c) || !check_heaps(c))
		return false;
	c->nslabs = SUPER->arena.nextents * SLABS_PER_EXTENT;
	c->reached = calloc(SUPER->arena.nextents + 1, EXTENT_BYTES / 64);
	if (!c->reached)
		fatal("out of memory for a check");
	return true;
}

bool check_begin(struct check *c, char *why, size_t cap)
{
	return begin(c, why, cap, false);
}

bool check_begin_beside(struct check *c, char *why, size_t cap)
{
	return begin(c, why, cap, true);
}

/* ---- while others work ---- */

bool check_begin_live(struct check *c, char *why, size_t cap)
{
	*c = (struct check){.why = why, .cap = cap, .live = true};
	why[0] = 0;
	const char *fault = region_fault();
	if (fault)
		return check_bad(c, 0, "%s", fault);
	uint64_t nextents = __atomic_load_n(&SUPER->arena.nextents, __ATOMIC_ACQUIRE);
	c->nslabs = nextents * SLABS_PER_EXTENT;
	c->reached = calloc(nextents + 1, EXTENT_BYTES / 64);
	c->looked = calloc(nextents + 1, 8);
	if (!c->reached || !c->looked)
		fatal("out of memory for a check");
	return true;
}

/* A slab with room is where its neighbours say, or the first one. Heap lock held. */
static bool is_listed(const struct slab *s)
{
	const struct slab *prev = peek(s->prev, sizeof *s);
	uint64_t mine = off_of(s);
	return s->prev.off ? prev && prev->next.off == mine : store_heap(s->heap)->partial[s->class].off == mine;
}

/* The slab of a block that stays where it is. */
static bool look_at_head(struct check *c, const struct slab *s)
{
	uint64_t i = slab_index(off_of(s));
	if (i >= c->nslabs || c->may_look == 0 || c->looked[i / 64] >> (i % 64) & 1)
		return true;
	c->looked[i / 64] |= 1ull << (i % 64);
	c->may_look--;
	if (s->magic == RUN_MAGIC)
		return s->nslabs > 0 || check_bad(c, off_of(s), "a run with a damaged head");
	if (!slab_has_shape(s))
		return check_bad(c, off_of(s), "a slab with a damaged head");
	leaf_lock(LEAF_HEAP, &store_heap(s->heap)->lock);
	bool ok = check_bitmap(c, i);
	if (ok && s->nused < s->nblocks && !s->closed && !is_listed(s))
		ok = check_bad(c, off_of(s), "a slab with room that its list does not have");
	leaf_end();
	return ok;
}

static void set_bit(struct check *c, uint64_t *bits, uint64_t off)
{
	uint64_t i = (off - SUPER->fixed) / 8;
	if (off >= SUPER->fixed && i / (SLAB_BYTES / 8) < c->nslabs)
		bits[i / 64] |= 1ull << (i % 64);
}

void check_mark(struct check *c, ref r)
{
	set_bit(c, c->reached, r.off);
}

static void copy_slab(struct check *c, uint64_t *bits, const struct slab *s)
{
	for (uint32_t b = 0; b < s->nblocks; b++)
		if (s->bitmap[b / 64] >> (b % 64) & 1)
			set_bit(c, bits, off_of(s) + s->data_off + (uint64_t)b * s->size);
}

uint64_t *check_copy_allocated(struct check *c)
{
	uint64_t *bits = calloc(c->nslabs / SLABS_PER_EXTENT + 1, EXTENT_BYTES / 64);
	if (!bits)
		fatal("out of memory for a check");
	for (uint64_t i = 0; i < c->nslabs && !stop_requested(); i++) {
		const struct slab *s = slab_at(slab_off(i));
		/* A guess, to know whose lock to take; looked at again under it. */
		if (!arena_is_backed(i) || !arena_is_taken(i))
			continue;
		uint32_t h = __atomic_load_n(&s->heap, __ATOMIC_RELAXED);
		if (h >= SUPER->heaps)
			continue;
		leaf_lock(LEAF_HEAP, &store_heap(h)->lock);
		leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
		bool taken = arena_is_backed(i) && arena_is_taken(i);
		if (taken && s->magic == RUN_MAGIC)
			set_bit(c, bits, slab_off(i) + RUN_HEAD);
		else if (taken && s->magic == SLAB_MAGIC && s->heap == h && slab_has_shape(s))
			copy_slab(c, bits, s);
		leaf_end();
	}
	return bits;
}

bool check_starts(ref block)
{
	uint64_t want = slab_index(block.off), i = 0;
	while (i < want) {
		const struct slab *s = slab_at(slab_off(i));
		bool run = arena_is_backed(i) && arena_is_taken(i) && s->magic == RUN_MAGIC && s->nslabs > 0;
		i += run ? s->nslabs : 1;
	}
	return i == want;
}

/* ---- */

void check_end(struct check *c)
{
	free(c->looked);
	c->looked = NULL;
	free(c->reached);
	c->reached = NULL;
}

/* Whether an allocated block starts at `r`. Its slab is known to be sound. */
bool check_is_block(ref r)
{
	if (!peek(r, 8) || !arena_is_taken(slab_index(r.off)))
		return false;
	const struct slab *s = slab_at(r.off);
	uint64_t in = r.off % SLAB_BYTES;
	if (s->magic == RUN_MAGIC)
		return in == RUN_HEAD;
	if (s->magic != SLAB_MAGIC || in < s->data_off || (in - s->data_off) % s->size)
		return false;
	uint64_t i = (in - s->data_off) / s->size;
	return i < s->nblocks && s->bitmap[i / 64] >> (i % 64) & 1;
}

bool check_was_reached(const struct check *c, ref r)
{
	uint64_t i = (r.off - SUPER->fixed) / 8;
	return peek(r, 8) && i / (SLAB_BYTES / 8) < c->nslabs && c->reached[i / 64] >> (i % 64) & 1;
}

bool check_reach(struct check *c, const void *from, ref r, uint64_t size, enum block_kind kind, const char *what)
{
	uint64_t off = off_of(from);
	if (!check_is_block(r))
		return check_bad(c, off, "%s at %#llx is not in an allocated block", what, (unsigned long long)r.off);
	if (heap_block_size(r) < size)
		return check_bad(c, off, "%s of %llu bytes at %#llx is in a block of %llu", what,
				 (unsigned long long)size,
				 (unsigned long long)r.off, (unsigned long long)heap_block_size(r));
	if (c->live) {
		check_mark(c, r);
		return look_at_head(c, slab_at(r.off));
	}
	if (check_was_reached(c, r))
		return check_bad(c, off, "%s at %#llx is referred to twice", what, (unsigned long long)r.off);
	uint64_t i = (r.off - SUPER->fixed) / 8;
	c->reached[i / 64] |= 1ull << (i % 64);
	const struct slab *s = slab_at(r.off);
	if (kind != BLOCK_DATA && s->magic == RUN_MAGIC)
		c->meta[HEAPS_MAX] += (uint64_t)s->nslabs * SLAB_BYTES;
	else if (kind != BLOCK_DATA)
		c->meta[s->heap] += s->size;
	return true;
}

struct leak {
	struct check *c;
	ref first;
	uint64_t n, bytes;
};

static void look_for_leak(void *arg, ref block, uint64_t size)
{
	struct leak *l = arg;
	if (check_was_reached(l->c, block))
		return;
	if (l->n++ == 0)
		l->first = block;
	l->bytes += size;
}

bool check_leaks(struct check *c)
{
	struct leak l = {.c = c};
	heap_each(look_for_leak, &l);
	if (l.n)
		return check_bad(c, l.first.off, "nothing refers to %llu allocated blocks of %llu bytes", (unsigned long long)l.n,
				 (unsigned long long)l.bytes);
	for (uint32_t h = 0; h < SUPER->heaps; h++)
		if (c->meta[h] != store_heap(h)->meta)
			return check_bad(c, off_of(store_heap(h)), "heap %u has %llu bytes that are not data, not %llu", h,
					 (unsigned long long)c->meta[h], (unsigned long long)store_heap(h)->meta);
	if (c->meta[HEAPS_MAX] != SUPER->arena.meta)
		return check_bad(c, off_of(&SUPER->arena), "runs have %llu bytes that are not data, not %llu",
				 (unsigned long long)c->meta[HEAPS_MAX], (unsigned long long)SUPER->arena.meta);
	return true;
}
