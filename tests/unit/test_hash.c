/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-1-3. The vectors come from an independent implementation (CPython's hash of bytes uses the same function; a
 * keyed one was checked against it): key 00 01 .. 0f, message 00 01 .. n-1. */
#include "test.h"

#include "base/clock.h"
#include "base/hash.h"

static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void test_vectors(void)
{
	static const uint64_t want[] = {
	    UINT64_C(0xabac0158050fc4dc), UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x82cb9b024dc7d44d),
	    UINT64_C(0x8bf80ab8e7ddf7fb), UINT64_C(0xcf75576088d38328), UINT64_C(0xdef9d52f49533b67),
	    UINT64_C(0xc50d2b50c59f22a7), UINT64_C(0xd3927d989bb11140), UINT64_C(0x369095118d299a8e),
	    UINT64_C(0x25a48eb36c063de4), UINT64_C(0x79de85ee92ff097f), UINT64_C(0x70c118c1f94dc352),
	    UINT64_C(0x78a384b157b4d9a2), UINT64_C(0x306f760c1229ffa7), UINT64_C(0x605aa111c0f95d34),
	    UINT64_C(0xd320d86d2a519956), UINT64_C(0xcc4fdd1a7d908b66), UINT64_C(0x9cf2689063dbd80c),
	    UINT64_C(0x8ffc389cb473e63e), UINT64_C(0xf21f9de58d297d1c)};
	unsigned char message[64];
	for (int i = 0; i < 64; i++)
		message[i] = (unsigned char)i;
	for (size_t n = 0; n < sizeof(want) / sizeof(want[0]); n++) {
		unsigned char *exact = malloc(n ? n : 1); /* so that sanitizers see a read too far */
		memcpy(exact, message, n);
		CHECKF(hash_bytes(exact, n, key) == want[n], "length %zu", n);
		free(exact);
	}
	CHECK(hash_bytes(message, 63, key) == UINT64_C(0x9d199062b7bbb3a8));
	CHECK(hash_bytes(message, 64, key) == UINT64_C(0xf17997ec4b4a6065));
	CHECK(hash_bytes(NULL, 0, key) == want[0]);
	CHECK(hash_bytes("bulkhead", 8, (uint64_t[2]){0, 0}) == UINT64_C(0x14534527647304da));
}

static void test_alignment(void)
{
	char buffer[80], text[] = "the same bytes at every address, thirty and more";
	uint64_t first = hash_bytes(text, sizeof(text), key);
	for (size_t shift = 0; shift < 16; shift++) {
		memcpy(buffer + shift, text, sizeof(text));
		CHECK(hash_bytes(buffer + shift, sizeof(text), key) == first);
	}
}

static void test_seeds(void)
{
	uint64_t a[2] = {0, 0}, b[2] = {0, 0};
	hash_seed_random(a);
	hash_seed_random(b);
	CHECK(a[0] != b[0] && a[1] != b[1] && a[0] != a[1]);
	CHECK(hash_bytes("key", 3, a) != hash_bytes("key", 3, b));
	unsigned char many[1000];
	memset(many, 0, sizeof(many));
	random_bytes(many, sizeof(many));
	int zeros = 0;
	for (size_t i = 0; i < sizeof(many); i++)
		zeros += many[i] == 0;
	CHECKF(zeros < 40, "%d zero bytes of 1000", zeros);
}

static void test_clocks(void)
{
	int64_t ns = clock_mono_ns(), us = clock_mono_us(), ms = clock_mono_ms();
	CHECK(us >= ns / 1000 && us - ns / 1000 < 1000000);
	CHECK(ms >= us / 1000 && ms - us / 1000 < 1000);
	CHECK(clock_mono_ns() >= ns);
	int64_t wall = clock_wall_ms();
	CHECK(wall / 1000 - (int64_t)time(NULL) <= 1 && (int64_t)time(NULL) - wall / 1000 <= 1);
	CHECK(clock_wall_us() / 1000 - wall < 1000);
	struct timespec t = clock_timespec(INT64_C(1500000000));
	CHECK(t.tv_sec == 1 && t.tv_nsec == 500000000);
}

int main(void)
{
	RUN(test_vectors);
	RUN(test_alignment);
	RUN(test_seeds);
	RUN(test_clocks);
	return test_done();
}
