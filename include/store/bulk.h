/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many keys at once: what a loader fills the store with, while nobody else looks at the data.
 *
 * Keys are gathered in private memory and put in place a few thousand to a transaction, none of which is in the log. The store is in order between any two
 * of them: a loader that dies leaves a store with fewer keys. Nothing expires for being due.
 */
#ifndef BULKHEAD_STORE_BULK_H
#define BULKHEAD_STORE_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum bulk_result {
	BULK_OK,
	BULK_NO_MEMORY,
	BULK_DUPLICATE, /* a key that is there already, and was not to be: bulk_culprit says which */
	BULK_TOO_LONG,  /* the value: 4 GiB and more */
	BULK_CANCELLED, /* the process is to end */
};

/* What bulk_add is given of a key; nothing of it is kept by reference. */
struct bulk_key {
	uint32_t db;
	struct arg key;
	const char *value; /* a string */
	uint64_t len;
	int64_t due;       /* wall ms, or DUE_NONE */
	int64_t idle;      /* seconds, or -1: not told */
	int freq;          /* 0 to 255, or -1: not told */
};

/* Begins, with what is in the store; `replace`: a key that is there already gets the new value. */
void bulk_begin(bool replace);

/* So many keys, so many of them with an expiry, are about to come into an empty database: its tables are made as large at once. Memory permitting. */
void bulk_expect(uint32_t db, uint64_t keys, uint64_t expires);

/* Adds a key, at the latest with the next bulk_flush. After any result but BULK_OK the load is over. */
enum bulk_result bulk_add(const struct bulk_key *k);

/* What was added is in the store. */
enum bulk_result bulk_flush(void);

/* The key of BULK_DUPLICATE and its database. */
const struct arg *bulk_culprit(uint32_t *db);

/* Empties all databases and frees what they held. */
enum bulk_result bulk_empty(void);

#endif
