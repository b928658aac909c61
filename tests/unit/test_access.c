/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads beside writers: several keys at once are seen as of one moment, long values are whole, whatever dies. */
#include "store_fixture.h"

#include "base/stop.h"

#define ACCOUNTS 24u
#define EACH 1000

static _Atomic uint64_t *stop;
static char names[ACCOUNTS][16];

static void name_accounts(void)
{
	for (unsigned i = 0; i < ACCOUNTS; i++)
		sprintf(names[i], "account:%u", i);
}

struct transfer {
	const struct arg *const *keys;
	int64_t amount;
};

static int64_t amount_of(const struct view *v)
{
	char s[32] = "";
	memcpy(s, v->value, v->len < 31 ? v->len : 31);
	return strtoll(s, NULL, 10);
}

/* Moves an amount; the values change their lengths, so blocks come and go. */
static int transfer_body(struct access *a, void *arg)
{
	struct transfer *t = arg;
	struct view v;
	char s[64];
	for (int i = 0; i < 2; i++) {
		if (!key_find(a, 0, t->keys[i], &v))
			return 1;
		int64_t now = amount_of(&v) + (i ? t->amount : -t->amount);
		int n = sprintf(s, "%lld", (long long)now);
		while (n < 40 && dice(3))
			s[n++] = ' ';
		if (!key_set_string(a, 0, t->keys[i], s, (size_t)n, ENC_RAW, DUE_NONE))
			return 1;
	}
	effect(a, 0, 0, NULL);
	return dice(20) == 0; /* changes its mind */
}

static int transfers(void *arg)
{
	dice_state ^= (uintptr_t)arg * 1299709;
	while (!atomic_load(stop)) {
		unsigned from = (unsigned)dice(ACCOUNTS), to = (from + 1 + (unsigned)dice(ACCOUNTS - 1)) % ACCOUNTS;
		struct arg k[2] = {ARG(names[from]), ARG(names[to])};
		const struct arg *keys[2] = {&k[0], &k[1]};
		struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 2, .keys = keys};
		struct transfer x = {keys, (int64_t)dice(100)};
		if (access_run(&p, transfer_body, &x) > 1)
			return 1;
	}
	return 0;
}

struct sum {
	int64_t total;
	unsigned n;
};

static int sum_body(struct access *a, void *arg)
{
	struct sum *s = arg;
	*s = (struct sum){0};
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		struct arg k = ARG(names[i]);
		struct view v;
		if (key_find(a, 0, &k, &v))
			s->total += amount_of(&v), s->n++;
	}
	return 0;
}

static bool sum_is_right(enum plan_kind kind)
{
	struct arg k[ACCOUNTS];
	const struct arg *keys[ACCOUNTS];
	struct sum s;
	for (unsigned i = 0; i < ACCOUNTS; i++)
		k[i] = ARG(names[i]), keys[i] = &k[i];
	struct plan p = {.kind = kind, .now = clock_wall_ms(), .nkeys = ACCOUNTS, .keys = keys};
	CHECK_INT(access_run(&p, sum_body, &s), 0);
	return CHECKF(s.n == ACCOUNTS && s.total == ACCOUNTS * EACH, "%u accounts, %lld in all", s.n, (long long)s.total);
}

static void open_accounts(void)
{
	for (unsigned i = 0; i < ACCOUNTS; i++)
		do_set(0, names[i], "1000");
}

static void test_multi_key_reads(void)
{
	pid_t p[4];
	open_accounts();
	atomic_store(stop, 0);
	for (unsigned i = 0; i < 4; i++)
		p[i] = fork_as(1 + i, transfers, (void *)(uintptr_t)(i + 1));
	int64_t until = clock_mono_ms() + 1500;
	for (unsigned n = 0; clock_mono_ms() < until && sum_is_right(n % 4 ? PLAN_READ : PLAN_READ_LONG); n++)
		;
	atomic_store(stop, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK(sum_is_right(PLAN_READ));
	CHECK_FSCK();
}

static int medic_for(void *arg)
{
	uint32_t patient = (uint32_t)(uintptr_t)arg;
	recover_slots(&patient, 1);
	return 0;
}

/* One medic for both, or one for each, side by side. */
static void heal(const uint32_t *dead, unsigned n)
{
	if (dice(2)) {
		recover_slots(dead, n);
		return;
	}
	pid_t p[2];
	for (unsigned i = 0; i < n; i++)
		p[i] = fork_as(20 + i, medic_for, (void *)(uintptr_t)dead[i]);
	for (unsigned i = 0; i < n; i++)
		CHECK_INT(reap_child(p[i]), 0);
}

/* The same while writers are killed and recovered. */
static void test_reads_beside_deaths(void)
{
	pid_t p[4];
	uint32_t slots[4] = {1, 2, 3, 4};
	open_accounts();
	atomic_store(stop, 0);
	for (unsigned i = 0; i < 4; i++)
		p[i] = fork_as(slots[i], transfers, (void *)(uintptr_t)(i + 1));
	int64_t until = clock_mono_ms() + 2000;
	for (unsigned n = 0; clock_mono_ms() < until; n++) {
		usleep((unsigned)dice(3000));
		unsigned i = (unsigned)dice(4), also = (unsigned)dice(4);
		kill(p[i], SIGKILL), reap_child(p[i]);
		uint32_t dead[2] = {slots[i], slots[also]};
		if (also != i)
			kill(p[also], SIGKILL), reap_child(p[also]);
		heal(dead, also != i ? 2 : 1);
		if (!sum_is_right(n % 2 ? PLAN_READ : PLAN_READ_LONG))
			break;
		p[i] = fork_as(slots[i], transfers, (void *)(uintptr_t)(n + 10));
		if (also != i)
			p[also] = fork_as(slots[also], transfers, (void *)(uintptr_t)(n + 20));
	}
	atomic_store(stop, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK_FSCK();
}

/* A value is read whole: every byte says which version it is. */
static int rewrite(void *arg)
{
	static char v[1500000];
	dice_state ^= (uintptr_t)arg * 17;
	while (!atomic_load(stop)) {
		size_t n = 1 + (dice(10) ? dice(5000) : dice(sizeof v));
		memset(v, 'a' + (int)dice(26), n);
		do_set_n(0, ARG("long"), v, n, DUE_NONE);
		if (dice(4) == 0)
			do_del(0, "long");
		if (dice(50) == 0)
			do_flush(DB_ALL), db_sweep_retired();
	}
	return 0;
}

static int whole_body(struct access *a, void *arg)
{
	struct buf *b = arg;
	struct view v;
	buf_clear(b);
	if (!key_find(a, 0, &(struct arg){"long", 4}, &v))
		return 0;
	if (access_is_long(a, v.len))
		return 2;
	for (size_t done = 0, n; done < v.len; done += n) {
		n = v.len - done < 65536 ? v.len - done : 65536;
		if (done && !access_still_valid(a))
			return 0;
		buf_append(b, v.value + done, n);
	}
	return 0;
}

static void test_long_values(void)
{
	struct buf b = {0};
	pid_t p[3];
	atomic_store(stop, 0);
	for (unsigned i = 0; i < 3; i++)
		p[i] = fork_as(1 + i, rewrite, (void *)(uintptr_t)(i + 1));
	struct arg k = ARG("long");
	const struct arg *keys[1] = {&k};
	int64_t until = clock_mono_ms() + 1500;
	while (clock_mono_ms() < until) {
		struct plan plan = {.kind = PLAN_READ, .now = fixture_now, .nkeys = 1, .keys = keys};
		CHECK_INT(access_run(&plan, whole_body, &b), 0);
		for (size_t i = 1; i < b.len; i++)
			if (b.data[i] != b.data[0]) {
				CHECKF(false, "a value of %zu bytes, torn at %zu", b.len, i);
				until = 0;
				break;
			}
	}
	atomic_store(stop, 1);
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(reap_child(p[i]), 0);
	buf_deinit(&b);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
}

/* Keys of the same stripe, the same key twice, more keys than fit inline: all fine. */
static void test_many_keys(void)
{
	struct doing d = {.what = DO_MSET, .nkeys = 64, .due = DUE_NONE};
	static char k[64][8];
	struct buf b = {0};
	for (unsigned i = 0; i < 64; i++) {
		sprintf(k[i], "m%u", i % 40);
		d.key[i] = ARG(k[i]);
		d.value[i] = ARG(i < 24 ? "first" : "final");
	}
	CHECK_INT(doing_run(&d), 0);
	d.what = DO_MGET, d.out = &b;
	CHECK_INT(doing_run(&d), 0);
	CHECK_UINT(d.misses, 0);
	CHECK_UINT(b.len, 64 * 5);
	for (size_t i = 0; i < b.len; i += 5)
		CHECK_MEM(b.data + i, 5, "final", 5);
	d.what = DO_DEL;
	CHECK_INT(doing_run(&d), 0);
	d.what = DO_MGET;
	CHECK_INT(doing_run(&d), 0);
	CHECK_UINT(d.misses, 64);
	buf_deinit(&b);
	CHECK_FSCK();
}

/* The access clock is refreshed by reads, without a change that readers would notice. */
static void test_clocks(void)
{
	struct doing d = {.what = DO_GET, .nkeys = 1, .key = {ARG("clock")}};
	do_set(0, "clock", "v");
	uint64_t before = 0;
	for (uint32_t s = 0; s < STRIPES; s++)
		before += version_read(s);
	int64_t now = fixture_now;
	for (int i = 0; i < 5; i++) {
		fixture_now += 10000;
		CHECK_INT(doing_run(&d), 0);
	}
	fixture_now = now;
	for (uint32_t s = 0; s < STRIPES; s++)
		before -= version_read(s);
	CHECK_UINT(before, 0);
	CHECK_FSCK();
}

/* Cancelled after the n-th key: all that was written is undone, whichever n, and the next command finds the stripes free. */
static struct arg many_keys[40];
static int cancel_at;

static int write_many(struct access *a, void *arg)
{
	const char *value = arg;
	struct view v;
	bool oom = false;
	for (int i = 0; i < 40 && !oom; i++) {
		if (i == cancel_at)
			cancel_flag = 1;
		if (i % 3 == 0)
			key_delete(a, 0, &many_keys[i], &oom);
		else if (!key_set_string(a, 0, &many_keys[i], value, strlen(value), ENC_RAW, DUE_NONE))
			return 1;
		if (cancel_flag)
			CHECK(!key_find(a, 0, &many_keys[i], &v));
	}
	effect(a, 0, 0, NULL);
	return oom;
}

static void test_cancelled(void)
{
	static char text[40][16];
	const struct arg *keys[40];
	for (int i = 0; i < 40; i++) {
		sprintf(text[i], "cancelled:%d", i);
		many_keys[i] = ARG(text[i]);
		keys[i] = &many_keys[i];
	}
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 40, .keys = keys};
	for (int i = 0; i < 40; i += 2)
		do_set(0, text[i], "old value");
	for (cancel_at = 0; cancel_at < 40; cancel_at++) {
		char value[64];
		memset(value, 'v', sizeof value);
		value[cancel_at] = 0;
		CHECK_INT(access_run(&p, write_many, value), ACCESS_CANCELLED);
		cancel_flag = 0;
		for (int i = 0; i < 40; i++)
			CHECK(do_is(0, text[i], i % 2 ? NULL : "old value"));
		CHECK_FSCK();
	}
	CHECK_INT(access_run(&p, write_many, "new"), 0);
	for (int i = 0; i < 40; i++)
		CHECK(do_is(0, text[i], i % 3 ? "new" : NULL));
}

/* Keys that are there, that are not, that fall due, in a database that was never used: nothing changes, nothing is held. */
static void test_expected_keys(void)
{
	char text[STORE_EXPECT_MAX][16];
	struct arg key[STORE_EXPECT_MAX];
	uint64_t versions = 0, now = 0;
	for (uint32_t i = 0; i < STORE_EXPECT_MAX; i++) {
		sprintf(text[i], "expected:%u", i);
		key[i] = ARG(text[i]);
		if (i % 3)
			do_set(0, text[i], "value");
		if (i % 3 == 2)
			do_due(0, text[i], fixture_now - 1);
	}
	key[7] = (struct arg){"", 0};
	for (uint32_t i = 0; i < STRIPES; i++)
		versions += atomic_load(&store_stripe(i)->version);
	uint64_t used = heap_used(), activity = atomic_load(&self->activity);
	for (uint32_t n = 0; n <= STORE_EXPECT_MAX; n++)
		for (uint32_t db = 0; db < 3; db++)
			store_expect(db, key, n);
	/* It has looked: that is a command like others. */
	CHECK_UINT(atomic_load(&self->activity), activity + 2 * 3 * (STORE_EXPECT_MAX - 1));
	/* One key alone: not tried, nor the next times. */
	store_expect(0, (struct arg[]){key[1], key[1]}, 2);
	store_expect(0, key, STORE_EXPECT_MAX);
	CHECK_UINT(atomic_load(&self->activity), activity + 2 * 3 * (STORE_EXPECT_MAX - 1));
	for (uint32_t i = 0; i < STRIPES; i++)
		now += atomic_load(&store_stripe(i)->version);
	CHECK_UINT(now, versions);
	CHECK_UINT(heap_used(), used);
	CHECK_UINT(atomic_load(&self->nheld), 0);
	CHECK(do_is(0, text[1], "value"));
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(2);
	stop = (_Atomic uint64_t *)store_stripe(9)->reserved;
	name_accounts();
	RUN(test_many_keys);
	RUN(test_clocks);
	RUN(test_multi_key_reads);
	RUN(test_reads_beside_deaths);
	RUN(test_long_values);
	RUN(test_cancelled);
	RUN(test_expected_keys);
	return test_done();
}
