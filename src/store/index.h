/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index: from a key's hash to its item. Internal to src/store.
 *
 * hash: 12 bits stripe | 24 bits tag | the rest unused. A database's root has a bin per stripe; a bin's table is an array of 64-byte
 * buckets of 8 cells, a cell being tag << 40 | item offset / 8. Home bucket of a tag is tag * buckets >> 24, so the table is ordered by tag:
 * whatever the number of buckets, growth needs no item, and a position in the order (SCAN's cursor) stays what it is. A full bucket
 * overflows into the next one (the last into the first); removal moves overflowed cells back, so a search ends at a bucket with room.
 * Tables grow by an eighth when 7/8 full, to fit a size class exactly.
 */
#ifndef BULKHEAD_STORE_INDEX_H
#define BULKHEAD_STORE_INDEX_H

#include <string.h>

#include "shm/layout.h"

#define CELLS 8u
#define TAG_BITS 24u
#define TAG_MASK ((1u << TAG_BITS) - 1)
#define CELL_TAG_SHIFT 40u
#define CELL_REF_MASK ((1ull << CELL_TAG_SHIFT) - 1)

/* Guard: the stripe of its number. */
struct bin {
	ref table;         /* nbuckets x 64 bytes */
	ref due;           /* heap of 64-bit words, see due.h */
	uint32_t nbuckets, count;
	uint32_t expires;  /* keys with a due time */
	uint32_t ndue, due_cap;
	uint32_t reserved;
	uint64_t reserved2[3];
};
_Static_assert(sizeof(struct bin) == 64, "a cache line");

/* One per database that has ever had a key. */
struct root {
	uint64_t born, died;
	ref next;          /* list of retired roots; guard: stripe 0 */
	uint64_t reserved[5];
	struct bin bins[STRIPES];
};

/* Database number -> root. Replaced as a whole; 0 -> root is filled in place. */
struct db_map {
	uint64_t born, died;
	ref next;          /* list of old maps */
	uint64_t reserved;
	ref roots[];
};

/* What a key hashes to. */
struct key_hash {
	uint32_t stripe, tag;
};

static inline struct key_hash hash_split(uint64_t h)
{
	return (struct key_hash){(uint32_t)(h >> 52), (uint32_t)(h >> 28) & TAG_MASK};
}

/* An item taken apart; pointers into the store. */
struct parts {
	const char *key, *value;
	uint64_t klen, vlen;
	uint64_t born;
	int64_t due; /* INT64_MIN: none */
	uint32_t clock;
	uint8_t type, encoding, flags;
};

static inline uint64_t item_head_bytes(uint8_t flags)
{
	return sizeof(struct item) + (flags & ITEM_DUE ? 8 : 0) + (flags & ITEM_LONG_KEY ? 8 : 0);
}

#define SHAPE_VLEN(s) ((s) & 0xffffffffull)
#define SHAPE_KLEN(s) ((s) >> 32 & 0xffff)
#define SHAPE_FLAGS(s) ((uint8_t)((s) >> 48 & 0xff))
#define SHAPE_TYPE(s) ((uint8_t)((s) >> 56 & 0xf))
#define SHAPE_ENC(s) ((uint8_t)((s) >> 60))
#define CLOCK_SHIFT 40u

/* Takes the item at `r` apart. Safe on torn references and content: false when it cannot be an item. */
bool item_read(ref r, struct parts *out);

/* Bytes of an item of this shape. */
uint64_t item_bytes(uint64_t klen, uint64_t vlen, uint8_t flags);

/* Writes an item into a fresh block, all but its value; returns where the value goes. */
char *item_write(void *block, uint64_t born, uint32_t clock, const struct parts *p);

/* Where an item's due time is (ITEM_DUE). */
static inline int64_t *item_due(ref r)
{
	return (int64_t *)((struct item *)at(r) + 1);
}

/* A copy of a bin's words, each loaded once. */
static inline struct bin bin_read(const struct bin *b)
{
	struct bin c = {0};
	c.table.off = __atomic_load_n(&b->table.off, __ATOMIC_RELAXED);
	c.nbuckets = __atomic_load_n(&b->nbuckets, __ATOMIC_RELAXED);
	c.count = __atomic_load_n(&b->count, __ATOMIC_RELAXED);
	return c;
}

static inline ref cell_ref(uint64_t cell)
{
	return (ref){(cell & CELL_REF_MASK) << 3};
}
static inline uint32_t cell_tag(uint64_t cell)
{
	return (uint32_t)(cell >> CELL_TAG_SHIFT);
}
static inline uint64_t cell_make(uint32_t tag, ref r)
{
	return (uint64_t)tag << CELL_TAG_SHIFT | r.off >> 3;
}

/*
 * The cell of a key, or NULL. Safe on torn data (bounded, checked); the cell's content and the parsed item come in *cell and *parts
 * as they were read.
 */
uint64_t *index_find(const struct bin *b, uint32_t tag, const char *key, uint64_t klen, uint64_t *cell, struct parts *parts);

/* The bucket where a search for the tag begins. */
static inline uint32_t index_home(uint32_t tag, uint32_t nbuckets)
{
	return (uint32_t)((uint64_t)tag * nbuckets >> TAG_BITS);
}

/* Gives an empty bin without a table room for `keys`. Else nothing happens. Stripe held by a transaction. False: no memory. */
bool index_presize(uint32_t stripe, struct bin *b, uint64_t keys);

/* Where exactly this cell stands in the bin's table, or NULL. Stripe held, or the bin read by version and safe on torn data. */
uint64_t *index_cell(const struct bin *b, uint64_t cell);

/* Adds a cell, growing the table when due. Stripe held by a transaction. False: no memory. */
bool index_insert(uint32_t stripe, struct bin *b, uint32_t tag, ref item);

/* Removes the cell at `c` (of this bin's table), moving overflowed cells back. Stripe held. False: no journal memory. */
bool index_remove(uint32_t stripe, struct bin *b, uint64_t *c);

#endif
