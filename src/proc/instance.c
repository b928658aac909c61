/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance of the server has outside its processes: its place in the background, its pid file, its store's name.
 *
 * The supervisor alone. Death of the supervisor leaves the pid file and the store's object, which the next start of the same
 * instance takes over once no process holds the object's lock any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/seldom.h"
#include "proc/loads.h"
#include "proc/process.h"
#include "proc/start.h"
#include "shm/control.h"
#include "shm/region.h"

static bool pid_written;
static int starter = -1; /* a pipe to the process that stayed in the foreground */

/* In the foreground: whoever called the server may rely on its serving, or learns that it does not. */
static _Noreturn void wait_until_serving(int end, pid_t pid)
{
	char byte;
	ssize_t n;
	do
		n = read(end, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	int status = 0;
	waitpid(pid, &status, 0);
	fprintf(stderr, "Bulkhead did not start; its log says why%s%s\n", *config->logfile ? ": " : "",
		config->logfile);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

void instance_daemonize(void)
{
	int ends[2];
	if (!config->daemonize)
		return;
	config_secrets_follow(true);
	pid_t pid = pipe2(ends, O_CLOEXEC) ? -1 : fork();
	if (pid < 0)
		fatal("Cannot go into the background: %s", strerror(errno));
	if (pid > 0) {
		close(ends[1]);
		wait_until_serving(ends[0], pid);
	}
	close(ends[0]);
	starter = descriptor_move(ends[1], FD_PRIVATE);
	config_secrets_follow(false);
	setsid();
	int fd = open("/dev/null", O_RDWR);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
}

void instance_serves(void)
{
	if (starter >= 0 && write(starter, "", 1) < 0)
		log_debug("Nobody waits for the start: %s", strerror(errno));
	io_close(&starter);
}

int instance_folder(void)
{
	static int fd = -1;
	if (fd < 0 && (fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0)
		fd = descriptor_move(fd, FD_PRIVATE);
	return fd;
}

static const char *pid_file(void)
{
	return *config->pidfile ? config->pidfile : NULL;
}

void instance_write_pid(void)
{
	if (!pid_file())
		return;
	FILE *f = fopen(pid_file(), "we");
	if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f)) {
		log_warning("Failed to write PID file: %s", strerror(errno));
		return;
	}
	pid_written = true;
}

void instance_remove_pid(void)
{
	if (!pid_written)
		return;
	log_notice("Removing the pid file.");
	unlinkat(instance_folder(), pid_file(), 0);
}

/* "/bulkhead.<port>.main"; without a port, a number made of the unix socket's path. */
static void name_store(void)
{
	char *out = control->store_name;
	if (config->port) {
		snprintf(out, sizeof control->store_name, "/bulkhead.%d.main", (int)config->port);
		return;
	}
	char path[CONFIG_TEXT * 2];
	snprintf(path, sizeof path, "%s/%s", *config->unixsocket == '/' ? "" : config->dir, config->unixsocket);
	uint64_t h = 14695981039346656037ull;
	for (const char *p = path; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ull;
	snprintf(out, sizeof control->store_name, "/bulkhead.u%016llx.main", (unsigned long long)h);
}

const char *instance_text(void)
{
	static SELDOM_USED char text[CONFIG_TEXT * 2 + 32];
	if (config->port)
		snprintf(text, sizeof text, "port %d in %s", (int)config->port, config->dir);
	else
		snprintf(text, sizeof text, "socket %s in %s", config->unixsocket, config->dir);
	return text;
}

int instance_open_store(uint32_t slots, int handed_over, bool *adopted)
{
	name_store();
	struct store_wish wish = {.name = control->store_name,
				  .instance = instance_text(),
				  .slots = slots,
				  .databases = (uint32_t)config->databases,
				  .adopt = config->warm_restart,
				  .fault = loads_fault,
				  .instead = loads_could,
				  .fd = handed_over};
	int fd = store_open(&wish, adopted);
	if (fd < 0)
		fatal("Cannot go on without shared memory for the data");
	return fd;
}

void instance_remove_store(void)
{
	/* What has that name when ours has none is another server's. */
	if (store_has_name(launch_store_fd()))
		store_remove(control->store_name);
}

/* ---- somebody removes the name ---- */

int instance_watch_store(int store)
{
	char path[32];
	if (!store_has_name(store))
		return -1;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return -1;
	fd = descriptor_move(fd, FD_PRIVATE);
	snprintf(path, sizeof path, "/proc/self/fd/%d", store);
	if (inotify_add_watch(fd, path, IN_ATTRIB) < 0)
		io_close(&fd);
	return fd;
}

void instance_store_changed(int watch, int store)
{
	static bool told;
	char events[512];
	while (read(watch, events, sizeof events) > 0)
		;
	if (told || store_has_name(store))
		return;
	told = true;
	log_warning("Somebody removed the name of shared memory '%s'. The service goes on, but the data cannot outlive the server process "
		    "any more", control->store_name);
}
