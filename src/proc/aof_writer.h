/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces of the AOF writer: what it copies (aof_writer.c), which files that goes to (aof_parts.c), their folder and
 * its manifest (aof_folder.c), the thread that syncs (aof_sync.c).
 */
#ifndef BULKHEAD_PROC_AOF_WRITER_H
#define BULKHEAD_PROC_AOF_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/aof_file.h"
#include "persist/aof_manifest.h"

/*
 * Where the log goes:
 *   seq 0             nowhere: what comes is dropped. The next base begins with the next rotation
 *   seq > 0, !listed  to an increment that the manifest does not name yet: the base it continues is being made
 *   seq > 0, listed   to an increment of the manifest
 */
struct aof_writer {
	int dir;
	char manifest_name[AOF_NAME_MAX];
	struct aof_manifest m;      /* as on disk */
	struct aof_file file;
	uint64_t seq, start, rotations; /* struct aof_place of the ring, as it stands there */
	bool listed;
	bool unsettled;             /* the manifest may not survive the machine: what came before it stays */
	uint64_t pos, offset;       /* all before is written and consumed */
	uint64_t synced;            /* all before is durable */
	uint64_t others;            /* bytes of the manifest's other files */
	uint32_t order;             /* as of the start; see shm/persistence.h */
	int failed;                 /* errno for which writers are refused; 0: none */
};

/* ---- aof_parts.c ---- */

/* At the start: finds the place where the one before stopped, or makes one. False: the reason is in the log. */
bool parts_open(struct aof_writer *w);

/* The stream has come to the beginning of the next increment. False: it cannot be made, w->failed says why. */
bool parts_rotate(struct aof_writer *w, uint64_t rotations, uint64_t at);

/* A base lies ready: makes it part of the manifest with what follows it, and removes what came before. False: the reason is in the log. */
bool parts_install(struct aof_writer *w, bool rdb);

/* The files can no longer be relied on: writers are refused until another base is on disk. */
void parts_distrust(struct aof_writer *w, int why);

/* The log is off, and what it had is in the files: lets go of them. */
void parts_close(struct aof_writer *w);

/* ---- aof_folder.c ---- */

/* Opens the folder that has the name, locks it, reads its manifest. False: the reason is in the log, w->dir may be open. */
bool folder_open(struct aof_writer *w);

/* Its name is gone, or is another's: somebody has moved or removed the files under this process. */
bool folder_is_gone(const struct aof_writer *w);

/* Puts *next, which becomes this process's, in the place of the manifest. False: it stays as it was; errno, and a line in the log, say why. */
bool folder_replace_manifest(struct aof_writer *w, struct aof_manifest *next);

/* Removes the files that the manifest has as history. */
void folder_remove_history(struct aof_writer *w);

/* The manifest that is there, and the increment of that name, are ours (persist/disk.h). */
void folder_note_manifest(const struct aof_writer *w);
void folder_note_increment(const char *name);

/* ---- aof_writer.c ---- */

/* Writers are refused, `why` is an errno; 0: they no longer are. */
void writer_fail(struct aof_writer *w, int why, const char *doing);

/* Tells the supervisor; see proc/aof.h. */
void writer_tell(uint32_t news, int64_t number);

/* ---- aof_sync.c: one sync at a time, beside the writing ---- */

enum sync_state { SYNC_IDLE, SYNC_RUNS, SYNC_DONE, SYNC_FAILED };

void sync_begin(struct aof_file *f, uint64_t offset);
/* Each end is told once, with the offset of sync_begin, or errno. */
enum sync_state sync_look(uint64_t *offset);
/* Waits for its end. */
enum sync_state sync_wait(uint64_t *offset);
/* How long the one that runs has been running, ms; 0: none. */
int64_t sync_age(int64_t now);

/* Closes descriptors of files without a name, which may take the kernel long, in a thread. The list becomes its own. */
void close_beside(int *fds, size_t n);

#endif
