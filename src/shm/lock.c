/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow paths of the recoverable lock. All processes that map a store run this.
 *
 * Owns nothing. Death: a waiter that dies leaves a waiters or starving flag behind, which costs others a needless wake-up or
 * one 10 ms wait; an owner that dies leaves its slot in the word, and the medic calls lock_break.
 */
#include "shm/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/stop.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/events.h"

#define SPIN_NS 1000u
#define STARVE_NS 1000000u
#define BARGE_NS 10000000u /* even beside a starving waiter, which may have died, nobody queues for longer */
#define TELL_NS 50000000u  /* a waiter of this long tells the supervisor for whom it waits, */
#define AGAIN_NS 100000000u /* and again after each of these */

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void futex_sleep(lock_word *l, uint32_t seen)
{
	struct timespec ten_ms = {0, 10000000};
	syscall(SYS_futex, l, FUTEX_WAIT, seen, &ten_ms, NULL, 0);
}

/* Whether the lock looks takeable to a waiter that has waited for `waited` ns. */
static bool takeable(uint32_t v, bool starving, uint64_t waited)
{
	return !(v & LOCK_OWNER) && (!(v & LOCK_STARVING) || starving || waited > BARGE_NS);
}

static bool spin(lock_word *l, uint32_t me, uint64_t start)
{
	do {
		for (int i = 0; i < 8; i++) {
			uint32_t v = atomic_load_explicit(l, memory_order_relaxed);
			if (takeable(v, false, 0) && atomic_compare_exchange_weak_explicit(l, &v, me | (v & LOCK_WAITERS),
									       memory_order_acquire, memory_order_relaxed))
				return true;
			cpu_relax();
		}
	} while (clock_mono_ns() - start < SPIN_NS);
	return false;
}

/* Its owner may be stopped, which the supervisor can see and do something about; it may also just be busy. */
static void tell(lock_word *l, uint64_t waited, uint64_t *next)
{
	uint32_t owner = lock_owner(l);
	if (waited < *next || owner == 0)
		return;
	*next = waited + AGAIN_NS;
	channel_tell_waiting(owner);
}

/* As if the waiter had died: the starving flag may have been its own, so it goes, and who still starves sets it again. */
static void leave(lock_word *l, uint32_t me)
{
	lock_break(l, me);
}

static bool wait_on(lock_word *l, uint32_t me, bool cancellable, uint64_t start)
{
	uint64_t next = TELL_NS;
	bool starving = false;
	for (;;) {
		uint64_t waited = clock_mono_ns() - start;
		uint32_t v = atomic_load_explicit(l, memory_order_relaxed);
		if (cancellable && cancel_requested()) {
			leave(l, me);
			return false;
		}
		tell(l, waited, &next);
		if (takeable(v, starving, waited)) {
			/* Others may be asleep: keep the waiters flag so that the release wakes one. */
			if (atomic_compare_exchange_weak_explicit(l, &v, me | LOCK_WAITERS, memory_order_acquire,
								  memory_order_relaxed))
				return true;
			continue;
		}
		starving = starving || waited > STARVE_NS;
		uint32_t want = v | LOCK_WAITERS | (starving ? LOCK_STARVING : 0);
		if (want != v && !atomic_compare_exchange_weak_explicit(l, &v, want, memory_order_relaxed,
									memory_order_relaxed))
			continue;
		futex_sleep(l, want);
	}
}

bool lock_wait(lock_word *l, uint32_t me, bool cancellable)
{
	uint64_t start = clock_mono_ns();
	if (spin(l, me, start))
		return true;
	count_held_up(COUNTER_LOCK_WAITS);
	deadline_waiting = !cancellable;
	bool taken = wait_on(l, me, cancellable, start);
	deadline_waiting = 0;
	event_took(EVENT_LOCK_WAIT, clock_mono_ns() - start);
	return taken;
}

void lock_wake(lock_word *l, uint32_t old)
{
	/* With a starving waiter, wake all: which one the kernel would pick is not known, and only it may take the lock. */
	syscall(SYS_futex, l, FUTEX_WAKE, old & LOCK_STARVING ? 64 : 1, NULL, NULL, 0);
}

void lock_break(lock_word *l, uint32_t who)
{
	uint32_t v = atomic_load_explicit(l, memory_order_acquire), to;
	/*
	 * The dead one may have been the starving waiter: the flag goes; all wake up, and who still starves sets it again. Without an owner the
	 * other flag goes too: it may be a dead one's, and who lives sets it again.
	 */
	do
		to = (v & LOCK_OWNER) == who || !(v & LOCK_OWNER) ? 0 : v & ~LOCK_STARVING;
	while (to != v && !atomic_compare_exchange_weak_explicit(l, &v, to, memory_order_acq_rel, memory_order_acquire));
	lock_wake(l, LOCK_STARVING);
}
