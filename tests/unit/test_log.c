/* SPDX-License-Identifier: BSD-2-Clause */
/* The log's lines, and the ways to end a process. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"

static char dir[64], content[70000];

static const char *read_file(const char *name)
{
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(content, 1, sizeof(content) - 1, f) : 0;
	content[n] = '\0';
	if (f)
		fclose(f);
	return content;
}

/* Whether it is "PID:ROLE dd Mon yyyy hh:mm:ss.mmm C message\n", with a time within the last minute. */
static bool line_is(const char *line, char role, char mark, const char *message)
{
	int pid, day, year, hour, minute, second, ms, end = 0;
	char got_role, month[4], got_mark;
	if (sscanf(line, "%d:%c %2d %3s %4d %2d:%2d:%2d.%3d %c %n", &pid, &got_role, &day, month, &year, &hour, &minute,
		   &second, &ms, &got_mark, &end) != 10)
		return false;
	struct tm tm;
	char text[64];
	memset(&tm, 0, sizeof(tm));
	snprintf(text, sizeof(text), "%d %s %d %d:%d:%d", day, month, year, hour, minute, second);
	if (!strptime(text, "%d %b %Y %H:%M:%S", &tm))
		return false;
	tm.tm_isdst = -1;
	double age = difftime(time(NULL), mktime(&tm));
	size_t n = strlen(message);
	return pid == getpid() && got_role == role && got_mark == mark && age > -60 && age < 60 &&
	       strncmp(line + end, message, n) == 0 && line[end + (int)n] == '\n';
}

static void test_format(void)
{
	REQUIRE(log_open("log", LOG_LEVEL_DEBUG));
	log_set_role('M');
	log_debug("one %d", 1);
	log_verbose("two");
	log_set_role('C');
	log_notice("three");
	log_warning("four\r\nforged\x1b[1m \xc3\xa4\ttab");
	errno = ENOENT;
	log_warning("%m");
	CHECK_INT(errno, ENOENT);

	char *line = strdup(read_file("log")), *at = line;
	CHECK(line_is(at, 'M', '.', "one 1"));
	at = strchr(at, '\n') + 1;
	CHECK(line_is(at, 'M', '-', "two"));
	at = strchr(at, '\n') + 1;
	CHECK(line_is(at, 'C', '*', "three"));
	at = strchr(at, '\n') + 1;
	CHECK(line_is(at, 'C', '#', "four??forged?[1m \xc3\xa4\ttab"));
	at = strchr(at, '\n') + 1;
	CHECK(line_is(at, 'C', '#', strerror(ENOENT)));
	CHECK(at[strlen(at) - 1] == '\n');
	free(line);
}

static void test_levels(void)
{
	REQUIRE(log_open("levels", LOG_LEVEL_NOTICE));
	CHECK_INT(log_get_level(), LOG_LEVEL_NOTICE);
	log_debug("no");
	log_verbose("no");
	log_notice("yes");
	log_set_level(LOG_LEVEL_WARNING);
	log_notice("no");
	log_warning("yes");
	log_set_level(LOG_LEVEL_DEBUG);
	const char *text = read_file("levels");
	CHECK(!strstr(text, "no\n"));
	CHECK(strstr(text, "* yes\n") && strstr(text, "# yes\n"));
}

static void test_long_message(void)
{
	static char message[LOG_MESSAGE_MAX + 1000];
	memset(message, 'x', sizeof(message) - 1);
	REQUIRE(log_open("long", LOG_LEVEL_DEBUG));
	log_notice("%s", message);
	log_signal_safe(message);
	const char *text = read_file("long");
	CHECK_UINT(strspn(strchr(text, 'x'), "x"), LOG_MESSAGE_MAX);
	CHECK_UINT(strspn(strchr(strchr(text, '\n'), 'x'), "x"), LOG_MESSAGE_MAX);
	CHECK(text[strlen(text) - 1] == '\n');
}

static void test_signal_safe(void)
{
	REQUIRE(log_open("safe", LOG_LEVEL_WARNING));
	errno = EBADF;
	log_signal_safe("going\ndown");
	CHECK_INT(errno, EBADF);
	CHECK(line_is(read_file("safe"), 'C', '#', "going?down"));
}

static void test_reopen(void)
{
	REQUIRE(log_open("moved", LOG_LEVEL_NOTICE));
	int fd = log_fd();
	log_notice("before");
	CHECK(rename("moved", "moved.1") == 0);
	log_notice("still");
	REQUIRE(chdir("/") == 0); /* the name was made absolute */
	CHECK(log_reopen());
	REQUIRE(chdir(dir) == 0);
	log_notice("after");
	CHECK_INT(log_fd(), fd);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(strstr(read_file("moved.1"), "still\n") && !strstr(content, "after"));
	CHECK(strstr(read_file("moved"), "after\n") && !strstr(content, "still"));

	/* What cannot be opened changes nothing. */
	CHECK(!log_open("/nonexistent/log", LOG_LEVEL_DEBUG));
	CHECK_INT(errno, ENOENT);
	log_notice("same place");
	CHECK(strstr(read_file("moved"), "same place\n"));
}

/* Several processes, one file: every line is whole. */
static void test_many_writers(void)
{
	REQUIRE(log_open("many", LOG_LEVEL_NOTICE));
	for (int child = 0; child < 4; child++) {
		if (fork() == 0) {
			for (int i = 0; i < 200; i++)
				log_notice("a line of fair length, number %d of %d, with an end", i, child);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	int lines = 0;
	for (char *at = strtok((char *)read_file("many"), "\n"); at; at = strtok(NULL, "\n")) {
		lines++;
		CHECKF(strstr(at, " * a line of") && strcmp(at + strlen(at) - 11, "with an end") == 0, "'%s'", at);
	}
	CHECK_INT(lines, 800);
}

static int exit_status_of(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		fn();
		_exit(77);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void do_fatal(void)
{
	fatal("no %s left", "luck");
}
static void do_panic(void)
{
	panic("bad %d", 7);
}
static void do_assert(void)
{
	ASSERT(1 + 1 == 3);
}
static void do_no_assert(void)
{
	ASSERT(1 + 1 == 2);
	DEBUG_ASSERT(1 + 1 == 2);
}

static void test_ends(void)
{
	REQUIRE(log_open("ends", LOG_LEVEL_WARNING));
	int status = exit_status_of(do_fatal);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	CHECK(strstr(read_file("ends"), "# no luck left\n"));
	status = exit_status_of(do_panic);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(read_file("ends"), "test_log.c:") && strstr(content, "bad 7\n"));
	status = exit_status_of(do_assert);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(read_file("ends"), "1 + 1 == 3"));
	status = exit_status_of(do_no_assert);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

int main(void)
{
	static const char *const files[] = {"log", "levels", "long", "safe", "moved", "moved.1", "many", "ends"};
	snprintf(dir, sizeof(dir), "/tmp/bulkhead-test-log.XXXXXX");
	if (!mkdtemp(dir) || chdir(dir) != 0)
		return 1;
	RUN(test_format);
	RUN(test_levels);
	RUN(test_long_message);
	RUN(test_signal_safe);
	RUN(test_reopen);
	RUN(test_many_writers);
	RUN(test_ends);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	rmdir(dir);
	return test_done();
}
