/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: fills the store with what is on disk, then ends.
 *
 * Started by loads.c when there is something to load, one at a time; clients are refused meanwhile, nothing expires. The bytes are read in src/persist and
 * put in place by src/store/bulk.c, or command by command by src/cmd. Owns no file and changes none, but what aof_load says of itself. Takes the locks
 * of the transactions it makes. Death: the superblock still says that the store is not whole; a medic frees what was held, and the next
 * loader empties the store and begins anew.
 *
 * It ends with LOADER_DONE, or LOADER_FAILED with the reason in the log: file, offset and key.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/num.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "cmd/apply.h"
#include "persist/aof_read.h"
#include "persist/disk.h"
#include "persist/rdb_read.h"
#include "proc/loads.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "shm/channel.h"
#include "store/access.h"
#include "store/bulk.h"
#include "store/functions.h"

#define TELL_MS 5000      /* between two lines about how far it is */
#define WAIT_MS 10000     /* for commands under way, which may be long ones */
#define EMPTY_TOLD 10     /* as many keys without elements are named */
#define PREVIEW 128       /* bytes of a key that a line in the log shows */

static SELDOM_USED struct {
	bool keep_due;        /* keys that are due are loaded as well */
	int64_t now;          /* wall ms: what is due by then is left out */
	uint64_t keys, expired, empty;
	uint64_t commands;    /* of append only files */
	uint64_t before;      /* bytes of the files that stand before this RDB */
	int64_t tell_at;      /* monotonic ms */
	char why[256];        /* what the sink says when it stops the reading */
} load;

static struct persistence_notes *notes(void)
{
	return &control_commons->persistence;
}

/* ---- how far it is ---- */

static void begin_progress(uint64_t total)
{
	atomic_store(&notes()->load_total, total);
	atomic_store(&notes()->load_bytes, 0);
	atomic_store(&notes()->load_used_mem, 0);
	atomic_store(&notes()->load_keys, 0);
	atomic_store(&notes()->load_expired, 0);
	load.tell_at = clock_mono_ms() + TELL_MS;
}

static void progress(uint64_t done)
{
	uint64_t total = atomic_load(&notes()->load_total);
	int64_t now = clock_mono_ms();
	atomic_store(&notes()->load_bytes, done);
	atomic_store(&notes()->load_keys, load.keys);
	atomic_store(&notes()->load_expired, load.expired);
	if (now < load.tell_at)
		return;
	load.tell_at = now + TELL_MS;
	channel_follow_log();
	log_notice("Loading: %" PRIu64 " of %" PRIu64 " MiB", done >> 20, total >> 20);
}

/* ---- an RDB into the store ---- */

static const char *stopped(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *stopped(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(load.why, sizeof load.why, fmt, ap);
	va_end(ap);
	return load.why;
}

/* A key as a line in the log shows it. Static memory. */
static const char *key_text(const struct arg *key)
{
	static SELDOM_USED char text[PREVIEW + 4];
	size_t n = key->n < PREVIEW ? key->n : PREVIEW;
	for (size_t i = 0; i < n; i++)
		text[i] = key->p[i] >= ' ' && key->p[i] < 127 ? key->p[i] : '?';
	strcpy(text + n, n < key->n ? "..." : "");
	return text;
}

static const char *check_result(enum bulk_result r)
{
	uint32_t db;
	switch (r) {
	case BULK_OK:
		return NULL;
	case BULK_NO_MEMORY:
		return stopped("there is no memory for it");
	case BULK_TOO_LONG:
		return stopped("the value is too long");
	case BULK_CANCELLED:
		return stopped("the server stops");
	case BULK_DUPLICATE:
		break;
	}
	const struct arg *key = bulk_culprit(&db);
	return stopped("duplicated key '%s' in DB %u", key_text(key), db);
}

static bool left_out(const struct rdb_key *key)
{
	if (key->due == RDB_NO_DUE || key->due >= load.now || load.keep_due)
		return false;
	load.expired++;
	return true;
}

/* key-load-delay, for tests: so many us for each key; below 0, 1 us for one of so many. */
static void delay(int64_t us, uint64_t done)
{
	if (us < 0 && done % (uint64_t)-us)
		return;
	us = us < 0 ? 1 : us;
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
	/* So that what is slowed down can be seen. */
	progress(atomic_load(&notes()->load_bytes));
}

static const char *take_string(void *arg, const struct rdb_key *key, const struct arg *value)
{
	struct bulk_key k = {.db = key->db, .key = key->name, .value = value->p, .len = value->n,
			     .due = key->due, .idle = key->idle, .freq = key->freq};
	(void)arg;
	if (stop_requested())
		return check_result(BULK_CANCELLED);
	if (left_out(key))
		return NULL;
	load.keys++;
	if (config->key_load_delay)
		delay(config->key_load_delay, load.keys);
	return check_result(bulk_add(&k));
}

/* Of a type that this server does not hold: nothing is lost silently. */
static const char *take_other(void *arg, const struct rdb_key *key)
{
	(void)arg;
	if (left_out(key))
		return NULL;
	return stopped("this version cannot hold a %s", key->type_name);
}

static const char *take_empty(void *arg, const struct rdb_key *key)
{
	(void)arg;
	if (load.empty++ < EMPTY_TOLD)
		log_notice("Skipping key '%s' in DB %u: an empty %s", key_text(&key->name), key->db, key->type_name);
	return NULL;
}

static const char *take_database(void *arg, uint32_t db)
{
	(void)arg;
	if ((int64_t)db < config->databases)
		return NULL;
	return stopped("it was made by a server with more than %d databases", (int)config->databases);
}

static const char *take_sizes(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
	(void)arg;
	/* So many keys cannot be in so few bytes: not to be believed. */
	if (keys <= atomic_load(&notes()->load_total))
		bulk_expect(db, keys, expires);
	return NULL;
}

static const char *take_aux(void *arg, const struct arg *name, const struct arg *text)
{
	int64_t n = 0;
	bool number = parse_i64(text->p, text->n, &n);
	(void)arg;
	if (str_eq(name->p, name->n, "redis-ver")) {
		log_notice("Loading RDB produced by version %s", key_text(text));
	} else if (str_eq(name->p, name->n, "ctime") && number) {
		int64_t age = load.now / 1000 - n;
		log_notice("RDB age %" PRId64 " seconds", age < 0 ? 0 : age);
	} else if (str_eq(name->p, name->n, "used-mem") && number) {
		log_notice("RDB memory usage when created %.2f Mb", (double)n / (1024 * 1024));
		atomic_store(&notes()->load_used_mem, (uint64_t)n);
	}
	return NULL;
}

static const char *take_function(void *arg, const struct arg *code)
{
	(void)arg;
	return functions_add(code) ? NULL : stopped("there is no memory for a library of functions");
}

static void pass_module(void *arg, const struct rdb_key *key, const char *name)
{
	(void)arg;
	if (key)
		log_warning("Skipping key '%s' in DB %u: a value of module %s, which is not here", key_text(&key->name), key->db, name);
	else
		log_warning("Skipping data of module %s, which is not here", name);
}

static void rdb_progress(void *arg, uint64_t offset)
{
	(void)arg;
	progress(load.before + offset);
}

static const struct rdb_sink into_store = {
	.string = take_string,
	.end = take_other,
	.empty = take_empty,
	.database = take_database,
	.sizes = take_sizes,
	.aux = take_aux,
	.function = take_function,
	.module = pass_module,
	.progress = rdb_progress,
};

/* Why the reading of an RDB ended. */
static void describe(struct rdb_reader *r, const char *path, struct buf *why)
{
	buf_printf(why, "%s, offset %" PRIu64 ": %s", path, r->at, r->outcome == RDB_REFUSED ? load.why : r->why);
	if (r->in_key)
		buf_printf(why, " (key '%s' in DB %u)", key_text(&r->key.name), r->key.db);
}

/* Reads the RDB at the beginning of `fd`; *end: where it ends. False: a text in `why`. */
static bool read_rdb(int fd, const char *path, uint64_t size, uint64_t *end, struct buf *why)
{
	struct rdb_reader r;
	rdb_from_fd(&r, fd, size);
	r.check_sum = config->rdbchecksum;
	r.deep = config->sanitize_dump_payload == SANITIZE_ALL;
	load.now = clock_wall_ms();
	load.keys = load.expired = load.empty = 0;
	bool good = rdb_read(&r, &into_store);
	if (!good) {
		describe(&r, path, why);
	} else {
		const char *text = check_result(bulk_flush());
		good = !text;
		if (text)
			buf_printf(why, "%s: %s", path, text);
	}
	if (good && r.sum_was_off && r.version >= 5 && config->rdbchecksum)
		log_notice("RDB file was saved with checksum disabled: no check performed.");
	*end = r.at;
	rdb_reader_deinit(&r);
	return good;
}

static void tell_done(void)
{
	progress(atomic_load(&notes()->load_total));
	if (load.empty)
		log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ", empty keys skipped: %" PRIu64 ".",
			   load.keys, load.expired, load.empty);
	else
		log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ".", load.keys, load.expired);
}

/* The file and its size; -1: a text in `why`. */
static int open_rdb(uint64_t *size, struct buf *why)
{
	const char *path = config->dbfilename;
	struct stat st;
	/* What is no file might never answer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		buf_printf(why, "%s cannot be read: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		buf_printf(why, "%s is no file", path);
	} else {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool load_rdb(struct buf *why)
{
	const char *path = config->dbfilename;
	uint64_t end, size;
	if (access(path, F_OK) && errno == ENOENT)
		return true;
	int fd = open_rdb(&size, why);
	if (fd < 0)
		return false;
	int64_t start = clock_mono_ms();
	begin_progress(size);
	bool good = read_rdb(fd, path, size, &end, why);
	close(fd);
	if (!good)
		return false;
	tell_done();
	log_notice("DB loaded from disk: %.3f seconds", (double)(clock_mono_ms() - start) / 1000);
	return true;
}

/* ---- an RDB looked through, before it takes the place of data ---- */

static int look_up(struct access *a, void *arg)
{
	const struct rdb_key *key = arg;
	struct view v;
	return key_peek(a, key->db, &key->name, &v) ? 1 : 0;
}

static const char *check_string(void *arg, const struct rdb_key *key, const struct arg *value)
{
	const struct launch *l = arg;
	const struct arg *name = &key->name;
	struct plan plan = {.kind = PLAN_READ, .db = key->db, .now = load.now, .nkeys = 1, .keys = &name};
	if (value->n > UINT32_MAX)
		return check_result(BULK_TOO_LONG);
	if (stop_requested())
		return check_result(BULK_CANCELLED);
	if (l && l->load_keeps && !l->load_merges && !left_out(key) && access_run(&plan, look_up, (void *)(uintptr_t)key) == 1)
		return stopped("duplicated key '%s' in DB %u", key_text(name), key->db);
	return NULL;
}

/* `l`: NULL where there is no store to look at. *end: where it ends. */
static bool check_rdb_on(int fd, const char *path, uint64_t size, const struct launch *l, uint64_t *end, struct buf *why)
{
	const struct rdb_sink sink = {.arg = (void *)(uintptr_t)l, .string = check_string, .end = take_other,
				      .empty = take_empty, .database = take_database};
	struct rdb_reader r;
	rdb_from_fd(&r, fd, size);
	r.check_sum = config->rdbchecksum;
	r.deep = config->sanitize_dump_payload == SANITIZE_ALL;
	load.now = clock_wall_ms();
	bool good = rdb_read(&r, &sink);
	if (!good)
		describe(&r, path, why);
	*end = r.at;
	rdb_reader_deinit(&r);
	return good;
}

static bool check_rdb(const struct launch *l, struct buf *why)
{
	uint64_t size, end;
	int fd = open_rdb(&size, why);
	if (fd < 0)
		return false;
	bool good = check_rdb_on(fd, config->dbfilename, size, l, &end, why);
	close(fd);
	return good;
}

/* ---- the append only file ---- */

static void aof_begin(void *arg, uint64_t total)
{
	(void)arg;
	begin_progress(total);
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
	progress(done);
}

static const char *aof_command(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	load.commands++;
	if (config->key_load_delay)
		delay(config->key_load_delay, load.commands);
	return stop_requested() ? stopped("the server stops") : apply_command(argc, argv);
}

static const char *aof_known(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	return apply_known(argc, argv);
}

static bool aof_rdb(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why)
{
	(void)arg;
	load.keep_due = true;
	load.before = before;
	bool good = read_rdb(fd, path, UINT64_MAX, end, why);
	load.before = 0;
	return good;
}

static bool load_aof(struct buf *why)
{
	const struct aof_sink sink = {.begin = aof_begin, .file = aof_file, .progress = aof_progress,
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
	progress(atomic_load(&notes()->load_total));
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
	int64_t db;
	if (argc == 2 && arg_ieq(&argv[0], "select") && parse_i64(argv[1].p, argv[1].n, &db) && db >= config->databases)
		return stopped("it was made by a server with more than %d databases", (int)config->databases);
	return aof_known(arg, argc, argv);
}

static bool try_rdb(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why)
{
	(void)arg;
	(void)before;
	load.keep_due = true;
	return check_rdb_on(fd, path, UINT64_MAX, NULL, end, why);
}

int loader_try(bool aof)
{
	const struct aof_sink sink = {.command = try_command, .known = aof_known, .rdb = try_rdb};
	struct buf why;
	buf_init(&why);
	if (aof ? aof_load(&sink, &why) != AOF_LOAD_FAILED : check_rdb(NULL, &why))
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
	if (!l->load_again && !(l->load == LOAD_AOF ? check_aof(why) : check_rdb(l, why))) {
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
