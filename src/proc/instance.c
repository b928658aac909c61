/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance of the server has outside its processes: its place in the background, its pid file, its store's name.
 *
 * The supervisor alone. Death of the supervisor leaves the pid file and the store's object, which the next start of the same
 * instance removes once no process holds the object's lock any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "base/panic.h"
#include "proc/start.h"
#include "shm/control.h"
#include "shm/region.h"

#define DEFAULT_PID_FILE "/var/run/bulkhead.pid"

static bool pid_written;

void instance_daemonize(void)
{
	if (!config->daemonize)
		return;
	config_password_follow(true);
	pid_t pid = fork();
	if (pid < 0)
		fatal("Cannot go into the background: %s", strerror(errno));
	if (pid > 0)
		_exit(0);
	config_password_follow(false);
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

int instance_folder(void)
{
	static int fd = -1;
	if (fd < 0 && (fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0)
		fd = descriptor_move(fd, FD_PRIVATE);
	return fd;
}

static const char *pid_file(void)
{
	return *config->pidfile ? config->pidfile : config->daemonize ? DEFAULT_PID_FILE : NULL;
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

int instance_create_store(uint32_t slots)
{
	name_store();
	int fd = store_create(control->store_name, slots, (uint32_t)config->databases);
	if (fd < 0)
		fatal("Cannot go on without shared memory for the data");
	return fd;
}

void instance_remove_store(void)
{
	store_remove(control->store_name);
}
