/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers forked ahead (proc/spares.h).
 *
 * The supervisor alone. The list of spare workers is in memory that no child inherits; whether one has got a client stands on
 * its own page, so a worker can lie about itself only. How many are kept follows the rate at which clients come: it doubles
 * when none was left, and falls back to spare-workers when they stay unused.
 *
 * Death: a spare worker that dies is reaped like any and replaced; if that happens more than CRASHES_MAX times in a
 * second, forking waits, so that a broken machine is not kept busy.
 */
#include "proc/spares.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/panic.h"
#include "proc/listen.h"
#include "proc/process.h"

#define BATCH 8           /* forks before other events are looked at */
#define GROWN_MAX 64u     /* spare workers when clients come quickly */
#define SHRINK_MS 2000
#define RETRY_MS 50       /* after a refused fork */
#define REFUSE_AFTER_MS 100 /* a client that is just leaving gives its permit back within this time */
#define REFUSE_BATCH 64
#define CRASHES_MAX 50

static struct spares {
	uint32_t n;
	uint32_t target;     /* spare workers wanted */
	uint32_t fewest;     /* spare workers at the worst moment since the last shrink */
	int64_t shrink_at;
	int64_t retry_at;    /* a fork was refused: not before */
	int64_t refuse_at;   /* 0: no client waits in vain */
	int64_t crash_window;
	uint32_t crashes;
	bool served;         /* there have been spare workers, so if there are none, clients took them */
	bool refusing;       /* listening sockets are in the supervisor's epoll */
	bool stopped, fork_failed;
	uint32_t slot[SPARES_MAX + GROWN_MAX];
} *s;
static int epoll = -1;

void spares_init(int supervisor_epoll)
{
	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		fatal("Out of memory");
	madvise(s, sizeof *s, MADV_DONTFORK);
	epoll = supervisor_epoll;
	s->target = (uint32_t)config->spare_workers;
	s->shrink_at = INT64_MAX;
}

static void forget(uint32_t i)
{
	s->slot[i] = s->slot[--s->n];
}

/* Those that have a client are spare no longer. */
static void look(void)
{
	for (uint32_t i = 0; i < s->n;) {
		if (atomic_load_explicit(&control_page(s->slot[i])->busy, memory_order_relaxed)) {
			forget(i);
		} else {
			i++;
		}
	}
	if (s->n < s->fewest)
		s->fewest = s->n;
}

/* ---- refusing ---- */

static void watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void unwatch(int fd)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void set_refusing(bool on)
{
	if (on == s->refusing)
		return;
	s->refusing = on;
	s->refuse_at = 0;
	listen_each(on ? watch : unwatch);
}

static void refuse_one(int fd)
{
	static const char text[] = "-ERR max number of clients reached\r\n";
	/* Nobody waits for this client. */
	send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	count_add(COUNTER_REJECTED, 1);
}

void spares_refuse(int fd)
{
	int64_t now = clock_mono_ms();
	if (!s->refusing)
		return;
	if (s->refuse_at == 0) {
		/* Looked at again when the time has come; until then it would only wake us. */
		s->refuse_at = now + REFUSE_AFTER_MS;
		listen_each(unwatch);
		return;
	}
	for (int i = 0; i < REFUSE_BATCH; i++) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			break;
		refuse_one(client);
	}
}

/* The grace is over: whoever still waits is told. */
static void refuse_waiting(void)
{
	listen_each(spares_refuse);
	s->refuse_at = 0;
	listen_each(watch);
}

/* ---- forking ---- */

static bool permitted(void)
{
	return table_count(PROC_WORKER) < (uint64_t)config->maxclients;
}

static bool fork_one(int64_t now)
{
	struct launch wish = {.kind = PROC_WORKER, .store_open = !config->password_set};
	uint32_t slot = launch(&wish);
	if (!slot) {
		if (!s->fork_failed)
			log_warning("Cannot start a worker: %s. New clients are refused meanwhile.", strerror(errno));
		s->fork_failed = true;
		s->retry_at = now + RETRY_MS;
		return false;
	}
	s->fork_failed = false;
	s->slot[s->n++] = slot;
	s->served = true;
	return true;
}

/* Ends spare workers but for `keep`. One that has got a client meanwhile serves it, or with RETIRE_REFUSE refuses it. */
static void retire_surplus(uint32_t keep, enum retire how)
{
	while (s->n > keep) {
		uint32_t slot = s->slot[s->n - 1];
		atomic_store_explicit(&control_page(slot)->retire, how, memory_order_release);
		kill(table_at(slot)->pid, SIGURG);
		forget(s->n - 1);
	}
}

static void adapt(int64_t now)
{
	uint32_t least = (uint32_t)config->spare_workers;
	uint32_t most = least > GROWN_MAX ? least : GROWN_MAX;
	if (s->target < least)
		s->target = least;
	if (s->n == 0 && s->served && s->target < most) {
		s->target = s->target * 2 > most ? most : s->target * 2;
		s->shrink_at = now + SHRINK_MS;
	}
	if (s->target > least && s->shrink_at == INT64_MAX) {
		/* The parameter was lowered. */
		s->fewest = s->n;
		s->shrink_at = now + SHRINK_MS;
	}
	if (s->target > least && now >= s->shrink_at) {
		/* What was never needed in this time goes, half of it at once. */
		uint32_t unused = s->fewest < s->target - least ? s->fewest : s->target - least;
		s->target -= (unused + 1) / 2;
		retire_surplus(s->target, RETIRE_IDLE);
		s->fewest = s->n;
		s->shrink_at = now + SHRINK_MS;
	}
	if (s->target == least)
		s->shrink_at = INT64_MAX;
}

bool spares_refill(int64_t now)
{
	if (s->stopped)
		return false;
	look();
	adapt(now);
	for (int i = 0; i < BATCH && s->n < s->target && permitted() && now >= s->retry_at; i++)
		if (!fork_one(now))
			break;
	set_refusing(s->n == 0);
	if (s->refusing && s->refuse_at && now >= s->refuse_at)
		refuse_waiting();
	/* CONFIG SET may have lowered the limit below what is there already. */
	if (table_count(PROC_WORKER) > (uint64_t)config->maxclients) {
		uint64_t over = table_count(PROC_WORKER) - (uint64_t)config->maxclients;
		retire_surplus(over >= s->n ? 0 : s->n - (uint32_t)over, RETIRE_REFUSE);
	}
	return s->n < s->target && permitted() && now >= s->retry_at;
}

/* Counts workers that ended without ever having had a client; too many a second, and forking waits. */
static void count_crash(void)
{
	int64_t now = clock_mono_ms();
	if (now - s->crash_window > 1000) {
		s->crash_window = now;
		s->crashes = 0;
	}
	if (++s->crashes == CRASHES_MAX)
		log_warning("%d workers ended within a second without having had a client", CRASHES_MAX);
	if (s->crashes >= CRASHES_MAX)
		s->retry_at = now + 1000;
}

void spares_ended(uint32_t slot, bool had_client)
{
	uint32_t i = 0;
	while (i < s->n && s->slot[i] != slot)
		i++;
	bool listed = i < s->n;
	if (listed)
		forget(i);
	if (had_client || s->stopped)
		return;
	/* It may have been woken for a client and not have come to accept. */
	listen_each(listen_accepted);
	if (listed)
		count_crash();
}

void spares_renew(void)
{
	/* The listening sockets may be others from now on; spares_refill sees to it again. */
	set_refusing(false);
	look();
	retire_surplus(0, RETIRE_IDLE);
}

void spares_distrust(void)
{
	look();
	for (uint32_t i = 0; i < s->n; i++)
		table_at(s->slot[i])->trusted = false;
	spares_renew();
}

void spares_stop(void)
{
	set_refusing(false);
	s->stopped = true;
}

void spares_resume(void)
{
	s->n = 0;
	s->stopped = false;
}

int64_t spares_deadline(void)
{
	if (s->stopped)
		return INT64_MAX;
	int64_t at = s->shrink_at;
	if (s->refuse_at && s->refuse_at < at)
		at = s->refuse_at;
	if (s->n < s->target && permitted() && s->retry_at < at)
		at = s->retry_at;
	return at;
}
