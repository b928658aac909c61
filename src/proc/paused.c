/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for the end of a pause (proc/paused.h).
 *
 * Run by workers, between commands: nothing is held, so a death here is that of an idle worker. The process sleeps in ppoll until the pause
 * ends by itself, or a signal comes: URG when clients are let go before the time or the pause has changed, TERM when the server stops. Both
 * are blocked but while it sleeps, and it says that it waits before it looks at the word (the supervisor clears the word, then looks who waits):
 * no wake-up can be missed.
 *
 * A client that hangs up is noticed as in Redis, where its command is then not executed. What it sends meanwhile stays in the socket.
 */
#include "proc/paused.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/stop.h"
#include "proc/signals.h"
#include "shm/channel.h"
#include "shm/pause.h"

/* What is left of a pause that concerns us, ms; 0: nothing. */
static int64_t left(bool writes)
{
	int64_t ms = 0;
	uint64_t word = atomic_load(&control->pause);
	enum pause_mode mode = word ? pause_mode_of(word, &ms) : PAUSE_NONE;
	return mode == PAUSE_ALL || (mode == PAUSE_WRITE && writes) ? ms : 0;
}

static bool sleep_for(int fd, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	return ppoll(&p, 1, &t, signals_waiting()) <= 0;
}

static bool wait(int fd, bool writes)
{
	int64_t ms;
	while (!stop_requested() && (ms = left(writes)) > 0) {
		channel_follow_log();
		if (!sleep_for(fd, ms))
			return false;
	}
	return !stop_requested();
}

bool paused_wait(struct session *s, bool writes)
{
	sigset_t wakers, before;
	if (left(writes) == 0)
		return true;
	sigemptyset(&wakers);
	sigaddset(&wakers, SIGURG);
	sigaddset(&wakers, SIGTERM);
	sigprocmask(SIG_BLOCK, &wakers, &before);
	atomic_store(&my_page->waiting, 1);
	bool goes_on = wait(s->fd, writes);
	atomic_store(&my_page->waiting, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return goes_on;
}
