/* SPDX-License-Identifier: BSD-2-Clause */
/* Transactions by way of commands: what they leave, what a failed one leaves, and no memory at every step of each of them. */
#include "store_fixture.h"

#include "base/hash.h"
#include "store/index.h"

static char big[200000];

static void empty(void)
{
	do_flush(DB_ALL);
	db_sweep_retired();
	CHECK_FSCK();
}

static void test_values(void)
{
	static char key[70000];
	do_set(0, "k", "v");
	CHECK(do_is(0, "k", "v") && do_is(1, "k", NULL));
	do_set(0, "k", "w");
	CHECK(do_is(0, "k", "w"));
	do_append(0, "k", "12"), do_append(0, "k", "34");
	CHECK(do_is(0, "k", "w1234"));
	do_append(1, "k", "first");
	CHECK(do_is(1, "k", "first"));
	do_copy(0, "k", 1, "copy");
	CHECK(do_is(1, "copy", "w1234"));
	do_swap(0, 1);
	CHECK(do_is(0, "k", "first") && do_is(0, "copy", "w1234") && do_is(1, "k", "w1234"));
	CHECK_INT(do_del(0, "k"), 1);
	CHECK_INT(do_del(0, "k"), 0);
	CHECK_FSCK();
	/* A long key, a long value, an empty one. */
	memset(key, 'k', sizeof key - 1);
	for (size_t n = 0; n < sizeof big; n = n * 3 + 1) {
		do_set_n(0, ARG(key), big, n, n % 2 ? DUE_NONE : fixture_now + 1000);
		struct doing d = {.what = DO_GET, .nkeys = 1, .key = {ARG(key)}, .out = &(struct buf){0}};
		CHECK_INT(doing_run(&d), 0);
		CHECK(d.found && d.out->len == n && (n == 0 || !memcmp(d.out->data, big, n)));
		buf_deinit(d.out);
	}
	do_set(0, "", "empty key");
	CHECK(do_is(0, "", "empty key"));
	do_copy(0, key, 1, "");
	CHECK_FSCK();
	empty();
}

static void test_random_against_model(void)
{
	enum { N = 200 };
	static struct { bool in; char value[64]; int64_t due; } model[2][N];
	char k[16], v[64];
	for (unsigned round = 0; round < 40000; round++) {
		uint32_t db = (uint32_t)dice(2);
		unsigned i = (unsigned)dice(N), j = (unsigned)dice(N);
		sprintf(k, "key:%u", i);
		memset(v, 'a' + (int)dice(26), sizeof v);
		v[dice(dice(4) ? 20 : 60)] = 0;
		switch (dice(9)) {
		case 0:
		case 1:
		case 2:
			model[db][i].due = dice(3) ? DUE_NONE : fixture_now + 1 + (int64_t)dice(1000000);
			CHECK_INT(do_set_n(db, ARG(k), v, strlen(v), model[db][i].due), 0);
			strcpy(model[db][i].value, v), model[db][i].in = true;
			break;
		case 3:
			CHECK_INT(do_del(db, k), model[db][i].in);
			model[db][i].in = false;
			break;
		case 4:
			if (!model[db][i].in || strlen(model[db][i].value) + strlen(v) > 63)
				break;
			do_append(db, k, v);
			strcat(model[db][i].value, v);
			break;
		case 5:
			if (!model[db][i].in)
				break;
			model[db][i].due = dice(3) ? fixture_now + 1 + (int64_t)dice(1000000) : DUE_NONE;
			do_due(db, k, model[db][i].due);
			break;
		case 6: {
			char k2[16];
			sprintf(k2, "key:%u", j);
			do_copy(db, k, 1 - db, k2);
			if (model[db][i].in && !model[1 - db][j].in)
				model[1 - db][j] = model[db][i];
			break;
		}
		default: {
			struct buf b = {0};
			struct doing d = {.what = DO_GET, .db = db, .nkeys = 1, .key = {ARG(k)}, .out = &b};
			CHECK_INT(doing_run(&d), 0);
			if (!CHECKF(d.found == model[db][i].in, "%s in %u", k, db))
				return;
			if (d.found) {
				CHECK_MEM(b.data, b.len, model[db][i].value, strlen(model[db][i].value));
				CHECK_INT(d.out_due, model[db][i].due);
			}
			buf_deinit(&b);
		}
		}
		if (dice(4000) == 0) {
			do_swap(0, 1);
			for (unsigned n = 0; n < N; n++) {
				char t[sizeof model[0][0]];
				memcpy(t, &model[0][n], sizeof t);
				model[0][n] = model[1][n];
				memcpy(&model[1][n], t, sizeof t);
			}
		}
		if (dice(10000) == 0) {
			do_flush(db), db_sweep_retired();
			for (unsigned n = 0; n < N; n++)
				model[db][n].in = false;
		}
		if (round % 4000 == 0)
			CHECK_FSCK();
	}
	struct db_stats s;
	uint64_t keys = 0;
	for (unsigned n = 0; n < N; n++)
		keys += model[0][n].in;
	db_stats(0, &s);
	CHECK_UINT(s.keys, keys);
	empty();
}

/* A body that fails after its changes leaves nothing of them. */
static int failing(struct access *a, void *arg)
{
	const struct plan *p = arg;
	effect(a, 0, 0, NULL);
	key_set_string(a, 0, p->keys[0], big, 3000, ENC_AUTO, fixture_now + 5);
	key_set_due(a, 0, p->keys[0], DUE_NONE);
	key_set_string(a, 0, p->keys[1], "same", 4, ENC_AUTO, DUE_NONE);
	bool oom;
	key_delete(a, 0, p->keys[2], &oom);
	return 1;
}

static void test_failing_body(void)
{
	struct arg k[3] = {ARG("a"), ARG("b"), ARG("c")};
	const struct arg *keys[3] = {&k[0], &k[1], &k[2]};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 3, .keys = keys};
	do_set(0, "b", "1234"), do_set(0, "c", "c");
	uint64_t used = heap_used();
	CHECK_INT(access_run(&p, failing, &p), 1);
	CHECK(do_is(0, "a", NULL) && do_is(0, "b", "1234") && do_is(0, "c", "c"));
	CHECK_UINT(heap_used(), used);
	empty();
}

#ifdef BULKHEAD_DEBUG
/* ---- no memory ---- */

#define CROWD 60u
static char names[64][8], crowd[CROWD][16]; /* the latter of one stripe */
static bool crowd_known;
static struct pin pinned;

static void fill(void)
{
	static const uint32_t sizes[] = {60000, 30000, 9000, 3000, 1000, 300, 100, 40, 10, 1};
	unsigned n = 0;
	char k[16];
	memory_fails_after(0);
	for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
		for (;;) {
			sprintf(k, "fill%u", n);
			atomic_store(&SUPER->arena.full_until, UINT64_MAX);
			if (do_set_n(1, ARG(k), big, sizes[s], n % 3 ? DUE_NONE : fixture_now + 100000 + n))
				break;
			n++;
		}
}


static void describe(struct buf *out)
{
	struct buf v = {0};
	buf_clear(out);
	for (uint32_t db = 0; db < 3; db++)
		for (unsigned i = 0; i < 20; i++) {
			struct doing d = {.what = DO_GET, .db = db, .nkeys = 1, .key = {ARG(names[i])}, .out = &v};
			CHECK_INT(doing_run(&d), 0);
			if (d.found)
				buf_printf(out, "%u %s %lld %zu %.10s|", db, names[i], (long long)d.out_due, v.len, v.len ? v.data : "");
		}
	buf_deinit(&v);
}

static int try_set_new(void) { return do_set(0, names[15], "new"); }
static int try_set_root(void) { return do_set(2, names[15], "new"); }
static int try_longer(void) { return do_set_n(0, ARG(names[1]), big, 50000, DUE_NONE); }
static int try_longer_due(void) { return do_set_n(0, ARG(names[1]), big, 500, fixture_now + 77); }
static int try_same(void) { return do_set(0, names[2], "VALUE"); }
static int try_del(void) { return do_del(0, names[3]) < 0; }
static int try_append(void) { return do_append(0, names[4], big); }
static int try_due(void) { return do_due(0, names[5], fixture_now + 10); }
static int try_due_earlier(void) { return do_due(0, names[6], fixture_now + 10); }
static int try_persist(void) { return do_due(0, names[6], DUE_NONE); }
static int try_copy(void) { return do_copy(0, names[6], 2, names[7]); }
static int try_swap(void) { return do_swap(0, 1); }
static int try_flush(void) { return do_flush(0); }
static int try_expired(void)
{
	int64_t now = fixture_now;
	fixture_now += 1000000;
	int r = do_set(0, names[6], "over a dead one");
	fixture_now = now;
	return r;
}
static int try_mset(void)
{
	static char v[4000];
	struct doing d = {.what = DO_MSET, .nkeys = 12, .due = DUE_NONE};
	memset(v, 'm', sizeof v);
	for (unsigned i = 0; i < d.nkeys; i++)
		d.key[i] = ARG(names[i]), d.value[i] = (struct arg){v, 500 + i * 300};
	return doing_run(&d);
}
/* Leaves the last few keys of a stripe that had many: its table wants to be a smaller block. */
static int try_shrink(void)
{
	for (unsigned i = 0; i < CROWD; i++)
		if (do_del(0, crowd[i]) < 0)
			return 1;
	return 0;
}
static int try_mdel(void)
{
	struct doing d = {.what = DO_DEL, .nkeys = 12};
	for (unsigned i = 0; i < d.nkeys; i++)
		d.key[i] = ARG(names[i]);
	return doing_run(&d);
}

static int (*const tries[])(void) = {try_same, try_due, try_due_earlier, try_persist, try_del, try_set_new, try_set_root, try_longer,
				     try_longer_due, try_append, try_copy, try_expired, try_mset, try_mdel, try_shrink, try_swap, try_flush};
/* Of these, a full store can do: */
static bool must_work(unsigned i, bool under_pin)
{
	return tries[i] == try_del || (tries[i] == try_same && !under_pin) || tries[i] == try_mdel || tries[i] == try_shrink || tries[i] == try_flush || tries[i] == try_swap;
}

static uint64_t hoard[4096];
static unsigned nhoard;

/* Takes slabs of the reserve until `left` are left. */
static void hoard_to(uint64_t left)
{
	while (nhoard < 4096 && SUPER->arena.free_slabs > left) {
		uint64_t i = arena_take(1, true);
		if (i == SLAB_NONE) {
			leaf_cancel();
			return;
		}
		leaf_end();
		hoard[nhoard++] = i;
	}
}

static ref blocks[100000];
static unsigned nblocks;

/* Takes every free block of every class, as far as they go without the reserve. */
static void hoard_blocks(void)
{
	uint64_t sizes[CLASSES_MAX + 1], last = 0;
	unsigned n = 0;
	for (uint64_t c = 1; c <= 32704; c++)
		if (heap_class_size(c) != last)
			sizes[n++] = last = heap_class_size(c);
	while (n-- > 0)
		while (nblocks < 100000) {
			ref r = heap_alloc(sizes[n], BLOCK_DATA, false);
			if (ref_is_none(r)) {
				leaf_cancel();
				break;
			}
			leaf_end();
			blocks[nblocks++] = r;
		}
}

static void give_hoard(void)
{
	while (nblocks) {
		heap_free(blocks[--nblocks], BLOCK_DATA);
		leaf_end();
	}

	while (nhoard) {
		arena_give(hoard[--nhoard], 1);
		leaf_end();
	}
}

static void set_up(void)
{
	for (unsigned i = 0; i < 12; i++) {
		sprintf(names[i], "n%u", i);
		do_set_n(0, ARG(names[i]), "value", 5, i > 5 ? fixture_now + 50000 : DUE_NONE);
	}
	for (unsigned i = 12; i < 20; i++)
		sprintf(names[i], "n%u", i);
	for (unsigned i = 0, n = 0; n < CROWD && !crowd_known; i++) {
		sprintf(crowd[n], "c%u", i);
		n += hash_split(hash_bytes(crowd[n], strlen(crowd[n]), SUPER->hash_seed)).stripe == 5;
	}
	crowd_known = true;
	for (unsigned n = 0; n < CROWD; n++)
		do_set(0, crowd[n], "v");
	do_set(1, "x", "so that there is a root");
}

/*
 * Every operation in a full store, then with the reserve eaten up as well, then with the kernel giving memory a few times only: it works or it
 * has not happened, and the store is in order.
 */
static void in_need(uint64_t left, long grants, bool under_pin)
{
	struct buf before = {0}, after = {0};
	for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		memory_fails_after(-1);
		set_up();
		if (under_pin)
			pinned = pin_take();
		fill();
		describe(&before);
		hoard_blocks();
		hoard_to(left);
		memory_fails_after(grants);
		if (grants == 0)
			atomic_store(&SUPER->arena.full_until, UINT64_MAX);
		int r = tries[i]();
		memory_fails_after(-1);
		describe(&after);
		bool same = before.len == after.len && !memcmp(before.data, after.data, before.len);
		CHECKF(r == 0 || same, "operation %u failed and left something (%llu slabs, %ld grants)", i, (unsigned long long)left, grants);
		if (left >= 24 && must_work(i, under_pin))
			CHECKF(r == 0, "operation %u failed in a full store (%llu slabs, %ld grants, pin %d)", i,
			       (unsigned long long)left, grants, under_pin);
		if (under_pin)
			pin_release(pinned);
		give_hoard();
		CHECK_FSCK();
		do_flush(DB_ALL), db_sweep_retired();
		if (under_pin) {
			pid_t e = expirer_start(2);
			for (int n = 0; n < 2000 && (heap_used() != heap_meta() || SUPER->old_maps.off); n++)
				usleep(500);
			expirer_end(e, 2);
		}
		CHECK_FSCK();
	}
	buf_deinit(&before);
	buf_deinit(&after);
}

static void test_full(void) { in_need(RESERVE_SLABS, 0, false); }
static void test_nothing_left(void) { in_need(0, 0, false); }
static void test_one_slab_left(void) { in_need(1, 0, false); in_need(2, 0, false); in_need(5, 0, false); }
static void test_few_grants(void) { in_need(0, 1, false); in_need(0, 2, false); }
static void test_full_under_pin(void) { in_need(RESERVE_SLABS, 0, true); in_need(0, 0, true); }
#endif

int main(void)
{
	memset(big, 'b', sizeof big - 1);
	fixture_open(3);
	RUN(test_values);
	RUN(test_random_against_model);
	RUN(test_failing_body);
#ifdef BULKHEAD_DEBUG
	RUN(test_full);
	RUN(test_nothing_left);
	RUN(test_one_slab_left);
	RUN(test_few_grants);
	RUN(test_full_under_pin);
#endif
	return test_done();
}
