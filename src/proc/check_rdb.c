/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-check-rdb (proc/check_rdb.h).
 *
 * A process of its own, no server around it. It reads the file once, every value to its last byte, and changes nothing, so its death leaves
 * nothing. The lines that scripts read are those of redis-check-rdb.
 */
#include "proc/check_rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "persist/rdb_read.h"

#define PROGRAM "bulkhead-check-rdb"

struct check_run {
	struct rdb_reader reader;
	int64_t now;
	uint64_t due; /* keys that are */
};

static unsigned long long offset_of(const struct check_run *run)
{
	return run->reader.before + run->reader.next;
}

static const char *on_aux(void *arg, const struct arg *name, const struct arg *text)
{
	printf("[offset %llu] AUX FIELD %.*s = '%.*s'\n", offset_of(arg), (int)name->n, name->p, (int)text->n, text->p);
	return NULL;
}

static const char *on_database(void *arg, uint32_t db)
{
	printf("[offset %llu] Selecting DB ID %u\n", offset_of(arg), db);
	return NULL;
}

static const char *on_end(void *arg, const struct rdb_key *key)
{
	struct check_run *run = arg;
	run->due += key->due != RDB_NO_DUE && key->due < run->now;
	return NULL;
}

static const char *on_string(void *arg, const struct rdb_key *key, const struct arg *value)
{
	(void)value;
	return on_end(arg, key);
}

static void on_module(void *arg, const struct rdb_key *key, const char *name)
{
	if (!key)
		printf("[offset %llu] MODULE AUX for: %s\n", offset_of(arg), name);
}

static void print_counts(const struct check_run *run)
{
	printf("[info] %llu keys read\n", (unsigned long long)run->reader.keys);
	printf("[info] %llu expires\n", (unsigned long long)run->reader.expires);
	printf("[info] %llu already expired\n", (unsigned long long)run->due);
}

static void print_sum(const struct rdb_reader *r)
{
	if (r->version < RDB_VERSION_SUM)
		return;
	if (r->sum_was_off)
		printf("[offset %llu] RDB file was saved with checksum disabled: no check performed.\n", (unsigned long long)r->at);
	else
		printf("[offset %llu] Checksum OK\n", (unsigned long long)r->at);
}

static void print_error(const struct check_run *run)
{
	const struct rdb_reader *r = &run->reader;
	printf("--- RDB ERROR DETECTED ---\n");
	printf("[offset %llu] %s\n", (unsigned long long)r->at, r->why);
	printf("[additional info] While doing: %s\n", rdb_doing_text(r->doing));
	if (r->in_key) {
		printf("[additional info] Reading key '%.*s'\n", (int)r->key.name.n, r->key.name.p);
		printf("[additional info] Reading type %u (%s)\n", r->key.type, rdb_encoding_name(r->key.type));
	}
}

bool check_rdb(int fd, const char *name, unsigned long long *end)
{
	struct check_run run = {.now = clock_wall_ms()};
	const struct rdb_sink sink = {.arg = &run, .string = on_string, .end = on_end, .database = on_database, .aux = on_aux,
				      .module = on_module};
	struct stat st;
	uint64_t size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : UINT64_MAX;
	printf("[offset 0] Checking RDB file %s\n", name);
	rdb_from_fd(&run.reader, fd, size);
	run.reader.deep = true;
	run.reader.keep_modules = true;
	bool ok = rdb_read(&run.reader, &sink);
	*end = run.reader.at;
	if (ok) {
		print_sum(&run.reader);
		printf("[offset %llu] \\o/ RDB looks OK! \\o/\n", *end);
	} else {
		print_error(&run);
	}
	print_counts(&run);
	rdb_reader_deinit(&run.reader);
	return ok;
}

static _Noreturn void usage(void)
{
	fputs("Usage: " PROGRAM " FILE\n", stderr);
	exit(1);
}

static _Noreturn void check(int argc, char **argv)
{
	unsigned long long end;
	if (argc != 2)
		usage();
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		printf("[offset 0] Checking RDB file %s\n", argv[1]);
		fprintf(stderr, PROGRAM ": cannot open %s: %s\n", argv[1], strerror(errno));
		exit(1);
	}
	bool ok = check_rdb(fd, argv[1], &end);
	if (fflush(stdout) != 0)
		ok = false;
	exit(ok ? 0 : 1);
}

void check_rdb_if_asked(int argc, char **argv)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	name = name ? name + 1 : argc > 0 ? argv[0] : "";
	if (strcmp(name, PROGRAM) == 0 || strcmp(name, "redis-check-rdb") == 0)
		check(argc, argv);
	if (argc > 1 && strcmp(argv[1], "--check-rdb") == 0)
		check(argc - 1, argv + 1);
}
