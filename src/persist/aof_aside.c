/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of an append only file that no manifest names (persist/aof_manifest.h): a backup that was put back without it, or what a server left that
 * was killed before it had written its first one.
 *
 * Run by the AOF writer before it makes its first files, which would have the same names. Each is renamed, one by one: killed in between, the
 * next one goes on. No locks.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "persist/aof_manifest.h"

#define TRIES 1000

static bool is_part(const char *name, const char *filename)
{
	size_t n = strlen(filename);
	const char *rest = name + n;
	if (strncmp(name, filename, n) != 0 || *rest != '.' || strspn(rest + 1, "0123456789") == 0)
		return false;
	rest += 1 + strspn(rest + 1, "0123456789");
	return strcmp(rest, ".base.rdb") == 0 || strcmp(rest, ".base.aof") == 0 || strcmp(rest, ".incr.aof") == 0;
}

static bool rename_part(int dir, const char *name)
{
	char to[AOF_NAME_MAX + 32];
	for (int i = 1; i <= TRIES; i++) {
		snprintf(to, sizeof to, "%s.unlisted-%d", name, i);
		if (renameat2(dir, name, dir, to, RENAME_NOREPLACE) == 0) {
			log_warning("%s is in the AOF directory, and no manifest names it: it is kept as %s", name, to);
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	log_warning("%s is in the AOF directory, and no manifest names it. It cannot be renamed: %s", name, strerror(errno));
	return false;
}

bool aof_set_aside(int dir, const char *filename)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool ok = d != NULL;
	if (!d) {
		log_warning("Cannot look into the AOF directory: %s", strerror(errno));
		return false;
	}
	for (const struct dirent *e; ok && (e = readdir(d)) != NULL;)
		if (is_part(e->d_name, filename))
			ok = rename_part(dir, e->d_name);
	closedir(d);
	return ok;
}
