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

#include "shm/layout.h"

/* How a loader ends by itself. */
enum {
	LOADER_DONE = 0,   /* all is loaded */
	LOADER_FAILED = 1, /* it cannot be loaded; the reason is in the log */
	LOADER_BUSY = 2,   /* it could not begin; again */
};

/* At the start, before anybody else has the store: decides what is to be loaded. `adopted`: nothing, the data is there. */
void loads_start(bool adopted);

/*
 * About a store that a dead server left (a copy of its superblock): why what is on disk counts instead of it; NULL: it does not. Static memory.
 */
const char *loads_fault(const struct super *s);

/* Data is being loaded: no snapshot, no rewrite, no upgrade meanwhile; an end of the server keeps nothing and saves nothing. */
bool loads_under_way(void);

/* The loader in `slot` was reaped, by its end as waitid tells it (CLD_EXITED ... and the status). */
void loads_ended(uint32_t slot, int code, int status);

/* Goes on with it. When there is something to do for it (monotonic ms), INT64_MAX if never. */
void loads_tick(int64_t now_ms);
int64_t loads_deadline(void);

#endif
