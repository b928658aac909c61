/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access clock of an item, 24 bits, which mean what the policy in force makes of them (maxmemory-policy), as in redis-server:
 *
 *   LFU   minutes of the last change, 16 bits | counter, 8 bits: logarithmic in the number of uses, less one for each lfu-decay-time minutes
 *   else  seconds of the last use
 *
 * After a change of policy the old words stand until the keys are used again. Inline: readers look at a clock for each key they find.
 */
#ifndef BULKHEAD_STORE_CLOCK_H
#define BULKHEAD_STORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

#define CLOCK_MASK 0xffffffu
#define CLOCK_AHEAD 86400u /* s: what is no further in the future than this is; a machine's clock may be set back */
#define CLOCK_IDLE_MAX (CLOCK_MASK - CLOCK_AHEAD)
#define LFU_FIRST 5u /* counter of a new key: with 0 it would go before it could be used again */

static inline bool policy_is_lfu(void)
{
	return config->maxmemory_policy == POLICY_ALLKEYS_LFU || config->maxmemory_policy == POLICY_VOLATILE_LFU;
}

/* Seconds, 24 bits. */
static inline uint32_t clock_of(int64_t now_ms)
{
	return (uint32_t)(now_ms / 1000) & CLOCK_MASK;
}

/* That of a key not used for so long; further back than the clock can tell: as far as it can. */
static inline uint32_t clock_idle_for(int64_t idle, int64_t now_ms)
{
	return clock_of(now_ms - (idle > (int64_t)CLOCK_IDLE_MAX ? (int64_t)CLOCK_IDLE_MAX : idle) * 1000);
}

/* Seconds from `clock` to now; what seems to lie in the future was just used. */
static inline uint32_t clock_idle(uint32_t clock, int64_t now_ms)
{
	uint32_t idle = (clock_of(now_ms) - clock) & CLOCK_MASK;
	return idle > CLOCK_IDLE_MAX ? 0 : idle;
}

/* The counter of an LFU clock as it is now, after its decay. */
uint32_t lfu_counter(uint32_t clock, int64_t now_ms);

/* An LFU clock of that counter, changed now. */
uint32_t lfu_clock(uint32_t counter, int64_t now_ms);

/* An LFU clock after one more use: a throw of dice decides whether the counter moves. */
uint32_t lfu_used(uint32_t clock, int64_t now_ms);

/* By the policy in force: the clock of a new key; that of one that is used now. */
static inline uint32_t clock_fresh(int64_t now_ms)
{
	return __builtin_expect(policy_is_lfu(), 0) ? lfu_clock(LFU_FIRST, now_ms) : clock_of(now_ms);
}
static inline uint32_t clock_used(uint32_t clock, int64_t now_ms)
{
	return __builtin_expect(policy_is_lfu(), 0) ? lfu_used(clock, now_ms) : clock_of(now_ms);
}

/* Words for throws of dice: fast, good enough for samples and probabilities, no secret. Of this process. */
uint64_t dice_throw(void);

#endif
