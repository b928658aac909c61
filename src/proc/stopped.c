/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock-timeout (proc/stopped.h).
 *
 * The supervisor alone. Waiters say whom they wait for (src/shm/lock.c), every 100 ms. That is all they are believed: whether the process is
 * stopped, by a signal or by a debugger, is for /proc to say, about a pid of the private table. One that runs is never killed, however
 * slow it is.
 *
 * Time is counted from one word of a waiter to the next, and of a longer silence very little: a machine that stood still, or whose
 * processes were all stopped, has had nobody waiting. So the order in which they go on does not matter, and nothing happens by itself: no
 * timer, and no kill but at the word of a waiter that runs; CLIENT KILL that waits for a medic (kills.c) is one of these.
 *
 * A lock of a SICK slot is freed by the medic, so it is the medic that may be what stands still.
 */
#include "proc/stopped.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "proc/helpers.h"
#include "proc/process.h"

#define WATCHED 16
#define LOOK_MS 40      /* many may wait for one: looked at no more often than this */
#define STEP_MAX_MS 200 /* counted of one silence at most */
#define OVER_MS 1000    /* after a longer one it is another matter */

static struct watched {
	int32_t pid;
	int64_t looked; /* when, monotonic ms */
	unsigned long long runs; /* times_run then: one that a debugger steps through is stopped at each look, but runs */
	int64_t stopped; /* ms it was found stopped so far, others waiting; -1: it ran, or there is none */
} watched[WATCHED];

/*
 * The entry of that process. A new one takes the place of one that ran when it was looked at, or that nobody waits for any more. NULL: all
 * places are taken by processes that stand still. They have their turn first; were one of them to make room, as many as find no
 * room would push each other out for ever.
 */
static struct watched *watch(int32_t pid, int64_t now)
{
	struct watched *room = NULL;
	for (int i = 0; i < WATCHED; i++) {
		struct watched *w = &watched[i];
		if (w->pid == pid)
			return w;
		if (w->stopped < 0 || now - w->looked > OVER_MS)
			room = w;
	}
	if (room)
		*room = (struct watched){.pid = pid, .stopped = -1};
	return room;
}

/* A file of /proc, as a string; empty if it cannot be read. */
static void read_proc(int32_t pid, const char *name, char *text, size_t cap)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
}

/* The state is the letter behind the last parenthesis, for the name between them may hold anything. */
static bool is_stopped(int32_t pid)
{
	char text[512];
	read_proc(pid, "stat", text, sizeof text);
	const char *end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}

/* How often it has been given a core; 0 where the kernel does not count. */
static unsigned long long times_run(int32_t pid)
{
	char text[128];
	unsigned long long n = 0;
	read_proc(pid, "schedstat", text, sizeof text);
	return sscanf(text, "%*u %*u %llu", &n) == 1 ? n : 0;
}

static void look(struct watched *w, int64_t now)
{
	int64_t silence = now - w->looked;
	unsigned long long runs = times_run(w->pid);
	if (!is_stopped(w->pid))
		w->stopped = -1;
	else if (w->stopped < 0 || silence > OVER_MS || runs != w->runs)
		w->stopped = 0;
	else
		w->stopped += silence < STEP_MAX_MS ? silence : STEP_MAX_MS;
	w->looked = now;
	w->runs = runs;
}

void stopped_waiting_for(uint32_t slot, int64_t now)
{
	const struct process *p = table_at(slot < control->slots ? slot : 0);
	if (p->state == PROCESS_SICK)
		p = table_at(helpers_medic());
	if (config->lock_timeout == 0 || p->state != PROCESS_RUNNING)
		return;
	struct watched *w = watch(p->pid, now);
	if (!w || now - w->looked < LOOK_MS)
		return;
	look(w, now);
	if (w->stopped < config->lock_timeout)
		return;
	log_warning("The %s %d has been stopped for %lld ms while others wait for a lock it holds, and is killed",
		    process_name(p->kind), p->pid, (long long)w->stopped);
	kill(p->pid, SIGKILL);
	*w = (struct watched){.stopped = -1};
}
