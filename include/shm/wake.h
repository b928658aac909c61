/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waking the expirer, which sleeps until the earliest due time it knows.
 */
#ifndef BULKHEAD_SHM_WAKE_H
#define BULKHEAD_SHM_WAKE_H

#include "shm/layout.h"

/* Lowers the hint of the stripe's group to `due` (wall ms) and wakes the expirer if it means to sleep longer. */
void hint_lower(uint32_t stripe, int64_t due);

/* Wakes the expirer if something waits to be swept (super->sweep_wanted). */
void wake_sweeper(void);

/* Wakes the expirer in any case: spare memory is low. */
void wake_expirer(void);

/* Wakes it if it sleeps, and nobody else has just done so: there is something to do that is not urgent. */
void rouse_expirer(void);

static inline _Atomic uint64_t *hint_word(uint32_t group)
{
	return (_Atomic uint64_t *)(STORE_BASE + SUPER->off_hints) + group;
}

/* A bit per stripe whose retained list is not empty. */
static inline _Atomic uint64_t *dirty_word(uint32_t stripe)
{
	return (_Atomic uint64_t *)(STORE_BASE + SUPER->off_dirty) + stripe / 64;
}

#endif
