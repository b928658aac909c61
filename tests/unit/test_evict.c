/* SPDX-License-Identifier: BSD-2-Clause */
/* LFU clocks by redis-server's figures, who is chosen to go, and moving things together. */
#include "store_fixture.h"

#include "base/stop.h"
#include "store/clock.h"
#include "store/compact.h"
#include "store/evict.h"

#define NOW 1700000000000ll

/* The mean counter of some keys after so many uses. */
static double mean_after(unsigned uses)
{
	double sum = 0;
	for (int k = 0; k < 20; k++) {
		uint32_t clock = lfu_clock(LFU_FIRST, NOW);
		for (unsigned i = 0; i < uses; i++)
			clock = lfu_used(clock, NOW);
		sum += lfu_counter(clock, NOW);
	}
	return sum / 20;
}

static void test_lfu_growth(void)
{
	/* What redis-server's own documentation says it observed. */
	static const struct { int64_t factor; unsigned uses, counter; } table[] = {
		{0, 100, 104}, {0, 1000, 255}, {1, 100, 18}, {1, 1000, 49}, {1, 100000, 255}, {10, 100, 10}, {10, 1000, 18},
		{10, 100000, 142}, {100, 100, 8}, {100, 1000, 11}, {100, 100000, 49},
	};
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
		control->config.lfu_log_factor = table[i].factor;
		double mean = mean_after(table[i].uses), off = mean - table[i].counter;
		CHECKF(off < 9 && off > -9 && (table[i].counter > 50 || (off < 4 && off > -4)), "factor %lld, %u uses: %.1f, not %u", (long long)table[i].factor, table[i].uses, mean,
		       table[i].counter);
	}
	control->config.lfu_log_factor = 10;
}

static void test_lfu_decay(void)
{
	uint32_t clock = lfu_clock(100, NOW);
	CHECK_UINT(lfu_counter(clock, NOW), 100);
	CHECK_UINT(lfu_counter(clock, NOW + 59000 - NOW % 60000), 100);
	CHECK_UINT(lfu_counter(clock, NOW + 60000), 99);
	CHECK_UINT(lfu_counter(clock, NOW + 100 * 60000), 0);
	CHECK_UINT(lfu_counter(clock, NOW + 1000 * 60000), 0);
	control->config.lfu_decay_time = 10;
	CHECK_UINT(lfu_counter(clock, NOW + 9 * 60000), 100);
	CHECK_UINT(lfu_counter(clock, NOW + 25 * 60000), 98);
	control->config.lfu_decay_time = 0;
	CHECK_UINT(lfu_counter(clock, NOW + 60000000), 100);
	control->config.lfu_decay_time = 1;
	/* Around the clock: 65,535 minutes. */
	CHECK_UINT(lfu_counter(0xffff00u | 50, 3 * 60000ll), 47);
}

static uint64_t count_keys(void)
{
	struct db_stats s;
	db_stats(0, &s);
	return s.keys;
}

static void fill(const char *name, unsigned n, int64_t due)
{
	char key[24], value[200];
	memset(value, 'v', sizeof value);
	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof key, "%s%u", name, i);
		do_set_n(0, ARG(key), value, sizeof value, due);
	}
}

static void test_volatile_only(void)
{
	static const int32_t policies[] = {POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU, POLICY_VOLATILE_RANDOM, POLICY_VOLATILE_TTL};
	for (unsigned i = 0; i < 4; i++) {
		control->config.maxmemory = 0;
		do_flush(0);
		db_sweep_retired();
		fill("stays", 500, DUE_NONE);
		uint64_t limit = store_counted();
		fill("goes", 500, clock_wall_ms() + 1000000);
		control->config.maxmemory_policy = policies[i];
		control->config.maxmemory = (int64_t)limit / 2;
		while (evict_headroom())
			;
		CHECK_UINT(count_keys(), 500);
		CHECK(do_get(0, "stays7", NULL));
		CHECK(evict_for_command() == EVICT_NOTHING);
		CHECK_FSCK();
	}
	control->config.maxmemory_policy = POLICY_NOEVICTION;
	control->config.maxmemory = 0;
}

/* Keys of a full stripe and of an empty one live equally long: by chance, each is as likely as any other. */
static void test_fair(void)
{
	do_flush(0);
	db_sweep_retired();
	fill("k", 20000, DUE_NONE);
	control->config.maxmemory_policy = POLICY_ALLKEYS_RANDOM;
	/* Half of them go. */
	control->config.maxmemory = (int64_t)(store_counted() * 6 / 10);
	while (evict_headroom())
		;
	control->config.maxmemory = 0;
	unsigned early = 0, late = 0;
	char key[24];
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(key, sizeof key, "k%u", i);
		bool there = do_get(0, key, NULL);
		early += i < 10000 && there;
		late += i >= 10000 && there;
	}
	CHECKF(early > late * 9 / 10 && late > early * 9 / 10, "%u of the first half are left, %u of the second", early, late);
	CHECK_FSCK();
	control->config.maxmemory_policy = POLICY_NOEVICTION;
}

static void test_compact(void)
{
	char key[24];
	do_flush(0);
	db_sweep_retired();
	fill("c", 20000, DUE_NONE);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(key, sizeof key, "c%u", i);
		if (i % 4)
			do_del(0, key);
	}
	uint64_t could = heap_could_gain(), taken = arena_taken();
	CHECKF(could > 30, "%llu", (unsigned long long)could);
	uint64_t gained = compact(20);
	CHECKF(gained >= 18, "%llu", (unsigned long long)gained);
	CHECK(arena_taken() < taken);
	CHECK_UINT(count_keys(), 5000);
	CHECK(do_get(0, "c0", NULL) && do_get(0, "c19996", NULL) && !do_get(0, "c1", NULL));
	CHECK_FSCK();
	/* What a pin may show stays where it is. */
	become(3);
	struct pin p = pin_take();
	become(FIXTURE_SELF);
	CHECK_UINT(compact(20), 0);
	CHECK_FSCK();
	become(3);
	pin_release(p);
	become(FIXTURE_SELF);
	while (compact(64) > 0)
		;
	CHECK(heap_could_gain() < 8);
	CHECK_UINT(count_keys(), 5000);
	CHECK_FSCK();
}

/* Among large values of all sizes, and small ones, there are neighbours for another large one, as often as there are slabs enough. */
static void test_neighbours(void)
{
	static char value[400000];
	char key[24];
	do_flush(0);
	db_sweep_retired();
	fill("s", 5000, DUE_NONE);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "n%u", i);
		do_set_n(0, ARG(key), value, 40000 + (size_t)dice(sizeof value - 40000), DUE_NONE);
	}
	for (unsigned i = 0; i < 100; i += 2) {
		snprintf(key, sizeof key, "n%u", i);
		do_del(0, key);
	}
	control->config.maxmemory = (int64_t)store_counted();
	CHECK(arena_is_limited());
	for (uint64_t n = 10; n < 60; n += 10) {
		CHECKF(arena_spare() > n && compact_run(n), "%llu of %llu", (unsigned long long)n, (unsigned long long)arena_spare());
		CHECK_UINT(SUPER->arena.window, 0);
		CHECK_FSCK();
	}
	/* It is in order: a value that large finds room without any growth. */
	CHECK(do_set_n(0, ARG("n0"), value, sizeof value, DUE_NONE) == 0);
	CHECK(do_get(0, "n1", NULL) && do_get(0, "n99", NULL) && do_get(0, "s4999", NULL));
	control->config.maxmemory = 0;
	CHECK_FSCK();
}

/* One is killed again and again while it moves things, beside a writer. */
static int compact_body(void *arg)
{
	(void)arg;
	while (!stop_requested()) {
		compact(8);
		compact_run(40);
	}
	return 0;
}
static void test_compactor_dies(void)
{
	char key[24];
	fill("d", 4000, DUE_NONE);
	for (int round = 0; round < 20; round++) {
		uint32_t slot = 5;
		pid_t child = fork_as(slot, compact_body, NULL);
		for (unsigned i = 0; i < 1500; i++) {
			snprintf(key, sizeof key, "d%llu", (unsigned long long)dice(4000));
			if (dice(3))
				do_del(0, key);
			else
				do_set(0, key, "again");
		}
		kill(child, SIGKILL);
		reap_child(child);
		recover_slots(&slot, 1);
		CHECK_FSCK();
	}
	compact_recover();
	CHECK(do_get(0, "c0", NULL));
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(4);
	RUN(test_lfu_growth);
	RUN(test_lfu_decay);
	RUN(test_volatile_only);
	RUN(test_fair);
	RUN(test_neighbours);
	RUN(test_compact);
	RUN(test_compactor_dies);
	return test_done();
}
