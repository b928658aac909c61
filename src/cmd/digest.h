/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests of values and of whole datasets, equal to those of redis-server: SHA-1 sums combined by exclusive or, which does not
 * care for the order in which keys come, and by summing again, which does.
 */
#ifndef BULKHEAD_CMD_DIGEST_H
#define BULKHEAD_CMD_DIGEST_H

#include "base/sha1.h"
#include "store/keyspace.h"

struct digest {
	unsigned char sum[SHA1_BYTES]; /* begins as zeros */
};

/* Adds n bytes among others whose order does not matter. */
void digest_add(struct digest *d, const void *p, size_t n);

/* Adds n bytes at this place among others. */
void digest_mix(struct digest *d, const void *p, size_t n);

/* The same for a number, as 32 bits in network byte order. */
void digest_mix_u32(struct digest *d, uint32_t v);

/* Adds a value: its type, what it holds, and that it expires, if it does. */
void digest_value(struct digest *d, const struct view *v);

/* 40 hexadecimal digits and a NUL. */
void digest_text(const struct digest *d, char out[2 * SHA1_BYTES + 1]);

#endif
