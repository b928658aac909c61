/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading, the supervisor's side (proc/loads.h).
 *
 * The supervisor alone, in memory of its own. Whether there is anything to load it sees by names; what the files hold it leaves to the loader. While one works
 * the store's superblock says CONTENTS_PARTIAL, so whatever dies, half the data is never taken for the whole: a loader that was killed is
 * followed by another, which begins with an empty store, and a start that finds such a store discards it.
 *
 * An upgrade, and SHUTDOWN WARM, would hand on half the data: the first is refused meanwhile, the second leaves nothing.
 */
#include "proc/loads.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/seldom.h"
#include "persist/aof_manifest.h"
#include "persist/disk.h"
#include "proc/aof.h"
#include "proc/notify.h"
#include "proc/process.h"
#include "proc/shutdown.h"
#include "shm/control.h"
#include "shm/region.h"
#include "shm/ring.h"

#define TRIES 4       /* loaders that may be killed over one load, less one */
#define RETRY_MS 100  /* after a refused fork */
#define TELL_MS 1000
#define EXTEND_S 30   /* what the service manager is asked for each time */

static SELDOM_USED struct {
	bool under_way;
	bool waits_for_log;  /* it is over, and the AOF writer begins */
	uint32_t slot;       /* of the loader; 0: one is to be started */
	struct launch wish;
	uint32_t holder;     /* slot of the client for whom others are refused; 0: none */
	struct channel_request request; /* its request, to be answered at the end, when wish.load_beside */
	unsigned deaths;
	int64_t start_at, tell_at;
	bool refused;
} load;

static void set_trouble(bool on)
{
	if (on)
		atomic_fetch_or(&control->persistence.trouble, TROUBLE_LOADING);
	else
		atomic_fetch_and(&control->persistence.trouble, ~(uint32_t)TROUBLE_LOADING);
}

bool loads_under_way(void)
{
	return load.under_way;
}

/* ---- at the start ---- */

static const char *manifest_path(void)
{
	static SELDOM_USED char path[2 * CONFIG_TEXT + 16];
	snprintf(path, sizeof path, "%s/%s.manifest", config->appenddirname, config->appendfilename);
	return path;
}

/* What cannot be looked at is there: the loader will say what is wrong with it. */
static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 || errno != ENOENT;
}

static bool any_file(void)
{
	return is_there(config->dbfilename) || is_there(config->appenddirname) || is_there(config->appendfilename);
}

/* The increment that was written to last, as the manifest has it. False: there is none. */
static bool find_increment(char *path, size_t cap, uint64_t *seq)
{
	char name[AOF_NAME_MAX];
	struct aof_manifest m = {0};
	struct aof_manifest_error error;
	const struct aof_part *last = NULL;
	int dir = aof_dir_open(config->appenddirname, false);
	if (dir >= 0 && aof_manifest_name(name, config->appendfilename) == 0 && aof_manifest_read(&m, dir, name, &error) == AOF_FOUND)
		last = aof_manifest_last_incr(&m);
	if (last) {
		snprintf(path, cap, "%s/%s", config->appenddirname, last->name);
		*seq = (uint64_t)last->seq;
	}
	aof_manifest_deinit(&m);
	if (dir >= 0)
		close(dir);
	return last != NULL;
}

/* The increment holds what the log had put there, of which the end may still be in the log: else somebody has written to it, or cut it. */
static const char *increment_fault(const struct super *s, int fd)
{
	static SELDOM_USED char path[2 * CONFIG_TEXT + AOF_NAME_MAX], text[sizeof path + 64];
	struct ring r;
	struct stat st;
	uint64_t seq = 0;
	if (!atomic_load(&s->log_on) || !find_increment(path, sizeof path, &seq))
		return NULL;
	const char *why = disk_fault(s, DISK_INCREMENT, path);
	if (why || stat(path, &st) || pread(fd, &r, sizeof r, (off_t)s->off_ring) != (ssize_t)sizeof r)
		return why;
	const struct aof_place *at = &r.aof_place[atomic_load(&r.aof_current) & 1];
	uint64_t end = at->start + (uint64_t)st.st_size;
	if (at->seq != seq || (end >= atomic_load(&r.durable) && end <= atomic_load(&r.offset)))
		return NULL;
	snprintf(text, sizeof text, "%s has been changed since by somebody else", path);
	return text;
}

const char *loads_fault(const struct super *s, int fd)
{
	if (!config->appendonly)
		return disk_fault(s, DISK_RDB, config->dbfilename);
	const char *why = disk_fault(s, DISK_MANIFEST, manifest_path());
	return why ? why : increment_fault(s, fd);
}

/* A service manager has patience as long as it is told. */
static void ask_for_patience(const char *status)
{
	notify_send("STATUS=%s\nEXTEND_TIMEOUT_USEC=%lld", status, EXTEND_S * 1000000LL);
}

bool loads_could(void)
{
	siginfo_t info = {0};
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit(getppid() == self ? loader_try(config->appendonly) : 1);
	}
	if (pid < 0)
		log_warning("Cannot start a process that looks through what is on disk: %s", strerror(errno));
	for (int64_t tell_at = 0; pid > 0 && info.si_pid == 0;) {
		if (clock_mono_ms() >= tell_at) {
			ask_for_patience("Looking through what is on disk");
			tell_at = clock_mono_ms() + TELL_MS;
		}
		nanosleep(&(struct timespec){0, 1000000}, NULL);
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) && errno != EINTR)
			return false;
	}
	return pid > 0 && info.si_code == CLD_EXITED && info.si_status == 0;
}

static void begin(const struct launch *wish)
{
	load.under_way = true;
	load.wish = *wish;
	load.wish.kind = PROC_LOADER;
	load.wish.store_open = true;
	load.slot = 0;
	load.deaths = 0;
	load.start_at = load.tell_at = 0;
	atomic_store(&control->persistence.loading_since_ms, clock_wall_ms());
	set_trouble(true);
}

/* The data is there; clients wait for the log. */
static void start_log(bool adopted, bool loaded)
{
	aof_start(adopted, loaded);
	load.waits_for_log = true;
	set_trouble(!aof_is_ready());
}

static void look_at_log(void)
{
	if (!load.waits_for_log || !aof_is_ready())
		return;
	load.waits_for_log = false;
	set_trouble(load.holder != 0);
}

bool loads_let_in(void)
{
	return !load.under_way && !load.waits_for_log;
}

void loads_start(bool adopted)
{
	atomic_store(&control->persistence.aof_rewrite_s, -1); /* there was none, which INFO tells meanwhile too */
	if (!adopted && any_file()) {
		begin(&(struct launch){.load = config->appendonly ? LOAD_AOF : LOAD_RDB});
		return;
	}
	if (!adopted)
		store_set_contents(launch_store_fd(), CONTENTS_WHOLE);
	/* Adopted data may be newer than the files: the log was off. If it is on, it says itself where it goes on. */
	start_log(adopted, !adopted);
}

static void over(const char *answer)
{
	load.under_way = false;
	load.holder = 0;
	/* Nobody is let in between the data and the log: what he writes would be in no file. */
	if (!load.wish.load_beside) {
		start_log(false, load.wish.load == LOAD_AOF);
		return;
	}
	set_trouble(false);
	channel_answer(&load.request, answer, strlen(answer), -1);
}

/* ---- the loader ---- */

static void start(int64_t now)
{
	load.slot = launch(&load.wish);
	if (load.slot) {
		load.refused = false;
		return;
	}
	if (!load.refused)
		log_warning("Cannot start the %s: %s. Trying again.", process_name(PROC_LOADER), strerror(errno));
	load.refused = true;
	load.start_at = now + RETRY_MS;
}

void loads_ended(uint32_t slot, int code, int status)
{
	if (slot != load.slot)
		return;
	load.slot = 0;
	if (atomic_load(&control->shutting_down))
		return;
	if (code == CLD_EXITED && status == LOADER_DONE) {
		over("+OK");
	} else if (code == CLD_EXITED && status == LOADER_REFUSED) {
		over(load.wish.load == LOAD_AOF ? "ERR Error trying to load the append only file, check server logs."
						: "ERR Error trying to load the RDB dump");
	} else if (code == CLD_EXITED && status == LOADER_FAILED) {
		log_warning("Fatal error loading the DB, check server logs. Exiting.");
		shutdown_failed(false);
	} else if (++load.deaths == TRIES) {
		log_warning("The %s has died %u times over this data. Exiting.", process_name(PROC_LOADER), load.deaths);
		shutdown_failed(false);
	} else {
		log_warning("Loading begins anew");
		load.wish.load_again = true;
		load.start_at = clock_mono_ms() + RETRY_MS;
	}
}

/* ---- for a client ---- */

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

static bool has_word(const struct channel_request *r, const char *word)
{
	for (size_t at = 0; at < r->n; at += strlen(r->text + at) + 1)
		if (strcmp(r->text + at, word) == 0)
			return true;
	return false;
}

static void serve_hold(struct channel_request *r)
{
	if (load.under_way || load.holder || atomic_load(&control->shutting_down)) {
		answer(r, "ERR data is being loaded, or the server stops");
		return;
	}
	load.holder = r->slot;
	atomic_store(&control->persistence.loading_since_ms, clock_wall_ms());
	set_trouble(true);
	answer(r, "+OK");
}

static void release(void)
{
	load.holder = 0;
	set_trouble(false);
}

void loads_serve(struct channel_request *r)
{
	if (strcmp(r->text, "hold") == 0) {
		serve_hold(r);
	} else if (load.holder != r->slot || load.under_way || atomic_load(&control->shutting_down)) {
		answer(r, "ERR nothing is held for this client");
	} else if (strcmp(r->text, "release") == 0) {
		release();
		answer(r, "+OK");
	} else {
		load.request = *r;
		begin(&(struct launch){.load = strcmp(r->text, "aof") == 0 ? LOAD_AOF : LOAD_RDB, .load_beside = true,
				       .load_keeps = strcmp(r->text, "aof") != 0 && !has_word(r, "flush"),
				       .load_merges = has_word(r, "merge")});
	}
}

void loads_stop(void)
{
	if (load.under_way && load.wish.load_beside)
		answer(&load.request, "ERR the server is stopping");
}

void loads_client_ended(uint32_t slot)
{
	if (load.holder == slot && !load.under_way)
		release();
}

/* ---- meanwhile ---- */

static void tell(int64_t now)
{
	const struct persistence_notes *n = &control_commons->persistence;
	uint64_t done = atomic_load(&n->load_bytes), total = atomic_load(&n->load_total);
	char status[64];
	snprintf(status, sizeof status, "Loading data: %.0f%%", total ? 100.0 * (double)done / (double)total : 0.0);
	ask_for_patience(status);
	load.tell_at = now + TELL_MS;
}

void loads_tick(int64_t now)
{
	look_at_log();
	if (!load.under_way || atomic_load(&control->shutting_down))
		return;
	if (!load.slot && now >= load.start_at)
		start(now);
	if (now >= load.tell_at)
		tell(now);
}

int64_t loads_deadline(void)
{
	if (!load.under_way || atomic_load(&control->shutting_down))
		return INT64_MAX;
	return load.slot || load.tell_at < load.start_at ? load.tell_at : load.start_at;
}
