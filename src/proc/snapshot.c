/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The snapshot: writes all that lives at one moment into a file, while everybody goes on.
 *
 * One at a time, on demand (saves.c). It has a pin, and nothing else: no lock is held while it writes, no memory is copied. An RDB is written under a
 * temporary name, synced, noted in the superblock as the one to come, renamed; then the directory is synced. A base of an append
 * only file goes under the name it was told and is synced; to name it is not its business.
 *
 * Death: the pin goes with the medic. The temporary file is removed by the supervisor, or at the next start; between note and rename, and after it, a
 * start takes either file for ours (persist/disk.h), and each is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/version.h"
#include "persist/aof_text.h"
#include "persist/disk.h"
#include "persist/rdb_write.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "proc/snapshot.h"
#include "shm/channel.h"
#include "store/access.h"
#include "store/functions.h"

#define NICE 5           /* beside clients that want the core */
#define TURN_NS 200000u  /* it gives way this often */
#define LOOK_KEYS 64u    /* keys between two looks at the clock and at orders */

struct snapshot {
	const struct snapshot_task *task;
	struct access *access;
	struct rdb_writer out;
	bool text;               /* commands, not RDB */
	bool idle, freq;         /* what is said of a key's use */
	bool selected;           /* the database has been begun in the file */
	uint32_t db;
	uint64_t keys, total;
	uint64_t kept;           /* bytes retained, at most */
	bool too_much;           /* more than snapshot-memory */
	int32_t delay;           /* rdb-key-save-delay */
};

/* ---- being considerate ---- */

static void give_way(void)
{
	static int64_t since;
	int64_t now = clock_mono_ns();
	if (now - since < TURN_NS)
		return;
	sched_yield();
	since = clock_mono_ns();
}

/* For tests: microseconds for each key; negative: one for so many keys. */
static void delay(const struct snapshot *s)
{
	if (s->delay == 0 || (s->delay < 0 && s->keys % (uint64_t)-(int64_t)s->delay != 0))
		return;
	int64_t us = s->delay > 0 ? s->delay : 1;
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	atomic_store_explicit(&control_commons->persistence.save_keys, s->keys, memory_order_relaxed);
	nanosleep(&t, NULL);
}

/* ---- content ---- */

static void write_aux(struct snapshot *s)
{
	struct store_memory m;
	store_memory(&m);
	rdb_write_aux(&s->out, "redis-ver", REDIS_COMPAT_VERSION);
	rdb_write_aux_i64(&s->out, "redis-bits", (int64_t)sizeof(long) * 8);
	rdb_write_aux_i64(&s->out, "ctime", clock_wall_ms() / 1000);
	rdb_write_aux_i64(&s->out, "used-mem", (int64_t)m.used);
	rdb_write_aux_i64(&s->out, "aof-base", s->task->purpose == SAVE_BASE);
}

static bool write_functions(struct snapshot *s)
{
	struct buf all;
	struct arg code;
	buf_init(&all);
	if (!functions_copy(&all))
		return false;
	for (size_t at = 0; functions_next(&all, &at, &code);) {
		if (s->text)
			aof_text_function(&s->out, code.p, code.n);
		else
			rdb_write_function(&s->out, code.p, code.n);
	}
	buf_deinit(&all);
	return true;
}

/* A database without keys is not mentioned, so it begins with its first key. */
static void begin_db(struct snapshot *s)
{
	struct db_stats stats;
	s->selected = true;
	db_stats(s->db, &stats);
	if (s->text)
		aof_text_select(&s->out, s->db);
	else
		rdb_write_db(&s->out, s->db, stats.keys, stats.expires);
}

/* What is kept for this snapshot, and for others who read what was. */
static bool kept_too_much(struct snapshot *s)
{
	uint64_t kept = store_retained(), most = config->snapshot_memory;
	if (kept > s->kept) {
		s->kept = kept;
		atomic_store_explicit(&control_commons->persistence.save_retained, kept, memory_order_relaxed);
	}
	if (most == 0 || kept <= most || s->too_much)
		return s->too_much;
	log_warning("%llu bytes are kept for the snapshot, more than snapshot-memory allows: it is abandoned", (unsigned long long)kept);
	return s->too_much = true;
}

static bool look_around(struct snapshot *s)
{
	atomic_store_explicit(&control_commons->persistence.save_keys, s->keys, memory_order_relaxed);
	if (!s->task->in_front)
		give_way();
	return !stop_requested() && !s->out.error && !kept_too_much(s);
}

static bool write_key(void *arg, const char *key, size_t n, const struct view *v)
{
	struct snapshot *s = arg;
	if (!s->selected)
		begin_db(s);
	if (s->text)
		aof_text_key(&s->out, key, n, v);
	else
		rdb_write_key(&s->out, key, n, v, s->idle ? (int64_t)key_idle_seconds(s->access, v) : -1, s->freq ? key_freq(s->access, v) : -1);
	s->keys++;
	delay(s);
	return (s->keys % LOOK_KEYS != 0 && s->delay == 0) || look_around(s);
}

/* Writes everything; false: it could not be finished. */
static int write_all(struct access *a, void *arg)
{
	struct snapshot *s = arg;
	s->access = a;
	if (!s->text) {
		rdb_write_start(&s->out);
		write_aux(s);
	}
	if (!write_functions(s))
		return 1;
	for (s->db = 0; s->db < SUPER->databases && !s->out.error && !s->too_much && !stop_requested(); s->db++) {
		s->selected = false;
		db_walk(a, s->db, write_key, s);
	}
	if (s->out.error || s->too_much || stop_requested())
		return 1;
	return s->text ? !rdb_write_flush(&s->out) : !rdb_write_end(&s->out);
}

static uint64_t count_keys(void)
{
	uint64_t n = 0;
	for (uint32_t db = 0; db < SUPER->databases; db++) {
		struct db_stats stats;
		db_stats(db, &stats);
		n += stats.keys;
	}
	return n;
}

/* ---- the file ---- */

/* Says what has failed, if it was not the supervisor that wanted the end. */
static bool failed(const struct snapshot_task *t, const char *doing, const char *path, int why)
{
	if (stop_requested())
		return false;
	if (t->purpose == SAVE_BASE)
		log_warning("Rewriting the append only file failed: cannot %s %s: %s", doing, path, strerror(why));
	else
		log_warning("Saving the DB failed: cannot %s %s in %s: %s", doing, path, config->dir, strerror(why));
	return false;
}

static bool sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && io_sync_dir(fd) == 0;
	int why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return ok;
}

static bool fill(const struct snapshot_task *t, int fd, const char *path)
{
	uint64_t offset;
	bool base = t->purpose == SAVE_BASE;
	struct snapshot s = {
	    .task = t,
	    .text = base && !t->base.rdb,
	    .freq = config->maxmemory_policy == POLICY_ALLKEYS_LFU || config->maxmemory_policy == POLICY_VOLATILE_LFU,
	    .idle = config->maxmemory_policy == POLICY_ALLKEYS_LRU || config->maxmemory_policy == POLICY_VOLATILE_LRU,
	    .total = count_keys(),
	    .delay = (int32_t)config->rdb_key_save_delay,
	    .out = {.fd = fd,
		    .sum = config->rdbchecksum && !(base && !t->base.rdb),
		    .compress = config->rdbcompression,
		    .sync = base ? config->aof_rewrite_incremental_fsync : config->rdb_save_incremental_fsync,
		    .pause = t->in_front ? NULL : give_way},
	};
	atomic_store(&control_commons->persistence.save_keys, 0);
	atomic_store(&control_commons->persistence.save_total, s.total);
	atomic_store(&control_commons->persistence.save_retained, 0);
	int r = access_snapshot(base && t->base.rotate, &offset, write_all, &s);
	int why = s.out.error;
	uint64_t bytes = s.out.written;
	rdb_writer_deinit(&s.out);
	if (s.too_much)
		return false;
	if (r != 0)
		return failed(t, "write to", path, why ? why : ECANCELED);
	if (fsync(fd))
		return failed(t, "sync", path, errno);
	log_notice("%llu keys in %llu bytes written to %s", (unsigned long long)s.keys, (unsigned long long)bytes, path);
	return true;
}

/* A file that only we have open: who finds it unlocked knows that nobody writes to it any more. */
static int make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0)
		flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

static bool put_in_place(const struct snapshot_task *t, const char *temp)
{
	const char *name = t->filename;
	if (!disk_note(DISK_RDB, temp, name))
		return failed(t, "look at", temp, errno);
	if (rename(temp, name)) {
		failed(t, "rename to", name, errno);
		return false;
	}
	disk_settle(DISK_RDB);
	if (!sync_folder("."))
		return failed(t, "sync the folder of", name, errno);
	log_notice("DB saved on disk");
	return true;
}

static bool save(const struct snapshot_task *t)
{
	char temp[64];
	snprintf(temp, sizeof temp, SNAPSHOT_TEMP, (int)getpid());
	const char *path = t->purpose == SAVE_BASE ? t->base.path : temp;
	int fd = make_file(path);
	if (fd < 0)
		return failed(t, "open", path, errno);
	bool ok = fill(t, fd, path);
	if (ok && t->purpose == SAVE_RDB)
		ok = put_in_place(t, temp);
	close(fd);
	if (!ok)
		unlink(path);
	return ok;
}

void snapshot_main(const struct launch *l)
{
	signals_serve(-1);
	if (!store_attach(launch_store_fd()))
		_exit(SNAPSHOT_FAILED);
	if (!l->snapshot->in_front)
		setpriority(PRIO_PROCESS, 0, NICE);
	/* The pause stands: what began before it and is not committed now will not be. */
	if (l->snapshot->last)
		store_pause_takes_effect();
	bool ok = save(l->snapshot);
	channel_follow_log();
	_exit(ok ? SNAPSHOT_DONE : SNAPSHOT_FAILED);
}
