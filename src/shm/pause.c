/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the word of a pause (shm/pause.h). All processes. The word is taken once and its time compared with the clock, so that a pause ends
 * when it should also while the supervisor, which clears the word then, has no time. No locks; writes nothing.
 */
#include "shm/pause.h"

#include "base/clock.h"

enum pause_mode pause_mode_of(uint64_t word, int64_t *left_ms)
{
	int64_t left = (int64_t)(word >> PAUSE_MODE_BITS) - clock_mono_ms();
	if (left_ms)
		*left_ms = left;
	return left > 0 ? (enum pause_mode)(word & ((1u << PAUSE_MODE_BITS) - 1)) : PAUSE_NONE;
}
