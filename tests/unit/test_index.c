/* SPDX-License-Identifier: BSD-2-Clause */
/* The index: one bin against a model, with tags that collide, growth and shrinking, rollback; readers beside a writer. */
#include "store_fixture.h"

#include "store/index.h"

#define STRIPE 7u
#define ITEMS 4000

static struct { char key[12]; uint32_t tag; ref r; bool in; } model[ITEMS];
static unsigned nin;
static struct bin *bin;

/* Tags of several tempers: spread, few, all in the first bucket, all in the last (so that overflow wraps). */
static uint32_t some_tag(unsigned temper)
{
	switch (temper) {
	case 0: return (uint32_t)dice(1u << TAG_BITS);
	case 1: return (uint32_t)dice(16) << 20;
	case 2: return (uint32_t)dice(64);
	default: return TAG_MASK - (uint32_t)dice(64);
	}
}

static void begin(void)
{
	static const uint16_t s[] = {STRIPE};
	activity_enter();
	txn_begin(s, 1);
}

static void end(bool commit)
{
	if (commit)
		CHECK(txn_commit());
	else
		txn_rollback();
	activity_leave();
}

static uint64_t *find(unsigned i)
{
	uint64_t cell;
	struct parts p;
	uint64_t *c = index_find(bin, model[i].tag, model[i].key, strlen(model[i].key), &cell, &p);
	if (c)
		CHECK_UINT(cell_ref(cell).off, model[i].r.off);
	return c;
}

static bool agrees(void)
{
	unsigned cells = 0;
	if (!CHECKF(bin->count == nin, "count %u, not %u", bin->count, nin))
		return false;
	for (unsigned i = 0; i < ITEMS; i++)
		if (!CHECKF((find(i) != NULL) == model[i].in, "item %u of tag %x", i, model[i].tag))
			return false;
	const uint64_t *t = at(bin->table);
	for (uint32_t i = 0; i < bin->nbuckets * CELLS; i++)
		cells += t[i] != 0;
	return CHECKF(cells == nin, "%u cells, not %u", cells, nin) && CHECKF(bin->nbuckets <= 4 || nin * 4 >= bin->nbuckets, "too many buckets");
}

static void make_items(unsigned temper)
{
	static const struct parts none = {.type = TYPE_STRING};
	for (unsigned i = 0; i < ITEMS; i++) {
		struct parts p = none;
		sprintf(model[i].key, "k%u", i);
		model[i].tag = some_tag(temper);
		p.key = model[i].key, p.klen = strlen(p.key);
		begin();
		model[i].r = txn_alloc(item_bytes(p.klen, 0, 0), BLOCK_DATA);
		REQUIRE(!ref_is_none(model[i].r));
		item_write(at(model[i].r), 1, 0, &p);
		end(true);
	}
}

static bool change(unsigned i)
{
	return model[i].in ? index_remove(STRIPE, bin, find(i)) : index_insert(STRIPE, bin, model[i].tag, model[i].r);
}

static void run_model(unsigned temper, unsigned items, unsigned rounds)
{
	make_items(temper);
	for (unsigned round = 0; round < rounds; round++) {
		/* Up, down, up, down: growth and shrinking. */
		bool up = round * 4 / rounds % 2 == 0;
		begin();
		bool undo = dice(5) == 0;
		unsigned n = 1 + (unsigned)dice(4), done[4], ndone = 0;
		for (unsigned k = 0; k < n; k++) {
			unsigned i = (unsigned)dice(items);
			if (model[i].in == up && dice(4))
				continue;
			CHECK(change(i));
			model[i].in = !model[i].in;
			nin += model[i].in ? 1u : -1u;
			done[ndone++] = i;
		}
		end(!undo);
		while (undo && ndone--) {
			unsigned i = done[ndone];
			model[i].in = !model[i].in;
			nin += model[i].in ? 1u : -1u;
		}
		if (round % 256 == 0 && !agrees())
			return;
	}
	agrees();
	for (unsigned i = 0; i < ITEMS; i++) {
		begin();
		if (model[i].in) {
			CHECK(change(i));
			model[i].in = false, nin--;
		}
		CHECK(txn_free(model[i].r, BLOCK_DATA));
		end(true);
	}
	CHECK_INT(bin->count, 0);
	CHECK(bin->nbuckets <= 4);
	CHECK_FSCK();
}

static void test_spread(void) { run_model(0, ITEMS, 30000); }
static void test_few_tags(void) { run_model(1, 700, 8000); }
static void test_first_bucket(void) { run_model(2, 400, 6000); }
static void test_last_bucket(void) { run_model(3, 400, 6000); }

/* What is torn is not followed: tables, cells and items of random bytes are searched and walked without a crash. */
static void test_torn(void)
{
	uint64_t bytes = 1 << 20, cell;
	begin();
	ref r = txn_alloc(bytes, BLOCK_META);
	REQUIRE(!ref_is_none(r));
	end(true);
	uint64_t *w = at(r);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t tag = (uint32_t)dice(1u << TAG_BITS);
		for (uint64_t i = 0; i < bytes / 8; i++) {
			uint64_t ref_like = (SUPER->fixed + dice(store_end() - SUPER->fixed)) & ~7ull;
			switch (dice(4)) {
			case 0: w[i] = dice(0); break;
			case 1: w[i] = (uint64_t)tag << CELL_TAG_SHIFT | ref_like >> 3; break;
			case 2: w[i] = ref_like; break;
			default: w[i] = (uint64_t)tag << CELL_TAG_SHIFT | (r.off + dice(bytes)) >> 3; break;
			}
		}
		struct bin b = {.table = {r.off + dice(64) * 64}, .nbuckets = (uint32_t)(round % 3 ? dice(16000) : dice(0))};
		struct parts p;
		uint64_t *c = index_find(&b, tag, "key", 3, &cell, &p);
		CHECK(c == NULL || p.klen == 3);
		for (unsigned i = 0; i < 1000; i++)
			if (item_read((ref){dice(2) ? w[dice(bytes / 8)] : r.off + dice(bytes)}, &p))
				CHECK(p.value + p.vlen <= STORE_BASE + store_end() && p.key > STORE_BASE);
	}
	begin();
	CHECK(txn_free(r, BLOCK_META));
	end(true);
}

int main(void)
{
	fixture_open(2);
	do_set(0, "k", "v"), do_del(0, "k");
	bin = &((struct root *)at(((struct db_map *)at(SUPER->map))->roots[0]))->bins[STRIPE];
	txn_checks = NULL; /* what is put into the bin here are no keys of its stripe */
	RUN(test_spread);
	RUN(test_few_tags);
	RUN(test_first_bucket);
	RUN(test_last_bucket);
	RUN(test_torn);
	return test_done();
}
