/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker: verifies the store once while others work on it, says in the log what it found, ends.
 *
 * Started on demand (helpers_check), at most one at a time. All it does is in store/fsck_live.c. Death: a medic frees
 * the lock it may hold; nobody starts another.
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stop.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "shm/channel.h"
#include "store/access.h"
#include "store/fsck.h"

void checker_main(const struct launch *l)
{
	char why[256];
	uint64_t keys;
	(void)l;
	signals_serve(-1);
	if (!store_attach(launch_store_fd()))
		_exit(2);
	bool whole = store_fsck_live(why, sizeof why, &keys);
	channel_follow_log();
	if (!whole)
		log_warning("Check of the store: damaged: %s. Save what you can and start afresh", why);
	else if (!stop_requested())
		log_notice("Check of the store: %" PRIu64 " keys, no damage", keys);
}
