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
 * Whether a client's command may take memory. Below the limit this is a sum and a comparison, and the expirer is woken when headroom is low.
 * Above it evicts, as long as maxmemory-eviction-tenacity allows. maxmemory is not 0; no lock is held, before or after.
 */
enum evict_result evict_for_command(void);

/*
 * A command failed for want of memory, though the store is within its limit: all of it lies in blocks of other sizes, or in pieces. Gives the expirer
 * a moment to move things together, after evicting what that needs. False: it is no use to try again. `tries`: how often it failed before.
 */
bool evict_await_room(unsigned tries);

/* The expirer's: evicts until there is headroom, at most for some ms. Returns whether there is more to do. */
bool evict_headroom(void);

#endif
