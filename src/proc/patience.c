/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for the client's next bytes: looking again for a while, or sleeping at once (proc/patience.h).
 *
 * Why: to be woken costs more than a short request. A worker that finds its next request without having slept answers in half the time, and
 * spares its client the waking. But hundreds of workers that look in vain take the cores from those that have work. So each worker
 * keeps an account: a look that found something pays in, one in vain takes out, and who has nothing left sleeps at once. A request that comes
 * soon after going to sleep would have been worth a look: it pays in too. Looking means giving way to whoever wants the core (sched_yield);
 * when nobody does, looking ends after worker-spin-us.
 *
 * Run by workers. Private memory, no locks, nothing to clean up.
 */
#include "proc/patience.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/stop.h"

#define CREDIT_MAX 64
#define FOUND 4          /* paid in by a look that found something, less what it took */
#define IN_VAIN 8        /* taken out by looking in vain */
#define SOON_NS 2000000u /* a sleep this short was hardly worth going to */
#define SWITCH_NS 3000u  /* a yield this long has let somebody else run */

static int credit;

static ssize_t sleep_until_received(int fd, void *p, size_t n)
{
	uint64_t start = clock_mono_ns();
	/* A signal may have come since the caller looked at what it is for. */
	if (wake_flag) {
		wake_flag = 0;
		errno = EINTR;
		return -1;
	}
	ssize_t got = recv(fd, p, n, 0);
	if (got > 0 && clock_mono_ns() - start < SOON_NS)
		credit++;
	return got;
}

static bool nothing_yet(ssize_t got)
{
	return got < 0 && errno == EAGAIN;
}

/* Looks until something is there, or it has given way often enough, or nobody else wants the core for long enough. */
static ssize_t look(int fd, void *p, size_t n)
{
	uint64_t start = clock_mono_ns(), before = start;
	for (int yields = 0; yields < config->worker_yields;) {
		sched_yield();
		ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
		if (!nothing_yet(got)) {
			credit += credit < CREDIT_MAX ? FOUND - yields : 0;
			return got;
		}
		uint64_t now = clock_mono_ns();
		if (now - before > SWITCH_NS)
			yields++;
		else if (now - start > (uint64_t)config->worker_spin_us * 1000)
			break;
		before = now;
	}
	credit -= IN_VAIN;
	return sleep_until_received(fd, p, n);
}

ssize_t patient_recv(int fd, void *p, size_t n)
{
	if (credit <= 0)
		return sleep_until_received(fd, p, n);
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
	return nothing_yet(got) ? look(fd, p, n) : got;
}
