/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery. Run by the medic.
 *
 * Leaf operations of all dead slots come first, for a later step may need an allocator lock one of them held. Every step may be repeated. The medic
 * allocates nothing.
 */
#include "store/recover.h"

#include "base/log.h"
#include "shm/leaf.h"
#include "shm/pin.h"
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
