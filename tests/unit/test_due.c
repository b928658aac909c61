/* SPDX-License-Identifier: BSD-2-Clause */
/* The due queue against a model, rollback of it, and the expirer: in time, nothing early, after its own death, beside writers. */
#include "store_fixture.h"

#include "base/hash.h"
#include "store/due.h"

#define STRIPE 11u

static const uint16_t one_stripe[] = {STRIPE};
static struct bin *bin;

static void begin(void)
{
	activity_enter();
	txn_begin(one_stripe, 1);
}
static void end(bool commit)
{
	if (commit)
		CHECK(txn_commit());
	else
		txn_rollback();
	activity_leave();
}

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

/* The queue's words are those of the model, and a heap. */
static bool agrees(uint64_t *model, unsigned n)
{
	uint64_t copy[2000];
	const uint64_t *q = at(bin->due);
	if (!CHECKF(bin->ndue == n, "%u entries, not %u", bin->ndue, n) || n == 0)
		return n == 0;
	memcpy(copy, q, n * 8);
	for (unsigned i = 1; i < n; i++)
		if (!CHECKF(q[(i - 1) / DUE_ARITY] <= q[i], "no heap"))
			return false;
	qsort(copy, n, 8, compare);
	qsort(model, n, 8, compare);
	return CHECK(memcmp(copy, model, n * 8) == 0);
}

static void test_against_model(void)
{
	static uint64_t model[2000], saved[2000];
	unsigned n = 0, nsaved;
	bin->expires = 100000; /* so that nothing counts as stale */
	for (unsigned round = 0; round < 6000; round++) {
		begin();
		bool undo = dice(4) == 0, up = round % 2000 < 1200;
		memcpy(saved, model, n * 8), nsaved = n;
		for (unsigned k = (unsigned)dice(6); k > 0; k--) {
			if (n < 1900 && (n == 0 || (up ? dice(4) : dice(4) == 0))) {
				uint32_t tag = (uint32_t)dice(1u << TAG_BITS);
				int64_t due = dice(10) ? fixture_now + (int64_t)dice(100000) : (int64_t)dice(0) >> dice(63);
				CHECK(due_insert(STRIPE, bin, tag, due));
				model[n++] = due_entry(tag, due);
			} else {
				qsort(model, n, 8, compare);
				CHECK_UINT(due_first(bin), model[0]);
				CHECK(due_pop(STRIPE, bin));
				memmove(model, model + 1, --n * 8);
			}
		}
		end(!undo);
		if (undo)
			memcpy(model, saved, nsaved * 8), n = nsaved;
		if ((round % 32 == 0 || undo) && !agrees(model, n))
			return;
	}
	begin();
	while (bin->ndue)
		CHECK(due_pop(STRIPE, bin));
	end(true);
	bin->expires = 0;
	CHECK_FSCK();
}

static void test_entries(void)
{
	CHECK_UINT(due_entry(5, -100), 5);
	CHECK_UINT(due_entry(5, 0), 5);
	for (int i = 0; i < 1000; i++) {
		int64_t due = (int64_t)(dice(0) >> (22 + dice(40)));
		int64_t t = due_time(due_entry((uint32_t)dice(1u << TAG_BITS), due));
		CHECKF(t >= due && t < due + 4, "%lld becomes %lld", (long long)due, (long long)t);
	}
	CHECK(due_time(due_entry(0, INT64_MAX)) > fixture_now * 2);
}

/* An expiry set a thousand times over leaves a queue no longer than a few entries per key. */
static void test_stale_entries_go(void)
{
	char k[8];
	for (unsigned i = 0; i < 20000; i++) {
		sprintf(k, "s%u", (unsigned)dice(10));
		do_set_n(0, ARG(k), "v", 1, fixture_now + 50000 + (int64_t)dice(100000));
		if (dice(5) == 0)
			do_del(0, k);
	}
	const struct root *root = at(((struct db_map *)at(SUPER->map))->roots[0]);
	for (uint32_t s = 0; s < STRIPES; s++)
		CHECKF(root->bins[s].ndue <= 2 * root->bins[s].expires + 40, "%u entries for %u keys", root->bins[s].ndue,
		       root->bins[s].expires);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
}

/* ---- with the expirer ---- */

static uint64_t count(void)
{
	struct db_stats s;
	db_stats(0, &s);
	return s.keys;
}

static void test_expirer(void)
{
	char k[16];
	pid_t e = expirer_start(2);
	usleep(30000);
	int64_t start = clock_wall_ms(), worst = 0;
	for (unsigned i = 0; i < 2000; i++) {
		sprintf(k, "e%u", i);
		do_set_n(0, ARG(k), "v", 1, start + 200 + i / 4);
	}
	for (unsigned i = 0; i < 2000; i++) {
		sprintf(k, "n%u", i);
		do_set_n(0, ARG(k), "v", 1, start + 3600000);
	}
	for (;;) {
		int64_t now = clock_wall_ms();
		uint64_t left = count() - 2000, due = now - start <= 200 ? 0 : (uint64_t)(now - start - 200) * 4;
		due = due > 2000 ? 2000 : due;
		CHECKF(left + due + 8 >= 2000, "deleted early");
		/* So many more than should be there: how late is the oldest? */
		if (left > 2000 - due && (int64_t)(left - (2000 - due)) / 4 > worst)
			worst = (int64_t)(left - (2000 - due)) / 4;
		if (left == 0 || now > start + 5000)
			break;
		usleep(500);
	}
	CHECK_UINT(count(), 2000);
	printf("# at worst %lld ms late\n", (long long)worst);
	CHECK(worst < 1000);
	expirer_end(e, 2);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
}

/* A sleeping expirer is woken by an earlier key; one with an hour is not. */
static void test_wake_up(void)
{
	pid_t e = expirer_start(2);
	do_set_n(0, ARG("later"), "v", 1, clock_wall_ms() + 3600000);
	for (int i = 0; i < 20; i++) {
		usleep(20000 + (unsigned)dice(20000));
		uint32_t woken = atomic_load(&SUPER->expirer_wake);
		int64_t t = clock_wall_ms();
		do_set_n(0, ARG("x"), "v", 1, t + 10);
		while (count() > 1 && clock_wall_ms() < t + 3000)
			usleep(500);
		CHECKF(clock_wall_ms() < t + 900, "%lld ms", (long long)(clock_wall_ms() - t));
		do_set_n(0, ARG("later"), "v", 1, clock_wall_ms() + 3600000);
		CHECK(atomic_load(&SUPER->expirer_wake) <= woken + 2);
	}
	expirer_end(e, 2);
	CHECK_FSCK();
	do_flush(DB_ALL), db_sweep_retired();
}

/* Writers set and change expiries while the expirer dies again and again: in the end all that was due is gone, and the rest is there. */
static int write_some(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	char k[24];
	dice_state ^= me * 977;
	int64_t start = clock_wall_ms();
	for (unsigned i = 0; i < 12000; i++) {
		fixture_now = clock_wall_ms();
		sprintf(k, "w%u:%u", me, (unsigned)dice(500));
		if (dice(3))
			do_set_n(0, ARG(k), "v", 1, start + 100 + (int64_t)dice(1500));
		else
			do_due(0, k, start + (int64_t)dice(1500));
	}
	for (unsigned i = 0; i < 100; i++) {
		sprintf(k, "w%u:keep%u", me, i);
		do_set_n(0, ARG(k), "v", 1, i % 2 ? DUE_NONE : start + 3600000);
	}
	return test_state.checks_failed != 0;
}

static void test_expirer_dies(void)
{
	pid_t w[3];
	int64_t start = clock_wall_ms();
	for (unsigned i = 0; i < 3; i++)
		w[i] = fork_as(3 + i, write_some, (void *)(uintptr_t)(i + 1));
	while (clock_wall_ms() < start + 1800) {
		pid_t e = expirer_start(2);
		usleep((unsigned)dice(20000));
		expirer_end(e, 2);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(reap_child(w[i]), 0);
	pid_t e = expirer_start(2);
	for (int i = 0; i < 4000 && count() != 300; i++)
		usleep(1000);
	CHECK_UINT(count(), 300);
	expirer_end(e, 2);
	CHECK_FSCK();
}

int main(void)
{
	fixture_open(2);
	/* A key of the stripe has been there: a bin with a queue has a table. */
	char k[24];
	for (unsigned i = 0, found = 0; !found; i++) {
		sprintf(k, "%u", i);
		found = hash_split(hash_bytes(k, strlen(k), SUPER->hash_seed)).stripe == STRIPE;
	}
	do_set(0, k, "v"), do_del(0, k);
	bin = &((struct root *)at(((struct db_map *)at(SUPER->map))->roots[0]))->bins[STRIPE];
	const struct txn_checks *checks = txn_checks;
	txn_checks = NULL; /* these entries are of no keys */
	RUN(test_entries);
	RUN(test_against_model);
	txn_checks = checks;
	RUN(test_stale_entries_go);
	RUN(test_expirer);
	RUN(test_wake_up);
	RUN(test_expirer_dies);
	return test_done();
}
