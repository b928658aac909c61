/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the tables of a database are filled.
 */
#ifndef BULKHEAD_STORE_TABLE_STATS_H
#define BULKHEAD_STORE_TABLE_STATS_H

#include <stdint.h>

#define TABLE_CELLS 8u /* of a bucket */

struct table_stats {
	uint64_t keys, expires;   /* expires: those with a due time */
	uint64_t tables, buckets; /* tables: one for each stripe that has a key */
	uint64_t largest;         /* buckets of the largest table */
	uint64_t filled[TABLE_CELLS + 1]; /* buckets with so many cells in use */
	uint64_t queued, queue_room;      /* entries of the due queues, and how many there is room for */
};

/* Counts, a stripe at a time. Inside an access that holds no lock. */
void table_stats(uint32_t db, struct table_stats *out);

#endif
