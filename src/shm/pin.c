/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pin table. Taken by workers (long reads) and snapshots, read by every writer.
 *
 * A pin is one word, owner and epoch, set by CAS; the mask beside it only tells writers which words to look at. Death: the word names the
 * owner, the medic drops it. A mask bit without a pin costs writers a look.
 */
#include "shm/pin.h"

#include <time.h>

#include "base/clock.h"
#include "base/stop.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/slot.h"
#include "shm/wake.h"

#define OWNER_SHIFT 40u
#define TELL_NS 100000000 /* a waiter of this long tells the supervisor for whom it waits, again and again */

struct pins {
	_Atomic uint64_t mask;
	uint64_t reserved[7];
	_Atomic uint64_t pin[PINS_MAX]; /* owner << 40 | epoch; 0: free */
};

static struct pins *pins(void)
{
	return (struct pins *)(STORE_BASE + SUPER->off_pins);
}

/*
 * All pins are taken, perhaps by processes that are stopped: the supervisor is told of one of them, as by who waits for a lock. Always
 * of the same one: when it is let go, the waiting is over. `since` is when the waiting began, or the last telling.
 */
static void tell(int64_t *since)
{
	uint64_t owner = atomic_load(&pins()->pin[0]) >> OWNER_SHIFT;
	int64_t now = clock_mono_ns();
	if (now - *since < TELL_NS || owner == 0)
		return;
	*since = now;
	channel_tell_waiting((uint32_t)owner);
}

/* Its index, or PINS_MAX: cancelled. */
static unsigned claim(uint64_t word)
{
	struct pins *t = pins();
	for (int64_t since = 0;;) {
		for (unsigned i = 0; i < PINS_MAX; i++) {
			uint64_t none = 0;
			if (atomic_load_explicit(&t->pin[i], memory_order_relaxed) == 0 &&
			    atomic_compare_exchange_strong(&t->pin[i], &none, word)) {
				atomic_fetch_or(&t->mask, 1ull << i);
				return i;
			}
		}
		if (cancel_requested())
			return PINS_MAX;
		since = since ? since : clock_mono_ns();
		tell(&since);
		struct timespec ms = {0, 1000000};
		nanosleep(&ms, NULL);
	}
}

struct pin pin_claim(void)
{
	uint64_t e = atomic_load(&SUPER->epoch);
	struct pin p = {e, claim((uint64_t)self_id << OWNER_SHIFT | e)};
	if (!pin_is_none(p))
		count_held_up(COUNTER_PINNED_READS);
	return p;
}

void pin_advance(struct pin *p)
{
	/* The pin stands before the epoch moves: who reads the new epoch sees the pin. */
	for (uint64_t e = p->epoch; !atomic_compare_exchange_strong(&SUPER->epoch, &e, e + 1);) {
		p->epoch = e;
		atomic_store(&pins()->pin[p->index], (uint64_t)self_id << OWNER_SHIFT | e);
	}
	atomic_thread_fence(memory_order_seq_cst); /* before any look at a lock word: see txn_begin */
}

struct pin pin_take(void)
{
	struct pin p = pin_claim();
	if (!pin_is_none(p))
		pin_advance(&p);
	return p;
}

static void drop(unsigned i)
{
	/* In this order: the next owner can only come after the second step, and sets its bit after that. */
	atomic_fetch_and(&pins()->mask, ~(1ull << i));
	atomic_store(&pins()->pin[i], 0);
}

void pin_release(struct pin p)
{
	drop(p.index);
	wake_sweeper();
}

bool pin_needs(uint64_t born, uint64_t died)
{
	struct pins *t = pins();
	for (uint64_t m = atomic_load_explicit(&t->mask, memory_order_acquire); m; m &= m - 1) {
		uint64_t w = atomic_load_explicit(&t->pin[__builtin_ctzll(m)], memory_order_acquire);
		if (w && born <= (w & EPOCH_MASK) && (w & EPOCH_MASK) < died)
			return true;
	}
	return false;
}

bool pin_allows_change(uint64_t born)
{
	return !pin_needs(born, UINT64_MAX);
}

bool pin_none_below(uint64_t epoch)
{
	return !pin_needs(0, epoch);
}

bool pin_check(void)
{
	for (unsigned i = 0; i < PINS_MAX; i++)
		if (atomic_load(&pins()->pin[i]) && !(atomic_load(&pins()->mask) >> i & 1))
			return false;
	return true;
}

void pin_recover(uint32_t id)
{
	for (unsigned i = 0; i < PINS_MAX; i++)
		if (atomic_load(&pins()->pin[i]) >> OWNER_SHIFT == id)
			drop(i);
	wake_sweeper();
}

void pin_drop_all(void)
{
	for (unsigned i = 0; i < PINS_MAX; i++)
		if (atomic_load(&pins()->pin[i]) || atomic_load(&pins()->mask) >> i & 1)
			drop(i);
}
