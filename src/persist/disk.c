/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes about files in the superblock (persist/disk.h).
 *
 * Run by whoever replaces a file (snapshot, AOF writer) or has read it (loader), one process at a time for each kind; read by the supervisor of
 * a later start from a copy. No locks. A death in disk_note leaves half a note in the place that does not count.
 */
#include "persist/disk.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

/* False with errno when it cannot be told. No file at all is none. */
static bool look(const char *path, struct disk_file *out)
{
	struct stat st;
	*out = (struct disk_file){0};
	if (stat(path, &st))
		return errno == ENOENT || errno == ENOTDIR;
	out->dev = (uint64_t)st.st_dev;
	out->ino = (uint64_t)st.st_ino;
	out->size = (uint64_t)st.st_size;
	out->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return true;
}

static bool same(enum disk_kind kind, const struct disk_file *a, const struct disk_file *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       (kind == DISK_INCREMENT || (a->size == b->size && a->mtime_ns == b->mtime_ns));
}

static void note(struct disk_note *n, const struct disk_file *now)
{
	n->file[1 - (atomic_load(&n->current) & 1)] = *now;
}

/* Who replaced the file last may have died before it could say so: then the other note is worth nothing, and this one is kept. */
static void settle_late(enum disk_kind kind, const char *place)
{
	struct disk_note *n = &SUPER->disk[kind];
	uint32_t current = atomic_load(&n->current) & 1;
	struct disk_file there;
	if (look(place, &there) && there.ino && !same(kind, &there, &n->file[current]) && same(kind, &there, &n->file[1 - current]))
		disk_settle(kind);
}

bool disk_note(enum disk_kind kind, const char *path, const char *place)
{
	struct disk_file now;
	if (!look(path, &now))
		return false;
	settle_late(kind, place);
	note(&SUPER->disk[kind], &now);
	return true;
}

void disk_settle(enum disk_kind kind)
{
	atomic_fetch_xor(&SUPER->disk[kind].current, 1);
}

bool disk_is(enum disk_kind kind, const char *path)
{
	struct disk_note *n = &SUPER->disk[kind];
	struct disk_file now;
	if (!look(path, &now))
		return false;
	/* Said once more, it leaves the note of the one before. */
	if (same(kind, &now, &n->file[atomic_load(&n->current) & 1]))
		return true;
	note(n, &now);
	disk_settle(kind);
	return true;
}

const char *disk_fault(const struct super *s, enum disk_kind kind, const char *path)
{
	static char text[512];
	const struct disk_note *n = &s->disk[kind];
	struct disk_file now;
	if (!look(path, &now)) {
		snprintf(text, sizeof text, "%s cannot be looked at", path);
		return text;
	}
	if (now.ino == 0 || same(kind, &now, &n->file[0]) || same(kind, &now, &n->file[1]))
		return NULL;
	bool knew = n->file[atomic_load(&n->current) & 1].ino != 0;
	snprintf(text, sizeof text, "%s has been %s since by somebody else", path, knew ? "changed" : "put there");
	return text;
}
