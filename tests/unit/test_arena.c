/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena: taking and giving slabs against a model, growth, the reserve, no memory, holes. */
#include "store_fixture.h"

#define MODEL_SLABS 4096

static uint8_t model[MODEL_SLABS];

static uint64_t take(uint64_t n, bool urgent)
{
	uint64_t i = arena_take(n, urgent);
	if (i == SLAB_NONE)
		leaf_cancel();
	else
		leaf_end();
	return i;
}

static void give(uint64_t i, uint64_t n)
{
	arena_give(i, n);
	leaf_end();
}

static bool agrees(void)
{
	uint64_t free = 0, first_free = SUPER->arena.nextents * SLABS_PER_EXTENT;
	for (uint64_t i = 0; i < SUPER->arena.nextents * SLABS_PER_EXTENT; i++) {
		if (arena_is_taken(i) != model[i])
			return CHECKF(false, "slab %llu", (unsigned long long)i);
		free += !model[i];
		if (!model[i] && i < first_free)
			first_free = i;
	}
	CHECK_UINT(SUPER->arena.free_slabs, free);
	return CHECK(SUPER->arena.hint <= first_free);
}

static void test_against_model(void)
{
	struct { uint64_t i, n; } have[256];
	unsigned nhave = 0;
	for (unsigned round = 0; round < 4000; round++) {
		if (nhave < 256 && (nhave == 0 || dice(2))) {
			uint64_t n = dice(8) ? 1 : 1 + dice(dice(10) ? 20 : 90), i = take(n, false);
			REQUIRE(i != SLAB_NONE && i + n < MODEL_SLABS);
			for (uint64_t k = i; k < i + n; k++) {
				REQUIRE(!model[k]);
				model[k] = 1;
			}
			have[nhave].i = i, have[nhave++].n = n;
		} else {
			unsigned h = (unsigned)dice(nhave);
			give(have[h].i, have[h].n);
			memset(model + have[h].i, 0, have[h].n);
			have[h] = have[--nhave];
		}
		if (round % 16 == 0 && !agrees())
			return;
	}
	while (nhave--)
		give(have[nhave].i, have[nhave].n), memset(model + have[nhave].i, 0, have[nhave].n);
	agrees();
	CHECK_UINT(SUPER->arena.free_slabs, SUPER->arena.nextents * SLABS_PER_EXTENT);
	CHECK_UINT(SUPER->arena.hint, 0);
}

/* What is taken reads and writes from its first to its last byte. */
static void test_memory_is_there(void)
{
	uint64_t i = take(130, false);
	REQUIRE(i != SLAB_NONE);
	memset(STORE_BASE + slab_off(i), 0x5a, 130 * SLAB_BYTES);
	give(i, 130);
}

static void test_cancelled(void)
{
	uint64_t free = SUPER->arena.free_slabs, hint = SUPER->arena.hint;
	for (unsigned n = 1; n <= 40; n += 13) {
		REQUIRE(arena_take(n, false) != SLAB_NONE);
		leaf_cancel();
		CHECK_UINT(SUPER->arena.free_slabs, free);
		CHECK_UINT(SUPER->arena.hint, hint);
		uint64_t i = take(n, false);
		arena_give(i, n);
		leaf_cancel();
		for (uint64_t k = i; k < i + n; k++)
			CHECK(arena_is_taken(k));
		give(i, n);
	}
	agrees();
}

/* Two hundred extents given back to the kernel, then taken again; never less than four stay. */
static void test_holes(void)
{
	uint64_t i = take(50 * SLABS_PER_EXTENT, false), before = arena_committed();
	REQUIRE(i != SLAB_NONE);
	memset(STORE_BASE + slab_off(i), 1, 50ull * EXTENT_BYTES);
	give(i, 50 * SLABS_PER_EXTENT);
	for (int k = 0; k < 10; k++)
		arena_keep_house();
	CHECK_UINT(SUPER->arena.punching, 0);
	CHECK(SUPER->arena.holes >= 40);
	CHECK_UINT(SUPER->arena.free_slabs / SLABS_PER_EXTENT, 2 + 4);
	CHECK(arena_committed() <= before - 40ull * EXTENT_BYTES);
	/* No reference into a hole is followed. */
	for (uint64_t e = 0, seen = 0; e < SUPER->arena.nextents; e++) {
		ref r = {SUPER->fixed + e * EXTENT_BYTES};
		bool hole = !arena_is_backed(e * SLABS_PER_EXTENT);
		seen += hole;
		CHECK((peek(r, 8) == NULL) == hole);
		CHECK(e + 1 < SUPER->arena.nextents || seen == SUPER->arena.holes);
		if (e > 0 && hole)
			CHECK(peek((ref){r.off - 8}, 16) == NULL);
	}
	uint64_t holes = SUPER->arena.holes;
	uint64_t *taken = malloc(600 * sizeof *taken);
	for (unsigned k = 0; k < 600; k++) {
		taken[k] = take(1, false);
		REQUIRE(taken[k] != SLAB_NONE);
		memset(STORE_BASE + slab_off(taken[k]), 2, SLAB_BYTES);
	}
	CHECK(SUPER->arena.holes < holes);
	for (unsigned k = 0; k < 600; k++)
		give(taken[k], 1);
	free(taken);
}

static void give_back_all(void)
{
	for (uint64_t holes = SUPER->arena.nextents, k = 0; k < 100 && holes != SUPER->arena.holes; k++) {
		holes = SUPER->arena.holes;
		arena_keep_house();
	}
	CHECK_UINT(SUPER->arena.punching, 0);
}

/* Large runs go where such were before, beside what came in between: a store that never holds more does not use up its address space. */
static void test_large_runs_reuse_holes(void)
{
	uint64_t small[30], end = 0;
	give_back_all();
	for (unsigned k = 0; k < 30; k++) {
		uint64_t n = 40 * SLABS_PER_EXTENT - dice(100), i = take(n, false);
		REQUIRE(i != SLAB_NONE);
		for (uint64_t s = i; s < i + n; s++)
			CHECK(arena_is_taken(s) && arena_is_backed(s));
		memset(STORE_BASE + slab_off(i), 3, n * SLAB_BYTES);
		small[k] = take(1, false);
		REQUIRE(small[k] != SLAB_NONE);
		give(i, n);
		give_back_all();
		end = k == 0 ? SUPER->arena.nextents : end;
	}
	CHECK(SUPER->arena.holes > 0);
	CHECK(SUPER->arena.nextents < end + 60);
	for (unsigned k = 0; k < 30; k++)
		give(small[k], 1);
}

/* A slot in a command keeps extents from being given back. */
static int reader(void *arg)
{
	activity_enter();
	*(volatile int *)arg = 1;
	for (;;)
		pause();
	return 0;
}

static void test_readers_are_waited_for(void)
{
	volatile uint64_t *ready = (volatile uint64_t *)&store_stripe(5)->reserved[0]; /* a word both see */
	*ready = 0;
	pid_t p = fork_as(3, reader, (void *)(uintptr_t)ready);
	while (!*ready)
		usleep(100);
	uint64_t i = take(20 * SLABS_PER_EXTENT, false);
	give(i, 20 * SLABS_PER_EXTENT);
	arena_keep_house();
	uint64_t p1 = SUPER->arena.punching;
	CHECK(p1 != 0);
	arena_keep_house();
	CHECK_UINT(SUPER->arena.punching, p1);
	kill(p, SIGKILL);
	reap_child(p);
	uint32_t three = 3;
	recover_slots(&three, 1);
	for (int k = 0; k < 5; k++)
		arena_keep_house();
	CHECK_UINT(SUPER->arena.punching, 0);
	*ready = 0;
}

#ifdef BULKHEAD_DEBUG
/* Growth fails at every one of its steps: nothing is lost, and the reserve is for the urgent alone. */
static void test_no_memory(void)
{
	uint64_t *taken = malloc(100000 * sizeof *taken);
	unsigned n = 0;
	for (long after = 0; after < 6; after++) {
		memory_fails_after(after);
		while (n < 100000 && (taken[n] = take(1 + dice(3) * 20, false)) != SLAB_NONE)
			n++;
		CHECK(SUPER->arena.free_slabs >= RESERVE_SLABS);
		CHECK(SUPER->arena.free_slabs < RESERVE_SLABS + 64);
		uint64_t i = take(1, true);
		CHECK(i != SLAB_NONE);
		give(i, 1);
		CHECK(take(100000, true) == SLAB_NONE);
	}
	while (n < 100000 && (taken[n] = take(1, true)) != SLAB_NONE)
		n++;
	CHECK_UINT(SUPER->arena.free_slabs, 0);
	memory_fails_after(-1);
	CHECK(take(1, true) != SLAB_NONE);
	free(taken);
}
#endif

int main(void)
{
	fixture_open(2);
	RUN(test_against_model);
	RUN(test_memory_is_there);
	RUN(test_cancelled);
	RUN(test_holes);
	RUN(test_large_runs_reuse_holes);
	RUN(test_readers_are_waited_for);
#ifdef BULKHEAD_DEBUG
	RUN(test_no_memory);
#endif
	return test_done();
}
