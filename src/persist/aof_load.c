/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Append only files: all those of a server, by their manifest (persist/aof_read.h).
 *
 * Run by the loader. Owns the descriptors of the directory and of the file under way. Takes no lock. Writes in two cases, each so that a start
 * that finds it half done goes on with it: the single file of Redis 6 or older is moved into the directory (a manifest that names it, then the
 * rename), and a torn tail is cut off (one call).
 */
#include "persist/aof_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "persist/aof_manifest.h"

struct load {
	const struct aof_sink *sink;
	struct buf *why;
	struct aof_manifest manifest;
	char manifest_name[AOF_NAME_MAX];
	int dir;         /* -1: there is none */
	uint64_t total;  /* bytes of all files */
	uint64_t before; /* of those dealt with */
};

static bool fails(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fails(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(l->why, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- the manifest ---- */

static bool read_manifest(struct load *l)
{
	struct aof_manifest_error e;

	if (aof_manifest_name(l->manifest_name, config->appendfilename) < 0)
		return fails(l, "appendfilename %s is too long", config->appendfilename);
	l->dir = aof_dir_open(config->appenddirname, false);
	if (l->dir < 0 && errno != ENOENT)
		return fails(l, "Can't open the append-only dir %s: %s", config->appenddirname, strerror(errno));
	switch (aof_manifest_read(&l->manifest, l->dir, l->manifest_name, &e)) {
	case AOF_FOUND:
	case AOF_ABSENT:
		return true;
	case AOF_BAD:
		return fails(l, "Fatal error: the manifest %s/%s is not in order, at line %u ('%s'): %s", config->appenddirname,
			     l->manifest_name, e.line, e.text, e.why);
	case AOF_FAILED:
		break;
	}
	return fails(l, "Fatal error: can't read the manifest %s/%s: %s", config->appenddirname, l->manifest_name, strerror(errno));
}

/* ---- the single file of Redis 6 or older ---- */

static bool there_is(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, 0) == 0;
}

/*
 * When redis-server 7.0 takes it for its data: no manifest, or one that names nothing but this file, which is not in the directory yet: a move that
 * was interrupted. Otherwise it is a left-over that nobody asks for.
 */
static bool is_to_be_moved(const struct load *l)
{
	const struct aof_part *base = aof_manifest_base(&l->manifest);

	if (!there_is(AT_FDCWD, config->appendfilename))
		return false;
	if (aof_manifest_last_incr(&l->manifest) != NULL)
		return false;
	if (base == NULL)
		return true;
	return strcmp(base->name, config->appendfilename) == 0 && !there_is(l->dir, config->appendfilename);
}

static bool sync_folders(int dir)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = here >= 0 && io_sync_dir(here) == 0 && io_sync_dir(dir) == 0;

	io_close(&here);
	return ok;
}

/* The directory and the manifest first: killed after them, the next start finds what is_to_be_moved calls interrupted. */
static bool move_in(struct load *l)
{
	const char *name = config->appendfilename, *dirname = config->appenddirname;

	if (l->dir >= 0 && there_is(l->dir, name))
		return fails(l,
			     "There is an append only file %s beside the directory %s, and one of that name in it, but no manifest: which one holds the "
			     "data? Move the other one away",
			     name, dirname);
	if (l->dir < 0 && (l->dir = aof_dir_open(dirname, true)) < 0)
		return fails(l, "Can't open or create append-only dir %s: %s", dirname, strerror(errno));
	if (aof_manifest_base(&l->manifest) == NULL)
		aof_manifest_adopt_base(&l->manifest, name, 1);
	if (aof_manifest_write(&l->manifest, l->dir, l->manifest_name) < 0)
		return fails(l, "Can't write the manifest %s/%s: %s", dirname, l->manifest_name, strerror(errno));
	if (renameat(AT_FDCWD, name, l->dir, name) < 0)
		return fails(l, "Error trying to move the old AOF file %s into dir %s: %s", name, dirname, strerror(errno));
	if (!sync_folders(l->dir))
		return fails(l, "The old AOF file %s is moved into dir %s, but that cannot be made durable: %s", name, dirname, strerror(errno));
	log_notice("Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).", name, dirname);
	return true;
}

/* ---- one file of the manifest ---- */

/* -1 after the reason. What is no plain file is not opened for long: it might never answer. */
static int open_part(struct load *l, const struct aof_part *part, uint64_t *size)
{
	struct stat st;
	int fd = openat(l->dir, part->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		fails(l, "Fatal error: can't open the append only file %s/%s, which the manifest names, for reading: %s", config->appenddirname,
		      part->name, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fails(l, "Fatal error: the append only file %s/%s, which the manifest names, is no plain file", config->appenddirname, part->name);
		io_close(&fd);
		return -1;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

/* Loads the RDB that the file begins with, if there is one; *from is where the text begins. */
static bool load_rdb(struct load *l, const struct aof_part *part, int fd, uint64_t *from)
{
	bool old_style = strcmp(part->name, config->appendfilename) == 0;
	struct buf why = {0};

	*from = 0;
	if (!aof_begins_with_rdb(fd))
		return true;
	log_notice(old_style ? "Reading RDB preamble from AOF file..." : "Reading RDB base file on AOF loading...");
	bool ok = l->sink->rdb(l->sink->arg, fd, part->name, l->before, from, &why);
	if (!ok)
		fails(l, "Error reading the RDB %s of the append only file %s/%s, AOF loading aborted: %.*s", old_style ? "preamble" : "base",
		      config->appenddirname, part->name, (int)why.len, why.data);
	else if (old_style)
		log_notice("Reading the remaining AOF tail...");
	buf_deinit(&why);
	return ok;
}

/* The file is whole again: what was begun and never finished is cut off. */
static bool cut(struct load *l, const struct aof_part *part, const struct aof_result *r)
{
	int fd;

	log_warning("!!! Warning: short read while loading the AOF file %s: at offset %llu %s !!!", part->name, (unsigned long long)r->at, r->why);
	log_warning("!!! Truncating the AOF %s at offset %llu !!!", part->name, (unsigned long long)r->good);
	fd = openat(l->dir, part->name, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && ftruncate(fd, (off_t)r->good) == 0 && fsync(fd) == 0;
	if (!ok)
		fails(l, "Error truncating the AOF file %s/%s at offset %llu: %s", config->appenddirname, part->name, (unsigned long long)r->good,
		      strerror(errno));
	else
		log_warning("AOF %s loaded anyway because aof-load-truncated is enabled", part->name);
	io_close(&fd);
	return ok;
}

static bool is_torn(struct load *l, const struct aof_part *part, const struct aof_result *r, bool is_last)
{
	if (!is_last)
		return fails(l, "Fatal error: the truncated file %s/%s is not the last file: at offset %llu %s", config->appenddirname, part->name,
			     (unsigned long long)r->at, r->why);
	if (config->aof_load_truncated)
		return cut(l, part, r);
	return fails(l,
		     "Unexpected end of file reading the append only file %s/%s: at offset %llu %s. You can: 1) Make a backup of your AOF file, then use "
		     "bulkhead-check-aof --fix %s/%s. 2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and "
		     "restart the server.",
		     config->appenddirname, part->name, (unsigned long long)r->at, r->why, config->appenddirname, l->manifest_name);
}

static bool judge(struct load *l, const struct aof_part *part, const struct aof_result *r, bool is_last)
{
	switch (r->end) {
	case AOF_WHOLE:
		return true;
	case AOF_TORN:
		return is_torn(l, part, r, is_last);
	case AOF_BROKEN:
		return fails(l,
			     "Bad file format reading the append only file %s/%s at offset %llu: %s. Make a backup of your AOF file, then use "
			     "bulkhead-check-aof --fix %s/%s",
			     config->appenddirname, part->name, (unsigned long long)r->at, r->why, config->appenddirname, l->manifest_name);
	case AOF_REFUSED:
		return fails(l, "The command at offset %llu of the append only file %s/%s cannot be loaded: %s", (unsigned long long)r->at,
			     config->appenddirname, part->name, r->why);
	case AOF_IO:
		break;
	}
	return fails(l, "Unrecoverable error reading the append only file %s/%s at offset %llu: %s", config->appenddirname, part->name,
		     (unsigned long long)r->at, r->why);
}

static bool load_part(struct load *l, const struct aof_part *part, bool is_last)
{
	int64_t began = clock_mono_ms();
	struct aof_result r;
	uint64_t size, from;
	int fd = open_part(l, part, &size);

	if (fd < 0)
		return false;
	if (l->sink->file)
		l->sink->file(l->sink->arg, part->name);
	bool ok = load_rdb(l, part, fd, &from);
	if (ok) {
		aof_read(fd, from, l->before, l->sink, NULL, &r);
		ok = judge(l, part, &r, is_last);
	}
	io_close(&fd);
	l->before += size;
	if (ok && size > 0)
		log_notice("DB loaded from %s file %s: %.3f seconds", part->type == AOF_BASE ? "base" : "incr", part->name,
			   (double)(clock_mono_ms() - began) / 1000);
	return ok;
}

/* ---- all of them ---- */

/* The files in the order they are read. */
static const struct aof_part *next_part(const struct load *l, const struct aof_part *after)
{
	const struct aof_part *part = after == NULL ? aof_manifest_base(&l->manifest) : NULL;

	return part ? part : aof_manifest_next(&l->manifest, AOF_INCR, after && after->type == AOF_INCR ? after : NULL);
}

/* Before anything is loaded: all of them are there. */
static bool find_parts(struct load *l)
{
	for (const struct aof_part *p = NULL; (p = next_part(l, p)) != NULL;) {
		uint64_t size;
		int fd = open_part(l, p, &size);
		if (fd < 0)
			return false;
		io_close(&fd);
		l->total += size;
	}
	return true;
}

static enum aof_load load(struct load *l)
{
	if (!read_manifest(l) || (is_to_be_moved(l) && !move_in(l)))
		return AOF_LOAD_FAILED;
	if (next_part(l, NULL) == NULL)
		return AOF_LOAD_ABSENT;
	if (!find_parts(l))
		return AOF_LOAD_FAILED;
	if (l->total == 0)
		return AOF_LOAD_EMPTY;
	if (l->sink->begin)
		l->sink->begin(l->sink->arg, l->total);
	for (const struct aof_part *p = NULL, *next; (p = next_part(l, p)) != NULL;) {
		next = next_part(l, p);
		if (!load_part(l, p, next == NULL))
			return AOF_LOAD_FAILED;
	}
	return AOF_LOAD_OK;
}

bool aof_is_there(void)
{
	struct buf why = {0};
	struct load l = {.why = &why, .dir = -1};
	bool there = !read_manifest(&l) || is_to_be_moved(&l) || next_part(&l, NULL) != NULL;

	io_close(&l.dir);
	aof_manifest_deinit(&l.manifest);
	buf_deinit(&why);
	return there;
}

enum aof_load aof_load(const struct aof_sink *sink, struct buf *why)
{
	struct load l = {.sink = sink, .why = why, .dir = -1};
	enum aof_load r = load(&l);

	io_close(&l.dir);
	aof_manifest_deinit(&l.manifest);
	return r;
}
