/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over the store of a server that is gone (proc/start.h).
 *
 * The supervisor alone, before it serves. All processes of the old server are gone: their lock on the object is ours. So one medic may
 * recover all slots, which costs nothing for each key: a store of any size serves again at once. Whether it is whole is checked
 * afterwards, beside the service. Death at any point: the next start does it again.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "proc/notify.h"
#include "proc/process.h"
#include "proc/start.h"

#define TRIES 3
#define LONG_MS 60000

/* True: it ended with status 0. One that takes too long is killed. */
static bool wait_for(uint32_t slot)
{
	int32_t pid = table_at(slot)->pid;
	int64_t until = clock_mono_ms() + LONG_MS;
	siginfo_t info = {0};
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) || info.si_pid == 0) {
		if (clock_mono_ms() > until)
			kill(pid, SIGKILL);
		nanosleep(&(struct timespec){0, 200000}, NULL);
	}
	table_ended(slot, false);
	return info.si_code == CLD_EXITED && info.si_status == 0;
}

void adopt_recover(void)
{
	int64_t start = clock_mono_ms();
	notify_send("STATUS=Recovering the data in shared memory\nEXTEND_TIMEOUT_USEC=%lld", TRIES * LONG_MS * 1000LL);
	for (int i = 0; i < TRIES; i++) {
		struct launch wish = {.kind = PROC_MEDIC, .store_open = true, .whole_store = true};
		uint32_t slot = launch(&wish);
		if (!slot)
			fatal("Cannot start a medic for the data in shared memory: %s", strerror(errno));
		if (wait_for(slot)) {
			log_warning("Adopted the data in shared memory '%s', recovered in %lld ms", control->store_name,
				    (long long)(clock_mono_ms() - start));
			return;
		}
		log_warning("A medic died over the data in shared memory '%s'", control->store_name);
	}
	fatal("The data in shared memory '%s' cannot be recovered; it stays as it is. A start with 'warm-restart no' discards it",
	      control->store_name);
}
