/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check beside others: no false alarm beside 8 busy writers, the damage it is there for, and nobody held up for
 * long.
 */
#include "store_fixture.h"

#include <sys/mman.h>

#include "base/stop.h"
#include "shm/check.h"
#include "shm/ring.h"
#include "../src/shm/slab.h"
#include "../src/store/internal.h"

#define WRITERS 8
#define BUSY_MS 10000

static char why[256];
static uint64_t keys;
static struct shared {
	_Atomic uint32_t stop;
	_Atomic uint64_t commands[WRITERS + 1], longest_ns[WRITERS + 1];
} *shared;

static void one_command(uint32_t me)
{
	static char big[200000];
	char key[32];
	snprintf(key, sizeof key, "k%d", (int)dice(3000));
	switch (dice(12)) {
	case 0:
		do_del(0, key);
		return;
	case 1:
		do_set_n(0, ARG(key), big, 1 + dice(dice(20) ? 3000 : sizeof big), DUE_NONE);
		return;
	case 2:
		do_due(0, key, clock_wall_ms() + 1 + (int64_t)dice(500));
		return;
	case 3:
		do_append(0, key, "some more");
		return;
	case 4:
		do_copy(0, key, 1, "copied");
		return;
	case 5:
		if (me == 1 && dice(2000) == 0)
			do_flush(dice(2) ? 1 : DB_ALL);
		if (me == 2 && dice(2000) == 0)
			do_swap(0, 1);
		if (me == 3 && dice(200) == 0)
			pin_release(pin_take());
		return;
	default:
		do_set_n(0, ARG(key), big, dice(200), dice(4) ? DUE_NONE : clock_wall_ms() + 1 + (int64_t)dice(2000));
	}
}

static int write_busily(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	dice_state += me * 7919;
	while (!atomic_load(&shared->stop)) {
		uint64_t start = clock_mono_ns();
		fixture_now = clock_wall_ms();
		one_command(me);
		uint64_t took = clock_mono_ns() - start;
		if (took > atomic_load(&shared->longest_ns[me]))
			atomic_store(&shared->longest_ns[me], took);
		atomic_fetch_add(&shared->commands[me], 1);
	}
	return 0;
}

static void test_no_false_alarm(void)
{
	pid_t p[WRITERS + 1];
	unsigned checks = 0;
	for (uint32_t i = 1; i <= WRITERS; i++)
		p[i] = fork_as(i, write_busily, (void *)(uintptr_t)i);
	pid_t expirer = expirer_start(WRITERS + 1);
	int64_t until = clock_mono_ms() + BUSY_MS;
	bool ok = true;
	for (; ok && clock_mono_ms() < until; checks++)
		ok = store_fsck_live(why, sizeof why, &keys);
	CHECKF(ok, "after %u checks: %s", checks, why);
	atomic_store(&shared->stop, 1);
	uint64_t commands = 0;
	for (uint32_t i = 1; i <= WRITERS; i++) {
		CHECK_INT(reap_child(p[i]), 0);
		commands += shared->commands[i];
	}
	expirer_end(expirer, WRITERS + 1);
	printf("# %u checks beside %llu commands\n", checks, (unsigned long long)commands);
	CHECK(checks > 3);
	CHECK_FSCK();
}

static struct bin *some_bin(void)
{
	struct root *root = db_root(0);
	for (uint32_t i = 0; i < STRIPES; i++)
		if (root->bins[i].expires)
			return &root->bins[i];
	return NULL;
}

static void found(bool ok, const char *what)
{
	CHECKF(!ok && strstr(why, what), "%s, not %s", ok ? "nothing" : why, what);
}

static void test_damage(void)
{
	char key[32];
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "d%d", i);
		do_set_n(0, ARG(key), "value", 5, i % 2 ? DUE_NONE : fixture_now + 1000000);
	}
	CHECKF(store_fsck_live(why, sizeof why, &keys) && keys >= 3000, "%llu keys: %s", (unsigned long long)keys, why);
	struct bin *b = some_bin();
	REQUIRE(b != NULL);
	uint64_t *cell = at(b->table);
	while (!*cell)
		cell++;
	uint64_t old = *cell;
	*cell ^= 1ull << 60;
	found(store_fsck_live(why, sizeof why, &keys), "in the wrong place");
	*cell = old;
	b->count++;
	found(store_fsck_live(why, sizeof why, &keys), "a bin with");
	b->count--;
	struct slab *s = (struct slab *)(uintptr_t)slab_at(cell_ref(*cell).off);
	s->nused++;
	found(store_fsck_live(why, sizeof why, &keys), "blocks used, not");
	s->nused--;
	s->nblocks--;
	/* Whose block is the slab's last one is met first, perhaps. */
	CHECKF(!store_fsck_live(why, sizeof why, &keys) && (strstr(why, "damaged head") || strstr(why, "not in an allocated block")), "%s", why);
	s->nblocks++;
	CHECKF(store_fsck_live(why, sizeof why, &keys), "%s", why);
}

/* A list that leads back to itself is not followed for ever: a stripe is held meanwhile. */
static void test_circle(void)
{
	struct pin p = pin_take();
	do_set(0, "d1", "a later value");
	uint32_t i = 0;
	while (ref_is_none(store_stripe(i)->retained))
		i++;
	struct retained *e = at(store_stripe(i)->retained);
	e->next = store_stripe(i)->retained;
	found(store_fsck_live(why, sizeof why, &keys), "retains more than");
	e->next = REF_NONE;
	pin_release(p);
	expirer_sweep();
	CHECK_FSCK();
}

static void leak(uint64_t size, enum block_kind kind)
{
	ref r = heap_alloc(size, kind, false);
	leaf_end();
	memset(at(r), 0, size);
	uint64_t start = clock_mono_ns();
	found(store_fsck_live(why, sizeof why, &keys), "nothing refers to an allocated block");
	printf("# a leak of %llu bytes found in %llu ms\n", (unsigned long long)size,
	       (unsigned long long)(clock_mono_ns() - start) / 1000000);
	heap_free(r, kind);
	leaf_end();
	CHECKF(store_fsck_live(why, sizeof why, &keys), "%s", why);
}

static void test_leaks(void)
{
	leak(64, BLOCK_DATA);
	leak(4000, BLOCK_META);
	leak(300000, BLOCK_DATA);
	/* A leaked copy of an item: what it says it is exists, elsewhere. */
	uint64_t *cell = at(some_bin()->table);
	while (!*cell)
		cell++;
	ref item = cell_ref(*cell), r = heap_alloc(heap_block_size(item), BLOCK_DATA, false);
	leaf_end();
	memcpy(at(r), at(item), heap_block_size(item));
	found(store_fsck_live(why, sizeof why, &keys), "nothing refers to an allocated block");
	heap_free(r, BLOCK_DATA);
	leaf_end();
	CHECK_FSCK();
}

static int log_body(struct access *a, void *arg)
{
	effect(a, 0, 2, (struct arg[]){ARG("ECHO"), *(struct arg *)arg});
	return 0;
}

/* What waits in the log for its consumer is no leak, however long it waits; what the log has lost is one. */
static void test_log(void)
{
	static char big[300000];
	uint64_t offset;
	CHECK(ring_switch_on(&offset));
	struct arg key = ARG("logged"), value = {big, sizeof big};
	const struct arg *logged = &key;
	struct plan plan = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = &logged};
	for (int i = 0; i < 5; i++)
		CHECK_INT(access_run(&plan, log_body, &value), 0);
	CHECK(ring_memory() > 5 * sizeof big);
	CHECKF(store_fsck_live(why, sizeof why, &keys), "%s", why);
	CHECK_FSCK();
	ring_switch_off();
	uint64_t consumed = atomic_load(&ring()->consumed);
	atomic_store(&ring()->consumed, atomic_load(&ring()->tail));
	found(store_fsck_live(why, sizeof why, &keys), "nothing refers to an allocated block");
	atomic_store(&ring()->consumed, consumed);
	ring_drop();
	CHECKF(store_fsck_live(why, sizeof why, &keys), "%s", why);
	CHECK_FSCK();
}

/* A request to stop ends it early, and is no alarm. */
static void test_stop(void)
{
	stop_flag = 1;
	CHECK(store_fsck_live(why, sizeof why, &keys));
	CHECK_UINT(keys, 0);
	stop_flag = 0;
}

int main(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fixture_open(16);
	RUN(test_no_false_alarm);
	RUN(test_damage);
	RUN(test_circle);
	RUN(test_leaks);
	RUN(test_log);
	RUN(test_stop);
	return test_done();
}
