/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pins: the right to read, without locks, everything that lived at an epoch.
 */
#ifndef BULKHEAD_SHM_PIN_H
#define BULKHEAD_SHM_PIN_H

#include "shm/layout.h"

#define EPOCH_MASK ((1ull << 40) - 1)

struct pin {
	uint64_t epoch;
	unsigned index;
};

/*
 * Takes a pin at the present epoch and advances it. Waits while all 64 pins are taken; if the command is cancelled meanwhile
 * (base/stop.h) what it gets is no pin. No lock may be held.
 */
struct pin pin_take(void);
static inline bool pin_is_none(struct pin p)
{
	return p.index == PINS_MAX;
}

/* pin_take in two steps: a place in the table, which already holds back what it must; then the present epoch, which it advances. */
struct pin pin_claim(void);
void pin_advance(struct pin *p);

/* Lets go; wakes the expirer when something may have been retained for it. */
void pin_release(struct pin p);

/* True when some pin p has born <= p < died. */
bool pin_needs(uint64_t born, uint64_t died);

/* True when `born` is later than every pin: the block may be changed in place. */
bool pin_allows_change(uint64_t born);

/* True when no pin is below `epoch`. */
bool pin_none_below(uint64_t epoch);

/* For checks: whether every pin that stands is shown by the mask. */
bool pin_check(void);

/* Recovery of a store that no process has: drops all. */
void pin_drop_all(void);

/* Medic: drops the pins of a dead slot. */
void pin_recover(uint32_t id);

#endif
