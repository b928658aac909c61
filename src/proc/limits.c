/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine allows: looked at once, at the start, so that a limit shows as a line in the log that names it and not
 * as a fork that fails months later.
 *
 * The supervisor alone, before any other process exists.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "proc/process.h"
#include "proc/start.h"

#define NO_LIMIT INT64_MAX
#define SLOTS_LEAST 10000       /* so that CONFIG SET maxclients has room */
#define IDLE_CLIENT_BYTES 120000
#define FILES_LEAST 64

/* The number in a file of /proc or /sys; NO_LIMIT for "max", an unreadable file, or none. */
static int64_t read_number(const char *path)
{
	char text[64] = "";
	FILE *f = fopen(path, "re");
	if (!f)
		return NO_LIMIT;
	char *got = fgets(text, sizeof text, f);
	fclose(f);
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	return got && end != text && !errno ? v : NO_LIMIT;
}

/* This process's path in a control group hierarchy: "" for the unified one, else the controller's name. */
static bool cgroup_path(const char *controller, char *out, size_t cap)
{
	char line[1024];
	bool found = false;
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		names++;
		path[strcspn(path, "\n")] = 0;
		if (*controller ? strstr(names, controller) != NULL : *names == 0) {
			snprintf(out, cap, "%s", path);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

/* The smallest limit from our group up to the root. */
static int64_t smallest(const char *mount, const char *path, const char *file)
{
	char group[1024], full[2200];
	int64_t least = NO_LIMIT;
	snprintf(group, sizeof group, "%s", path);
	for (;;) {
		snprintf(full, sizeof full, "%s%s/%s", mount, strcmp(group, "/") == 0 ? "" : group, file);
		int64_t v = read_number(full);
		least = v < least ? v : least;
		char *slash = strrchr(group, '/');
		if (!slash || !*group)
			return least;
		*slash = 0;
	}
}

static int64_t cgroup_limit(const char *controller, const char *file_v2, const char *file_v1)
{
	char path[1024], mount[64];
	int64_t least = NO_LIMIT;
	if (cgroup_path("", path, sizeof path))
		least = smallest("/sys/fs/cgroup", path, file_v2);
	if (cgroup_path(controller, path, sizeof path)) {
		snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", controller);
		int64_t v = smallest(mount, path, file_v1);
		least = v < least ? v : least;
	}
	return least;
}

/* Raises the soft limit to the hard one and returns it. */
static int64_t raise_limit(__rlimit_resource_t what)
{
	struct rlimit l;
	if (getrlimit(what, &l))
		return NO_LIMIT;
	if (l.rlim_cur != l.rlim_max) {
		rlim_t before = l.rlim_cur;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(what, &l))
			l.rlim_cur = before;
	}
	return l.rlim_cur == RLIM_INFINITY ? NO_LIMIT : (int64_t)l.rlim_cur;
}

static void lower(int64_t *maxclients, int64_t limit, const char *name, const char *advice)
{
	int64_t room = limit - SLOTS_RESERVED;
	if (limit == NO_LIMIT || *maxclients <= room)
		return;
	if (room < 1)
		room = 1;
	log_warning("You requested maxclients of %" PRId64 " requiring at least %" PRId64 " processes.", *maxclients,
		    *maxclients + SLOTS_RESERVED);
	log_warning("%s is %" PRId64 ". maxclients has been reduced to %" PRId64 " to compensate. If you need higher maxclients %s.",
		    name, limit, room, advice);
	*maxclients = room;
}

static void check_processes(int64_t *maxclients)
{
	int64_t processes = raise_limit(RLIMIT_NPROC);
	/* The kernel does not hold root to it. */
	if (geteuid() != 0)
		lower(maxclients, processes, "RLIMIT_NPROC", "increase 'ulimit -u'");
	lower(maxclients, cgroup_limit("pids", "pids.max", "pids.max"), "The control group's pids.max", "increase it");
	lower(maxclients, read_number("/proc/sys/kernel/pid_max"), "kernel.pid_max", "increase it with sysctl");
	lower(maxclients, read_number("/proc/sys/kernel/threads-max"), "kernel.threads-max", "increase it with sysctl");
}

static void check_memory(int64_t maxclients)
{
	int64_t limit = cgroup_limit("memory", "memory.max", "memory.limit_in_bytes");
	int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	const char *name = limit < machine ? "the control group's memory.max" : "the machine's memory";
	limit = limit < machine ? limit : machine;
	int64_t clients = maxclients * IDLE_CLIENT_BYTES;
	if ((uint64_t)limit < config->maxmemory || (uint64_t)(limit - (int64_t)config->maxmemory) < (uint64_t)clients)
		log_warning("WARNING: maxmemory of %" PRIu64 " bytes and maxclients of %" PRId64 " idle clients (about %" PRId64
			    " MB) are more than %s of %" PRId64 " MB.",
			    config->maxmemory, maxclients, clients / 1000000, name, limit / 1000000);
}

static void check_shm(void)
{
	const char *dir = *config->shm_dir ? config->shm_dir : "/dev/shm";
	struct statvfs v;
	if (statvfs(dir, &v)) {
		log_warning("WARNING: %s cannot be looked at: %s", dir, strerror(errno));
		return;
	}
	uint64_t free = (uint64_t)v.f_bavail * v.f_frsize;
	if (config->maxmemory > free)
		log_warning("WARNING: %s has %" PRIu64 " MB free, less than maxmemory of %" PRIu64
			    " MB: when it is full, writes answer -OOM.",
			    dir, free / 1000000, config->maxmemory / 1000000);
	else if (!config->maxmemory && free < 64u << 20)
		log_warning("WARNING: %s has only %" PRIu64 " MB free: when it is full, writes answer -OOM.", dir,
			    free / 1000000);
}

static void check_backlog(void)
{
	int64_t most = read_number("/proc/sys/net/core/somaxconn");
	if (config->tcp_backlog > most)
		log_warning("WARNING: The TCP backlog setting of %d cannot be enforced because /proc/sys/net/core/somaxconn "
			    "is set to the lower value of %d.",
			    (int)config->tcp_backlog, (int)most);
}

uint32_t limits_check(int64_t *maxclients)
{
	int64_t files = raise_limit(RLIMIT_NOFILE);
	if (files < FILES_LEAST)
		log_warning("WARNING: RLIMIT_NOFILE is %" PRId64 ", which is too low. Increase 'ulimit -n'.", files);
	check_processes(maxclients);
	check_memory(*maxclients);
	check_shm();
	check_backlog();
	return (uint32_t)(*maxclients > SLOTS_LEAST ? *maxclients : SLOTS_LEAST) + SLOTS_RESERVED;
}
