/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader's RDB files: into the store, or looked through before one takes the place of data. Also an RDB that an append only file begins with.
 *
 * Run by the loader, and by the process of loader_try, which has no store. The bytes are read in src/persist and put in place by src/store/bulk.c. Owns
 * the counts of what it has loaded, private memory. Takes the locks of the transactions that bulk.c makes; looking through is reading. Death: as loader.c
 * says.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/num.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "persist/rdb_read.h"
#include "shm/channel.h"
#include "store/access.h"
#include "store/bulk.h"
#include "store/functions.h"

#define EMPTY_TOLD 10 /* as many keys without elements are named */
#define PREVIEW 128   /* bytes of a key that a line in the log shows */

static SELDOM_USED struct {
	bool keep_due;   /* keys that are due are loaded as well */
	int64_t now;     /* wall ms: what is due by then is left out */
	uint64_t keys, expired, empty;
	uint64_t before; /* bytes of the files that stand before this RDB */
	char why[256];   /* what the sink says when it stops the reading */
} load;

static void tell_counts(void)
{
	atomic_store(&load_notes()->load_keys, load.keys);
	atomic_store(&load_notes()->load_expired, load.expired);
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
	if (config->key_load_delay) {
		tell_counts();
		progress_delay(load.keys);
	}
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

const char *refuse_database(int64_t db)
{
	if (db < config->databases)
		return NULL;
	return stopped("it was made by a server with more than %d databases", (int)config->databases);
}

static const char *take_database(void *arg, uint32_t db)
{
	(void)arg;
	return refuse_database(db);
}

static const char *take_sizes(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
	(void)arg;
	/* So many keys cannot be in so few bytes: not to be believed. */
	if (keys <= atomic_load(&load_notes()->load_total))
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
		atomic_store(&load_notes()->load_used_mem, (uint64_t)n);
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
	tell_counts();
	progress_show(load.before + offset);
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

/* Reads the RDB at the beginning of `fd` to a sink; *end: where it ends. False: a text in `why`. The caller deinits `r`. */
static bool read_to(const struct rdb_sink *sink, struct rdb_reader *r, int fd, const char *path, uint64_t size, uint64_t *end, struct buf *why)
{
	rdb_from_fd(r, fd, size);
	r->check_sum = config->rdbchecksum;
	r->deep = config->sanitize_dump_payload == SANITIZE_ALL;
	load.now = clock_wall_ms();
	bool good = rdb_read(r, sink);
	if (!good)
		describe(r, path, why);
	*end = r->at;
	return good;
}

static bool flush(const char *path, struct buf *why)
{
	const char *text = check_result(bulk_flush());
	if (text)
		buf_printf(why, "%s: %s", path, text);
	return !text;
}

static bool read_rdb(int fd, const char *path, uint64_t size, uint64_t *end, struct buf *why)
{
	struct rdb_reader r;
	load.keys = load.expired = load.empty = 0;
	bool good = read_to(&into_store, &r, fd, path, size, end, why) && flush(path, why);
	if (good && r.sum_was_off && r.version >= 5 && config->rdbchecksum)
		log_notice("RDB file was saved with checksum disabled: no check performed.");
	if (good)
		tell_counts();
	rdb_reader_deinit(&r);
	return good;
}

static void tell_done(void)
{
	progress_show(atomic_load(&load_notes()->load_total));
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

bool load_rdb(struct buf *why)
{
	const char *path = config->dbfilename;
	uint64_t end, size;
	if (access(path, F_OK) && errno == ENOENT)
		return true;
	int fd = open_rdb(&size, why);
	if (fd < 0)
		return false;
	int64_t start = clock_mono_ms();
	progress_begin(size);
	bool good = read_rdb(fd, path, size, &end, why);
	close(fd);
	if (!good)
		return false;
	tell_done();
	log_notice("DB loaded from disk: %.3f seconds", (double)(clock_mono_ms() - start) / 1000);
	return true;
}

bool load_rdb_base(int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why)
{
	load.keep_due = true;
	load.before = before;
	bool good = read_rdb(fd, path, UINT64_MAX, end, why);
	load.before = 0;
	return good;
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

static bool look_through(int fd, const char *path, uint64_t size, const struct launch *l, uint64_t *end, struct buf *why)
{
	const struct rdb_sink sink = {.arg = (void *)(uintptr_t)l, .string = check_string, .end = take_other,
				      .empty = take_empty, .database = take_database};
	struct rdb_reader r;
	bool good = read_to(&sink, &r, fd, path, size, end, why);
	rdb_reader_deinit(&r);
	return good;
}

bool look_through_rdb(const struct launch *l, struct buf *why)
{
	uint64_t size, end;
	int fd = open_rdb(&size, why);
	if (fd < 0)
		return false;
	bool good = look_through(fd, config->dbfilename, size, l, &end, why);
	close(fd);
	return good;
}

bool look_through_rdb_base(int fd, const char *path, uint64_t *end, struct buf *why)
{
	load.keep_due = true;
	return look_through(fd, path, UINT64_MAX, NULL, end, why);
}
