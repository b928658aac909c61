/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-1 with the vectors of its standard, CRC-64 with those of the catalogue of CRC algorithms. */
#include "test.h"

#include "base/crc64.h"
#include "base/sha1.h"

static void check_sha1(const void *p, size_t n, const char *want)
{
	unsigned char digest[SHA1_BYTES];
	char text[2 * SHA1_BYTES + 1];

	sha1(p, n, digest);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	CHECK_STR(text, want);
}

static void test_sha1_vectors(void)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	char *many = malloc(1000000);

	check_sha1("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	check_sha1("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	check_sha1(two_blocks, sizeof two_blocks - 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(many, 'a', 1000000);
	check_sha1(many, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	free(many);
}

/* Whatever the pieces in which the bytes come, and at whatever length the padding begins. */
static void test_sha1_pieces(void)
{
	unsigned char data[200], whole[SHA1_BYTES], pieces[SHA1_BYTES];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t n = 0; n <= sizeof data; n++) {
		sha1(data, n, whole);
		for (size_t step = 1; step < 70; step += 23) {
			struct sha1 s;
			sha1_begin(&s);
			for (size_t at = 0; at < n; at += step)
				sha1_add(&s, data + at, n - at < step ? n - at : step);
			sha1_end(&s, pieces);
			CHECKF(memcmp(whole, pieces, sizeof whole) == 0, "length %zu in pieces of %zu", n, step);
		}
	}
}

static void test_crc64_vectors(void)
{
	static const char text[] = "This is a test of the emergency broadcast system.";

	CHECK(crc64(0, "", 0) == 0);
	CHECK(crc64(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
	/* In two parts. */
	CHECK(crc64(crc64(0, text, 20), text + 20, sizeof text - 21) == crc64(0, text, sizeof text - 1));
}

/* With tables and without, at every alignment. */
static void test_crc64_long(void)
{
	enum { N = 3000 };
	unsigned char data[N + 8];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * i + i / 7);
	for (size_t shift = 0; shift < 8; shift++) {
		uint64_t crc = 0;
		for (size_t at = 0; at < N; at += 100)
			crc = crc64(crc, data + shift + at, 100);
		CHECKF(crc64(0, data + shift, N) == crc, "shifted by %zu", shift);
		CHECKF(crc64(crc64(0, data + shift, 301), data + shift + 301, N - 301) == crc, "shifted by %zu, in parts", shift);
	}
}

int main(void)
{
	RUN(test_sha1_vectors);
	RUN(test_sha1_pieces);
	RUN(test_crc64_vectors);
	RUN(test_crc64_long);
	return test_done();
}
