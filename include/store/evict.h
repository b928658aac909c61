/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eviction: what goes when the store is full.
 *
 * The expirer keeps a little room free below maxmemory, so that clients rarely find none. A client whose command needs memory makes room itself
 * only when the store is over its limit all the same. Keys are chosen by samples, as redis-server does: a pool keeps the best candidates seen.
 */
#ifndef BULKHEAD_STORE_EVICT_H
#define BULKHEAD_STORE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

enum evict_result {
	EVICT_OK,        /* the store is within its limit */
	EVICT_GOES_ON,   /* it is not yet, but others go on making room: the command may run */
	EVICT_NOTHING,   /* nothing can be evicted: -OOM */
	EVICT_CANCELLED, /* the command was cancelled meanwhile */
};

/*
 * The store is over its limit and a client's command is about to take memory: evicts as long as maxmemory-eviction-tenacity allows. No lock is
 * held, before or after. `now`: wall ms.
 */
enum evict_result evict_for_command(int64_t now);

/*
 * A command failed for want of memory, of which it wanted `bytes` in one piece: evicts what may make room for it. False: nothing more can
 * be done.
 */
bool evict_for_block(int64_t now, uint64_t bytes);

/* The expirer's: evicts until there is headroom, at most for some ms. Returns whether there is more to do. */
bool evict_headroom(void);

#endif
