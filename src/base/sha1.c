/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-1, as the standard describes it. Any process; owns nothing, locks nothing.
 */
#include "base/sha1.h"

#include <string.h>

static uint32_t rotl(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static uint32_t load_be(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be(unsigned char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * (bytes - 1 - i)));
}

/* The function and the constant of a round. */
static uint32_t mixed(int round, uint32_t b, uint32_t c, uint32_t d)
{
	if (round < 20)
		return ((b & c) | (~b & d)) + 0x5a827999u;
	if (round < 40)
		return (b ^ c ^ d) + 0x6ed9eba1u;
	if (round < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
	return (b ^ c ^ d) + 0xca62c1d6u;
}

static void take_block(struct sha1 *s, const unsigned char *p)
{
	uint32_t w[80], a = s->state[0], b = s->state[1], c = s->state[2], d = s->state[3], e = s->state[4];

	for (int i = 0; i < 16; i++)
		w[i] = load_be(p + 4 * i);
	for (int i = 16; i < 80; i++)
		w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t next = rotl(a, 5) + mixed(i, b, c, d) + e + w[i];
		e = d;
		d = c;
		c = rotl(b, 30);
		b = a;
		a = next;
	}
	s->state[0] += a;
	s->state[1] += b;
	s->state[2] += c;
	s->state[3] += d;
	s->state[4] += e;
}

void sha1_begin(struct sha1 *s)
{
	*s = (struct sha1){.state = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}};
}

void sha1_add(struct sha1 *s, const void *data, size_t n)
{
	const unsigned char *p = data;
	size_t have = s->bytes % 64;

	s->bytes += n;
	if (have != 0 && n != 0) {
		size_t more = n < 64 - have ? n : 64 - have;
		memcpy(s->block + have, p, more);
		p += more;
		n -= more;
		if (have + more < 64)
			return;
		take_block(s, s->block);
	}
	for (; n >= 64; p += 64, n -= 64)
		take_block(s, p);
	if (n != 0)
		memcpy(s->block, p, n);
}

void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES])
{
	static const unsigned char padding[64] = {0x80};
	unsigned char length[8];
	size_t have = s->bytes % 64;

	store_be(length, s->bytes * 8, 8);
	sha1_add(s, padding, have < 56 ? 56 - have : 120 - have);
	sha1_add(s, length, 8);
	for (int i = 0; i < 5; i++)
		store_be(out + 4 * i, s->state[i], 4);
}

void sha1(const void *p, size_t n, unsigned char out[SHA1_BYTES])
{
	struct sha1 s;

	sha1_begin(&s);
	sha1_add(&s, p, n);
	sha1_end(&s, out);
}
