/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AOF writer's folder and the manifest in it.
 *
 * Runs in the AOF writer alone, which has the folder locked against other servers. What is put in the manifest's place is noted in the superblock before and
 * settled after (persist/disk.h), so a process may die at any step: the next start takes what it finds for ours, and the next writer reads it again and
 * has the folder synced.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aof_writer.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "persist/disk.h"
#include "shm/control.h"

#define PATH_CAP (AOF_DIR_MAX + AOF_NAME_MAX + 1)
#define LOCK_WAIT_MS 3000

static void path_of(char out[PATH_CAP], const char *name)
{
	snprintf(out, PATH_CAP, "%s/%s", control->persistence.aof_dir, name);
}

/* ---- the manifest ---- */

bool folder_replace_manifest(struct aof_writer *w, struct aof_manifest *next)
{
	char temp[AOF_NAME_MAX], path[PATH_CAP], place[PATH_CAP];
	int failed = aof_manifest_stage(next, w->dir, w->manifest_name, temp);
	if (!failed) {
		path_of(path, temp);
		path_of(place, w->manifest_name);
		failed = disk_note(DISK_MANIFEST, path, place) ? aof_manifest_commit(w->dir, temp, w->manifest_name) : -1;
	}
	if (failed >= 0)
		w->unsettled = failed > 0;
	if (failed > 0)
		log_warning("The AOF manifest is written, but its folder cannot be synced: %s", strerror(errno));
	if (failed < 0) {
		log_warning("Cannot write the AOF manifest: %s", strerror(errno));
		int why = errno;
		aof_manifest_deinit(next);
		errno = why;
		return false;
	}
	disk_settle(DISK_MANIFEST);
	aof_manifest_deinit(&w->m);
	w->m = *next;
	return true;
}

/* Their names go now, their bytes in a thread. */
void folder_remove_history(struct aof_writer *w)
{
	struct aof_manifest next = {0};
	size_t n = 0;
	if (config->aof_disable_auto_gc || w->unsettled || !aof_manifest_next(&w->m, AOF_HISTORY, NULL))
		return;
	int *fds = malloc(w->m.n * sizeof *fds);
	if (!fds)
		fatal("Out of memory");
	for (const struct aof_part *p = NULL; (p = aof_manifest_next(&w->m, AOF_HISTORY, p)) != NULL;) {
		int fd = openat(w->dir, p->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		log_notice("Removing the history file %s in the background", p->name);
		unlinkat(w->dir, p->name, 0);
		if (fd >= 0)
			fds[n++] = fd;
	}
	close_beside(fds, n);
	aof_manifest_copy(&next, &w->m);
	aof_manifest_forget(&next, AOF_HISTORY);
	folder_replace_manifest(w, &next);
}

void folder_note_increment(const char *name)
{
	char path[PATH_CAP];
	path_of(path, name);
	disk_is(DISK_INCREMENT, path);
}

void folder_note_manifest(const struct aof_writer *w)
{
	char path[PATH_CAP];
	path_of(path, w->manifest_name);
	disk_is(DISK_MANIFEST, path);
}

/* ---- opening it ---- */

/*
 * Two servers that write to the same files would each remove what is the other's. A writer that was just killed may still be dying: so a moment is
 * waited for. The lock goes with this process.
 */
static bool lock_folder(int dir)
{
	int64_t until = clock_mono_ms() + LOCK_WAIT_MS;
	while (flock(dir, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return true; /* a file system without locks */
		if (clock_mono_ms() > until) {
			log_warning("The AOF directory %s is in use by another server", control->persistence.aof_dir);
			return false;
		}
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	return true;
}

/* The manifest of the folder that is open. */
static bool read_manifest(struct aof_writer *w)
{
	struct aof_manifest_error e;
	switch (aof_manifest_read(&w->m, w->dir, w->manifest_name, &e)) {
	case AOF_FOUND:
	case AOF_ABSENT:
		/* The one before may have died over that. */
		w->unsettled = io_sync_dir(w->dir) != 0;
		return true;
	case AOF_BAD:
		log_warning("The AOF manifest %s is damaged, line %u, '%s': %s", w->manifest_name, e.line, e.text, e.why);
		return false;
	case AOF_FAILED:
		break;
	}
	log_warning("Cannot read the AOF manifest %s: %s", w->manifest_name, strerror(errno));
	return false;
}

bool folder_open(struct aof_writer *w)
{
	if (aof_manifest_name(w->manifest_name, config->appendfilename)) {
		log_warning("The name of the AOF manifest is too long");
		return false;
	}
	w->dir = aof_dir_open(control->persistence.aof_dir, true);
	if (w->dir < 0) {
		log_warning("Cannot open the AOF directory %s: %s", control->persistence.aof_dir, strerror(errno));
		return false;
	}
	return lock_folder(w->dir) && read_manifest(w);
}

bool folder_is_gone(const struct aof_writer *w)
{
	struct stat here, there;
	return fstat(w->dir, &here) == 0 && (stat(control->persistence.aof_dir, &there) ? errno == ENOENT
											 : here.st_dev != there.st_dev || here.st_ino != there.st_ino);
}
