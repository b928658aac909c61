/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replacing the binary (proc/upgrade.h).
 *
 * The supervisor alone. It is the same process before and after, so whoever watches it sees no death, and the lock on the store is held all the
 * time. What is handed over stands in the environment: this process's number, then descriptors, the store's first. The number
 * keeps anybody else from taking it for his. The listening sockets stay open, so clients that come meanwhile wait in their queues.
 *
 * Death during it: as any death of the supervisor; the next start adopts the store.
 */
#include "proc/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/version.h"
#include "proc/listen.h"

#define VARIABLE "BULKHEAD_UPGRADE"
#define HANDED_MAX 32
#define ASK_MS 5000

static char **arguments; /* as given, a NULL at the end; in memory that children do not see: a password may be among them */
static char folder[4096];
static bool from_stdin;

static int handed[HANDED_MAX]; /* -1: taken */
static unsigned nhanded;

/* ---- receiving ---- */

static void keep_arguments(int argc, char **argv)
{
	size_t bytes = ((size_t)argc + 1) * sizeof *argv;
	for (int i = 0; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	arguments = config_secret_memory(bytes);
	char *text = (char *)(arguments + argc + 1);
	for (int i = 0; i < argc; i++) {
		arguments[i] = text;
		text = stpcpy(text, argv[i]) + 1;
	}
	from_stdin = argc > 1 && strcmp(argv[argc - 1], "-") == 0;
	if (!getcwd(folder, sizeof folder))
		folder[0] = 0;
}

void upgrade_receive(int argc, char **argv)
{
	keep_arguments(argc, argv);
	char *text = getenv(VARIABLE), *end;
	if (text && strtol(text, &end, 10) == getpid())
		for (text = end; nhanded < HANDED_MAX; text = end) {
			long fd = strtol(text, &end, 10);
			if (end == text)
				break;
			if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
				handed[nhanded++] = (int)fd;
		}
	unsetenv(VARIABLE);
}

bool upgrade_received(void)
{
	return nhanded > 0;
}

unsigned upgrade_kept(const int **fds)
{
	*fds = handed;
	return nhanded;
}

static int take(unsigned i)
{
	int fd = handed[i];
	handed[i] = -1;
	return fd;
}

int upgrade_take_store(void)
{
	return nhanded ? take(0) : -1;
}

static bool same_address(const struct sockaddr *a, const struct sockaddr_storage *b, socklen_t n)
{
	if (a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_UNIX)
		return strcmp(((const struct sockaddr_un *)a)->sun_path, ((const struct sockaddr_un *)b)->sun_path) == 0;
	return memcmp(a, b, n) == 0;
}

int upgrade_take_listener(const struct sockaddr *a, socklen_t n)
{
	for (unsigned i = 1; i < nhanded; i++) {
		struct sockaddr_storage bound = {0};
		socklen_t len = sizeof bound;
		if (handed[i] >= 0 && getsockname(handed[i], (struct sockaddr *)&bound, &len) == 0 && same_address(a, &bound, n))
			return take(i);
	}
	return -1;
}

void upgrade_drop_rest(void)
{
	for (unsigned i = 0; i < nhanded; i++)
		if (handed[i] >= 0)
			close(take(i));
}

/* ---- may it be done? ---- */

/* What the binary says when asked for its store's format; false when it says nothing in time. */
static bool ask(char *answer, size_t cap)
{
	char *argv[] = {(char[]){"bulkhead-server"}, (char[]){"--store-format"}, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none;
	int ends[2];
	pid_t pid;
	if (pipe2(ends, O_CLOEXEC))
		return false;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&how, &none);
	int e = posix_spawn(&pid, config->executable, &files, &how, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	io_close(&ends[1]);
	ssize_t n = 0;
	if (e == 0) {
		struct pollfd p = {.fd = ends[0], .events = POLLIN};
		if (poll(&p, 1, ASK_MS) == 1)
			n = read(ends[0], answer, cap - 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	io_close(&ends[0]);
	answer[n > 0 ? strcspn(answer, "\n") : 0] = 0;
	errno = e;
	return e == 0 && n > 0;
}

bool upgrade_possible(void)
{
	char answer[128] = "";
	if (from_stdin) {
		log_warning("Not upgrading: the configuration was read from standard input and cannot be read again");
		return false;
	}
	if (!ask(answer, sizeof answer)) {
		log_warning("Not upgrading: %s does not say which format of store it works on%s%s", config->executable,
			    errno ? ": " : "", errno ? strerror(errno) : "");
		return false;
	}
	const char *theirs = strstr(answer, "format "), *ours = strstr(BULKHEAD_STORE_BUILD, "format ");
	if (theirs && strcmp(theirs, ours) == 0)
		return true;
	log_warning("Not upgrading: %s is Bulkhead %s; the data in memory is of Bulkhead %s", config->executable, answer,
		    BULKHEAD_STORE_BUILD);
	return false;
}

/* ---- doing it ---- */

static char *list_end; /* of the text being made */

static void hand_over(int fd)
{
	list_end += sprintf(list_end, " %d", fd);
	fcntl(fd, F_SETFD, 0);
}

static void keep_back(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void upgrade_execute(int store)
{
	char list[HANDED_MAX * 12];
	list_end = list + sprintf(list, "%d", (int)getpid());
	hand_over(store);
	listen_each(hand_over);
	setenv(VARIABLE, list, 1);
	char *here = getcwd(NULL, 0);
	if (*folder && chdir(folder))
		log_warning("Cannot go back to %s: %s", folder, strerror(errno));
	log_notice("Executing %s", config->executable);
	execv(config->executable, arguments);
	log_warning("Not upgraded: %s: %s", config->executable, strerror(errno));
	if (here && chdir(here))
		log_warning("Cannot go back to %s: %s", here, strerror(errno));
	free(here);
	unsetenv(VARIABLE);
	keep_back(store);
	listen_each(keep_back);
}
