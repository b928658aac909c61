/* SPDX-License-Identifier: BSD-2-Clause */
/* Values changed in place, and keys moved: against a plain model with pins about, beside readers, with writers killed in the middle, without memory. */
#include "store_fixture.h"

#include "base/stop.h"
#include "store/internal.h"

#define PINNER 5u
#define LONGEST 200000u

/* ---- one patch: the value given a length, and some of its bytes written ---- */

struct patching {
	struct arg key;
	uint64_t len;    /* at least what it has */
	unsigned nparts;
	struct { uint64_t at, n; } part[6];
	char fill;
	bool regrets; /* changes its mind in the end */
};

static int patch_body(struct access *a, void *arg)
{
	static char bytes[2 << 20];
	struct patching *d = arg;
	struct patch p;
	struct view v;
	uint64_t n = 0;
	bool found = key_find(a, 0, &d->key, &v);
	uint64_t len = found && v.len > d->len ? v.len : d->len;
	for (unsigned i = 0; i < d->nparts; i++)
		n += d->part[i].n;
	effect(a, 0, 0, NULL);
	if (!key_patch(a, 0, &d->key, found ? &v : NULL, len, n, &p))
		return 1;
	memset(bytes, d->fill, sizeof bytes);
	for (unsigned i = 0; i < d->nparts; i++)
		if (!patch_write(&p, d->part[i].at, bytes, d->part[i].n))
			return 1;
	return d->regrets;
}

static int patch_run(struct patching *d)
{
	const struct arg *keys[1] = {&d->key};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	return access_run(&p, patch_body, d);
}

struct making {
	struct arg key;
	uint64_t len;
	char fill;
};

static int make_body(struct access *a, void *arg)
{
	struct making *d = arg;
	ref block;
	char *to = key_make(a, &d->key, d->len, &block);
	effect(a, 0, 0, NULL);
	if (!to)
		return 1;
	memset(to, d->fill, d->len);
	return !key_made(a, 0, &d->key, block);
}

static int make_run(struct arg key, uint64_t len, char fill)
{
	const struct arg *keys[1] = {&key};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	struct making d = {key, len, fill};
	return access_run(&p, make_body, &d);
}

/* ---- against a model ---- */

#define NAMES 4u

struct value {
	bool there;
	int64_t due;
	struct buf bytes;
};

static struct value model[NAMES], at_pin[NAMES];
static char long_name[70000];
static struct arg names[NAMES];
static struct pin pin;
static bool pinned;

static void copy_value(struct value *to, const struct value *from)
{
	buf_clear(&to->bytes);
	buf_append(&to->bytes, from->bytes.data, from->bytes.len);
	to->there = from->there;
	to->due = from->due;
}

static void model_resize(struct value *m, uint64_t len)
{
	m->due = m->there ? m->due : DUE_NONE;
	m->there = true;
	if (len <= m->bytes.len)
		return;
	memset(buf_reserve(&m->bytes, len - m->bytes.len), 0, len - m->bytes.len);
	m->bytes.len = len;
}

/* Whether the key is as the value says, in an access of any mode. */
static bool is_as(struct access *a, unsigned k, const struct value *m)
{
	struct view v;
	if (key_find(a, 0, &names[k], &v) != m->there)
		return false;
	return !m->there || (v.due == m->due && v.len == m->bytes.len && (v.len == 0 || !memcmp(v.value, m->bytes.data, v.len)));
}

static int is_body(struct access *a, void *arg)
{
	return !is_as(a, *(unsigned *)arg, &model[*(unsigned *)arg]);
}

static void check_model(unsigned k)
{
	const struct arg *keys[1] = {&names[k]};
	struct plan p = {.kind = PLAN_READ, .now = fixture_now, .nkeys = 1, .keys = keys};
	CHECKF(access_run(&p, is_body, &k) == 0, "key %u is not as the model", k);
}

static void check_pinned(void)
{
	struct plan p = {.now = fixture_now};
	struct access a = {.plan = &p, .now = fixture_now, .mode = ACCESS_PINNED, .pin = pin};
	for (unsigned k = 0; k < NAMES && pinned; k++)
		CHECKF(is_as(&a, k, &at_pin[k]), "key %u under the pin is not as it was", k);
}

static void toggle_pin(void)
{
	check_pinned();
	become(PINNER);
	if (pinned)
		pin_release(pin);
	else
		pin = pin_take();
	become(FIXTURE_SELF);
	pinned = !pinned;
	for (unsigned k = 0; k < NAMES && pinned; k++)
		copy_value(&at_pin[k], &model[k]);
}

static uint64_t some_length(void)
{
	return dice(10) ? dice(4) ? dice(300) : dice(5000) : dice(LONGEST);
}

static void patch_at_random(unsigned k)
{
	struct value *m = &model[k];
	struct patching d = {.key = names[k], .len = dice(3) ? 1 : 1 + some_length(), .nparts = (unsigned)dice(6),
			     .fill = (char)('a' + dice(26)), .regrets = dice(6) == 0};
	uint64_t len = m->there && m->bytes.len > d.len ? m->bytes.len : d.len;
	for (unsigned i = 0; i < d.nparts; i++) {
		d.part[i].at = dice(len);
		d.part[i].n = dice(len - d.part[i].at < 50 ? len - d.part[i].at + 1 : dice(8) ? 50 : len - d.part[i].at);
	}
	CHECK_INT(patch_run(&d), d.regrets);
	if (d.regrets)
		return;
	model_resize(m, len);
	for (unsigned i = 0; i < d.nparts; i++)
		memset(m->bytes.data + d.part[i].at, d.fill, d.part[i].n);
}

static void set_at_random(unsigned k)
{
	static char bytes[LONGEST];
	struct value *m = &model[k];
	uint64_t n = some_length();
	memset(bytes, 'A' + (int)dice(26), n);
	buf_clear(&m->bytes);
	buf_append(&m->bytes, bytes, n);
	m->there = true;
	m->due = DUE_NONE;
	if (dice(3) == 0) {
		CHECK_INT(make_run(names[k], n, bytes[0]), 0);
		return;
	}
	m->due = dice(2) ? DUE_NONE : fixture_now + 1000000;
	CHECK_INT(do_set_n(0, names[k], bytes, n, m->due), 0);
}

static void append_at_random(unsigned k)
{
	struct doing d = {.what = DO_APPEND, .nkeys = 1, .key = {names[k]}, .value = {ARG("appended")}, .due = DUE_NONE};
	CHECK_INT(doing_run(&d), 0);
	model_resize(&model[k], 0);
	buf_append(&model[k].bytes, "appended", 8);
}

static void delete_at_random(unsigned k)
{
	struct doing d = {.what = DO_DEL, .nkeys = 1, .key = {names[k]}};
	CHECK_INT(doing_run(&d), 0);
	CHECK_INT(d.found, model[k].there);
	model[k].there = false;
	buf_clear(&model[k].bytes);
}

static void test_model(void)
{
	memset(long_name, 'n', sizeof long_name);
	names[0] = ARG("a");
	names[1] = ARG("another");
	names[2] = (struct arg){"", 0};
	names[3] = (struct arg){long_name, sizeof long_name};
	for (unsigned n = 0; n < 6000 && test_state.checks_failed == 0; n++) {
		unsigned k = (unsigned)dice(NAMES);
		switch (dice(12)) {
		case 0:
			set_at_random(k);
			break;
		case 1:
			append_at_random(k);
			break;
		case 2:
			if (dice(4) == 0)
				delete_at_random(k);
			break;
		case 3:
			if (dice(4) == 0)
				toggle_pin();
			break;
		default:
			patch_at_random(k);
		}
		check_model(k);
		if (n % 20 == 0)
			check_pinned();
		if (n % 200 == 0)
			CHECK_FSCK();
	}
	if (pinned)
		toggle_pin();
	expirer_sweep();
	CHECK_FSCK();
}

/* A bit of a large value costs no second block, and hardly a journal. */
static void test_large(void)
{
	struct patching d = {.key = ARG("large"), .len = 50u << 20, .nparts = 0};
	CHECK_INT(patch_run(&d), 0);
	d = (struct patching){.key = ARG("large"), .nparts = 2, .part = {{0, 1}, {0, 1}}, .fill = 'x'};
	uint64_t used = heap_used();
	int64_t began = clock_mono_ms();
	for (unsigned i = 0; i < 20000; i++) {
		d.part[0].at = dice(50u << 20);
		d.part[1].at = (50u << 20) - 1;
		CHECK_INT(patch_run(&d), 0);
	}
	/* A copy each would take minutes. */
	CHECK(clock_mono_ms() - began < 20000);
	CHECK_UINT(heap_used(), used);
	CHECK_INT(do_del(0, "large"), 1);
	CHECK_FSCK();
}

/* ---- beside readers ---- */

#define WRITERS 3u

static _Atomic uint64_t *stop;
static const uint64_t lengths[] = {60, 5000, 300000, 1500000};
static struct arg target = {"target", 6};

/* Every byte of the value is the same letter, whenever somebody looks: overwritten in two pieces, where it is or elsewhere. */
static int repaint_body(struct access *a, void *arg)
{
	static char bytes[1500000];
	uint64_t len = *(uint64_t *)arg, cut;
	struct patch p;
	struct view v;
	bool found = key_find(a, 0, &target, &v);
	effect(a, 0, 0, NULL);
	len = found && v.len > len ? v.len : len;
	cut = dice(len);
	memset(bytes, 'a' + (int)dice(26), len);
	if (found && dice(10) == 0)
		return !key_set_string(a, 0, &target, bytes, 1 + dice(len), ENC_RAW, DUE_NONE);
	if (!key_patch(a, 0, &target, found ? &v : NULL, len, len, &p) || !patch_write(&p, 0, bytes, cut) ||
	    !patch_write(&p, cut, bytes, len - cut))
		return 1;
	return dice(8) == 0; /* changes its mind */
}

static int repaint(void *arg)
{
	const struct arg *keys[1] = {&target};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	dice_state ^= (uintptr_t)arg * 1299709;
	while (!atomic_load(stop)) {
		uint64_t len = lengths[dice(dice(4) ? 2 : 4)];
		if (access_run(&p, repaint_body, &len) > 1)
			return 1;
	}
	return 0;
}

static int whole_body(struct access *a, void *arg)
{
	struct buf *b = arg;
	struct view v;
	buf_clear(b);
	if (!key_find(a, 0, &target, &v))
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

static bool is_whole(enum plan_kind kind)
{
	static struct buf b;
	const struct arg *keys[1] = {&target};
	struct plan p = {.kind = kind, .now = fixture_now, .nkeys = 1, .keys = keys};
	CHECK_INT(access_run(&p, whole_body, &b), 0);
	for (size_t i = 1; i < b.len; i++)
		if (b.data[i] != b.data[0])
			return CHECKF(false, "a value of %zu bytes, torn at %zu", b.len, i);
	return true;
}

static void test_beside_readers(void)
{
	pid_t p[WRITERS];
	atomic_store(stop, 0);
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(1 + i, repaint, (void *)(uintptr_t)(i + 1));
	int64_t until = clock_mono_ms() + 1500;
	for (unsigned n = 0; clock_mono_ms() < until && is_whole(n % 5 ? PLAN_READ : PLAN_READ_LONG); n++)
		;
	atomic_store(stop, 1);
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK_FSCK();
}

/* A writer that dies has written all or nothing, at the latest when its slot is recovered; until then nobody reads what it left. */
static void test_beside_deaths(void)
{
	pid_t p[WRITERS];
	uint32_t slots[WRITERS] = {1, 2, 3};
	atomic_store(stop, 0);
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(slots[i], repaint, (void *)(uintptr_t)(i + 1));
	int64_t until = clock_mono_ms() + 2500;
	for (unsigned n = 0; clock_mono_ms() < until; n++) {
		unsigned i = (unsigned)dice(WRITERS);
		usleep((unsigned)dice(3000));
		kill(p[i], SIGKILL), reap_child(p[i]);
		recover_slots(&slots[i], 1);
		if (!is_whole(n % 2 ? PLAN_READ : PLAN_READ_LONG))
			break;
		p[i] = fork_as(slots[i], repaint, (void *)(uintptr_t)(n + 10));
	}
	atomic_store(stop, 1);
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK(is_whole(PLAN_READ));
	CHECK_FSCK();
	CHECK_INT(do_del(0, "target"), 1);
}

/* ---- a key moved between databases is in exactly one of them ---- */

static int move_body(struct access *a, void *arg)
{
	struct view v;
	uint32_t from = key_find(a, 0, &target, &v) ? 0 : 1;
	(void)arg;
	effect(a, 0, 0, NULL);
	if (!key_move(a, from, &target, !from))
		return 1;
	/* Now and then by a block of its own, so that some are younger than the pins and some are not. */
	if (dice(6) == 0 && !key_set_string(a, !from, &target, "moved on", 4 + dice(5), ENC_RAW, dice(2) ? DUE_NONE : fixture_now + 5000))
		return 1;
	return dice(8) == 0; /* changes its mind */
}

static int mover(void *arg)
{
	const struct arg *keys[1] = {&target};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	dice_state ^= (uintptr_t)arg * 1299709;
	while (!atomic_load(stop))
		if (access_run(&p, move_body, NULL) > 1)
			return 1;
	return 0;
}

static int places_body(struct access *a, void *arg)
{
	struct view v;
	int *n = arg;
	*n = key_find(a, 0, &target, &v) + key_find(a, 1, &target, &v);
	return 0;
}

static bool is_in_one_place(enum plan_kind kind)
{
	const struct arg *keys[1] = {&target};
	struct plan p = {.kind = kind, .now = fixture_now, .nkeys = 1, .keys = keys};
	int n = 0;
	CHECK_INT(access_run(&p, places_body, &n), 0);
	return CHECKF(n == 1, "a key is in %d databases", n);
}

static void test_move(void)
{
	pid_t p[WRITERS];
	uint32_t slots[WRITERS] = {1, 2, 3};
	atomic_store(stop, 0);
	do_set(0, "target", "here");
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(slots[i], mover, (void *)(uintptr_t)(i + 1));
	int64_t until = clock_mono_ms() + 1500;
	for (unsigned n = 0; clock_mono_ms() < until; n++) {
		if (!is_in_one_place(n % 2 ? PLAN_READ : PLAN_READ_LONG))
			break;
		if (dice(30))
			continue;
		unsigned i = (unsigned)dice(WRITERS);
		kill(p[i], SIGKILL), reap_child(p[i]);
		recover_slots(&slots[i], 1);
		p[i] = fork_as(slots[i], mover, (void *)(uintptr_t)(n + 10));
	}
	atomic_store(stop, 1);
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK(is_in_one_place(PLAN_READ));
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
	expirer_sweep();
	CHECK_FSCK();
}

/* ---- without memory, and cancelled ---- */

#ifdef BULKHEAD_DEBUG
/* However little there is: done, or as before. */
static void test_no_memory(void)
{
	static char old[3000];
	unsigned refused = 0, done = 0;
	memset(old, 'o', sizeof old);
	for (long grants = 0; grants < 4; grants++) {
		for (unsigned i = 0; i < 40; i++) {
			uint64_t len = (uint64_t)1 << (10 + i % 16);
			struct patching d = {.key = target, .len = len, .nparts = 1, .part = {{0, 10}}, .fill = 'n'};
			struct buf b = {0};
			CHECK_INT(do_set_n(0, target, old, sizeof old, DUE_NONE), 0);
			memory_fails_after(grants);
			int r = i % 2 ? patch_run(&d) : make_run(target, len, 'n');
			memory_fails_after(-1);
			refused += r != 0, done += r == 0;
			CHECK(do_get(0, "target", &b));
			if (r)
				CHECK_MEM(b.data, b.len, old, sizeof old);
			else
				CHECK_UINT(b.len, i % 2 && len < sizeof old ? sizeof old : len);
			buf_deinit(&b);
			CHECK_INT(do_del(0, "target"), 1);
		}
		CHECK_FSCK();
	}
	CHECK(done > 0);
	CHECK(refused > 0);
}
#endif

/* A cancelled one is undone. */
static int cancelled_body(struct access *a, void *arg)
{
	struct patch p;
	struct view v;
	(void)arg;
	effect(a, 0, 0, NULL);
	CHECK(key_find(a, 0, &target, &v));
	CHECK(key_patch(a, 0, &target, &v, v.len, 3, &p));
	CHECK(patch_write(&p, 0, "NEW", 3));
	cancel_flag = 1;
	ref block;
	CHECK(!key_make(a, &target, 100, &block));
	CHECK(!key_patch(a, 0, &target, &v, v.len, 3, &p));
	return 0;
}

static void test_cancelled(void)
{
	const struct arg *keys[1] = {&target};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	do_set(0, "target", "old value");
	CHECK_INT(access_run(&p, cancelled_body, NULL), ACCESS_CANCELLED);
	cancel_flag = 0;
	CHECK(do_is(0, "target", "old value"));
	CHECK_FSCK();
	CHECK_INT(do_del(0, "target"), 1);
}

int main(void)
{
	fixture_open(2);
	stop = (_Atomic uint64_t *)store_stripe(9)->reserved;
#ifdef BULKHEAD_DEBUG
	RUN(test_no_memory); /* first: later there is memory that needs no asking for */
#endif
	RUN(test_model);
	RUN(test_large);
	RUN(test_cancelled);
	RUN(test_beside_readers);
	RUN(test_beside_deaths);
	RUN(test_move);
	return test_done();
}
