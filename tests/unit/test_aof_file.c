/* SPDX-License-Identifier: BSD-2-Clause */
/* An increment while it is written to: whole records or nothing, whatever fails. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/aof_file.h"

static char folder[] = "/tmp/test_aof_file.XXXXXX";
static int dir = -1;

static int append(struct aof_file *f, const char *a, const char *b)
{
	struct iovec iov[3] = {{(void *)(uintptr_t)a, strlen(a)}, {NULL, 0}, {(void *)(uintptr_t)b, strlen(b)}};
	return aof_file_append(f, iov, 3);
}

static bool holds(const char *text)
{
	char got[256] = "";
	int fd = openat(dir, "f", O_RDONLY);
	ssize_t n = read(fd, got, sizeof got - 1);
	close(fd);
	return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static void test_appending(void)
{
	struct aof_file f;
	REQUIRE(aof_file_create(&f, dir, "f") == 0);
	CHECK(append(&f, "one ", "two ") == 0);
	CHECK_INT(f.size, 0);
	aof_file_mark(&f);
	CHECK_INT(f.size, 8);
	CHECK(append(&f, "three", "") == 0);
	aof_file_mark(&f);
	CHECK(aof_file_sync(&f) == 0);
	CHECK(holds("one two three"));
	aof_file_close(&f);
	CHECK_INT(f.fd, -1);
	/* Again: it begins empty. */
	REQUIRE(aof_file_create(&f, dir, "f") == 0);
	CHECK(holds(""));
	aof_file_close(&f);
}

static void test_going_on(void)
{
	struct aof_file f;
	REQUIRE(aof_file_create(&f, dir, "f") == 0);
	append(&f, "whole", "torn");
	aof_file_mark(&f);
	aof_file_sync(&f);
	aof_file_close(&f);
	CHECK(aof_file_open(&f, dir, "f", 10) == -1 && errno == EBADMSG);
	REQUIRE(aof_file_open(&f, dir, "f", 5) == 0);
	CHECK(holds("whole"));
	CHECK(append(&f, " and", " more") == 0);
	aof_file_mark(&f);
	aof_file_sync(&f);
	CHECK(holds("whole and more"));
	aof_file_close(&f);
	REQUIRE(aof_file_open_end(&f, dir, "f") == 0);
	CHECK_INT(f.size, 14);
	aof_file_close(&f);
	CHECK(aof_file_open(&f, dir, "none", 0) == -1 && errno == ENOENT);
	REQUIRE(mkfifoat(dir, "fifo", 0600) == 0);
	CHECK(aof_file_open(&f, dir, "fifo", 0) == -1);
	unlinkat(dir, "fifo", 0);
}

/* A write that is cut short leaves nothing of its record; the next one goes where it would have gone. */
static void test_no_room(void)
{
#ifndef BULKHEAD_LOSSY_FILES
	struct aof_file f;
	struct rlimit before, little = {10, RLIM_INFINITY};
	REQUIRE(aof_file_create(&f, dir, "f") == 0);
	CHECK(append(&f, "12345", "") == 0);
	aof_file_mark(&f);
	getrlimit(RLIMIT_FSIZE, &before);
	little.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_FSIZE, &little);
	CHECK(append(&f, "678", "9012345") == -1 && errno == EFBIG);
	CHECK(holds("12345"));
	CHECK_INT(f.end, 5);
	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(append(&f, "678", "9012345") == 0);
	aof_file_mark(&f);
	CHECK(holds("123456789012345"));
	/* What was not marked goes with what fails behind it. */
	CHECK(append(&f, "abc", "") == 0);
	setrlimit(RLIMIT_FSIZE, &little);
	CHECK(append(&f, "d", "") == -1);
	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(holds("123456789012345"));
	aof_file_close(&f);
#endif
}

int main(void)
{
	signal(SIGXFSZ, SIG_IGN);
	if (!mkdtemp(folder) || (dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0)
		return 1;
	RUN(test_appending);
	RUN(test_going_on);
	RUN(test_no_room);
	unlinkat(dir, "f", 0);
	rmdir(folder);
	return test_done();
}
