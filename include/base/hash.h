/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-1-3 with 64 bits of output: a keyed hash, so that no client can choose keys that collide. The same on every
 * machine for the same key (bytes are read as little-endian). Defined here so that calls with a known length fold. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_load64(const unsigned char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline uint32_t hash_load32(const unsigned char *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t hash_rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

#define HASH_ROUND(a, b, c, d)                                                                                         \
	do {                                                                                                           \
		(a) += (b);                                                                                            \
		(b) = hash_rotl((b), 13) ^ (a);                                                                        \
		(a) = hash_rotl((a), 32);                                                                              \
		(c) += (d);                                                                                            \
		(d) = hash_rotl((d), 16) ^ (c);                                                                        \
		(a) += (d);                                                                                            \
		(d) = hash_rotl((d), 21) ^ (a);                                                                        \
		(c) += (b);                                                                                            \
		(b) = hash_rotl((b), 17) ^ (c);                                                                        \
		(c) = hash_rotl((c), 32);                                                                              \
	} while (0)

/* The last 0 to 7 bytes as a little-endian number. */
static inline uint64_t hash_tail(const unsigned char *p, size_t n)
{
	if (n >= 4) /* two loads that may overlap, put together without the overlap */
		return (uint64_t)hash_load32(p) | (uint64_t)hash_load32(p + n - 4) << (8 * (n - 4));
	if (n == 0)
		return 0;
	return (uint64_t)p[0] | (uint64_t)p[n >> 1] << (8 * (n >> 1)) | (uint64_t)p[n - 1] << (8 * (n - 1));
}

/* The hash of n bytes at p (p may be NULL if n is 0). */
static inline uint64_t hash_bytes(const void *data, size_t n, const uint64_t key[2])
{
	const unsigned char *p = data;
	uint64_t a = key[0] ^ UINT64_C(0x736f6d6570736575), b = key[1] ^ UINT64_C(0x646f72616e646f6d);
	uint64_t c = key[0] ^ UINT64_C(0x6c7967656e657261), d = key[1] ^ UINT64_C(0x7465646279746573);
	uint64_t last = (uint64_t)n << 56;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t m = hash_load64(p);
		d ^= m;
		HASH_ROUND(a, b, c, d);
		a ^= m;
	}
	last |= hash_tail(p, n);
	d ^= last;
	HASH_ROUND(a, b, c, d);
	a ^= last;
	c ^= 0xff;
	HASH_ROUND(a, b, c, d);
	HASH_ROUND(a, b, c, d);
	HASH_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

/* Fills the key from the kernel's generator (fatal if there is none). */
void hash_seed_random(uint64_t key[2]);

/* n random bytes from the kernel, for ids and the like (fatal if there are none). Works in a sandbox that allows
 * getrandom. */
void random_bytes(void *p, size_t n);

#endif
