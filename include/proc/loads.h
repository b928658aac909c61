/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is loaded, and when: the supervisor's side. The work is a loader's (loader.c), a process that may die like any other.
 *
 * At a start with files on disk the store is new and clients are accepted at once, but TROUBLE_LOADING refuses what could see the data. When the
 * loader has ended well, and (appendonly yes) the log is on, it goes. A load that fails ends the server: it never goes on with half the data.
 */
#ifndef BULKHEAD_PROC_LOADS_H
#define BULKHEAD_PROC_LOADS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/channel.h"
#include "shm/layout.h"

/* How a loader ends by itself. */
enum {
	LOADER_DONE = 0,   /* all is loaded */
	LOADER_FAILED = 1, /* it cannot be loaded; the reason is in the log */
	LOADER_BUSY = 2,   /* it could not begin, or was told to end; again */
	LOADER_REFUSED = 3, /* it cannot be loaded, and nothing has changed; the reason is in the log */
};

/* At the start, before anybody else has the store: decides what is to be loaded. `adopted`: nothing, the data is there. */
void loads_start(bool adopted);

/*
 * About a store that a dead server left (a copy of its superblock, its descriptor): why what is on disk counts instead of it; NULL: it does not. Static
 * memory.
 */
const char *loads_fault(const struct super *s, int fd);

/*
 * Before such a store is discarded: what is on disk is read once for nothing, in a process of its own. False: it could not be loaded, and the log
 * says why.
 */
bool loads_could(void);

/* The body of that process; its exit status. */
int loader_try(bool aof);

/* The server ends: who waits for a load that was asked for is told so. */
void loads_stop(void);

/* Data is being loaded: no snapshot, no rewrite, no upgrade meanwhile; an end of the server keeps nothing and saves nothing. */
bool loads_under_way(void);

/* Clients are served: nothing is being loaded, and the log that is to keep what they write is on. */
bool loads_let_in(void);

/* The loader in `slot` was reaped, by its end as waitid tells it (CLD_EXITED ... and the status). */
void loads_ended(uint32_t slot, int code, int status);

/*
 * A request of a client, REQUEST_LOAD: data is loaded beside the service, which is refused meanwhile. One client at a time, and one loading:
 *
 *	"hold"       from now on clients are refused: "+OK". It ends with the other two, or with the client
 *	"release"    "+OK"
 *	"rdb"        with any of "flush", "merge", each after a \0: the file is loaded, into an empty store or beside what is there, where what it has is replaced
 *	             by "merge", else refused. "+OK" when it is done, or why not: nothing has changed then
 *	"aof"        the append only file is loaded into an empty store: "+OK"
 *
 * Loading that fails half-way ends the server, as it does at a start.
 */
void loads_serve(struct channel_request *r);

/* A worker was reaped. */
void loads_client_ended(uint32_t slot);

/* Goes on with it. When there is something to do for it (monotonic ms), INT64_MAX if never. */
void loads_tick(int64_t now_ms);
int64_t loads_deadline(void);

#endif
