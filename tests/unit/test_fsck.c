/* SPDX-License-Identifier: BSD-2-Clause */
/* The check of a store: wild bytes in a quiet store are found, wherever they are, and the report says where. */
#include "store_fixture.h"

#include "shm/check.h"
#include "store/functions.h"
#include "../src/shm/slab.h"
#include "../src/store/index.h"
#include "../src/store/internal.h"

#define KEYS 400

static char why[256];
static struct root *root;
static uint32_t full; /* a stripe with a key that has a due time */

static uint64_t off_of(const volatile void *p)
{
	return (uint64_t)((const volatile char *)p - STORE_BASE);
}

static struct bin *bin_with_due(void)
{
	for (full = 0; full < STRIPES; full++)
		if (root->bins[full].expires)
			return &root->bins[full];
	return NULL;
}

static void fill(void)
{
	char key[32];
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key:%d", i);
		do_set_n(0, ARG(key), "some value", 10, i % 3 ? DUE_NONE : fixture_now + 1000000);
	}
	root = db_root(0);
}

/*
 * Writes `n` bytes of `with` over those at `p`; the check says where: at `at`, or anywhere if that is NULL. Then puts
 * them back.
 */
static void wild(const char *what, volatile void *p, const void *with, size_t n, const volatile void *at_place)
{
	char old[64], place[32];
	memcpy(old, (const void *)(uintptr_t)p, n);
	memcpy((void *)(uintptr_t)p, with, n);
	bool ok = store_fsck(why, sizeof why);
	memcpy((void *)(uintptr_t)p, old, n);
	CHECKF(!ok, "%s: not found", what);
	snprintf(place, sizeof place, "at %#llx:", (unsigned long long)off_of(at_place ? at_place : p));
	CHECKF(ok || strncmp(why, at_place ? place : "at 0", strlen(at_place ? place : "at 0")) == 0,
	       "%s: %s, not %s", what, why, place);
	ok = store_fsck(why, sizeof why);
	CHECKF(ok, "%s put back: %s", what, why);
}

#define WILD(p, type, value, at_place) wild(#p " = " #value, (p), &(type){value}, sizeof(type), (at_place))

static void test_index(void)
{
	struct bin *b = bin_with_due();
	REQUIRE(b != NULL);
	uint64_t *cell = at(b->table);
	while (!*cell)
		cell++;
	struct item *it = at(cell_ref(*cell));
	WILD(cell, uint64_t, *cell ^ 1ull << 60, it);   /* the tag */
	WILD(cell, uint64_t, *cell ^ 1, cell);          /* the reference: into another place of the slab */
	WILD(cell, uint64_t, *cell | CELL_REF_MASK, cell);
	WILD(cell, uint64_t, 0, b);
	WILD(&b->table.off, uint64_t, b->table.off + 8, &b->table);
	WILD(&b->table.off, uint64_t, 0x123456789abcdef, &b->table);
	WILD(&b->table.off, uint64_t, 0, b);
	WILD(&b->nbuckets, uint32_t, 0xffffffff, &b->table);
	WILD(&b->nbuckets, uint32_t, 0, b);
	WILD(&b->count, uint32_t, b->count + 1, b);
	WILD(&b->expires, uint32_t, b->expires - 1, b);
	WILD(&it->shape, uint64_t, it->shape ^ 1ull << 40, NULL);
	WILD(&it->shape, uint64_t, it->shape | 0xffffffff, it);
	WILD(&it->shape, uint64_t, it->shape | 0xfull << 56, it); /* no such type */
	WILD(&it->shape, uint64_t, it->shape | 0xfull << 60, it); /* no such encoding */
	WILD(&it->shape, uint64_t, it->shape | 0x80ull << 48, it);
	WILD(&it->born_clock, uint64_t, EPOCH_MASK, it);
	WILD((char *)it + item_head_bytes(SHAPE_FLAGS(it->shape)), char, '#', it);
}

static void test_roots(void)
{
	const struct db_map *m = map_now();
	WILD(&SUPER->map.off, uint64_t, SUPER->map.off + 64, &SUPER->map);
	WILD(&SUPER->map.off, uint64_t, 0, NULL);
	WILD((uint64_t *)(uintptr_t)&m->roots[0].off, uint64_t, ~7ull, &m->roots[0]);
	WILD((uint64_t *)(uintptr_t)&m->roots[1].off, uint64_t, m->roots[0].off, &m->roots[1]);
	WILD(&SUPER->retired_roots.off, uint64_t, m->roots[0].off, &SUPER->retired_roots);
	WILD(&SUPER->old_maps.off, uint64_t, SUPER->fixed, &SUPER->old_maps);
}

static void test_due_queue(void)
{
	struct bin *b = bin_with_due();
	uint64_t *q = at(b->due);
	WILD(q, uint64_t, *q ^ 1, NULL);                /* another tag: its key is not queued */
	WILD(q, uint64_t, *q + (1ull << 50), NULL);     /* too late */
	WILD(&b->ndue, uint32_t, 0, NULL);
	WILD(&b->ndue, uint32_t, b->due_cap + 1, b);
	WILD(&b->due_cap, uint32_t, 1u << 30, &b->due);
	WILD(&b->due_cap, uint32_t, 0, b);
	WILD(&b->due.off, uint64_t, 8, &b->due);
}

static void test_heap(void)
{
	uint64_t *cell = at(bin_with_due()->table);
	while (!*cell)
		cell++;
	struct slab *s = (struct slab *)(uintptr_t)slab_at(cell_ref(*cell).off);
	struct heap *h = store_heap(s->heap);
	WILD(&s->bitmap[0], uint64_t, s->bitmap[0] ^ 1, s);
	WILD(&s->nused, uint64_t, s->nused + 1, s);
	WILD(&s->magic, uint32_t, 0x12345678, s);
	WILD(&s->class, uint16_t, s->class + 1, s);
	WILD(&s->heap, uint16_t, 999, s);
	WILD(&s->size, uint32_t, 0, s);
	WILD(&s->nblocks, uint32_t, s->nblocks - 1, s);
	WILD(&s->data_off, uint32_t, s->data_off + 8, s);
	WILD(&s->next.off, uint64_t, 0xdeadbeef, NULL);
	WILD(&s->prev.off, uint64_t, s->prev.off + 8, s);
	WILD(&h->used, uint64_t, h->used + 8, h);
	WILD(&h->meta, uint64_t, h->meta - 8, h);
	WILD(&h->partial[s->class].off, uint64_t, h->partial[s->class].off + 64, NULL);
	WILD(&h->partial[s->class].off, uint64_t, 0, h);
	/*
	 * One block freed behind its owner's back, and one that nobody has: bitmap and sums agree, references do not.
	 */
	struct slab old = *s;
	struct heap old_heap = *h;
	uint64_t i = (cell_ref(*cell).off % SLAB_BYTES - s->data_off) / s->size, word = s->bitmap[i / 64];
	s->bitmap[i / 64] &= ~(1ull << (i % 64)), s->nused--, h->used -= s->size;
	CHECK(!store_fsck(why, sizeof why) && strstr(why, "not in an allocated block"));
	s->bitmap[i / 64] = word, s->nused = old.nused, h->used = old_heap.used;
	uint64_t j = 0;
	while (s->bitmap[j / 64] >> (j % 64) & 1)
		j++;
	word = s->bitmap[j / 64];
	s->bitmap[j / 64] |= 1ull << (j % 64), s->nused++, h->used += s->size;
	CHECKF(!store_fsck(why, sizeof why) && strstr(why, "nothing refers to 1 allocated blocks"), "%s", why);
	s->bitmap[j / 64] = word, s->nused = old.nused, h->used = old_heap.used;
	CHECK_FSCK();
}

static void test_arena(void)
{
	struct arena *a = &SUPER->arena;
	uint64_t *taken = (uint64_t *)(STORE_BASE + SUPER->off_taken),
		*backed = (uint64_t *)(STORE_BASE + SUPER->off_backed);
	WILD(&a->free_slabs, uint64_t, a->free_slabs + 1, a);
	WILD(&a->holes, uint64_t, 1, a);
	WILD(&a->hint, uint64_t, ~0ull, a);
	WILD(&a->used, uint64_t, 64, a);
	WILD(&a->meta, uint64_t, 64, a);
	WILD(&a->nextents, uint64_t, a->nextents + 1, STORE_BASE);
	WILD(&a->nextents, uint64_t, ~0ull, STORE_BASE);
	WILD(&a->punching, uint64_t, 1 | 1ull << 40, &a->punching);
	WILD(taken, uint64_t, *taken ^ 1, NULL);
	WILD(taken, uint64_t, ~*taken, NULL);
	WILD(backed, uint64_t, *backed & ~1ull, NULL);
}

static void test_locks_and_slots(void)
{
	struct stripe *s = store_stripe(77);
	WILD(&s->lock, uint32_t, 5, s);
	WILD(&s->version, uint64_t, s->version + 1, s);
	WILD(&store_heap(0)->lock, uint32_t, 5, store_heap(0));
	WILD(&SUPER->arena.lock, uint32_t, 0x800001, &SUPER->arena.lock);
	WILD(&SUPER->map_lock, uint32_t, 9, &SUPER->map_lock);
	WILD(&SUPER->sweep_lock, uint32_t, 9, &SUPER->sweep_lock);
	struct slot *p = store_slot(3);
	WILD(&p->activity, uint64_t, p->activity + 1, p);
	WILD(&p->state, uint64_t, TXN_RUNNING, p);
	WILD(&p->nheld, uint32_t, 1, p);
	WILD(&p->nleaf, uint32_t, 1, p);
	WILD(&p->jlen, uint64_t, 24, p);
	WILD(&p->seg.off, uint64_t, SUPER->fixed, p);
	WILD(&p->leaf_locks[1], uint64_t, 4096, p);
	WILD((uint64_t *)(STORE_BASE + SUPER->off_pins + 64), uint64_t, 1, STORE_BASE + SUPER->off_pins);
}

static void test_superblock(void)
{
	WILD(&SUPER->magic, uint64_t, 1, STORE_BASE);
	WILD(&SUPER->format, uint32_t, 99, STORE_BASE);
	WILD(&SUPER->slots, uint32_t, 1u << 31, STORE_BASE);
	WILD(&SUPER->heaps, uint32_t, 0, STORE_BASE);
	WILD(&SUPER->reserve, uint64_t, 7, STORE_BASE);
	WILD(&SUPER->off_slots, uint64_t, SUPER->off_slots + 8, STORE_BASE);
	WILD(&SUPER->off_stripes, uint64_t, ~0ull, STORE_BASE);
	WILD(&SUPER->slot_high, uint32_t, ~0u, STORE_BASE);
	WILD(&SUPER->hash_seed[0], uint64_t, 1, NULL);
	WILD(&SUPER->epoch, uint64_t, 0, NULL);
}

static void test_functions(void)
{
	struct buf all = {0};
	struct arg one;
	size_t from = 0;
	CHECK(functions_add(&ARG("#!lua name=a\n")) && functions_add(&ARG("#!lua name=bc\n")) && functions_add(&ARG("#!lua name=a\n")));
	CHECK(functions_copy(&all) && functions_next(&all, &from, &one) && str_eq(one.p, one.n, "#!lua name=a\n"));
	CHECK(functions_next(&all, &from, &one) && str_eq(one.p, one.n, "#!lua name=bc\n") && !functions_next(&all, &from, &one));
	uint64_t keys;
	CHECKF(store_fsck_live(why, sizeof why, &keys), "%s", why);
	uint64_t *block = at(SUPER->functions);
	WILD(&SUPER->functions.off, uint64_t, SUPER->functions.off + 8, &SUPER->functions);
	WILD(&SUPER->functions.off, uint64_t, 0, NULL);
	WILD(block, uint64_t, 1ull << 40, block);
	WILD(block, uint64_t, *block - 1, NULL);
	WILD(block + 1, uint64_t, ~0ull, NULL);
	CHECK(functions_clear() && functions_clear() && ref_is_none(SUPER->functions));
	buf_clear(&all);
	CHECK(functions_copy(&all) && all.len == 0);
	buf_deinit(&all);
}

/* The keys of a stripe that has several, so that there are several blocks in a piece. */
static uint32_t overwrite_stripe(void)
{
	uint32_t stripe = 0;
	while (root->bins[stripe].count < 2)
		stripe++;
	for (int i = 0; i < KEYS; i++) {
		char key[32];
		int n = snprintf(key, sizeof key, "key:%d", i);
		if (key_hash_of(key, (size_t)n).stripe == stripe)
			do_set(0, key, "a later value");
	}
	return stripe;
}

static void test_retained(void)
{
	struct pin p = pin_take();
	uint32_t i = overwrite_stripe();
	struct stripe *s = store_stripe(i);
	struct retained *e = at(s->retained);
	REQUIRE(e->n >= 2);
	WILD(&s->retained.off, uint64_t, s->retained.off + 8, &s->retained);
	WILD(&s->retained.off, uint64_t, 0, s);
	WILD(&s->nretained, uint32_t, s->nretained + 1, s);
	WILD(&e->next.off, uint64_t, s->retained.off, &e->next);
	WILD(&e->block[0].off, uint64_t, e->block[0].off + 8, &e->block[0]);
	WILD(&e->died, uint64_t, 0, at(e->block[0]));
	WILD(&e->block[1].off, uint64_t, e->block[1].off + 8, &e->block[1]);
	WILD(&e->n, uint32_t, 0, e);
	WILD(&e->n, uint32_t, e->cap + 1, e);
	WILD(&e->cap, uint32_t, 100, e);
	WILD(&s->retained_bytes, uint64_t, s->retained_bytes + 8, s);
	WILD(dirty_word(i), uint64_t, 0, s);
	pin_release(p);
	expirer_sweep();
	CHECK_FSCK();
}

/* A check beside others: what they may have under way is no damage, anything else is. */
static int beside_body(struct access *a, void *arg)
{
	(void)a;
	*(bool *)arg = store_fsck_beside(why, sizeof why);
	return 0;
}

static bool beside(void)
{
	bool ok = false;
	struct plan p = {.now = fixture_now, .kind = PLAN_WRITE_ALL};
	CHECK_INT(access_run(&p, beside_body, &ok), 0);
	return ok;
}

static void test_beside(void)
{
	struct slot *s = store_slot(3);
	CHECKF(beside(), "%s", why);
	atomic_store(&s->activity, 1);
	atomic_store(&s->state, TXN_RUNNING);
	atomic_store(&s->nheld, 1);
	CHECKF(beside(), "a slot that waits for its first stripe: %s", why);
	atomic_store(&s->nheld, 0);
	atomic_store(&s->state, TXN_COMMITTED);
	CHECK(!beside() && strstr(why, "slot 3 does not come to rest"));
	atomic_store(&s->state, TXN_IDLE);
	atomic_store(&s->activity, 2);
	store_heap(0)->used++;
	CHECK(!beside() && strstr(why, "bytes used"));
	store_heap(0)->used--;
	CHECKF(beside(), "%s", why);
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(16);
	/* The slots' pages that the tests write to. */
	region_back(SUPER->off_slots, FIXTURE_SLOTS * PAGE_BYTES);
	fill();
	RUN(test_index);
	RUN(test_roots);
	RUN(test_due_queue);
	RUN(test_heap);
	RUN(test_arena);
	RUN(test_locks_and_slots);
	RUN(test_superblock);
	RUN(test_functions);
	RUN(test_retained);
	RUN(test_beside);
	return test_done();
}
