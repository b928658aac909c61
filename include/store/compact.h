/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving what lies thinly spread close together, so that slabs of one size of block can serve another.
 */
#ifndef BULKHEAD_STORE_COMPACT_H
#define BULKHEAD_STORE_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

/* Empties up to `want` slabs, of which heap_could_gain has more. Returns how many slabs are free more than before. The expirer alone; no lock is held. */
uint64_t compact(uint32_t want);

/* Empties `n` slabs that are neighbours, for a block that large. False: there are none that could be. The expirer alone; no lock is held. */
bool compact_run(uint64_t n);

/* Puts in order what a dead one has left. */
void compact_recover(void);

#endif
