/* SPDX-License-Identifier: BSD-2-Clause */
/* The heap: blocks against a model, invariants after each batch, many processes, no memory. */
#include "store_fixture.h"

#include "shm/check.h"

#define BLOCKS 3000

struct block {
	ref r;
	uint64_t size;
	enum block_kind kind;
	uint8_t fill;
};
static struct block have[BLOCKS];
static unsigned nhave;

static ref alloc(uint64_t size, enum block_kind kind)
{
	ref r = heap_alloc(size, kind, false);
	if (ref_is_none(r))
		leaf_cancel();
	else
		leaf_end();
	return r;
}

static void release(ref r, enum block_kind kind)
{
	heap_free(r, kind);
	leaf_end();
}

static uint64_t some_size(void)
{
	switch (dice(10)) {
	case 0: return 1 + dice(40000);
	case 1: return 1 + dice(5000);
	case 2: return dice(20) ? 1 + dice(600) : 30000 + dice(400000);
	default: return 1 + dice(300);
	}
}

/* Heaps, slabs, lists, sums and arena are as they should be, and exactly the blocks in `have` are allocated. */
static bool in_order(void)
{
	struct check c;
	char why[200];
	bool ok = check_begin(&c, why, sizeof why);
	for (unsigned i = 0; ok && i < nhave; i++)
		ok = check_reach(&c, at(have[i].r), have[i].r, have[i].size, have[i].kind, "a block");
	ok = ok && check_leaks(&c);
	check_end(&c);
	return CHECKF(ok, "%s", why);
}

static bool is_filled(const struct block *b)
{
	const uint8_t *p = at(b->r);
	for (uint64_t i = 0; i < b->size; i += b->size > 64 ? 61 : 1)
		if (p[i] != b->fill)
			return false;
	return p[b->size - 1] == b->fill;
}

static void add(uint64_t size)
{
	struct block *b = &have[nhave];
	*b = (struct block){.size = size, .kind = dice(4) ? BLOCK_DATA : BLOCK_META, .fill = (uint8_t)dice(256)};
	b->r = alloc(size, b->kind);
	REQUIRE(!ref_is_none(b->r));
	CHECK(b->r.off % 8 == 0);
	CHECK(heap_class_size(size) >= size);
	CHECK_UINT(heap_block_size(b->r), heap_class_size(size));
	if (heap_class_size(size) % 64 == 0)
		CHECK(b->r.off % 64 == 0);
	memset(at(b->r), b->fill, heap_block_size(b->r));
	nhave++;
}

static void remove_one(unsigned i)
{
	CHECK(is_filled(&have[i]));
	release(have[i].r, have[i].kind);
	have[i] = have[--nhave];
}

static void test_against_model(void)
{
	for (unsigned wave = 0; wave < 6; wave++) {
		for (unsigned n = 0; n < 4000; n++) {
			bool up = wave % 2 == 0 ? dice(10) < 7 : dice(10) < 3;
			if (nhave == 0 || (up && nhave < BLOCKS))
				add(some_size());
			else
				remove_one((unsigned)dice(nhave));
		}
		if (!in_order())
			return;
	}
	while (nhave)
		remove_one(nhave - 1);
	in_order();
	CHECK_UINT(heap_used(), 0);
	CHECK_UINT(heap_meta(), 0);
}

static void test_class_sizes(void)
{
	uint64_t last = 0;
	for (uint64_t n = 1; n < 200000; n++) {
		uint64_t c = heap_class_size(n);
		if (c < n || c < last || heap_class_size(c) != c) {
			CHECKF(false, "class of %llu is %llu", (unsigned long long)n, (unsigned long long)c);
			return;
		}
		if (n > 128 && n < 8000 && (c - n) * 100 > 20 * n) {
			CHECKF(false, "class of %llu is %llu: wasteful", (unsigned long long)n, (unsigned long long)c);
			return;
		}
		last = c;
	}
	CHECK_UINT(heap_class_size(1), 16);
	CHECK_UINT(heap_class_size(80), 80);
}

static void test_cancelled(void)
{
	for (unsigned i = 0; i < 500; i++)
		add(some_size());
	for (unsigned i = 0; i < 2000; i++) {
		if (dice(2)) {
			REQUIRE(!ref_is_none(heap_alloc(some_size(), BLOCK_DATA, false)));
		} else {
			unsigned k = (unsigned)dice(nhave);
			heap_free(have[k].r, have[k].kind);
		}
		leaf_cancel();
		if (dice(4) == 0)
			remove_one((unsigned)dice(nhave)), add(some_size());
	}
	in_order();
	while (nhave)
		remove_one(nhave - 1);
	in_order();
}

/* Four processes at once, each with its blocks; each leaves some behind for this one to find. */
#define SHARE 200
static struct { uint64_t off[4][SHARE], size[4][SHARE]; } *board;

static int churn(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	dice_state ^= me * 7919;
	nhave = 0;
	for (unsigned n = 0; n < 30000; n++)
		if (nhave < SHARE && (nhave == 0 || dice(2)))
			add(some_size());
		else
			remove_one((unsigned)dice(nhave));
	while (nhave < SHARE)
		add(some_size());
	for (unsigned i = 0; i < SHARE; i++) {
		board->off[me][i] = have[i].r.off | have[i].kind;
		board->size[me][i] = have[i].size;
	}
	return test_state.checks_failed != 0;
}

static void test_processes(void)
{
	pid_t p[4];
	ref b = alloc(sizeof *board, BLOCK_META);
	board = at(b);
	for (unsigned i = 0; i < 4; i++)
		p[i] = fork_as(i + 1, churn, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	nhave = 0;
	have[nhave++] = (struct block){b, sizeof *board, BLOCK_META, 0};
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < SHARE; k++)
			have[nhave++] = (struct block){{board->off[i][k] & ~7ull}, board->size[i][k], board->off[i][k] & 7, 0};
	in_order();
	while (nhave) {
		release(have[nhave - 1].r, have[nhave - 1].kind);
		nhave--;
	}
	in_order();
}

/* Freeing what is not a block is noticed. */
static ref wrong;
static int free_wrong(void *arg)
{
	(void)arg;
	fclose(stderr);
	heap_free(wrong, BLOCK_DATA);
	return 0;
}

static void test_wrong_free(void)
{
	ref small = alloc(100, BLOCK_DATA), run = alloc(100000, BLOCK_DATA);
	uint32_t dead = 3;
	ref tries[] = {{small.off + 8}, {run.off + 64}, {small.off & ~65535ull}, {SUPER->fixed - 64}, {store_end()}};
	for (unsigned i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		wrong = tries[i];
		CHECK_INT(reap_child(fork_as(dead, free_wrong, NULL)), 1000 + SIGABRT);
		recover_slots(&dead, 1);
	}
	release(small, BLOCK_DATA);
	release(run, BLOCK_DATA);
	wrong = small;
	CHECK_INT(reap_child(fork_as(dead, free_wrong, NULL)), 1000 + SIGABRT);
	recover_slots(&dead, 1);
	wrong = run;
	CHECK_INT(reap_child(fork_as(dead, free_wrong, NULL)), 1000 + SIGABRT);
	recover_slots(&dead, 1);
	in_order();
}

#ifdef BULKHEAD_DEBUG
static void test_no_memory(void)
{
	for (long after = 0; after < 4; after++) {
		memory_fails_after(after);
		while (nhave < BLOCKS) {
			uint64_t size = nhave % 3 ? 1 + dice(30000) : 1 + dice(500000);
			ref r = alloc(size, BLOCK_DATA);
			if (ref_is_none(r))
				break;
			have[nhave++] = (struct block){r, size, BLOCK_DATA, 0};
		}
		CHECK(ref_is_none(alloc(20000000, BLOCK_DATA)));
		in_order();
		memory_fails_after(-1);
	}
	CHECK(ref_is_none(alloc(UINT64_MAX - 4096, BLOCK_DATA)));
	CHECK(ref_is_none(alloc(SUPER->reserve, BLOCK_DATA)));
	while (nhave)
		release(have[nhave - 1].r, BLOCK_DATA), nhave--;
	in_order();
}
#endif

int main(void)
{
	fixture_open(2);
	RUN(test_class_sizes);
	RUN(test_against_model);
	RUN(test_cancelled);
	RUN(test_processes);
	RUN(test_wrong_free);
#ifdef BULKHEAD_DEBUG
	RUN(test_no_memory);
#endif
	return test_done();
}
