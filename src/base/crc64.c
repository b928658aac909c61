/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC-64 with Jones's polynomial. A few bytes are done bit by bit; for more a process fills tables of its own, which take eight
 * bytes a step.
 *
 * Any process. Owns the tables, private memory that is touched only where much is summed. No locks.
 */
#include "base/crc64.h"

#include "base/hash.h"
#include "base/seldom.h"

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* 0xad93d23594c935a9 reflected */
#define FEW 256u                               /* bytes that are not worth 16 KiB of tables */

static SELDOM_USED uint64_t tables[8][256];

static uint64_t by_bits(uint64_t crc, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
	}
	return crc;
}

/* tables[k][b]: what byte b is worth with k bytes of 0 after it. */
static void fill_tables(void)
{
	for (unsigned b = 0; b < 256; b++)
		tables[0][b] = by_bits(0, &(unsigned char){(unsigned char)b}, 1);
	for (unsigned b = 0; b < 256; b++)
		for (int k = 1; k < 8; k++)
			tables[k][b] = tables[0][tables[k - 1][b] & 0xff] ^ tables[k - 1][b] >> 8;
}

uint64_t crc64(uint64_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	if (n <= FEW)
		return by_bits(crc, p, n);
	if (tables[0][1] == 0)
		fill_tables();
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t w = crc ^ hash_load64(p);
		crc = 0;
		for (int k = 0; k < 8; k++)
			crc ^= tables[7 - k][w >> (8 * k) & 0xff];
	}
	return by_bits(crc, p, n);
}
