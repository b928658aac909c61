/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The append only file, the supervisor's side: whether it is written, when it is rewritten. The work is done by the AOF writer (aof_writer.c), which alone
 * touches the files, and by the snapshots that make bases (proc/saves.h).
 */
#ifndef BULKHEAD_PROC_AOF_H
#define BULKHEAD_PROC_AOF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "shm/channel.h"

/* What the writer tells (REQUEST_AOF). */
struct aof_news {
	uint32_t what;
	uint32_t order; /* control->persistence.aof_order as the writer began: of an older one only AOF_NEWS_BASE_IN counts */
	int64_t number;
};
enum {
	AOF_NEWS_ON,         /* the log is on and the files are whole */
	AOF_NEWS_NEEDS_BASE, /* the log is on, but nothing of use on disk until there is a base; number: the errno for it, or 0 */
	AOF_NEWS_BASE_IN,    /* the base is in place; number: 1, or 0: it could not be */
	AOF_NEWS_GROWN,      /* number: by how many percent */
};
void aof_serve_news(const struct channel_request *r);

/* The writer's exit status: it could not begin; not all it had could be made durable. */
#define AOF_WRITER_REFUSED 2
#define AOF_WRITER_KEPT_BACK 3

/*
 * The data is in the store: loaded, adopted, or there was none. From now on a writer runs if there is to be one. `loaded`: it is what the files of the
 * AOF hold, so the log goes on with them.
 */
void aof_start(bool adopted, bool loaded);

/* Whether clients may be served: the log is on, or there is none; at a start without files, the first of them are on disk. */
bool aof_is_ready(void);

/* Of CONFIG SET: checks the change of appendonly and brings it about. NULL, or what the client is told. */
const char *aof_change(bool on);
/* Whether the client is to be told only when the writer has finished: then that is seen to here. */
bool aof_answers_later(struct channel_request *r);

/* BGREWRITEAOF. */
void aof_serve_rewrite(struct channel_request *r);

/* Whether a writer is to run. */
bool aof_wants_writer(void);
void aof_writer_ended(int code, int status);

/* Nobody writes any more, and the server ends: has the writer put everything on disk. True: that is done, or given up. */
bool aof_drain(void);
/* Nobody waits for it any longer. */
void aof_abandon(void);
/* It goes on after all. */
void aof_resume(void);
/* There is something in shared memory that should be on disk and is not. */
bool aof_kept_back(void);

/* The first base is being made: an end of the server now would leave nothing on disk. */
bool aof_is_first(void);

/* CONFIG RESETSTAT. */
void aof_reset_count(void);

void aof_tick(int64_t now_ms);
int64_t aof_deadline(void);

#endif
