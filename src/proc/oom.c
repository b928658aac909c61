/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oom_score_adj (proc/oom.h).
 *
 * Why: a worker's death is one client's, the supervisor's is everybody's; so its children are the first choice also where nobody has configured
 * it. With oom-score-adj no, the supervisor's own score stays as it was given, and theirs are above it.
 *
 * The supervisor alone writes them. A child that wrote its own would pay a quarter of a fork for it, opening a file of /proc; it need not be
 * done for a client that comes and goes. So children are given theirs when they have lived for half a second. Compared: to fork with the score
 * raised and lower it again costs little, but fork is where memory runs out, and there the supervisor would be the one to go.
 *
 * Nothing shared, no locks. Death of a child: the file is gone, nothing happens.
 */
#include "proc/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/process.h"

#define AFTER_MS 500
#define BATCH 64       /* files written before other events are looked at */
#define HIGHEST 1000

static int given;      /* the score the supervisor was started with */
static int own;        /* the one it has */
static struct scores {
	int supervisor, helpers, workers;
} scores;
static bool pending;   /* some child has not been given its score */
static int64_t due = INT64_MAX;

static bool write_score(int32_t pid, int score)
{
	char path[40], text[16];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	int n = snprintf(text, sizeof text, "%d", score);
	bool ok = write(fd, text, (size_t)n) == n;
	int why = errno;
	close(fd);
	errno = why;
	return ok;
}

static int read_score(void)
{
	char text[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(fd);
	return atoi(text);
}

static int within(long score)
{
	return (int)(score > HIGHEST ? HIGHEST : score < -HIGHEST ? -HIGHEST : score);
}

static struct scores meant(const struct config *values)
{
	int32_t v[3];
	bool absolute = values->oom_score_adj == OOM_ADJ_ABSOLUTE, none = values->oom_score_adj == OOM_ADJ_NO;
	for (int i = 0; i < 3; i++) {
		v[i] = values->oom_score_adj_values[i];
		/* To raise it is anybody's right. */
		if (none && (i == 0 || v[i] < 0))
			v[i] = 0;
	}
	int base = absolute ? 0 : given;
	return (struct scores){within(base + v[0]), within(base + v[1]), within(base + v[2])};
}

static bool set_own(int wanted)
{
	if (wanted == own)
		return true;
	if (!write_score(getpid(), wanted)) {
		log_warning("Unable to write oom_score_adj: %s", strerror(errno));
		return false;
	}
	own = wanted;
	return true;
}

static void forget(uint32_t slot, struct process *p)
{
	(void)slot;
	p->scored = false;
}

bool oom_set(const struct config *values)
{
	struct scores s = meant(values);
	if (!set_own(s.supervisor))
		return false;
	scores = s;
	table_each(forget);
	pending = true;
	due = 0;
	return true;
}

void oom_begin(void)
{
	given = own = read_score();
	scores = meant(config);
	set_own(scores.supervisor);
}

void oom_born(void)
{
	pending = true;
}

static int written;

static void score(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->scored || written >= BATCH)
		return;
	p->scored = true;
	written++;
	/* One of another user, or one without a file, keeps the score it has. */
	write_score(p->pid, p->kind == PROC_WORKER ? scores.workers : scores.helpers);
}

void oom_tick(int64_t now)
{
	if (pending && due == INT64_MAX)
		due = now + AFTER_MS;
	if (now < due)
		return;
	written = 0;
	table_each(score);
	pending = written >= BATCH;
	due = pending ? now : INT64_MAX;
}

int64_t oom_deadline(void)
{
	return due;
}

void oom_restore(void)
{
	set_own(given);
}
