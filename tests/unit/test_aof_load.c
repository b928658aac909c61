/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server's append only files: by their manifest, in order; what is missing, torn or wrong stops the load or is cut; the single file of
 * Redis 6 is moved into the directory, also when that was interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "persist/aof_manifest.h"
#include "persist/aof_read.h"
#include "test.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\n22\r\n"
#define SET_C "*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n"
#define RDB "REDIS,rdb;"
#define DIR_NAME "appendonlydir"
#define MANIFEST DIR_NAME "/appendonly.aof.manifest"

/* ---- files ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Static memory; "(none)". */
static const char *get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return "(none)";
	ssize_t n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	return text;
}

static void clean(void)
{
	CHECK_INT(system("rm -rf appendonlydir appendonly.aof && mkdir appendonlydir"), 0);
}

/* ---- what was loaded ---- */

static struct buf said, why;
static uint64_t total, done, files;

static void begin(void *arg, uint64_t n)
{
	(void)arg;
	total = n;
}

static void file(void *arg, const char *name)
{
	(void)arg;
	files++;
	buf_printf(&said, "%s:", name);
}

static void progress(void *arg, uint64_t n)
{
	(void)arg;
	CHECK(n >= done && n <= total);
	done = n;
}

static const char *command(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	if (argc != 3 || !arg_ieq(&argv[0], "set"))
		return "unknown command";
	buf_printf(&said, " %.*s", (int)argv[1].n, argv[1].p);
	return NULL;
}

static bool rdb(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *reason)
{
	char text[sizeof RDB] = "";
	(void)arg, (void)path;
	CHECK(before <= total);
	if (pread(fd, text, sizeof text - 1, 0) != sizeof text - 1 || strcmp(text, RDB) != 0) {
		buf_append_str(reason, "no RDB at offset 0");
		return false;
	}
	lseek(fd, 3, SEEK_SET); /* wherever it stopped */
	buf_append_str(&said, " rdb");
	*end = sizeof text - 1;
	return true;
}

static enum aof_load load(void)
{
	static const struct aof_sink sink = {.begin = begin, .file = file, .progress = progress, .command = command, .rdb = rdb};
	buf_clear(&said);
	buf_clear(&why);
	total = done = files = 0;
	enum aof_load r = aof_load(&sink, &why);
	buf_append_char(&said, 0);
	buf_append_char(&why, 0);
	return r;
}

#define LOADS(text) \
	do { \
		CHECK_INT(load(), AOF_LOAD_OK); \
		test_check(strcmp(said.data, text) == 0 && !why.data[0], TEST_HERE, "loaded%s (%s)", said.data, why.data); \
	} while (0)
#define FAILS(text) \
	do { \
		CHECK_INT(load(), AOF_LOAD_FAILED); \
		test_check(strstr(why.data, text) != NULL, TEST_HERE, "says: %s", why.data); \
	} while (0)
#define IS(path, text) test_check(strcmp(get(path), text) == 0, TEST_HERE, "%s is %s", path, get(path))

/* ---- the manifest ---- */

static void test_in_order(void)
{
	clean();
	put(MANIFEST, "file base seq 1 type b\nfile old seq 1 type h\nfile i1 seq 1 type i\nfile i2 seq 2 type i\n");
	put(DIR_NAME "/base", RDB SET_A);
	put(DIR_NAME "/i1", "");
	put(DIR_NAME "/i2", "#TS:1\r\n" SET_B SET_C);
	LOADS("base: rdb ai1:i2: b c");
	CHECK_INT(files, 3);
	CHECK_INT(total, 10 + 27 + 7 + 28 + 27);
	put(MANIFEST, "file i1 seq 1 type i\nfile i2 seq 2 type i\n");
	LOADS("i1:i2: b c");
	put(MANIFEST, "file base seq 7 type b\n");
	LOADS("base: rdb a");
}

static void test_nothing(void)
{
	clean();
	CHECK_INT(load(), AOF_LOAD_ABSENT);
	CHECK_INT(rmdir(DIR_NAME), 0);
	CHECK_INT(load(), AOF_LOAD_ABSENT);
	clean();
	put(MANIFEST, "file base seq 1 type b\nfile i1 seq 1 type i\n");
	put(DIR_NAME "/base", "");
	put(DIR_NAME "/i1", "");
	CHECK_INT(load(), AOF_LOAD_EMPTY);
}

static void test_not_there(void)
{
	clean();
	put(MANIFEST, "file base seq 1 type b\nfile i1 seq 1 type i\n");
	put(DIR_NAME "/base", SET_A);
	FAILS("appendonlydir/i1");
	CHECK(!said.data[0]); /* seen before anything was loaded */
	CHECK_INT(mkdir(DIR_NAME "/i1", 0755), 0);
	FAILS("no plain file");
	CHECK_INT(rmdir(DIR_NAME "/i1"), 0);
	CHECK_INT(mkfifo(DIR_NAME "/i1", 0644), 0);
	FAILS("no plain file");
	put(MANIFEST, "file base seq 1 type x\n");
	FAILS("appendonlydir/appendonly.aof.manifest is not in order, at line 1");
	put(MANIFEST, "");
	FAILS("appendonly.aof.manifest");
}

/* ---- torn, broken, refused ---- */

static void truncated(bool yes)
{
	struct config *mine = (struct config *)(uintptr_t)config;
	mine->aof_load_truncated = yes;
}

static void test_torn(void)
{
	clean();
	put(MANIFEST, "file base seq 1 type b\nfile i1 seq 1 type i\n");
	put(DIR_NAME "/base", SET_A);
	put(DIR_NAME "/i1", SET_B "*3\r\n$3\r\nSE");
	truncated(false);
	FAILS("Unexpected end of file reading the append only file appendonlydir/i1: at offset 28 the file ends");
	IS(DIR_NAME "/i1", SET_B "*3\r\n$3\r\nSE");
	truncated(true);
	LOADS("base: ai1: b");
	IS(DIR_NAME "/i1", SET_B);
	LOADS("base: ai1: b");
	/* Not the last one, also when nothing follows. */
	put(DIR_NAME "/base", SET_A "*");
	put(DIR_NAME "/i1", "");
	FAILS("truncated file appendonlydir/base is not the last file: at offset 27");
	IS(DIR_NAME "/base", SET_A "*");
	/* A transaction: cut where it begins. Behind an RDB: not before its end. */
	put(MANIFEST, "file base seq 1 type b\n");
	put(DIR_NAME "/base", RDB "*1\r\n$5\r\nMULTI\r\n" SET_A SET_B);
	LOADS("base: rdb");
	IS(DIR_NAME "/base", RDB);
	put(DIR_NAME "/base", "RED");
	FAILS("Bad file format");
	put(DIR_NAME "/base", "REDIS");
	FAILS("Error reading the RDB base of the append only file appendonlydir/base, AOF loading aborted: no RDB at offset 0");
}

static void test_wrong(void)
{
	clean();
	put(MANIFEST, "file base seq 1 type b\n");
	put(DIR_NAME "/base", SET_A "xx" SET_B);
	FAILS("Bad file format reading the append only file appendonlydir/base at offset 27: expected '*'. Make a backup");
	put(DIR_NAME "/base", SET_A "*1\r\n$3\r\nABC\r\n" SET_B);
	FAILS("The command at offset 27 of the append only file appendonlydir/base cannot be loaded: unknown command");
}

/* ---- the single file of Redis 6 ---- */

static void test_moved(void)
{
	clean();
	CHECK_INT(rmdir(DIR_NAME), 0);
	put("appendonly.aof", SET_A);
	LOADS("appendonly.aof: a");
	IS("appendonly.aof", "(none)");
	IS(DIR_NAME "/appendonly.aof", SET_A);
	IS(MANIFEST, "file appendonly.aof seq 1 type b\n");
	LOADS("appendonly.aof: a");
	/* With a preamble and a torn tail, into a directory that is there. */
	clean();
	put("appendonly.aof", RDB SET_A "*3");
	LOADS("appendonly.aof: rdb a");
	IS(DIR_NAME "/appendonly.aof", RDB SET_A);
	/* Interrupted before the rename. */
	clean();
	put("appendonly.aof", SET_B);
	put(MANIFEST, "file appendonly.aof seq 1 type b\n");
	LOADS("appendonly.aof: b");
	IS("appendonly.aof", "(none)");
	/* After it; and with a later file of that name beside it, which is nobody's. */
	put("appendonly.aof", SET_C);
	LOADS("appendonly.aof: b");
	IS("appendonly.aof", SET_C);
	put(MANIFEST, "file appendonly.aof seq 1 type b\nfile i1 seq 1 type i\n");
	put(DIR_NAME "/i1", SET_A);
	LOADS("appendonly.aof: bi1: a");
	/* An empty one is moved as well. */
	clean();
	put("appendonly.aof", "");
	CHECK_INT(load(), AOF_LOAD_EMPTY);
	IS(MANIFEST, "file appendonly.aof seq 1 type b\n");
	/* Two of that name, and no manifest to say which. */
	clean();
	put("appendonly.aof", SET_A);
	put(DIR_NAME "/appendonly.aof", SET_B);
	FAILS("which one holds the data");
	IS("appendonly.aof", SET_A);
	IS(DIR_NAME "/appendonly.aof", SET_B);
}

int main(void)
{
	char dir[] = "/tmp/aof_load.XXXXXX", *argv[] = {dir, NULL};
	if (!mkdtemp(dir) || chdir(dir)) {
		printf("Bail out! no folder to work in\n");
		return 1;
	}
	config_load(1, argv, NULL);
	log_open("log", LOG_LEVEL_NOTICE);
	RUN(test_in_order);
	RUN(test_nothing);
	RUN(test_not_there);
	RUN(test_torn);
	RUN(test_wrong);
	RUN(test_moved);
	clean();
	if (unlink("log") || rmdir(DIR_NAME) || chdir("/") || rmdir(dir))
		printf("# %s is left\n", dir);
	return test_done();
}
