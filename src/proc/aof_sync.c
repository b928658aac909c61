/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AOF writer's second thread: syncs while the first one goes on writing, however slow the disk is.
 *
 * Owns the state of one sync, under a lock. It touches neither the store nor the log, and takes no signal. It ends with its process; what it was doing
 * then counts as not done.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "aof_writer.h"
#include "base/clock.h"
#include "base/panic.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static enum sync_state state;
static struct aof_file *file;
static uint64_t upto;
static int why;
static int64_t began_ms;
static bool started;

static void *run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (state != SYNC_RUNS)
			pthread_cond_wait(&moved, &lock);
		struct aof_file *f = file;
		pthread_mutex_unlock(&lock);
		int failed = aof_file_sync(f) ? errno : 0;
		pthread_mutex_lock(&lock);
		why = failed;
		state = failed ? SYNC_FAILED : SYNC_DONE;
		pthread_cond_broadcast(&moved);
	}
	return NULL;
}

/* A thread that gets no signal. */
static void start(void *(*body)(void *), void *arg)
{
	pthread_t t;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&t, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		fatal("Cannot start a thread of the AOF writer");
	pthread_detach(t);
}

void sync_begin(struct aof_file *f, uint64_t offset)
{
	if (!started)
		start(run, NULL);
	started = true;
	pthread_mutex_lock(&lock);
	ASSERT(state == SYNC_IDLE);
	file = f;
	upto = offset;
	began_ms = clock_mono_ms();
	state = SYNC_RUNS;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

static enum sync_state take(uint64_t *offset)
{
	enum sync_state now = state;
	*offset = upto;
	errno = why;
	if (now != SYNC_RUNS)
		state = SYNC_IDLE;
	return now;
}

enum sync_state sync_look(uint64_t *offset)
{
	pthread_mutex_lock(&lock);
	enum sync_state now = take(offset);
	pthread_mutex_unlock(&lock);
	return now;
}

enum sync_state sync_wait(uint64_t *offset)
{
	pthread_mutex_lock(&lock);
	while (state == SYNC_RUNS)
		pthread_cond_wait(&moved, &lock);
	enum sync_state now = take(offset);
	pthread_mutex_unlock(&lock);
	return now;
}

int64_t sync_age(int64_t now)
{
	pthread_mutex_lock(&lock);
	int64_t age = state == SYNC_RUNS ? now - began_ms : 0;
	pthread_mutex_unlock(&lock);
	return age;
}

/* ---- closing ---- */

struct closing {
	int *fds;
	size_t n;
};

static void *close_all(void *arg)
{
	struct closing *c = arg;
	for (size_t i = 0; i < c->n; i++)
		close(c->fds[i]);
	free(c->fds);
	free(c);
	return NULL;
}

void close_beside(int *fds, size_t n)
{
	struct closing *c = malloc(sizeof *c);
	if (!c)
		fatal("Out of memory");
	*c = (struct closing){fds, n};
	start(close_all, c);
}
