/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An increment of an append only file while it is written to: whole records, or not at all.
 *
 * What is appended counts when it is marked; a failure takes what was not marked off again. A file grows by what is written to it and by
 * nothing else, so its size says how much of the stream it holds.
 *
 * A build with -DBULKHEAD_LOSSY_FILES (make V=lossy) keeps in memory of the process what was not synced: killing it loses what a machine without
 * power loses.
 */
#ifndef BULKHEAD_PERSIST_AOF_FILE_H
#define BULKHEAD_PERSIST_AOF_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"

struct aof_file {
	int fd;        /* -1: none */
	uint64_t size; /* of what is marked */
	uint64_t end;  /* of what was appended */
#ifdef BULKHEAD_LOSSY_FILES
	pthread_mutex_t lock;
	struct buf held;  /* appended, not in the file */
	uint64_t held_at; /* where it will be */
#endif
};

/* All return 0, or -1 with errno. `dir` is the descriptor of the directory. */

/* An empty one, in the place of what has the name. */
int aof_file_create(struct aof_file *f, int dir, const char *name);

/* One that is there and holds `size` bytes or more: it is cut to them. EBADMSG: it holds less. */
int aof_file_open(struct aof_file *f, int dir, const char *name, uint64_t size);

/* All of one that is there. */
int aof_file_open_end(struct aof_file *f, int dir, const char *name);

/* Appends n <= IOV_MAX pieces, which are overwritten. Failed: what is not marked is gone from the file. */
int aof_file_append(struct aof_file *f, struct iovec *iov, int n);

/* What was appended so far is whole. */
static inline void aof_file_mark(struct aof_file *f)
{
	f->size = f->end;
}

/*
 * What was appended before survives the machine. May run in a thread of its own while another appends. After a failure nothing of the file may be
 * relied on, whatever a second try says.
 */
int aof_file_sync(struct aof_file *f);

void aof_file_close(struct aof_file *f);

#endif
