/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a whole store.
 */
#ifndef BULKHEAD_STORE_FSCK_H
#define BULKHEAD_STORE_FSCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Verifies that an attached, quiet store (no process is in a command, none died unrecovered) is in order: every table, cell, item,
 * counter, due queue, list and lock, and that the blocks one can get to are exactly those that are allocated. False: `why` (of `cap` bytes)
 * says what is wrong first, with its offset. Changes nothing; needs a bit of private memory per 8 bytes of store.
 */
bool store_fsck(char *why, size_t cap);

/*
 * The same for a store on which others work, called by the body of a PLAN_WRITE_ALL access: readers go on meanwhile,
 * writers wait. False also when somebody does not finish within 2 s what it did before the stripes were taken.
 */
bool store_fsck_beside(char *why, size_t cap);

/*
 * The same beside others without holding them up: a stripe at a time, under its lock. It does not see all that the
 * others see: no sums of heaps and arena, nothing of what flushes left to be swept. Damage it reports is damage. Ends
 * early, with true, when the process is asked to stop. No lock may be held. *keys: how many were looked at.
 */
bool store_fsck_live(char *why, size_t cap, uint64_t *keys);

#endif
