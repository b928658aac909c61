/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: what was touched comes back, whatever its size and order; blocks named in it are freed once. */
#include "store_fixture.h"

#include "shm/check.h"

#define STRIPE 3u
#define AREA (1u << 20)

static char *area, *before;
static ref area_ref;

static const uint16_t one_stripe[] = {STRIPE};

static bool in_order(void)
{
	struct check c;
	char why[200];
	bool ok = check_begin(&c, why, sizeof why) && check_reach(&c, at(area_ref), area_ref, AREA, BLOCK_META,
								  "the area") && check_leaks(&c);
	check_end(&c);
	return CHECKF(ok, "%s", why);
}

static void scribble(unsigned n, unsigned longest)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t len = 1 + dice(longest), off = dice(AREA - len);
		REQUIRE(txn_touch(STRIPE, area + off, len));
		for (uint64_t k = 0; k < len; k++)
			area[off + k] = (char)dice(0);
		if (dice(3) == 0) {
			ref r = txn_alloc(1 + dice(3000), BLOCK_DATA);
			REQUIRE(!ref_is_none(r));
			REQUIRE(txn_free(r, BLOCK_DATA)); /* both made and freed: gone either way */
		}
	}
}

static void test_rollback(void)
{
	static const struct { unsigned n, longest; } how[] = {{1, 8}, {10, 100}, {60, 50}, {300, 200}, {30, 4000}, {40, 60000}, {3, 900000}};
	for (unsigned i = 0; i < sizeof how / sizeof how[0]; i++) {
		memcpy(before, area, AREA);
		uint64_t v = version_read(STRIPE);
		txn_begin(one_stripe, 1);
		scribble(how[i].n, how[i].longest);
		CHECK_UINT(version_read(STRIPE), v + 1);
		txn_rollback();
		CHECK(memcmp(before, area, AREA) == 0);
		CHECK_UINT(version_read(STRIPE), v + 2);
		in_order();
	}
}

static void test_commit(void)
{
	for (unsigned i = 0; i < 40; i++) {
		txn_begin(one_stripe, 1);
		scribble(1 + (unsigned)dice(200), 300);
		memcpy(before, area, AREA);
		CHECK(txn_commit());
		CHECK(memcmp(before, area, AREA) == 0);
		in_order();
	}
}

/* The same bytes touched again and again: the oldest content comes back. */
static void test_overlap(void)
{
	memcpy(before, area, AREA);
	txn_begin(one_stripe, 1);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t off = dice(64), len = 1 + dice(64);
		REQUIRE(txn_touch(STRIPE, area + off, len));
		memset(area + off, (int)i, len);
	}
	txn_rollback();
	CHECK(memcmp(before, area, AREA) == 0);
	in_order();
}

static void test_cancelled(void)
{
	memcpy(before, area, AREA);
	txn_begin(one_stripe, 1);
	scribble(100, 1000);
	uint64_t running = TXN_RUNNING;
	CHECK(atomic_compare_exchange_strong(&self->state, &running, TXN_CANCELLED));
	CHECK(!txn_commit());
	CHECK(memcmp(before, area, AREA) == 0);
	in_order();
}

/* Dead in the middle, at random moments, with journals of several segments: the medic brings the old content back, or all of the new. */
static int scribble_child(void *arg)
{
	dice_state = (uintptr_t)arg;
	for (;;) {
		txn_begin(one_stripe, 1);
		for (unsigned i = 0; i < 60; i++) {
			/* Every word of the area says the same number when nobody is at it. */
			uint64_t *w = (uint64_t *)(area + i * 4096);
			if (!txn_touch(STRIPE, w, 2048))
				return 1;
			for (unsigned k = 0; k < 256; k++)
				w[k]++;
		}
		ref r = txn_alloc(100, BLOCK_DATA);
		if (ref_is_none(r) || !txn_free(r, BLOCK_DATA))
			return 1;
		if (dice(3))
			txn_commit();
		else
			txn_rollback();
	}
	return 0;
}

static void test_killed(void)
{
	uint32_t dead = 2;
	memset(area, 0, AREA);
	for (unsigned n = 0; n < 300; n++) {
		pid_t p = fork_as(dead, scribble_child, (void *)(uintptr_t)(n * 2 + 1));
		usleep((unsigned)dice(2000));
		kill(p, SIGKILL);
		reap_child(p);
		recover_slots(&dead, 1);
		uint64_t first = *(uint64_t *)area;
		for (unsigned i = 0; i < 60; i++)
			for (unsigned k = 0; k < 256; k++)
				if (((uint64_t *)(area + i * 4096))[k] != first) {
					CHECKF(false, "half of a transaction after kill %u", n);
					return;
				}
		if (!in_order())
			return;
	}
	CHECK(*(uint64_t *)area > 0);
}

#ifdef BULKHEAD_DEBUG
/* No memory for a further segment: the touch fails, nothing is lost, the rest is rolled back. */
static void test_no_memory(void)
{
	memcpy(before, area, AREA);
	memory_fails_after(0);
	txn_begin(one_stripe, 1);
	unsigned n = 0;
	while (n < 100000 && txn_touch(STRIPE, area + n % 10 * 50000, 50000))
		memset(area + n % 10 * 50000, (int)n, 50000), n++;
	CHECK(n > 10 && n < 100000);
	CHECK(!txn_touch(STRIPE, area, 50000));
	CHECK(ref_is_none(txn_alloc(100000, BLOCK_DATA)));
	txn_rollback();
	memory_fails_after(-1);
	CHECK(memcmp(before, area, AREA) == 0);
	in_order();
}
#endif

int main(void)
{
	fixture_open(2);
	txn_checks = NULL;
	txn_begin(one_stripe, 1);
	area_ref = txn_alloc(AREA, BLOCK_META);
	txn_commit();
	area = at(area_ref);
	before = malloc(AREA);
	memset(area, 'x', AREA);
	RUN(test_rollback);
	RUN(test_commit);
	RUN(test_overlap);
	RUN(test_cancelled);
	RUN(test_killed);
#ifdef BULKHEAD_DEBUG
	RUN(test_no_memory);
#endif
	return test_done();
}
