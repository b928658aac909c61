/* SPDX-License-Identifier: BSD-2-Clause */
/* A pause: what runs is cancelled or has committed, what begins later finds the word; with real processes that write all the time. */
#include "store_fixture.h"

#include <sched.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "shm/pause.h"

#define WRITERS 4
#define ROUNDS 300

static struct shared {
	_Atomic uint32_t ready, go, stop, ran;
} *shared;

static void set_pause(enum pause_mode mode)
{
	atomic_store(&control->pause, mode == PAUSE_NONE ? 0 : pause_word(mode, clock_mono_ms() + 600000));
}

static void test_word(void)
{
	int64_t left, now = clock_mono_ms();
	CHECK_INT(pause_mode(), PAUSE_NONE);
	CHECK_INT(pause_mode_of(pause_word(PAUSE_ALL, now + 60000), &left), PAUSE_ALL);
	CHECK(left > 50000 && left <= 60000);
	CHECK_INT(pause_mode_of(pause_word(PAUSE_WRITE, PAUSE_UNTIL_MAX), &left), PAUSE_WRITE);
	CHECK(left > INT64_MAX / 8);
	CHECK_INT(pause_mode_of(pause_word(PAUSE_ALL, now), &left), PAUSE_NONE);
	CHECK_INT(pause_mode_of(pause_word(PAUSE_ALL, 0), NULL), PAUSE_NONE);
	set_pause(PAUSE_WRITE);
	CHECK_INT(pause_mode(), PAUSE_WRITE);
	set_pause(PAUSE_NONE);
	CHECK_INT(pause_mode(), PAUSE_NONE);
}

static void await(_Atomic uint32_t *word)
{
	while (!atomic_load(word))
		sched_yield();
}

/* Writes, and stands still before it commits. */
static int slow_body(struct access *a, void *arg)
{
	const struct arg *key = arg;
	effect(a, 0, 0, NULL);
	if (!key_set_string(a, 0, key, "new", 3, ENC_AUTO, DUE_NONE))
		return 1;
	atomic_fetch_add(&shared->ran, 1);
	atomic_store(&shared->ready, 1);
	await(&shared->go);
	return 0;
}

static int slow_write(void *pausable)
{
	struct arg key = ARG("k");
	const struct arg *keys[] = {&key};
	struct plan p = {.kind = PLAN_WRITE, .pausable = pausable != NULL, .now = fixture_now, .nkeys = 1, .keys = keys};
	return access_run(&p, slow_body, &key) == ACCESS_PAUSED ? 3 : 0;
}

/* What becomes of a write that a pause finds in the middle: the status of its process. */
static int meet_in_the_middle(bool pausable)
{
	do_set(0, "k", "old");
	atomic_store(&shared->ready, 0), atomic_store(&shared->go, 0), atomic_store(&shared->ran, 0);
	pid_t p = fork_as(3, slow_write, pausable ? &shared : NULL);
	await(&shared->ready);
	set_pause(PAUSE_WRITE);
	store_pause_takes_effect();
	CHECK_INT(atomic_load(&store_slot(3)->state), TXN_CANCELLED);
	atomic_store(&shared->go, 1);
	return reap_child(p);
}

static void test_in_the_middle(void)
{
	CHECK_INT(meet_in_the_middle(true), 3);
	CHECK_INT(atomic_load(&shared->ran), 1);
	CHECK(do_is(0, "k", "old"));
	set_pause(PAUSE_NONE);
	/* One that no pause concerns is only run again. */
	CHECK_INT(meet_in_the_middle(false), 0);
	CHECK_INT(atomic_load(&shared->ran), 2);
	CHECK(do_is(0, "k", "new"));
	set_pause(PAUSE_NONE);
	CHECK_FSCK();
}

/* Cancelled, and dead before it could roll back. */
static void test_death(void)
{
	do_set(0, "k", "old");
	atomic_store(&shared->ready, 0), atomic_store(&shared->go, 0);
	pid_t p = fork_as(3, slow_write, &shared);
	await(&shared->ready);
	set_pause(PAUSE_ALL);
	store_pause_takes_effect();
	kill(p, SIGKILL);
	CHECK_INT(reap_child(p), 1000 + SIGKILL);
	uint32_t dead = 3;
	recover_slots(&dead, 1);
	CHECK(do_is(0, "k", "old"));
	set_pause(PAUSE_NONE);
	CHECK_FSCK();
}

static int append_body(struct access *a, void *arg)
{
	struct arg *key = arg;
	struct view v;
	effect(a, 0, 0, NULL);
	bool found = key_find(a, 0, key, &v);
	char value[8] = {0};
	uint64_t n = 0;
	if (found && v.len == sizeof n)
		memcpy(&n, v.value, sizeof n);
	n++;
	memcpy(value, &n, sizeof n);
	return !key_set_string(a, 0, key, value, sizeof value, ENC_RAW, DUE_NONE);
}

static const char *const counters[WRITERS] = {"n0", "n1", "n2", "n3"};

/* Counts in its key; 0 when what it has counted is there. */
static int count_writes(void *arg)
{
	struct arg key = ARG(counters[(uintptr_t)arg]);
	const struct arg *keys[] = {&key};
	struct plan p = {.kind = PLAN_WRITE, .pausable = true, .now = fixture_now, .nkeys = 1, .keys = keys};
	uint64_t done = 0, there = 0;
	while (!atomic_load(&shared->stop)) {
		int r = access_run(&p, append_body, &key);
		if (r == ACCESS_PAUSED)
			sched_yield();
		else if (r != 0)
			return 1;
		else
			done++;
	}
	struct buf out = {0};
	struct doing d = {.what = DO_GET, .nkeys = 1, .key = {key}, .out = &out};
	if (doing_run(&d) == 0 && out.len == sizeof there)
		memcpy(&there, out.data, sizeof there);
	return there == done ? 0 : 2;
}

static void read_all(uint64_t out[WRITERS])
{
	struct buf b = {0};
	struct doing d = {.what = DO_MGET, .nkeys = WRITERS, .out = &b};
	for (unsigned i = 0; i < WRITERS; i++)
		d.key[i] = ARG(counters[i]);
	memset(out, 0, WRITERS * sizeof *out);
	if (CHECK(doing_run(&d) == 0 && b.len == WRITERS * sizeof *out))
		memcpy(out, b.data, b.len);
	buf_deinit(&b);
}

static void test_nothing_commits(void)
{
	pid_t p[WRITERS];
	uint64_t first[WRITERS], again[WRITERS];
	uint64_t zero = 0;
	for (unsigned i = 0; i < WRITERS; i++)
		do_set_n(0, ARG(counters[i]), (char *)&zero, sizeof zero, DUE_NONE);
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(4 + i, count_writes, (void *)(uintptr_t)i);
	bool still = true;
	int64_t until = clock_mono_ms() + 5000;
	for (unsigned round = 0; round < ROUNDS && still && clock_mono_ms() < until; round++) {
		set_pause(PAUSE_WRITE);
		store_pause_takes_effect();
		read_all(first);
		for (int i = 0; i < 5 && still; i++) {
			sched_yield();
			read_all(again);
			still = CHECK(memcmp(first, again, sizeof first) == 0);
		}
		set_pause(PAUSE_NONE);
		for (int i = 0; i < 20; i++)
			sched_yield();
	}
	atomic_store(&shared->stop, 1);
	for (unsigned i = 0; i < WRITERS; i++)
		CHECK_INT(reap_child(p[i]), 0);
	read_all(again);
	CHECK(again[0] > 0);
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(1);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	RUN(test_word);
	RUN(test_in_the_middle);
	RUN(test_death);
	RUN(test_nothing_commits);
	return test_done();
}
