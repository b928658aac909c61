/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks: SCAN over growth, shrinking and flushes; a consistent view by pin beside writers; RANDOMKEY. */
#include "store_fixture.h"

#include "store/internal.h"

/* ---- SCAN ---- */

struct scanning {
	uint64_t cursor, count, returned;
	uint32_t db;
	uint8_t *seen; /* by the number in key "k<number>" */
	unsigned n;
	unsigned strange;
};

static bool note(void *arg, const char *key, size_t klen, const struct view *v)
{
	struct scanning *s = arg;
	char k[24] = "";
	unsigned i;
	(void)v;
	s->returned++;
	if (klen < sizeof k)
		memcpy(k, key, klen);
	if (sscanf(k, "k%u", &i) == 1 && i < s->n)
		s->seen[i] = 1;
	else
		s->strange += k[0] != 't';
	return true;
}

static int scan_body(struct access *a, void *arg)
{
	struct scanning *s = arg;
	s->cursor = db_scan(a, s->db, s->cursor, s->count, note, s);
	return 0;
}

static void scan_once(struct scanning *s)
{
	struct plan p = {.kind = PLAN_READ, .db = s->db, .now = fixture_now};
	s->returned = 0;
	CHECK_INT(access_run(&p, scan_body, s), 0);
}

static void set_numbered(char prefix, unsigned from, unsigned to)
{
	char k[24];
	for (unsigned i = from; i < to; i++) {
		sprintf(k, "%c%u", prefix, i);
		do_set(0, k, "v");
	}
}

static void del_numbered(char prefix, unsigned from, unsigned to)
{
	char k[24];
	for (unsigned i = from; i < to; i++) {
		sprintf(k, "%c%u", prefix, i);
		do_del(0, k);
	}
}

static void check_all_seen(const struct scanning *s, const char *what)
{
	unsigned missing = 0;
	for (unsigned i = 0; i < s->n; i++)
		missing += !s->seen[i];
	CHECKF(missing == 0, "%s, count %llu: %u keys missed", what, (unsigned long long)s->count, missing);
	CHECKF(s->strange == 0, "%s: %u strange keys", what, s->strange);
}

static void test_scan_quiet(void)
{
	static uint8_t seen[5000];
	static const uint64_t counts[] = {1, 3, 10, 100, 1000, 100000};
	set_numbered('k', 0, 5000);
	for (unsigned c = 0; c < sizeof counts / sizeof counts[0]; c++) {
		struct scanning s = {.count = counts[c], .seen = seen, .n = 5000};
		uint64_t total = 0;
		memset(seen, 0, sizeof seen);
		do {
			scan_once(&s);
			total += s.returned;
			CHECK(s.returned >= counts[c] || s.cursor == 0);
			CHECK(s.returned <= counts[c] + 3);
		} while (s.cursor);
		CHECK_UINT(total, 5000);
		check_all_seen(&s, "quiet");
	}
	struct scanning s = {.cursor = UINT64_MAX, .count = 10};
	scan_once(&s);
	CHECK_UINT(s.cursor, 0);
	s = (struct scanning){.db = 1, .count = 10};
	scan_once(&s);
	CHECK_UINT(s.cursor, 0);
}

static void test_scan_growth(void)
{
	static uint8_t seen[2000];
	for (unsigned c = 1; c < 400; c = c * 8 + 1) {
		struct scanning s = {.count = c, .seen = seen, .n = 2000};
		do_flush(DB_ALL), db_sweep_retired();
		set_numbered('k', 0, 2000);
		memset(seen, 0, sizeof seen);
		unsigned top = 0;
		bool up = true;
		do {
			scan_once(&s);
			/* Others come and go: every table grows by a multiple and shrinks again. */
			unsigned many = c < 9 ? 40 : 4000;
			if (up)
				set_numbered('t', top, top + many), top += many;
			else
				del_numbered('t', top - many, top), top -= many;
			if (top > 20000)
				up = false;
			if (top == 0)
				up = true;
		} while (s.cursor);
		check_all_seen(&s, "growing and shrinking");
		CHECK_FSCK();
	}
	do_flush(DB_ALL), db_sweep_retired();
}

/* ---- beside writers ---- */

static _Atomic uint64_t *stop;

static int come_and_go(void *arg)
{
	dice_state ^= (uintptr_t)arg * 31337;
	char k[24];
	while (!atomic_load(stop)) {
		sprintf(k, "t%u", (unsigned)dice(20000));
		if (dice(2))
			do_set(0, k, dice(2) ? "a value" : "another value, and a longer one");
		else
			do_del(0, k);
	}
	return test_state.checks_failed != 0;
}

static int flush_and_swap(void *arg)
{
	(void)arg;
	while (!atomic_load(stop)) {
		do_flush(1);
		db_sweep_retired();
		for (unsigned i = 0; i < 50; i++) {
			char k[24];
			sprintf(k, "t%u", i);
			do_set(1, k, "v");
		}
		usleep(500);
	}
	return test_state.checks_failed != 0;
}

static void test_scan_beside_writers(void)
{
	static uint8_t seen[3000];
	pid_t p[4];
	set_numbered('k', 0, 3000);
	atomic_store(stop, 0);
	for (unsigned i = 0; i < 3; i++)
		p[i] = fork_as(3 + i, come_and_go, (void *)(uintptr_t)(i + 1));
	p[3] = fork_as(6, flush_and_swap, NULL);
	for (unsigned round = 0; round < 12; round++) {
		struct scanning s = {.count = 1 + dice(500), .seen = seen, .n = 3000};
		memset(seen, 0, sizeof seen);
		do
			scan_once(&s);
		while (s.cursor);
		check_all_seen(&s, "beside writers");
		/* A database that is flushed under the scan: only its keys come, and an end. */
		s = (struct scanning){.count = 20, .db = 1, .seen = seen, .n = 0};
		unsigned calls = 0;
		do
			scan_once(&s);
		while (s.cursor && ++calls < 5000);
		CHECK(s.cursor == 0 && s.strange == 0);
	}
	atomic_store(stop, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
	CHECK_FSCK();
}

/*
 * Groups of eight keys always written together with one number, in two databases that are swapped and flushed: a walk by pin sees each group
 * whole and with one number only, and as many groups as the number of databases' states allows.
 */
#define GROUPS 60u

static void group_write(unsigned g, uint64_t number, bool del)
{
	static char names[8][24];
	char value[80];
	struct doing d = {.what = del ? DO_DEL : DO_MSET, .nkeys = 8, .due = DUE_NONE};
	size_t n = (size_t)sprintf(value, "%llu.", (unsigned long long)number);
	memset(value + n, 'x', 50);
	for (unsigned i = 0; i < 8; i++) {
		sprintf(names[i], "g%u:%u", g, i);
		d.key[i] = ARG(names[i]);
		d.value[i] = (struct arg){value, n + number % 50};
	}
	doing_run(&d);
}

static int write_groups(void *arg)
{
	dice_state ^= (uintptr_t)arg * 65537;
	while (!atomic_load(stop)) {
		group_write((unsigned)dice(GROUPS), dice(0) >> 20, dice(5) == 0);
		if (dice(300) == 0)
			do_flush(0);
		if (dice(200) == 0)
			do_swap(0, 1);
		if (dice(600) == 0)
			db_sweep_retired();
	}
	return test_state.checks_failed != 0;
}

struct group_view {
	unsigned n[GROUPS];
	uint64_t number[GROUPS];
	unsigned broken, slow;
};

static bool see_group(void *arg, const char *key, size_t klen, const struct view *v)
{
	struct group_view *s = arg;
	char k[24] = "", value[40] = "";
	unsigned g, i;
	unsigned long long number;
	if (klen < sizeof k)
		memcpy(k, key, klen);
	memcpy(value, v->value, v->len < 39 ? v->len : 39);
	if (sscanf(k, "g%u:%u", &g, &i) != 2 || g >= GROUPS || sscanf(value, "%llu.", &number) != 1) {
		s->broken++;
		return true;
	}
	for (size_t x = v->len; v->len > 22 && x-- > 22;)
		s->broken += v->value[x] != 'x';
	if (s->n[g]++ == 0)
		s->number[g] = number;
	s->broken += s->number[g] != number;
	if (s->slow && dice(s->slow) == 0)
		usleep(300);
	return true;
}

static int group_walk_body(struct access *a, void *arg)
{
	db_walk(a, 0, see_group, arg);
	return 0;
}

/* The same by MGET, some keys of each group, pinned from the start. */
static int group_find_body(struct access *a, void *arg)
{
	struct group_view *s = arg;
	for (uint32_t i = 0; i < a->plan->nkeys; i++) {
		struct view v;
		if (key_find(a, 0, a->plan->keys[i], &v))
			see_group(s, a->plan->keys[i]->p, a->plan->keys[i]->n, &v);
	}
	return 0;
}

static void test_pinned_views(void)
{
	pid_t p[4], e = expirer_start(2);
	atomic_store(stop, 0);
	for (unsigned i = 0; i < 4; i++)
		p[i] = fork_as(3 + i, write_groups, (void *)(uintptr_t)(i + 1));
	unsigned groups = 0, torn = 0, broken = 0;
	int64_t until = clock_mono_ms() + 1500;
	for (unsigned round = 0; clock_mono_ms() < until; round++) {
		struct group_view s = {.slow = (unsigned)dice(3) * 40};
		struct plan plan = {.kind = PLAN_READ_LONG, .now = fixture_now};
		static char names[8 * 4][24];
		struct arg k[8 * 4];
		const struct arg *keys[8 * 4];
		if (round % 3 == 0) {
			CHECK_INT(access_run(&plan, group_walk_body, &s), 0);
		} else {
			unsigned g = (unsigned)dice(GROUPS - 4);
			for (unsigned i = 0; i < 32; i++) {
				sprintf(names[i], "g%u:%u", g + i / 8, i % 8);
				k[i] = ARG(names[i]);
				keys[i] = &k[i];
			}
			plan.nkeys = 32, plan.keys = keys;
			CHECK_INT(access_run(&plan, group_find_body, &s), 0);
		}
		for (unsigned g = 0; g < GROUPS; g++) {
			torn += s.n[g] != 0 && s.n[g] != 8;
			groups += s.n[g] != 0;
		}
		broken += s.broken;
	}
	CHECKF(torn == 0 && broken == 0, "%u groups seen, %u of them in part, %u broken values", groups, torn, broken);
	CHECK(groups > 100);
	atomic_store(stop, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	for (int i = 0; i < 3000 && (SUPER->old_maps.off || SUPER->retired_roots.off); i++)
		usleep(1000);
	usleep(20000);
	expirer_end(e, 2);
	CHECK(ref_is_none(SUPER->old_maps) && ref_is_none(SUPER->retired_roots));
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
}

/* ---- RANDOMKEY ---- */

static int random_body(struct access *a, void *arg)
{
	struct buf *b = arg;
	buf_clear(b);
	if (!db_random_key(a, 0, b))
		buf_append_str(b, "-");
	return 0;
}

static void test_random_key(void)
{
	struct buf b = {0};
	struct plan p = {.kind = PLAN_READ, .now = fixture_now};
	CHECK_INT(access_run(&p, random_body, &b), 0);
	CHECK_MEM(b.data, b.len, "-", 1);
	static unsigned hits[50];
	set_numbered('k', 0, 50);
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i = 99;
		CHECK_INT(access_run(&p, random_body, &b), 0);
		buf_append_char(&b, 0);
		REQUIRE(sscanf(b.data, "k%u", &i) == 1 && i < 50);
		hits[i]++;
	}
	for (unsigned i = 0; i < 50; i++)
		CHECKF(hits[i] > 100, "k%u came %u times", i, hits[i]);
	do_flush(0), db_sweep_retired();
	buf_deinit(&b);
}

int main(void)
{
	fixture_open(3);
	stop = (_Atomic uint64_t *)store_stripe(9)->reserved;
	RUN(test_random_key);
	RUN(test_scan_quiet);
	RUN(test_scan_growth);
	RUN(test_scan_beside_writers);
	RUN(test_pinned_views);
	return test_done();
}
