/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins: what they retain, for how long, whose they are. */
#include "store_fixture.h"

static bool nothing_retained(void)
{
	for (uint32_t s = 0; s < STRIPES; s++)
		if (store_stripe(s)->nretained)
			return false;
	return true;
}

static uint32_t retained(void)
{
	uint32_t n = 0;
	for (uint32_t s = 0; s < STRIPES; s++)
		n += store_stripe(s)->nretained;
	return n;
}

/* Lets the expirer sweep until nothing is left, or `ms` are over. */
static void sweep_for(int ms)
{
	pid_t p = expirer_start(2);
	for (int i = 0; i < ms && !(nothing_retained() && ref_is_none(SUPER->retired_roots) && ref_is_none(SUPER->old_maps)); i++)
		usleep(1000);
	expirer_end(p, 2);
}

static void test_words(void)
{
	uint64_t e = atomic_load(&SUPER->epoch);
	struct pin p = pin_take();
	CHECK_UINT(p.epoch, e);
	CHECK_UINT(atomic_load(&SUPER->epoch), e + 1);
	CHECK(pin_needs(e, e + 1));
	CHECK(pin_needs(0, e + 1));
	CHECK(!pin_needs(e + 1, e + 2));
	CHECK(!pin_needs(0, e));
	CHECK(!pin_allows_change(e));
	CHECK(pin_allows_change(e + 1));
	CHECK(pin_none_below(e) && !pin_none_below(e + 1));
	struct pin q = pin_take();
	CHECK(q.index != p.index && q.epoch == e + 1);
	pin_release(p);
	CHECK(!pin_needs(e, e + 1) && pin_needs(e, e + 2));
	pin_release(q);
	CHECK(pin_none_below(UINT64_MAX));
	CHECK(pin_check());
}

static int hold_pins(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		pin_take();
	raise(SIGKILL);
	return 0;
}

/* All 64 taken: the next one waits; the dead one's are dropped. */
static int take_one(void *arg)
{
	(void)arg;
	pin_release(pin_take());
	return 0;
}

static void test_full_table(void)
{
	uint32_t dead = 3;
	CHECK_INT(reap_child(fork_as(dead, hold_pins, (void *)(uintptr_t)PINS_MAX)), 1000 + SIGKILL);
	pid_t p = fork_as(4, take_one, NULL);
	usleep(20000);
	int status;
	CHECK(waitpid(p, &status, WNOHANG) == 0);
	recover_slots(&dead, 1);
	CHECK_INT(reap_child(p), 0);
	CHECK(pin_none_below(UINT64_MAX) && pin_check());
	CHECK_FSCK();
}

static void test_in_place_only_without(void)
{
	do_set(0, "k", "one");
	uint64_t used = heap_used();
	do_set(0, "k", "two");
	CHECK_UINT(heap_used(), used);
	struct pin p = pin_take();
	do_set(0, "k", "six");
	CHECK(heap_used() > used);
	CHECK_UINT(retained(), 1);
	used = heap_used();
	do_set(0, "k", "ten"); /* born after the pin */
	CHECK_UINT(heap_used(), used);
	do_append(0, "k", "!");
	do_due(0, "k", fixture_now + 1000000);
	CHECK_UINT(retained(), 1);
	do_del(0, "k");
	CHECK_UINT(retained(), 1);
	CHECK_FSCK();
	sweep_for(30);
	CHECK_UINT(retained(), 1);
	pin_release(p);
	sweep_for(3000);
	CHECK_UINT(retained(), 0);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
	CHECK_UINT(heap_used(), heap_meta());
}

/* Each of several pins keeps exactly what it needs. */
static void test_several(void)
{
	struct pin p[10];
	char v[20];
	for (int i = 0; i < 10; i++) {
		snprintf(v, sizeof v, "%d", i);
		do_set(0, "k", v);
		do_set(0, "k", v);
		p[i] = pin_take();
	}
	do_set(0, "k", "end");
	CHECK_UINT(retained(), 10);
	for (int i = 0; i < 10; i += 2)
		pin_release(p[i]);
	pid_t e = expirer_start(2);
	for (int i = 0; i < 3000 && retained() > 5; i++)
		usleep(1000);
	usleep(20000);
	CHECK_UINT(retained(), 5);
	expirer_end(e, 2);
	for (int i = 1; i < 10; i += 2)
		pin_release(p[i]);
	sweep_for(3000);
	CHECK_UINT(retained(), 0);
	CHECK_FSCK();
}

static void test_roots_and_maps(void)
{
	do_set(0, "k", "v"), do_set(1, "k", "w");
	struct pin p = pin_take();
	do_flush(0);
	do_swap(0, 1);
	do_swap(0, 1);
	do_flush(DB_ALL);
	do_set(0, "k", "new");
	CHECK(!ref_is_none(SUPER->old_maps) && !ref_is_none(SUPER->retired_roots));
	db_sweep_retired();
	CHECK(!ref_is_none(SUPER->old_maps) && !ref_is_none(SUPER->retired_roots));
	CHECK_FSCK();
	pin_release(p);
	db_sweep_retired();
	CHECK(ref_is_none(SUPER->old_maps) && ref_is_none(SUPER->retired_roots));
	CHECK(do_is(0, "k", "new"));
	sweep_for(3000);
	CHECK_FSCK();
}

/*
 * A writer that began below the pin and changes nothing until the pin stands: a pinned reader sees all of its work or none, and never what it
 * replaced and freed.
 */
static _Atomic uint32_t *stage;

static int late_body(struct access *a, void *arg)
{
	const struct plan *p = arg;
	atomic_store(stage, 1);
	while (atomic_load(stage) != 2)
		usleep(100);
	usleep(20000);
	effect(a, 0, 0, NULL);
	for (uint32_t i = 0; i < p->nkeys; i++)
		if (!key_set_string(a, p->db, p->keys[i], "new and longer", 14, ENC_AUTO, DUE_NONE))
			return 1;
	return 0;
}

static int late_writer(void *arg)
{
	uint32_t db = (uint32_t)(uintptr_t)arg;
	static char names[16][16];
	static struct arg k[16];
	const struct arg *keys[16];
	for (int i = 0; i < 16; i++) {
		snprintf(names[i], sizeof names[i], "t%d", i);
		k[i] = ARG(names[i]);
		keys[i] = &k[i];
	}
	struct plan p = {.kind = PLAN_WRITE, .db = db, .now = fixture_now, .nkeys = 16, .keys = keys};
	return access_run(&p, late_body, &p);
}

struct seen {
	unsigned old, new, other;
};

static bool look(void *arg, const char *key, size_t klen, const struct view *v)
{
	struct seen *s = arg;
	(void)key, (void)klen;
	usleep(2000); /* time for the writer to free what we read */
	if (v->len == 3 && !memcmp(v->value, "old", 3))
		s->old++;
	else if (v->len == 14 && !memcmp(v->value, "new and longer", 14))
		s->new++;
	else
		s->other++;
	return true;
}

static int walk_body(struct access *a, void *arg)
{
	atomic_store(stage, 2);
	db_walk(a, access_db(a), look, arg);
	return 0;
}

static void walk_beside_writer(uint32_t db)
{
	struct seen s = {0};
	struct plan p = {.kind = PLAN_READ_LONG, .db = db, .now = fixture_now};
	atomic_store(stage, 0);
	pid_t w = fork_as(5, late_writer, (void *)(uintptr_t)db);
	while (atomic_load(stage) != 1)
		usleep(100);
	CHECK_INT(access_run(&p, walk_body, &s), 0);
	CHECK_INT(reap_child(w), 0);
	CHECKF(s.other == 0 && (s.old == 0 || s.new == 0), "%u old, %u new, %u broken", s.old, s.new, s.other);
}

static void test_writer_below_the_pin(void)
{
	char k[16];
	stage = (_Atomic uint32_t *)store_stripe(9)->reserved;
	do_del(0, "k");
	for (int i = 0; i < 16; i++) {
		snprintf(k, sizeof k, "t%d", i);
		do_set(0, k, "old");
	}
	walk_beside_writer(0);
	/* The same while the writer makes the database's first root. */
	do_flush(DB_ALL);
	walk_beside_writer(1);
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(3);
	do_set(0, "k", "v");
	RUN(test_words);
	RUN(test_full_table);
	RUN(test_in_place_only_without);
	RUN(test_several);
	RUN(test_roots_and_maps);
	RUN(test_writer_below_the_pin);
	return test_done();
}
