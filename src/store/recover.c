/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery. Run by the medic, after a death or when a server takes over the store of a dead one.
 *
 * Leaf operations of all dead slots come first, for a later step may need an allocator lock one of them held. Every step may be repeated. The medic
 * allocates nothing.
 */
#include "store/recover.h"

#include "base/log.h"
#include "shm/leaf.h"
#include "shm/pin.h"
#include "shm/ring.h"
#include "shm/txn.h"

static bool in_range(uint32_t slot)
{
	if (slot > 0 && slot < SUPER->slots && slot <= atomic_load(&SUPER->slot_high) && slot != self_id)
		return true;
	log_warning("Nothing to recover for slot %u", slot);
	return false;
}

void recover_slots(const uint32_t *slots, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (in_range(slots[i]))
			leaf_recover(slots[i]);
	for (unsigned i = 0; i < n; i++) {
		if (!in_range(slots[i]))
			continue;
		txn_recover(slots[i]);
		pin_recover(slots[i]);
	}
}

void recover_store(void)
{
	/* This process's own slot too: what is there is somebody else's, and what is done on it now leaves it as it was. */
	uint32_t high = atomic_load(&SUPER->slot_high);
	for (uint32_t i = 1; i <= high; i++)
		leaf_recover(i);
	for (uint32_t i = 1; i <= high; i++)
		txn_recover(i);
	pin_drop_all();
	atomic_store(&SUPER->expirer_until, 0);
	atomic_store(&SUPER->arena.full_until, 0);
	atomic_store(&SUPER->sweep_wanted, 1);
	/* Who died waiting for the log is not taken off: here it is known that nobody waits. */
	atomic_store(&ring()->durable_waiters, 0);
	atomic_store(&ring()->room_waiters, 0);
}
