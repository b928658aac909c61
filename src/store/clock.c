/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of LFU clocks (clock.h). Run by whoever looks at keys; owns the state of this process's dice, nothing shared.
 */
#include "clock.h"

#include "base/hash.h"

#define LFU_MAX 255u
#define MINUTES_MASK 0xffffu

static uint32_t minutes(int64_t now_ms)
{
	return (uint32_t)(now_ms / 60000) & MINUTES_MASK;
}

uint32_t lfu_counter(uint32_t clock, int64_t now_ms)
{
	uint32_t counter = clock & LFU_MAX, then = clock >> 8, now = minutes(now_ms);
	/* Once around the clock a minute is lost, as in redis-server. */
	uint32_t passed = now >= then ? now - then : MINUTES_MASK - then + now;
	uint32_t decay = config->lfu_decay_time > 0 ? passed / (uint32_t)config->lfu_decay_time : 0;
	return decay > counter ? 0 : counter - decay;
}

uint32_t lfu_clock(uint32_t counter, int64_t now_ms)
{
	return minutes(now_ms) << 8 | counter;
}

/* One use in (counter - LFU_FIRST) * lfu-log-factor + 1 counts. */
static bool one_more(uint32_t counter)
{
	if (counter >= LFU_MAX)
		return false;
	double base = counter > LFU_FIRST ? counter - LFU_FIRST : 0;
	double throw = (double)(dice_throw() >> 11) * 0x1p-53;
	return throw < 1.0 / (base * (double)config->lfu_log_factor + 1);
}

uint32_t lfu_used(uint32_t clock, int64_t now_ms)
{
	uint32_t counter = lfu_counter(clock, now_ms);
	return lfu_clock(counter + one_more(counter), now_ms);
}

uint64_t dice_throw(void)
{
	static uint64_t state;
	if (state == 0)
		random_bytes(&state, sizeof state);
	state |= !state;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}
