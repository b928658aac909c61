/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-1 (FIPS 180-4), for digests that others compute too: DEBUG DIGEST, names of scripts. Not for secrets. */
#ifndef BULKHEAD_BASE_SHA1_H
#define BULKHEAD_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20u

struct sha1 {
	uint32_t state[5];
	uint64_t bytes; /* taken in so far */
	unsigned char block[64];
};

void sha1_begin(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *p, size_t n);
void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES]);

/* The digest of n bytes. */
void sha1(const void *p, size_t n, unsigned char out[SHA1_BYTES]);

#endif
