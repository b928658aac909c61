/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding what is twice: 128 bits of a keyed hash of each thing seen stand for it, so 16 to 32 bytes each whatever its size.
 *
 * Any process that reads an RDB. Private memory, which grows with what was read, not with what was announced. No locks.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/panic.h"
#include "rdb_parts.h"

#define FIRST 64u /* places; a power of two */

static uint64_t seeds[2][2];

static uint64_t *place(const struct twice *t, const uint64_t h[2])
{
	uint64_t i = h[0] & (t->cap - 1);
	while ((t->seen[i][0] || t->seen[i][1]) && (t->seen[i][0] != h[0] || t->seen[i][1] != h[1]))
		i = (i + 1) & (t->cap - 1);
	return t->seen[i];
}

static void grow(struct twice *t)
{
	struct twice old = *t;
	t->cap = old.cap ? 2 * old.cap : FIRST;
	t->seen = calloc(t->cap, sizeof *t->seen);
	if (!t->seen)
		fatal("out of memory");
	for (uint64_t i = 0; i < old.cap; i++)
		if (old.seen[i][0] || old.seen[i][1])
			memcpy(place(t, old.seen[i]), old.seen[i], sizeof *t->seen);
	free(old.seen);
}

bool twice_seen(struct twice *t, const struct arg *a)
{
	if (seeds[1][1] == 0) {
		hash_seed_random(seeds[0]);
		hash_seed_random(seeds[1]);
		seeds[1][1] |= 1;
	}
	if (2 * t->n >= t->cap)
		grow(t);
	uint64_t h[2] = {hash_bytes(a->p, a->n, seeds[0]), hash_bytes(a->p, a->n, seeds[1]) | 1};
	uint64_t *to = place(t, h);
	if (to[0] || to[1])
		return true;
	to[0] = h[0];
	to[1] = h[1];
	t->n++;
	return false;
}

void twice_deinit(struct twice *t)
{
	free(t->seen);
	*t = (struct twice){0};
}
