/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a command's body against the store: takes locks or versions, runs it, checks or commits, runs it again when it must.
 * The dispatcher's side of store/keyspace.h.
 */
#ifndef BULKHEAD_STORE_ACCESS_H
#define BULKHEAD_STORE_ACCESS_H

#include "store/keyspace.h"

enum plan_kind {
	PLAN_READ,      /* a few keys, short: by version, after three tries under the locks */
	PLAN_READ_LONG, /* a pin from the start: KEYS */
	PLAN_WRITE,     /* the stripes of the keys locked */
	PLAN_WRITE_ALL, /* every stripe locked: FLUSHALL, SWAPDB */
};

struct plan {
	enum plan_kind kind;
	bool pausable;             /* a client's write: not while CLIENT PAUSE holds up writers */
	bool unlogged;             /* what it changes, if anything, is no effect: it does not wait for the log */
	bool client;               /* a client's command: not while data is loaded */
	uint32_t db;               /* the session's database */
	int64_t now;               /* wall clock, ms, for all of the command */
	uint32_t nkeys;
	const struct arg *const *keys; /* pointers to the keys among the arguments; the same key may appear twice */
};

/*
 * 0: done. 1: roll back what was written (an error was replied). 2: too long to read here: wants a pin.
 * The values are those of enum cmd_result. The body must begin by cutting its reply back to where it started.
 */
typedef int access_body(struct access *a, void *arg);

#define ACCESS_NO_MEMORY (-1)
#define ACCESS_CANCELLED (-2)
#define ACCESS_PAUSED (-3)
#define ACCESS_NOT_LOGGED (-4)
#define ACCESS_LOADING (-5)

/*
 * Runs `body` as the plan says, as often as needed. Returns the body's last result; ACCESS_NO_MEMORY when the store had none for something
 * the body does not know of (removing an expired key): nothing happened and the caller answers -OOM; ACCESS_CANCELLED when the command was
 * cancelled (base/stop.h): nothing happened, and the reply is worth nothing; ACCESS_PAUSED likewise when a pausable one must wait for the
 * end of a pause (shm/pause.h); ACCESS_NOT_LOGGED likewise when the log cannot be written (access_log_errno says why);
 * ACCESS_LOADING likewise when data has begun to be loaded, and a client's command must not see it. When it returns, nothing is held.
 */
int access_run(const struct plan *plan, access_body *body, void *arg);

/*
 * Runs `body` on a view of the whole store at one moment (ACCESS_PINNED), which is exactly what the log up to *offset has made, if the log is on;
 * with `rotate` the AOF's next increment begins there (shm/ring.h). Its time is now. Returns the body's result, or ACCESS_CANCELLED.
 */
int access_snapshot(bool rotate, uint64_t *offset, access_body *body, void *arg);

/* How much of the log the replies since the last call depend on: offsets, 0: none. `own`: what this process has written itself. */
struct access_log {
	uint64_t any, own;
};
struct access_log access_take_log(void);

/*
 * Commands on these keys of database `db` will be run next, at most STORE_EXPECT_MAX: fetches what they will look at into the processor's caches, for all
 * of them at once, where each command alone would wait for one thing after the other. Changes nothing, takes no lock. Outside every access.
 */
#define STORE_EXPECT_MAX 16u
void store_expect(uint32_t db, const struct arg *keys, uint32_t n);

/* The errno of ACCESS_NOT_LOGGED. */
int access_log_errno(void);

/* The errno for which the log cannot be written at present; 0: it can, or there is none. */
int access_log_failed(void);

/* Attaches this process to the store on descriptor `fd` (see shm/region.h) under its slot. False: no memory for the slot. */
bool store_attach(int fd);

/* True once store_attach succeeded in this process. */
bool store_attached(void);

/* A pause has been set: what other processes have under way now is committed already, or will not be. Needs the store. */
void store_pause_takes_effect(void);

/*
 * Waits until no other process is in a command that it had begun before this call: who begins one afterwards sees what the supervisor has told
 * everybody before. Outside every access. False: somebody still is after `ms`, or this process is to end.
 */
bool store_wait_for_others(int64_t ms);

/* Whether looking keys up refreshes their access clocks: CLIENT NO-TOUCH. At first it does; TOUCH does it in any case. */
void access_touches(bool yes);

/*
 * Whether this process loads what a log says: keys whose time has come are there all the same, for its next command may say otherwise, and what
 * changes is not handed to the log again. At first it does not.
 */
void access_loads(bool yes);

/* Memory figures, bytes. */
struct store_memory {
	uint64_t used;      /* blocks handed out, by size class, plus the fixed parts */
	uint64_t overhead;  /* of `used`: fixed parts, index roots, tables, journals */
	uint64_t dataset;   /* used - overhead */
	uint64_t fixed;     /* of `used`: what an empty store takes */
	uint64_t active;    /* the fixed part, and all slabs that hold blocks */
	uint64_t committed; /* memory of the machine the store's object takes */
	uint64_t peak;      /* highest `used` seen by whoever asked */
};
void store_memory(struct store_memory *out);

/* Bytes kept for those who read what was, pins; a little out of date. */
uint64_t store_retained(void);

/* A line about each heap. */
void store_heaps(struct buf *out);

/*
 * Bytes that count against maxmemory: `used` without what pins retain, what the log ring refers to, and undo journals. Cheap enough for
 * every write.
 */
uint64_t store_counted(void);

/* The rest of `used`. */
uint64_t store_not_counted(void);

/* True when what counts is above config->maxmemory (never with maxmemory 0). */
bool store_over_limit(void);

/* Bytes below the limit that the expirer keeps free where keys may be evicted. */
uint64_t store_headroom(void);

#endif
