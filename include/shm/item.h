/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References and the item: a key, its value and their header in one block.
 */
#ifndef BULKHEAD_SHM_ITEM_H
#define BULKHEAD_SHM_ITEM_H

#include <stdbool.h>
#include <stdint.h>

/* A place in the store: its distance in bytes from the store's start, a multiple of 8; 0 is no place. */
typedef struct { uint64_t off; } ref;
#define REF_NONE ((ref){0})

enum value_type { TYPE_STRING, TYPE_LIST, TYPE_SET, TYPE_ZSET, TYPE_HASH, TYPE_STREAM };
enum value_encoding { ENC_AUTO, ENC_INT, ENC_EMBSTR, ENC_RAW };

/*
 * 16 bytes, then in this order: the due time (8 bytes, only with ITEM_DUE), the long key length (8 bytes, only with
 * ITEM_LONG_KEY), the key, the value. Guard: the stripe of the key. Written under its lock; read without it, so each word is
 * loaded once and checked. `clock` alone may change without a journal entry.
 */
struct item {
	uint64_t born_clock; /* epoch of birth: 40 bits | access clock: 24 bits (seconds, or LFU) */
	uint64_t shape;      /* value length: 32 bits | key length: 16 | flags: 8 | type: 4 | encoding: 4 */
};
_Static_assert(sizeof(struct item) == 16, "16-byte header");
#define ITEM_DUE 1u
#define ITEM_LONG_KEY 2u

#endif
