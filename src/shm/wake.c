/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hints for the expirer and its wake-up word. Run by writers. Single words changed by CAS; a writer that dies leaves at worst a
 * hint that is too early, or one that is missing until the expirer's next full look (1 s).
 */
#include "shm/wake.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void wake_expirer(void)
{
	atomic_fetch_add(&SUPER->expirer_wake, 1);
	syscall(SYS_futex, &SUPER->expirer_wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void rouse_expirer(void)
{
	/* Relaxed first: many may come by while it is awake. */
	if (atomic_load_explicit(&SUPER->expirer_until, memory_order_relaxed) && atomic_exchange(&SUPER->expirer_until, 0))
		wake_expirer();
}

void hint_lower(uint32_t stripe, int64_t due)
{
	_Atomic uint64_t *h = hint_word(stripe / (STRIPES / HINT_GROUPS));
	/* The stripe's version is odd for all to see before the hint is looked at: an expirer that clears it later waits for us. */
	atomic_thread_fence(memory_order_seq_cst);
	uint64_t d = due < 0 ? 0 : (uint64_t)due, now = atomic_load(h);
	while (d < now)
		if (atomic_compare_exchange_weak(h, &now, d)) {
			if (d < atomic_load(&SUPER->expirer_until))
				wake_expirer();
			return;
		}
}

void wake_sweeper(void)
{
	if (atomic_load_explicit(&SUPER->sweep_wanted, memory_order_relaxed) && atomic_load(&SUPER->expirer_until))
		wake_expirer();
}
