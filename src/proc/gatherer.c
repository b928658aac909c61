/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gatherer: has the kernel put the store into huge pages, ahead of need.
 *
 * One per store, always running; looks once a second. What it asks of the kernel waits for every core of the machine, seconds when they are
 * busy, and not even SIGKILL ends it before. So it is a process of its own, whom nobody waits for; it can write nothing, holds no
 * lock, and the next server need not wait for its end. Death: another is started, and finds what is gathered already.
 */
#include <poll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stop.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "shm/arena.h"
#include "shm/channel.h"
#include "shm/region.h"

#define LOOK_MS 1000

void gatherer_main(const struct launch *l)
{
	(void)l;
	signals_serve(-1);
	/* A mapping that cannot be made writable is to be had by /proc alone. */
	if (access("/proc/self/fd", X_OK)) {
		log_notice("There is no /proc: the store is not put into huge pages");
		while (!stop_requested())
			poll(NULL, 0, -1);
		return;
	}
	if (!region_look(launch_store_fd()))
		_exit(2);
	while (!stop_requested()) {
		channel_follow_log();
		arena_gather();
		poll(NULL, 0, LOOK_MS);
	}
}
