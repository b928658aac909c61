/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files on disk belong to the data in shared memory: a store that a dead server left is gone on with only if nobody else has changed
 * since what a start would load; else the disk wins.
 *
 * The superblock has two notes for each kind of file: the one that is in place, and the one before or to come. Whoever replaces a file
 *
 *	writes it under a temporary name, to the end, and syncs it
 *	disk_note(kind, temporary name, name)  from here on a start takes either of the two for ours
 *	renames it
 *	disk_settle(kind)                      from here on the new one is the one in place
 *
 * Killed after any of these, the file that is in place is one that is noted. A rename that failed is followed by nothing. One process at a time
 * replaces files of a kind; the store is attached.
 */
#ifndef BULKHEAD_PERSIST_DISK_H
#define BULKHEAD_PERSIST_DISK_H

#include <stdbool.h>

#include "shm/layout.h"

enum disk_kind {
	DISK_RDB,       /* dir/dbfilename */
	DISK_MANIFEST,  /* the manifest of the append only file */
	DISK_INCREMENT, /* the increment that is written to: it grows, so its size and time do not count */
};

/*
 * Notes the file at `path` as about to be in place, which is `place`; none there: that there is to be none. The note of the file that is there is
 * kept, also if who put it there died before it was settled. False: it cannot be looked at, errno says why.
 */
bool disk_note(enum disk_kind kind, const char *path, const char *place);

/* What was noted last is in place. */
void disk_settle(enum disk_kind kind);

/* Both at once: the file at `path` is in place, and was there before (it was loaded, or found, at the start). May be repeated. */
bool disk_is(enum disk_kind kind, const char *path);

/*
 * For the supervisor, about a copy `s` of a superblock: what speaks against its knowing the file at `path`, as in "dump.rdb has been changed"; NULL:
 * nothing. A file that is gone speaks against nothing: it holds no data that would be newer. Static memory.
 */
const char *disk_fault(const struct super *s, enum disk_kind kind, const char *path);

#endif
