/* SPDX-License-Identifier: BSD-2-Clause */
/* Many keys at once: what is put in place, in batches large and small, against a plain model; replaced, doubled, without memory. */
#include "store_fixture.h"

#include "store/bulk.h"

enum { N = 20000 };

static char big[3 << 20];

static struct bulk_key key_of(uint32_t db, const char *key, const char *value, uint64_t len, int64_t due)
{
	return (struct bulk_key){.db = db, .key = {key, strlen(key)}, .value = value, .len = len, .due = due, .idle = -1, .freq = -1};
}

static void add(uint32_t db, const char *key, const char *value, int64_t due)
{
	struct bulk_key k = key_of(db, key, value, strlen(value), due);
	CHECK_INT(bulk_add(&k), BULK_OK);
}

static void test_many(void)
{
	char k[32], v[32];
	struct db_stats st;
	bulk_begin(false);
	bulk_expect(0, N, 0);
	for (unsigned i = 0; i < N; i++) {
		sprintf(k, "key:%u", i);
		sprintf(v, i % 3 ? "value of %u" : "%u", i);
		add(i % 5 == 0, k, v, i % 7 ? DUE_NONE : fixture_now + 1 + i);
	}
	CHECK_INT(bulk_flush(), BULK_OK);
	unsigned bad = 0;
	for (unsigned i = 0; i < N; i++) {
		sprintf(k, "key:%u", i);
		sprintf(v, i % 3 ? "value of %u" : "%u", i);
		bad += !do_is(i % 5 == 0, k, v) || !do_is(i % 5 != 0, k, NULL);
	}
	CHECK_INT(bad, 0);
	db_stats(0, &st);
	uint64_t keys = st.keys, expires = st.expires;
	db_stats(1, &st);
	CHECK_INT(keys + st.keys, N);
	CHECK_INT(expires + st.expires, (N + 6) / 7);
	CHECK_FSCK();
	CHECK_INT(bulk_empty(), BULK_OK);
	db_stats(0, &st);
	CHECK_INT(st.keys, 0);
	CHECK(heap_used() == heap_meta());
	CHECK_FSCK();
}

/* Tables made ahead, larger or smaller than what comes: in order either way. */
static void test_expected(void)
{
	char k[32];
	static const uint64_t said[] = {1u << 17, 1u << 16, 10, UINT64_MAX, 0};
	for (unsigned n = 0; n < sizeof said / sizeof said[0]; n++) {
		bulk_begin(false);
		bulk_expect(0, said[n], said[n]);
		bulk_expect(99, said[n], said[n]);
		CHECK_FSCK();
		for (unsigned i = 0; i < 80000; i += n ? 40 : 1) {
			sprintf(k, "key:%u", i);
			add(0, k, "v", DUE_NONE);
		}
		CHECK_INT(bulk_flush(), BULK_OK);
		CHECK_FSCK();
		CHECK_INT(bulk_empty(), BULK_OK);
	}
}

static void test_sizes(void)
{
	static const uint64_t sizes[] = {0, 1, 44, 45, 1000, 65535, 65536, 70000, 1 << 20, sizeof big};
	static char long_key[100001];
	char k[32];
	memset(big, 'b', sizeof big);
	memset(long_key, 'k', sizeof long_key - 1);
	bulk_begin(false);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		sprintf(k, "size:%u", i);
		struct bulk_key b = key_of(2, k, big, sizes[i], DUE_NONE);
		CHECK_INT(bulk_add(&b), BULK_OK);
		/* What was given is not looked at any more. */
		memset(k, '?', sizeof k);
	}
	add(2, long_key, "long key", DUE_NONE);
	add(2, "", "empty key", DUE_NONE);
	CHECK_INT(bulk_flush(), BULK_OK);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct buf out = {0};
		sprintf(k, "size:%u", i);
		CHECK(do_get(2, k, &out) && out.len == sizes[i] && (out.len == 0 || !memcmp(out.data, big, out.len)));
		buf_deinit(&out);
	}
	CHECK(do_is(2, long_key, "long key") && do_is(2, "", "empty key"));
	CHECK_FSCK();
	CHECK_INT(bulk_empty(), BULK_OK);
}

static void test_twice(void)
{
	uint32_t db;
	bulk_begin(false);
	add(1, "a", "1", DUE_NONE);
	add(0, "a", "0", DUE_NONE);
	add(1, "b", "2", DUE_NONE);
	add(1, "a", "3", DUE_NONE);
	CHECK_INT(bulk_flush(), BULK_DUPLICATE);
	const struct arg *culprit = bulk_culprit(&db);
	CHECK(db == 1 && culprit->n == 1 && *culprit->p == 'a');
	/* The batch is a transaction: nothing of it is there. */
	CHECK(do_is(1, "a", NULL) && do_is(0, "a", NULL) && do_is(1, "b", NULL));
	CHECK_FSCK();
	do_set(1, "a", "before");
	do_due(1, "a", fixture_now + 5);
	bulk_begin(true);
	add(1, "a", "1", DUE_NONE);
	add(1, "b", "2", fixture_now + 7);
	add(1, "a", "3", DUE_NONE);
	CHECK_INT(bulk_flush(), BULK_OK);
	CHECK(do_is(1, "a", "3") && do_is(1, "b", "2"));
	CHECK_FSCK();
	CHECK_INT(bulk_empty(), BULK_OK);
}

#ifdef BULKHEAD_DEBUG
/* Memory ends at any moment: it is said, and what is there is in order. */
static void test_no_memory(void)
{
	char k[32];
	for (long grants = 0; grants < 6; grants++) {
		enum bulk_result r = BULK_OK;
		bulk_begin(false);
		memory_fails_after(grants);
		for (unsigned i = 0; i < 1000 && r == BULK_OK; i++) {
			sprintf(k, "key:%u", i);
			struct bulk_key b = key_of(0, k, big, 60000, DUE_NONE);
			r = bulk_add(&b);
		}
		CHECK_INT(r, BULK_NO_MEMORY);
		memory_fails_after(-1);
		CHECK_FSCK();
		CHECK_INT(bulk_empty(), BULK_OK);
		CHECK_FSCK();
	}
}
#endif

int main(void)
{
	fixture_open(3);
	RUN(test_many);
	RUN(test_expected);
	RUN(test_sizes);
	RUN(test_twice);
#ifdef BULKHEAD_DEBUG
	RUN(test_no_memory);
#endif
	return test_done();
}
