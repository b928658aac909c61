/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is saved, and when: the supervisor's side. The work is a snapshot's (snapshot.c), a process that may die like any other; one runs at a time.
 *
 * A snapshot writes an RDB for a save, or the base of an append only file. Either way a temporary file, complete and synced, or none: what becomes of a
 * base is for who asked for it to say.
 */
#ifndef BULKHEAD_PROC_SAVES_H
#define BULKHEAD_PROC_SAVES_H

#include <stdbool.h>
#include <stdint.h>

#include "proc/shutdown.h"
#include "shm/channel.h"

enum save_purpose { SAVE_NONE, SAVE_RDB, SAVE_BASE };

/* What is being made now. */
enum save_purpose saves_running(void);

/* The base of an append only file. */
struct save_base {
	char path[512]; /* where it goes: a temporary name, absolute; what is there is written over */
	bool rdb;       /* an RDB; else commands */
	bool rotate;    /* the log is on: the next increment begins where the base ends (ring_rotations tells) */
	/*
	 * It has ended. `ok`: the file at `path` is whole and synced; else there is none. Of the snapshot no process is left, but a medic may
	 * be needed for what it had of the store.
	 */
	void (*ended)(bool ok, const struct save_base *base);
};

/* Starts it; *base is copied. False: something is being made already (EBUSY), or there is no process to be had (errno). */
bool saves_begin_base(const struct save_base *base);

/* Ends a base that is being made; `ended` is called with false when it is gone. */
void saves_cancel_base(void);

/*
 * At the start, in the working directory, before any fork: removes what a snapshot that was killed with its server has left. `adopted`: the data may
 * be newer than what is on disk.
 */
void saves_start(bool adopted);

/* A request of a client: REQUEST_SAVE. SAVE and FLUSHALL are answered when it has ended. */
void saves_serve(struct channel_request *r);

/* The configuration is another, or a save has ended: whether writes are refused (stop-writes-on-bgsave-error). */
void saves_judge(void);

/*
 * The server is to end: has what must be saved before saved, while writers wait. `must`: SHUTDOWN SAVE; `never`: SHUTDOWN NOSAVE; neither: if there are
 * save points. FINAL_RUNS: ask again with saves_final_state after each death. saves_final_over: the server goes on after all.
 */
enum save_final { FINAL_NOTHING, FINAL_RUNS, FINAL_SAVED, FINAL_FAILED };
enum save_final saves_final(bool must, bool never);
enum save_final saves_final_state(void);
void saves_final_over(void);

/* CONFIG RESETSTAT. */
void saves_reset_count(void);

/* The snapshot in `slot` was reaped, by its end as waitid tells it. */
void saves_ended(uint32_t slot, int code, int status);

/* Save points, retries, what was scheduled. When there is something to do (monotonic ms), INT64_MAX if never. */
void saves_tick(int64_t now_ms);
int64_t saves_deadline(void);

#endif
