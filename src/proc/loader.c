/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: fills the store with what is on disk, then ends.
 *
 * Started by loads.c when there is something to load, one at a time; clients are refused meanwhile, nothing expires. This file says what is loaded in
 * which order, and how far it is; append only files are read in src/persist and carried out command by command by src/cmd, RDB files are loader_rdb.c's.
 * Owns no file and changes none, but what aof_load says of itself. Takes the locks of the transactions it makes. Death: the superblock still says that the
 * store is not whole; a medic frees what was held, and the next loader empties the store and begins anew.
 *
 * It ends with LOADER_DONE, or LOADER_FAILED with the reason in the log: file, offset and key.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/num.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "cmd/apply.h"
#include "persist/aof_read.h"
#include "persist/disk.h"
#include "proc/loads.h"
#include "proc/signals.h"
#include "shm/channel.h"
#include "store/access.h"
#include "store/bulk.h"
#include "store/functions.h"

#define TELL_MS 5000  /* between two lines about how far it is */
#define WAIT_MS 10000 /* for commands under way, which may be long ones */

static int64_t tell_at; /* monotonic ms: when the log is told next */

/* ---- how far it is ---- */

void progress_begin(uint64_t total)
{
	atomic_store(&load_notes()->load_total, total);
	atomic_store(&load_notes()->load_bytes, 0);
	atomic_store(&load_notes()->load_used_mem, 0);
	atomic_store(&load_notes()->load_keys, 0);
	atomic_store(&load_notes()->load_expired, 0);
	tell_at = clock_mono_ms() + TELL_MS;
}

void progress_show(uint64_t done)
{
	uint64_t total = atomic_load(&load_notes()->load_total);
	int64_t now = clock_mono_ms();
	atomic_store(&load_notes()->load_bytes, done);
	if (now < tell_at)
		return;
	tell_at = now + TELL_MS;
	channel_follow_log();
	log_notice("Loading: %" PRIu64 " of %" PRIu64 " MiB", done >> 20, total >> 20);
}

/* So many us for each; below 0, 1 us for one of so many. */
void progress_delay(uint64_t done)
{
	int64_t us = config->key_load_delay;
	if (us == 0 || (us < 0 && done % (uint64_t)-us))
		return;
	us = us < 0 ? 1 : us;
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
	/* So that what is slowed down can be seen. */
	progress_show(atomic_load(&load_notes()->load_bytes));
}

/* ---- the append only file ---- */

static void aof_begin(void *arg, uint64_t total)
{
	(void)arg;
	progress_begin(total);
}

static void aof_file(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	apply_file();
}

static void aof_progress(void *arg, uint64_t done)
{
	(void)arg;
	progress_show(done);
}

static const char *aof_command(void *arg, int argc, const struct arg *argv)
{
	uint64_t *commands = arg;
	progress_delay(++*commands);
	return stop_requested() ? "the server stops" : apply_command(argc, argv);
}

static const char *aof_known(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	return apply_known(argc, argv);
}

static bool aof_rdb(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why)
{
	(void)arg;
	return load_rdb_base(fd, path, before, end, why);
}

static bool load_aof(struct buf *why)
{
	uint64_t commands = 0;
	const struct aof_sink sink = {.arg = &commands, .begin = aof_begin, .file = aof_file, .progress = aof_progress,
				      .command = aof_command, .known = aof_known, .rdb = aof_rdb};
	int64_t start = clock_mono_ms();
	apply_begin();
	enum aof_load r = aof_load(&sink, why);
	if (r == AOF_LOAD_FAILED)
		return false;
	if (why->len)
		log_warning("%.*s", (int)why->len, why->data);
	if (r == AOF_LOAD_ABSENT && access(config->dbfilename, F_OK) == 0)
		log_warning("appendonly is yes and there is no append only file: the server starts empty. %s is not loaded, and the next save will replace it. "
			    "To go on with its data, start with appendonly no, then CONFIG SET appendonly yes", config->dbfilename);
	if (r != AOF_LOAD_OK)
		return true;
	progress_show(atomic_load(&load_notes()->load_total));
	if (apply_done().errors)
		log_warning("%" PRIu64 " commands of the append only file answered with errors", apply_done().errors);
	log_notice("DB loaded from append only file: %.3f seconds", (double)(clock_mono_ms() - start) / 1000);
	return true;
}

/* Only whether there is one, before data makes place for it. */
static bool check_aof(struct buf *why)
{
	if (!aof_is_there())
		buf_printf(why, "there is no append only file in %s", config->appenddirname);
	return why->len == 0;
}

/* ---- looked through without a store ---- */

static const char *try_command(void *arg, int argc, const struct arg *argv)
{
	const char *refused = NULL;
	int64_t db;
	if (argc == 2 && arg_ieq(&argv[0], "select") && parse_i64(argv[1].p, argv[1].n, &db))
		refused = refuse_database(db);
	return refused ? refused : aof_known(arg, argc, argv);
}

static bool try_rdb(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why)
{
	(void)arg;
	(void)before;
	return look_through_rdb_base(fd, path, end, why);
}

int loader_try(bool aof)
{
	const struct aof_sink sink = {.command = try_command, .known = aof_known, .rdb = try_rdb};
	struct buf why;
	buf_init(&why);
	if (aof ? aof_load(&sink, &why) != AOF_LOAD_FAILED : look_through_rdb(NULL, &why))
		return LOADER_DONE;
	log_warning("Looked through before it takes the place of data: %.*s", (int)why.len, why.data);
	return LOADER_FAILED;
}

/* ---- the process ---- */

/* What is there before anything is read: should somebody put other files in their place meanwhile, the disk wins at the next start. */
static void note_files(void)
{
	static SELDOM_USED char path[2 * CONFIG_TEXT + 16];
	snprintf(path, sizeof path, "%s/%s.manifest", config->appenddirname, config->appendfilename);
	disk_is(DISK_RDB, config->dbfilename);
	disk_is(DISK_MANIFEST, path);
}

/* Whether what is in the store goes first. */
static bool empties(const struct launch *l)
{
	return l->load_beside ? !l->load_keeps : l->load_again;
}

/*
 * There is data, and clients that have seen it: nobody works on it any more when this returns. A file that cannot be loaded is found out first, so
 * that it costs nothing. From then on what is there is half of something if it goes first; what only comes to what is there is no less than before.
 */
static void begin_beside(const struct launch *l, struct buf *why)
{
	if (!store_wait_for_others(WAIT_MS)) {
		log_warning("Not loaded: others do not come to the end of their commands");
		_exit(stop_requested() ? LOADER_BUSY : LOADER_REFUSED);
	}
	if (!l->load_again && !(l->load == LOAD_AOF ? check_aof(why) : look_through_rdb(l, why))) {
		log_warning("Not loaded: %.*s", (int)why->len, why->data);
		_exit(stop_requested() ? LOADER_BUSY : LOADER_REFUSED);
	}
	if (!l->load_keeps)
		atomic_store(&SUPER->contents, CONTENTS_PARTIAL);
}

void loader_main(const struct launch *l)
{
	struct buf why;
	signals_serve(-1);
	if (!store_attach(launch_store_fd()))
		_exit(LOADER_BUSY);
	buf_init(&why);
	if (l->load_beside)
		begin_beside(l, &why);
	else
		atomic_store(&SUPER->contents, CONTENTS_PARTIAL);
	if (empties(l) && (bulk_empty() != BULK_OK || !functions_clear()))
		_exit(LOADER_BUSY);
	note_files();
	/* What another loader has put there already may be there again. */
	bulk_begin(l->load_merges || (l->load_keeps && l->load_again));
	bool good = l->load == LOAD_AOF ? load_aof(&why) : load_rdb(&why);
	channel_follow_log();
	if (!good && !stop_requested())
		log_warning("Loading failed: %.*s", (int)why.len, why.data);
	if (!good)
		_exit(stop_requested() ? LOADER_BUSY : LOADER_FAILED);
	if (l->load_beside)
		log_warning(l->load == LOAD_AOF ? "Append Only File loaded by DEBUG LOADAOF" : "DB reloaded by DEBUG RELOAD");
	atomic_store(&SUPER->contents, CONTENTS_WHOLE);
}
