/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A medic: rolls back or forward what processes that died left in the store, frees their locks.
 *
 * One at a time, for the slots it was told; at a start all those of a store that is taken over. All it does is in store/recover.c and may be done again from the start: a medic that dies
 * is followed by another with the same patients, and itself among them.
 */
#include <unistd.h>

#include "proc/process.h"
#include "proc/signals.h"
#include "store/access.h"
#include "store/recover.h"

void medic_main(const struct launch *l)
{
	/* SIGTERM stays blocked: what it has begun it ends. */
	if (!store_attach(launch_store_fd()))
		_exit(2);
	if (l->whole_store)
		recover_store();
	else
		recover_slots(l->patients, l->npatients);
}
