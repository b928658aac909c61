/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The append only file, the supervisor's side (proc/aof.h).
 *
 * The supervisor alone, in memory of its own. It says what is wanted in the control region and wakes the writer; what that has done it hears as
 * requests. A rewrite is a snapshot that writes a base beside the increments, then the writer, which makes it part of the manifest. Either
 * may be killed: a snapshot leaves no base, and the rewrite has failed; a writer is followed by another, which finds what is wanted. No locks.
 */
#include "proc/aof.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/seldom.h"
#include "persist/aof_manifest.h"
#include "proc/loads.h"
#include "proc/process.h"
#include "proc/saves.h"
#include "proc/shutdown.h"
#include "shm/control.h"

#define FAILURES_FREE 3u    /* rewrites that may fail in a row before they are spaced out */
#define SPACED_MOST_MIN 60
#define WAITING_MAX 16u
#define RETRY_MS 1000        /* for a base without which nothing may be written: then twice as long, and again */
#define RETRY_DOUBLED 5u

static SELDOM_USED struct {
	bool started;    /* the data is there, the writer may begin */
	bool adopted;    /* and it is in shared memory in any case */
	bool logging;    /* the log is on */
	bool whole;      /* the files hold the data */
	bool needs_base; /* without one they do not */
	bool finishing;  /* a writer is to finish what was switched off */
	bool making;     /* a snapshot writes a base */
	bool cancelled;  /* which nobody wants any more */
	bool installing; /* it is ready, the writer has not made it part of the files yet */
	bool scheduled;  /* a rewrite is to begin as soon as it can */
	bool draining, drained, kept_back;
	int64_t retry_at; /* monotonic ms */
	int64_t spaced_until, spaced_min; /* monotonic ms; minutes */
	uint32_t nwaiting;
	struct channel_request waiting[WAITING_MAX]; /* clients that have switched it off, until that is done */
} aof;

#define told (&control->persistence)

/* ---- the writer ---- */

static void wake_writer(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->kind == PROC_AOF_WRITER)
		kill(p->pid, SIGURG);
}

static void order(bool on)
{
	atomic_store(&told->aof_on, on);
	atomic_fetch_add(&told->aof_order, 1);
	table_each(wake_writer);
}

bool aof_wants_writer(void)
{
	return aof.started && !aof.drained && (atomic_load(&told->aof_on) || aof.finishing || aof.installing);
}

static void answer_waiting(void)
{
	for (uint32_t i = 0; i < aof.nwaiting; i++)
		channel_answer(&aof.waiting[i], "+OK", 3, -1);
	aof.nwaiting = 0;
}

/* A start that cannot have its append only file is none: nobody has been served yet. */
static void judge_start(void)
{
	if (loads_let_in() || aof_is_ready() || atomic_load(&control->shutting_down))
		return;
	log_warning("The append only file in %s cannot be written. Exiting.", told->aof_dir);
	shutdown_failed(aof.adopted);
}

void aof_writer_ended(int code, int status)
{
	if (code == CLD_EXITED && status == AOF_WRITER_REFUSED)
		judge_start();
	bool ended = code == CLD_EXITED && (status == 0 || status == AOF_WRITER_KEPT_BACK);
	if (!ended)
		return; /* another one goes on */
	if (aof.draining) {
		aof.drained = true;
		aof.kept_back = status != 0 && (aof.whole || aof.adopted);
		return;
	}
	aof.finishing = false;
	aof.logging = false;
	answer_waiting();
}

bool aof_answers_later(struct channel_request *r)
{
	if (!aof.finishing || aof.nwaiting == WAITING_MAX)
		return false;
	aof.waiting[aof.nwaiting] = *r;
	aof.waiting[aof.nwaiting++].text = NULL;
	return true;
}

/* ---- at the start ---- */

static bool name_folder(void)
{
	char here[CONFIG_TEXT];
	if (!getcwd(here, sizeof here))
		return false;
	int n = snprintf(told->aof_dir, sizeof told->aof_dir, "%s/%s", here, config->appenddirname);
	return n < (int)sizeof told->aof_dir;
}

void aof_start(bool adopted, bool loaded)
{
	name_folder();
	atomic_store(&told->aof_same, loaded);
	aof.adopted = adopted;
	aof.finishing = adopted && !config->appendonly;
	aof.started = true;
	order(config->appendonly);
}

bool aof_is_ready(void)
{
	return !config->appendonly || aof.whole || (aof.adopted && aof.logging);
}

bool aof_is_first(void)
{
	return aof.adopted && atomic_load(&told->aof_on) && !aof.whole;
}

/* ---- switching it on and off ---- */

static bool folder_is_good(void)
{
	struct aof_manifest m = {0};
	struct aof_manifest_error e;
	char name[AOF_NAME_MAX];
	int dir = -1;
	enum aof_found found = AOF_FAILED;
	if (aof_manifest_name(name, config->appendfilename) == 0 && (dir = aof_dir_open(told->aof_dir, true)) >= 0)
		found = aof_manifest_read(&m, dir, name, &e);
	int why = errno;
	if (dir >= 0)
		close(dir);
	aof_manifest_deinit(&m);
	if (found == AOF_BAD)
		log_warning("The AOF manifest %s is damaged, line %u, '%s': %s", name, e.line, e.text, e.why);
	else if (found == AOF_FAILED)
		log_warning("Cannot open the append only file in %s: %s", told->aof_dir, strerror(why));
	return found == AOF_FOUND || found == AOF_ABSENT;
}

static const char *turn_on(void)
{
	if (!name_folder() || !folder_is_good() || access(told->aof_dir, W_OK | X_OK)) {
		log_warning("The append only file cannot be turned on: %s", told->aof_dir);
		return "Unable to turn on AOF. Check server logs.";
	}
	/* A base that is being made without a log has no beginning for the increments. */
	if (aof.making) {
		aof.cancelled = true;
		saves_cancel_base();
	}
	aof.logging = aof.whole = false;
	aof.adopted = true;
	aof.needs_base = false;
	atomic_store(&told->aof_same, 0);
	atomic_store(&told->aof_scheduled, 1);
	order(true);
	return NULL;
}

static void turn_off(void)
{
	aof.needs_base = aof.scheduled = false;
	atomic_store(&told->aof_scheduled, 0);
	if (aof.making) {
		log_notice("The rewrite of the append only file ends with it");
		aof.cancelled = true;
		saves_cancel_base();
	}
	aof.whole = aof.logging = false;
	aof.finishing = true;
	order(false);
}

const char *aof_change(bool on)
{
	if (on == (atomic_load(&told->aof_on) != 0) || !aof.started)
		return NULL;
	if (on)
		return turn_on();
	turn_off();
	return NULL;
}

/* ---- rewriting ---- */

static bool is_idle(void)
{
	bool switching = atomic_load(&told->aof_on) && !aof.logging;
	return aof.started && !aof.making && !aof.installing && !switching && !aof.finishing && !aof.draining &&
	       saves_running() == SAVE_NONE && !loads_under_way() && !atomic_load(&control->shutting_down);
}

/* Rewrites that go on failing would leave an increment each. */
static bool spaced_out(int64_t now)
{
	if (atomic_load(&told->aof_failures) < FAILURES_FREE) {
		aof.spaced_until = aof.spaced_min = 0;
		return false;
	}
	if (aof.spaced_until) {
		bool still = now < aof.spaced_until;
		if (!still)
			aof.spaced_until = 0;
		return still;
	}
	aof.spaced_min = aof.spaced_min ? aof.spaced_min * 2 : 1;
	if (aof.spaced_min > SPACED_MOST_MIN)
		aof.spaced_min = SPACED_MOST_MIN;
	aof.spaced_until = now + aof.spaced_min * 60000;
	log_warning("Rewriting the append only file has failed %u times in a row: tried again in %lld minutes",
		    atomic_load(&told->aof_failures), (long long)aof.spaced_min);
	return true;
}

static void set_scheduled(bool yes)
{
	aof.scheduled = yes;
	atomic_store(&told->aof_scheduled, yes);
}

/* The first files of a server that starts without any: to make them is no rewrite. */
static bool is_of_start(void)
{
	return atomic_load(&told->aof_on) && !aof.adopted && !aof.whole;
}

static void rewrite_ended(bool ok)
{
	bool counts = !is_of_start() || !ok;
	atomic_store(&told->aof_rewriting, 0);
	atomic_store(&told->aof_rewrite_failed, !ok);
	atomic_store(&told->aof_failures, ok ? 0 : atomic_load(&told->aof_failures) + 1);
	if (counts)
		atomic_store(&told->aof_rewrite_s, (clock_mono_ms() - atomic_load(&told->aof_rewrite_began_ms)) / 1000);
	uint32_t f = atomic_load(&told->aof_failures);
	aof.retry_at = ok ? 0 : clock_mono_ms() + (RETRY_MS << (f < RETRY_DOUBLED ? f : RETRY_DOUBLED) >> 1);
	if (ok)
		log_notice("Background AOF rewrite finished successfully");
	else
		log_warning("Background AOF rewrite failed");
	if (!ok)
		judge_start();
}

static void base_ended(bool ok, const struct save_base *base)
{
	aof.making = false;
	if (aof.cancelled) {
		aof.cancelled = false;
		atomic_store(&told->aof_rewriting, 0);
		return;
	}
	if (!ok) {
		rewrite_ended(false);
		return;
	}
	aof.installing = true;
	atomic_store(&told->aof_base, base->rdb ? AOF_BASE_RDB : AOF_BASE_TEXT);
	table_each(wake_writer);
}

static void base_in(bool ok)
{
	if (!aof.installing)
		return;
	aof.installing = false;
	atomic_store(&told->aof_base, AOF_BASE_NONE);
	rewrite_ended(ok);
	if (ok && atomic_load(&told->aof_on)) {
		aof.whole = true;
		aof.needs_base = false;
	}
}

/* The files of a log stay in the directory in which it was switched on; those without one are where the server is. */
static bool place_base(char *path, size_t cap)
{
	errno = ENAMETOOLONG;
	if (!atomic_load(&told->aof_on) && !name_folder())
		return false;
	if (snprintf(path, cap, "%s/%s", told->aof_dir, AOF_BASE_TEMP) >= (int)cap)
		return false;
	return mkdir(told->aof_dir, 0755) == 0 || errno == EEXIST;
}

static bool start_rewrite(void)
{
	struct save_base base = {.rdb = config->aof_use_rdb_preamble, .rotate = aof.logging, .ended = base_ended};
	/* At each moment INFO has one or the other. */
	atomic_store(&told->aof_rewriting, 1);
	set_scheduled(false);
	atomic_store(&told->aof_rewrite_began_ms, clock_mono_ms());
	if (!place_base(base.path, sizeof base.path) || !saves_begin_base(&base)) {
		log_warning("Cannot rewrite the append only file: %s", strerror(errno));
		rewrite_ended(false);
		return false;
	}
	aof.making = true;
	if (!is_of_start())
		atomic_fetch_add(&told->aof_rewrites, 1);
	return true;
}

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

void aof_serve_rewrite(struct channel_request *r)
{
	if (aof.making || aof.installing) {
		answer(r, "ERR Background append only file rewriting already in progress");
		return;
	}
	if (!is_idle()) {
		set_scheduled(true);
		atomic_store(&told->aof_failures, 0);
		answer(r, "+Background append only file rewriting scheduled");
		return;
	}
	answer(r, start_rewrite() ? "+Background append only file rewriting started"
				  : "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.");
}

/* ---- news of the writer ---- */

static void grown(int64_t percent)
{
	if (!is_idle() || aof.needs_base || spaced_out(clock_mono_ms()))
		return;
	log_notice("Starting automatic rewriting of AOF on %" PRId64 "%% growth", percent);
	start_rewrite();
}

/* A distrust: the rewrite that runs gives the base, if it begins behind it; else another one will. */
static void needs_base(int64_t why)
{
	aof.logging = true;
	aof.whole = false;
	aof.needs_base = true;
	if (why)
		log_warning("Writes are refused until the append only file has a new base");
}

/* By order: if the log was to be switched off before, it has been, or that was overtaken by the order and its writer's death. */
static void begun(void)
{
	atomic_store(&told->aof_same, 0);
	aof.finishing = false;
	answer_waiting();
}

void aof_serve_news(const struct channel_request *r)
{
	struct aof_news n;
	if (r->n != sizeof n)
		return;
	memcpy(&n, r->text, sizeof n);
	if (n.what == AOF_NEWS_BASE_IN)
		base_in(n.number != 0);
	if (!atomic_load(&told->aof_on) || n.order != atomic_load(&told->aof_order))
		return;
	if (n.what == AOF_NEWS_ON || n.what == AOF_NEWS_NEEDS_BASE)
		begun();
	if (n.what == AOF_NEWS_ON) {
		aof.logging = aof.whole = true;
		aof.needs_base = false;
	} else if (n.what == AOF_NEWS_NEEDS_BASE) {
		needs_base(n.number);
	} else if (n.what == AOF_NEWS_GROWN) {
		grown(n.number);
	}
}

/* ---- the end of the server ---- */

bool aof_drain(void)
{
	if (!aof.started || aof.drained || (!aof.draining && !aof_wants_writer()))
		return true;
	if (!aof.draining) {
		aof.draining = true;
		atomic_store(&told->aof_drain, 1);
		table_each(wake_writer);
	}
	return false;
}

void aof_abandon(void)
{
	if (!aof_wants_writer())
		return;
	aof.draining = aof.drained = true;
	aof.kept_back = atomic_load(&told->aof_on) && (aof.whole || aof.adopted);
}

void aof_resume(void)
{
	aof.draining = aof.drained = aof.kept_back = false;
	atomic_store(&told->aof_drain, 0);
}

bool aof_kept_back(void)
{
	return aof.kept_back;
}

void aof_reset_count(void)
{
	atomic_store(&told->aof_rewrites, 0);
}

/* ---- what is due ---- */

static bool is_due(void)
{
	return (aof.needs_base || aof.scheduled) && is_idle();
}

/* For INFO: also while there is to be a base, and none is being made. */
static void show_scheduled(void)
{
	bool switching = atomic_load(&told->aof_on) && !aof.logging, wanted = aof.needs_base && !aof.making && !aof.installing;
	atomic_store(&told->aof_scheduled, aof.scheduled || switching || wanted);
}

void aof_tick(int64_t now)
{
	if (is_due() && (aof.needs_base ? now >= aof.retry_at : !spaced_out(now)))
		start_rewrite();
	show_scheduled();
}

int64_t aof_deadline(void)
{
	return !is_due() ? INT64_MAX : aof.needs_base ? aof.retry_at : aof.spaced_until;
}
