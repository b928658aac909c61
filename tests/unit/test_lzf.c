/* SPDX-License-Identifier: BSD-2-Clause */
/* LZF: what was compressed comes back, what is damaged does no harm, and redis-server's bytes are ours. */
#include "test.h"

#include "persist/lzf.h"

static struct lzf state;

static uint64_t seed = 88172645463325252u;
static uint32_t any(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

/* Text of few letters and long repetitions, so that there is something to copy, near and far. */
static void fill(unsigned char *p, size_t n)
{
	uint32_t letters = 1 + any(60), run = 1 + any(300);
	for (size_t i = 0; i < n; i++)
		p[i] = i > run && any(run) ? p[i - 1 - any(run)] : (unsigned char)any(letters);
}

static void test_there_and_back(void)
{
	static unsigned char in[70000], packed[70000], out[70000];
	for (int round = 0; round < 3000; round++) {
		size_t n = 1 + any(round % 100 == 0 ? 70000 : 400);
		fill(in, n);
		size_t cap = n > 4 ? n - 4 : n;
		memset(packed + cap, 0xee, 8);
		size_t k = lzf_compress(&state, in, n, packed, cap);
		REQUIRE(k <= cap);
		for (int i = 0; i < 8 && cap + 8 < sizeof packed; i++)
			REQUIRE(packed[cap + i] == 0xee);
		if (!k)
			continue;
		size_t back = lzf_decompress(packed, k, out, n);
		CHECK_UINT(back, n);
		REQUIRE(memcmp(in, out, n) == 0);
		CHECK_UINT(lzf_decompress(packed, k, out, n - 1), 0);
	}
}

static void test_table_wraps(void)
{
	unsigned char in[100], packed[100], out[100];
	memset(in, 'x', sizeof in);
	state.base = UINT32_MAX - 150;
	for (int i = 0; i < 4; i++) {
		size_t k = lzf_compress(&state, in, sizeof in, packed, 90);
		REQUIRE(k > 0);
		CHECK_UINT(lzf_decompress(packed, k, out, sizeof out), sizeof in);
		CHECK(memcmp(in, out, sizeof in) == 0);
	}
	CHECK(state.base < 1000);
}

/* From DUMP of redis-server 7.0.15. */
static void test_bytes_of_redis(void)
{
	unsigned char packed[200];
	size_t k = lzf_compress(&state, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, packed, 36);
	CHECK_MEM((char *)packed, k, "\x01" "aa" "\xe0\x1b\x00\x01" "aa", 9);
	k = lzf_compress(&state, "0123456789abcdefghijklmnopqrstuvwxyz", 36, packed, 32);
	CHECK_UINT(k, 0);
}

static void test_damage(void)
{
	static unsigned char in[2000], packed[2000], out[4000];
	for (int round = 0; round < 20000; round++) {
		size_t n = 1 + any(200), k = 0;
		if (round & 1) {
			fill(in, n);
			k = lzf_compress(&state, in, n, packed, sizeof packed);
			for (uint32_t i = 1 + any(4); i && k; i--)
				packed[any((uint32_t)k)] = (unsigned char)any(256);
		} else {
			for (k = 0; k < n; k++)
				packed[k] = (unsigned char)any(256);
		}
		size_t cap = any(300);
		memset(out + cap, 0xdd, 300);
		size_t got = lzf_decompress(packed, k, out, cap);
		REQUIRE(got <= cap);
		for (int i = 0; i < 300; i++)
			REQUIRE(out[cap + i] == 0xdd);
	}
	CHECK_UINT(lzf_decompress("\x20\x00", 2, out, 10), 0); /* nothing there to copy */
	CHECK_UINT(lzf_decompress("\x05" "ab", 3, out, 10), 0);
	CHECK_UINT(lzf_decompress("\xe0", 1, out, 10), 0);
}

int main(void)
{
	RUN(test_there_and_back);
	RUN(test_table_wraps);
	RUN(test_bytes_of_redis);
	RUN(test_damage);
	return test_done();
}
