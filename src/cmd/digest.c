/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests of values, for DEBUG DIGEST and DIGEST-VALUE.
 *
 * Runs in workers, inside the access of whoever asks. Owns nothing, locks nothing.
 */
#include "digest.h"

#include <stdio.h>

#include "base/stop.h"

#define STEP (64u << 10) /* bytes between two looks whether the command is cancelled: then nobody wants the digest any more */

/* The numbers of the types there, and what is added for a key that expires. */
static const uint32_t type_numbers[] = {
    [TYPE_STRING] = 0, [TYPE_LIST] = 1, [TYPE_SET] = 2, [TYPE_ZSET] = 3, [TYPE_HASH] = 4, [TYPE_STREAM] = 6,
};
static const char expires[] = "!!expire!!";

void digest_add(struct digest *d, const void *p, size_t n)
{
	unsigned char sum[SHA1_BYTES];
	struct sha1 s;

	sha1_begin(&s);
	for (const char *at = p; n > 0 && !cancel_requested();) {
		size_t step = n < STEP ? n : STEP;
		sha1_add(&s, at, step);
		at += step;
		n -= step;
	}
	sha1_end(&s, sum);
	for (size_t i = 0; i < SHA1_BYTES; i++)
		d->sum[i] ^= sum[i];
}

void digest_mix(struct digest *d, const void *p, size_t n)
{
	digest_add(d, p, n);
	sha1(d->sum, SHA1_BYTES, d->sum);
}

void digest_mix_u32(struct digest *d, uint32_t v)
{
	unsigned char bytes[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};

	digest_mix(d, bytes, sizeof bytes);
}

void digest_value(struct digest *d, const struct view *v)
{
	digest_mix_u32(d, v->type < sizeof type_numbers / sizeof type_numbers[0] ? type_numbers[v->type] : UINT32_MAX);
	if (v->type == TYPE_STRING)
		digest_mix(d, v->value, v->len);
	if (v->due != DUE_NONE)
		digest_add(d, expires, sizeof expires - 1);
}

void digest_text(const struct digest *d, char out[2 * SHA1_BYTES + 1])
{
	for (size_t i = 0; i < SHA1_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", d->sum[i]);
}
