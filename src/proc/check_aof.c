/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-check-aof (proc/check_aof.h).
 *
 * A process of its own, no server around it. It reads one file, or all files of a manifest, and says what is wrong and where. With --fix it cuts off what
 * follows the last whole command, of the last file only, after asking; with --truncate-to-timestamp what was written after a moment. Each of
 * these is one call, so its death leaves the file as it was or as it was to be. The lines that scripts read are those of redis-check-aof.
 */
#include "proc/check_aof.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"
#include "persist/aof_manifest.h"
#include "persist/aof_read.h"
#include "proc/check_rdb.h"

#define PROGRAM "bulkhead-check-aof"

static struct {
	bool fix;
	bool to_time;    /* --truncate-to-timestamp */
	int64_t time;    /* seconds since 1970 */
	bool time_found; /* an annotation of a later time */
} asked;

static _Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(1);
}

/* ---- reading ---- */

static const char *take(void *arg, int argc, const struct arg *argv)
{
	(void)arg, (void)argc, (void)argv;
	return NULL;
}

static bool is_early_enough(void *arg, const char *text, size_t n, uint64_t at)
{
	int64_t time;

	(void)arg, (void)at;
	if (n < 4 || memcmp(text, "#TS:", 4) != 0 || !parse_i64(text + 4, n - 4, &time) || time <= asked.time)
		return true;
	asked.time_found = true;
	return false;
}

/* Where the RDB ends that the file begins with. */
static uint64_t behind_rdb(int fd, const char *name)
{
	unsigned long long end;

	printf("The AOF %s begins with an RDB: checking that first.\n", name);
	if (!check_rdb(fd, name, &end))
		give_up("The RDB that the AOF %s begins with is damaged, aborting.", name);
	printf("The RDB is OK, proceeding with the commands behind it, from offset %llu on.\n", end);
	return end;
}

static int open_file(int dir, const char *name, uint64_t *size)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		give_up("Cannot open file %s: %s, aborting...", name, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		give_up("Cannot read file %s: it is no plain file, aborting...", name);
	*size = (uint64_t)st.st_size;
	return fd;
}

/* ---- repairing ---- */

static void cut(int dir, const char *name, uint64_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
		give_up("Failed to truncate AOF %s: %s", name, strerror(errno));
	io_close(&fd);
}

static bool says_yes(void)
{
	char line[16];

	printf("Continue? [y/N]: ");
	fflush(stdout);
	return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static void fix(int dir, const char *name, uint64_t size, bool is_last, const struct aof_result *r)
{
	if (!is_last)
		give_up("Failed to truncate AOF %s because it is not the last file", name);
	printf("This will shrink the AOF %s from %" PRIu64 " bytes, with %" PRIu64 " bytes, to %" PRIu64 " bytes\n", name, size, size - r->good,
	       r->good);
	if (r->follows)
		printf("The file is damaged there, not torn: what goes holds whole commands, at offset %" PRIu64 " for one. Keep a copy.\n", r->follows);
	if (!says_yes())
		give_up("Aborting...");
	cut(dir, name, r->good);
	printf("Successfully truncated AOF %s\n", name);
}

static void cut_to_time(int dir, const char *name, bool is_last, const struct aof_result *r)
{
	if (r->good == 0)
		give_up("AOF %s has nothing before timestamp %" PRId64 ", aborting...", name, asked.time);
	if (!is_last)
		give_up("Failed to truncate AOF %s to timestamp %" PRId64 " at offset %" PRIu64
			" because it is not the last file. To go back that far, take all later files out of the manifest first.",
			name, asked.time, r->good);
	cut(dir, name, r->good);
	printf("Successfully truncated AOF %s to timestamp %" PRId64 "\n", name, asked.time);
}

/* ---- one file ---- */

static void is_valid(const char *kind, const char *name)
{
	printf("%sAOF %s is valid\n", kind, name);
}

/* `kind`: "BASE ", "INCR ", or "" for a file by itself. Returns if it is in order, or is now. */
static void check(int dir, const char *name, const char *kind, bool is_last)
{
	static const struct aof_sink sink = {.command = take};
	struct aof_result r;
	uint64_t size, from = 0;
	int fd = open_file(dir, name, &size);

	if (size == 0) {
		printf("%sAOF %s is empty\n", kind, name);
		io_close(&fd);
		return;
	}
	if (aof_begins_with_rdb(fd))
		from = behind_rdb(fd, name);
	asked.time_found = false;
	aof_read(fd, from, 0, &sink, asked.to_time ? is_early_enough : NULL, &r);
	io_close(&fd);
	if (asked.time_found) {
		cut_to_time(dir, name, is_last, &r);
		return;
	}
	if (r.end == AOF_IO)
		give_up("Cannot read file %s at offset %" PRIu64 ": %s, aborting...", name, r.at, r.why);
	if (r.end != AOF_WHOLE)
		printf("0x%16" PRIx64 ": %s (offset %" PRIu64 ")\n", r.at, r.why, r.at);
	else if (asked.to_time)
		printf("Truncate nothing in AOF %s to timestamp %" PRId64 "\n", name, asked.time);
	if (r.end != AOF_WHOLE || !asked.to_time)
		printf("AOF analyzed: filename=%s, size=%" PRIu64 ", ok_up_to=%" PRIu64 ", diff=%" PRIu64 "\n", name, size, r.good, size - r.good);
	if (r.end == AOF_WHOLE)
		is_valid(kind, name);
	else if (asked.fix)
		fix(dir, name, size, is_last, &r);
	else
		give_up("AOF %s is not valid. Use the --fix option to try fixing it.", name);
}

/* ---- all files of a manifest ---- */

static void read_manifest(struct aof_manifest *m, int dir, const char *name)
{
	struct aof_manifest_error e;

	switch (aof_manifest_read(m, dir, name, &e)) {
	case AOF_FOUND:
		return;
	case AOF_BAD:
		give_up("The manifest %s is not in order, at line %u ('%s'): %s", name, e.line, e.text, e.why);
	case AOF_ABSENT:
	case AOF_FAILED:
		break;
	}
	give_up("Cannot read the manifest %s: %s", name, strerror(errno));
}

static void check_manifest(int dir, const char *name)
{
	struct aof_manifest m = {0};

	printf("Start checking Multi Part AOF\n");
	read_manifest(&m, dir, name);
	const struct aof_part *base = aof_manifest_base(&m), *last = aof_manifest_last_incr(&m);
	if (base != NULL) {
		printf("Start to check BASE AOF.\n");
		check(dir, base->name, "BASE ", last == NULL);
	}
	if (last != NULL)
		printf("Start to check INCR files.\n");
	for (const struct aof_part *p = NULL; (p = aof_manifest_next(&m, AOF_INCR, p)) != NULL;)
		check(dir, p->name, "INCR ", p == last);
	printf("All AOF files and manifest are valid\n");
	aof_manifest_deinit(&m);
}

/* Its first line that is no comment begins as those of a manifest do, and those of an append only file never do. */
static bool is_manifest(int dir, const char *name)
{
	static char text[65536];
	uint64_t size;
	int fd = open_file(dir, name, &size);
	ssize_t n = io_read_full(fd, text, sizeof text - 1);

	io_close(&fd);
	text[n > 0 ? n : 0] = 0;
	const char *line = text;
	while (*line == '#' && (line = strchr(line, '\n')) != NULL)
		line++;
	return line != NULL && strncmp(line, "file", 4) == 0;
}

/* ---- arguments ---- */

static _Noreturn void usage(void)
{
	give_up("Usage: " PROGRAM " [--fix | --truncate-to-timestamp <seconds since 1970>] <a manifest, or one AOF>");
}

static _Noreturn void carry_out(int argc, char **argv)
{
	int at = 0, dir = AT_FDCWD;

	if (argc == 2 && strcmp(argv[0], "--fix") == 0) {
		asked.fix = true;
		at = 1;
	} else if (argc == 3 && strcmp(argv[0], "--truncate-to-timestamp") == 0) {
		if (!parse_i64(argv[1], strlen(argv[1]), &asked.time) || asked.time <= 0)
			give_up("Invalid timestamp, aborting...");
		asked.to_time = true;
		at = 2;
	} else if (argc != 1 || strncmp(argv[0], "--", 2) == 0) {
		usage();
	}
	char *path = argv[at], *slash = strrchr(path, '/');
	if (is_manifest(AT_FDCWD, path)) {
		if (slash != NULL) {
			*slash = 0;
			dir = open(slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (dir < 0)
				give_up("Cannot open the folder %s: %s", path, strerror(errno));
		} else {
			dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		check_manifest(dir, slash ? slash + 1 : path);
	} else {
		printf("Start checking Old-Style AOF\n");
		check(dir, path, "", true);
	}
	exit(0);
}

void check_aof_if_asked(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = argc == 0 ? "" : slash ? slash + 1 : argv[0];

	if (strcmp(name, PROGRAM) == 0 || strcmp(name, "redis-check-aof") == 0)
		carry_out(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--check-aof") == 0)
		carry_out(argc - 2, argv + 2);
}
