/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving (proc/saves.h): when a snapshot is made, for whom, and what its end means.
 *
 * The supervisor alone, which maps no store: it starts a process for each file, and acts on how that ended. Requests wait for an end with the
 * answer's descriptor. Death: of the supervisor, everything here goes with it, snapshots too; of a snapshot, its temporary file is removed, who waited
 * is told, and a save that was due is tried again.
 */
#include "proc/saves.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/seldom.h"
#include "proc/loads.h"
#include "proc/notify.h"
#include "proc/pauses.h"
#include "proc/process.h"
#include "proc/snapshot.h"

#define RETRY_MS 5000      /* after a save that failed */
#define LOOK_MS 500        /* between two looks at how much has changed */
#define TELL_MS 5000       /* the service manager is told so often that a last save goes on */

/* Why it runs. */
enum reason {
	FOR_BASE,
	FOR_BACKGROUND, /* BGSAVE, save points */
	FOR_CALLER,     /* SAVE, FLUSHALL */
	FOR_END,
};

/* Who waits for the end of a snapshot. */
struct waiting {
	struct channel_request *of;
	size_t n;
};

static SELDOM_USED struct {
	struct snapshot_task task;
	char temp[sizeof(config->dir) + sizeof(((struct save_base *)0)->path)]; /* its temporary file, absolute: the directory may be another meanwhile */
} what;

static uint32_t slot; /* of the snapshot that runs, or 0 */
static enum reason reason;
static int64_t began_ms;             /* monotonic */
static uint64_t changes_at_begin;
static struct waiting now_waiting, next_waiting; /* for the one that runs; for another one after it */
static bool scheduled;               /* a background save is to be made when there is nothing else to do */
static bool ended_by_us;
static int64_t retry_at, look_at;
static enum save_final final = FINAL_NOTHING;
static int64_t tell_at;

/* ---- what is told ---- */

static uint64_t changes_ever(void)
{
	uint64_t counts[COUNTERS];
	counts_read(counts);
	return counts[COUNTER_WRITE_COMMANDS];
}

static void add_trouble(uint32_t bit, bool on)
{
	if (on)
		atomic_fetch_or(&control->persistence.trouble, bit);
	else
		atomic_fetch_and(&control->persistence.trouble, ~bit);
}

void saves_judge(void)
{
	bool failed = atomic_load(&control->persistence.save_failed);
	add_trouble(TROUBLE_SAVE, failed && config->stop_writes_on_bgsave_error && config->save.n > 0);
}

static void answer_all(struct waiting *w, bool ok)
{
	for (size_t i = 0; i < w->n; i++)
		channel_answer(&w->of[i], ok ? "+OK" : "ERR", 3, -1);
	free(w->of);
	*w = (struct waiting){0};
}

static void wait_too(struct waiting *w, const struct channel_request *r)
{
	struct channel_request *more = realloc(w->of, (w->n + 1) * sizeof *more);
	if (!more)
		fatal("out of memory");
	w->of = more;
	w->of[w->n] = *r;
	w->of[w->n++].text = NULL;
}

/* ---- beginning ---- */

enum save_purpose saves_running(void)
{
	return !slot ? SAVE_NONE : reason == FOR_BASE ? SAVE_BASE : SAVE_RDB;
}

static bool begin(enum reason why)
{
	struct launch wish = {.kind = PROC_SNAPSHOT, .store_open = true, .snapshot = &what.task};
	if (slot) {
		errno = EBUSY;
		return false;
	}
	what.task.purpose = why == FOR_BASE ? SAVE_BASE : SAVE_RDB;
	what.task.in_front = why == FOR_CALLER || why == FOR_END;
	what.task.last = why == FOR_END;
	snprintf(what.task.filename, sizeof what.task.filename, "%s", config->dbfilename);
	changes_at_begin = changes_ever();
	slot = launch(&wish);
	if (!slot) {
		int error = errno;
		log_warning("Cannot start the %s: %s", process_name(PROC_SNAPSHOT), strerror(error));
		errno = error;
		return false;
	}
	reason = why;
	ended_by_us = false;
	began_ms = clock_mono_ms();
	atomic_store(&control->persistence.save_since_ms, clock_wall_ms());
	atomic_store(&control->persistence.saving, why != FOR_BASE);
	int pid = table_at(slot)->pid;
	if (why == FOR_BASE)
		snprintf(what.temp, sizeof what.temp, "%s", what.task.base.path);
	else
		snprintf(what.temp, sizeof what.temp, "%s/" SNAPSHOT_TEMP, config->dir, pid);
	log_notice("%s started by pid %d", why == FOR_BASE ? "Background append only file rewriting" : why == FOR_BACKGROUND ? "Background saving" : "Saving", pid);
	return true;
}

bool saves_begin_base(const struct save_base *base)
{
	if (slot || final == FINAL_RUNS) {
		errno = EBUSY;
		return false;
	}
	what.task.base = *base;
	return begin(FOR_BASE);
}

static bool begin_background(void)
{
	scheduled = false;
	atomic_fetch_add(&control->persistence.saves, 1);
	if (begin(FOR_BACKGROUND))
		return true;
	atomic_store(&control->persistence.save_failed, 1);
	retry_at = clock_mono_ms() + RETRY_MS;
	saves_judge();
	return false;
}

static void begin_for(struct waiting *w)
{
	if (begin(FOR_CALLER)) {
		now_waiting = *w;
		*w = (struct waiting){0};
	} else {
		answer_all(w, false);
	}
}

static void cancel(void)
{
	ended_by_us = true;
	table_at(slot)->condemned = true;
	kill(table_at(slot)->pid, SIGKILL);
}

void saves_cancel_base(void)
{
	if (slot && reason == FOR_BASE)
		cancel();
}

/* ---- requests ---- */

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

static void serve_save(struct channel_request *r)
{
	if (slot && reason == FOR_BACKGROUND) {
		answer(r, "ERR Background save already in progress");
		return;
	}
	atomic_fetch_add(&control->persistence.saves, 1);
	wait_too(&next_waiting, r);
	if (!slot)
		begin_for(&next_waiting);
}

static void serve_bgsave(struct channel_request *r, bool schedule)
{
	if (slot && reason != FOR_BASE) {
		answer(r, "ERR Background save already in progress");
	} else if (slot && !schedule) {
		answer(r, "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
			  "schedule a BGSAVE whenever possible.");
	} else if (slot) {
		scheduled = true;
		answer(r, "+Background saving scheduled");
	} else {
		answer(r, begin_background() ? "+Background saving started" : "ERR");
	}
}

/*
 * FLUSHALL: a snapshot under way is of no use any more, and what a start would load is not to come back. Nobody is told when that fails: the next save
 * tries again.
 */
static void serve_flushed(struct channel_request *r)
{
	if (slot && reason == FOR_BACKGROUND)
		cancel();
	if (config->save.n == 0) {
		answer(r, "+OK");
		return;
	}
	wait_too(&next_waiting, r);
	if (!slot)
		begin_for(&next_waiting);
}

void saves_serve(struct channel_request *r)
{
	if (loads_under_way() || final == FINAL_RUNS || atomic_load(&control->shutting_down))
		answer(r, "ERR the server is loading or stopping");
	else if (strcmp(r->text, "save") == 0)
		serve_save(r);
	else if (strcmp(r->text, "flushall") == 0)
		serve_flushed(r);
	else
		serve_bgsave(r, strcmp(r->text, "bgsave schedule") == 0);
}

/* What waited for the snapshot before. */
static void go_on(void)
{
	if (final == FINAL_RUNS) {
		if (!begin(FOR_END))
			final = FINAL_FAILED;
		return;
	}
	if (next_waiting.n)
		begin_for(&next_waiting);
}

/* ---- the end of the server ---- */

enum save_final saves_final(bool must, bool never)
{
	if (final == FINAL_RUNS)
		return final;
	scheduled = false;
	final = FINAL_NOTHING;
	if (slot) {
		log_notice("A snapshot is being written: it is ended");
		cancel();
	}
	if (never || (!must && config->save.n == 0) || loads_under_way())
		return final;
	log_notice("Saving the last snapshot before the end");
	final = FINAL_RUNS;
	pauses_hold(true);
	tell_at = 0;
	if (!slot && !begin(FOR_END))
		final = FINAL_FAILED;
	if (final == FINAL_FAILED)
		pauses_hold(false);
	return final;
}

enum save_final saves_final_state(void)
{
	return final;
}

void saves_final_over(void)
{
	if (final == FINAL_RUNS && slot)
		cancel();
	if (final != FINAL_NOTHING)
		pauses_hold(false);
	final = FINAL_NOTHING;
	if (!slot)
		go_on();
}

/* ---- ends ---- */

static void note_success(void)
{
	struct persistence *p = &control->persistence;
	atomic_store(&p->changes_saved, changes_at_begin);
	atomic_store(&p->last_save_s, clock_wall_ms() / 1000);
	atomic_store(&p->save_failed, 0);
}

static void tell_end(bool ok, int code, int status)
{
	const char *name = reason == FOR_BASE ? "Background append only file rewriting" : reason == FOR_BACKGROUND ? "Background saving" : "Saving";
	if (ok)
		log_notice("%s terminated with success", name);
	else if (code != CLD_EXITED && !ended_by_us)
		log_warning("%s terminated by signal %d", name, status);
	else if (code == CLD_EXITED)
		log_warning("%s failed", name);
}

/* What happens to the server when it was an RDB's. */
static void judge_rdb(bool ok)
{
	struct persistence *p = &control->persistence;
	atomic_store(&p->last_kept, atomic_load(&control_commons->persistence.save_retained));
	if (reason == FOR_BACKGROUND)
		atomic_store(&p->last_took_s, (clock_mono_ms() - began_ms) / 1000);
	if (ok) {
		note_success();
	} else if (reason == FOR_BACKGROUND && !ended_by_us) {
		atomic_store(&p->save_failed, 1);
		retry_at = clock_mono_ms() + RETRY_MS;
	}
	saves_judge();
}

void saves_ended(uint32_t ended, int code, int status)
{
	if (ended != slot)
		return;
	bool ok = code == CLD_EXITED && status == SNAPSHOT_DONE;
	slot = 0;
	atomic_store(&control->persistence.save_since_ms, 0);
	atomic_store(&control->persistence.saving, 0);
	if (!ok && unlink(what.temp) && errno != ENOENT && errno != EROFS)
		log_warning("Cannot remove %s: %s", what.temp, strerror(errno));
	tell_end(ok, code, status);
	if (reason == FOR_BASE) {
		what.task.base.ended(ok, &what.task.base);
	} else {
		judge_rdb(ok);
		answer_all(&now_waiting, ok);
		if (reason == FOR_END && final == FINAL_RUNS) {
			final = ok ? FINAL_SAVED : FINAL_FAILED;
			return;
		}
	}
	if (!slot)
		go_on();
}

/* ---- time ---- */

/* Whether a save point is reached. */
static bool is_due(int64_t now)
{
	const struct save_points *points = &config->save;
	if (slot || final == FINAL_RUNS || points->n == 0 || now < retry_at || loads_under_way() || atomic_load(&control->shutting_down))
		return false;
	int64_t since = clock_wall_ms() / 1000 - atomic_load(&control->persistence.last_save_s);
	uint64_t changes = UINT64_MAX;
	for (uint32_t i = 0; i < points->n && i < SAVE_POINTS_MAX; i++) {
		const struct save_point *p = &points->at[i];
		if (since <= p->seconds)
			continue;
		if (changes == UINT64_MAX)
			changes = changes_ever() - atomic_load(&control->persistence.changes_saved);
		if (changes < (uint64_t)p->changes)
			continue;
		log_notice("%d changes in %lld seconds. Saving...", (int)p->changes, (long long)p->seconds);
		return true;
	}
	return false;
}

void saves_tick(int64_t now)
{
	if (final == FINAL_RUNS && now >= tell_at) {
		tell_at = now + TELL_MS;
		notify_send("STATUS=Saving\nEXTEND_TIMEOUT_USEC=%lld", 3ll * TELL_MS * 1000);
	}
	if (!slot && scheduled && now >= retry_at)
		begin_background();
	if (now < look_at)
		return;
	look_at = now + LOOK_MS;
	if (is_due(now))
		begin_background();
}

/* The first moment at which any of the points can be reached. */
static int64_t next_point(void)
{
	const struct save_points *points = &config->save;
	int64_t seconds = INT64_MAX;
	for (uint32_t i = 0; i < points->n && i < SAVE_POINTS_MAX; i++)
		if (points->at[i].seconds < seconds)
			seconds = points->at[i].seconds;
	if (seconds == INT64_MAX)
		return INT64_MAX;
	int64_t since = clock_wall_ms() / 1000 - atomic_load(&control->persistence.last_save_s);
	int64_t at = since > seconds ? 0 : clock_mono_ms() + (seconds - since) * 1000;
	at = at < look_at ? look_at : at;
	return at < retry_at ? retry_at : at;
}

int64_t saves_deadline(void)
{
	if (final == FINAL_RUNS)
		return tell_at;
	if (slot)
		return INT64_MAX;
	return scheduled ? retry_at : next_point();
}

/* ---- the start ---- */

/* Also a process that is dead and has nobody who would wait for it is dead. */
static bool lives(int pid)
{
	char path[32], text[256], *end;
	if (kill(pid, 0) && errno == ESRCH)
		return false;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return true;
	text[n] = 0;
	end = strrchr(text, ')');
	return !end || (end[1] == ' ' && end[2] != 'Z' && end[2] != 'X');
}

/* A file is left over when its process is gone and nobody has it locked: others may save in this directory too. */
static void remove_if_left(const char *name)
{
	int pid, n = 0;
	if (sscanf(name, "temp-%9d.rdb%n", &pid, &n) != 1 || (size_t)n != strlen(name))
		return;
	if (lives(pid))
		return;
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(name) == 0)
		log_notice("Removed %s, which a save that did not come to its end has left", name);
	close(fd);
}

void saves_start(bool adopted)
{
	struct persistence *p = &control->persistence;
	atomic_store(&p->last_save_s, clock_wall_ms() / 1000);
	atomic_store(&p->last_took_s, -1);
	/* As if one more key had changed. */
	atomic_store(&p->changes_saved, changes_ever() - adopted);
	DIR *d = opendir(".");
	for (struct dirent *e; d && (e = readdir(d)) != NULL;)
		remove_if_left(e->d_name);
	if (d)
		closedir(d);
}

void saves_reset_count(void)
{
	atomic_store(&control->persistence.saves, 0);
}
