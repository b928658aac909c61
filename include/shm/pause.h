/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT PAUSE: one word in the head of the control region says what waits, and until when.
 *
 * The supervisor alone writes it, on request. Everybody looks at it before a command begins; a transaction looks again after it has begun
 * and before it changes anything. So who has paused needs to wait for nobody: it cancels the transactions that run (txn_cancel_others), and
 * each of them either has been committed before that, or is rolled back by its owner, who then finds the pause. It does not matter how slow
 * that owner is, or whether it is stopped.
 *
 *     writer                         who pauses
 *     state = RUNNING                pause = word         (supervisor)
 *     full fence (takes a lock)      answer, full fence
 *     looks at pause                 state: RUNNING -> CANCELLED
 *
 * One of the two sees the other. Death: the supervisor's ends everything, and the pause; who asks and dies before the answer leaves a pause
 * that ends at its time, as if the answer had been lost on its way.
 */
#ifndef BULKHEAD_SHM_PAUSE_H
#define BULKHEAD_SHM_PAUSE_H

#include "shm/control.h"

enum pause_mode {
	PAUSE_NONE,
	PAUSE_WRITE, /* commands that write, or whose effects others are told of */
	PAUSE_ALL,   /* every command */
};

struct pause_wish {
	uint32_t mode;
	uint32_t reserved;
	int64_t ms; /* from now on */
};

#define PAUSE_MODE_BITS 2u
#define PAUSE_UNTIL_MAX (INT64_MAX >> PAUSE_MODE_BITS)

/* What a word that is not 0 says now: its time may be over. `left_ms` (or NULL): how long it goes on. */
enum pause_mode pause_mode_of(uint64_t word, int64_t *left_ms);

/* What is paused now. */
static inline enum pause_mode pause_mode(void)
{
	uint64_t word = atomic_load_explicit(&control->pause, memory_order_acquire);
	return __builtin_expect(word == 0, 1) ? PAUSE_NONE : pause_mode_of(word, NULL);
}

/* The word for a pause that ends at `until`, monotonic ms. */
static inline uint64_t pause_word(enum pause_mode mode, int64_t until)
{
	return (uint64_t)until << PAUSE_MODE_BITS | (uint64_t)mode;
}

#endif
