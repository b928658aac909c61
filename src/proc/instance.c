/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance of the server has outside its processes: its place in the background, its pid file, its store's name.
 *
 * The supervisor alone. The store's descriptor is locked (flock) from its making on, and every child inherits that lock with it: as long
 * as one process of an instance lives, no other takes the object for an abandoned one. Death of the supervisor leaves
 * the object; the next start finds it unlocked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/panic.h"
#include "proc/start.h"
#include "shm/control.h"
#include "shm/region.h"

#define DEFAULT_PID_FILE "/var/run/bulkhead.pid"
#define ORPHANS_WAIT_MS 2000

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
	unlink(pid_file());
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

/* Removes an object that a server left behind when it was killed. False: it is in use. */
static bool remove_abandoned(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT;
	bool free = false;
	for (int ms = 0; !free && ms < ORPHANS_WAIT_MS; ms += 10) {
		free = flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (!free)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	if (free) {
		log_warning("Shared memory '%s' was left by a server that did not stop in order: removed", name);
		store_remove(name);
	}
	close(fd);
	return free;
}

int instance_create_store(uint32_t slots)
{
	name_store();
	const char *name = control->store_name;
	if (!remove_abandoned(name))
		fatal("Shared memory '%s' is in use by another server: %s", name, strerror(errno));
	int fd = store_create(name, slots, (uint32_t)config->databases);
	if (fd < 0)
		fatal("Cannot go on without shared memory for the data");
	flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

void instance_remove_store(void)
{
	store_remove(control->store_name);
}
