/* SPDX-License-Identifier: BSD-2-Clause */
/* The orderly end of the server, and of its present binary. */
#ifndef BULKHEAD_PROC_SHUTDOWN_H
#define BULKHEAD_PROC_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

enum shutdown_how {
	SHUTDOWN_UPGRADE, /* then another binary goes on, with the data and with the clients that come meanwhile */
	SHUTDOWN_SIGNAL,  /* nothing stays, unless somebody has said or says SHUTDOWN WARM: service managers send SIGTERM after it */
	SHUTDOWN_WARM,    /* the data stays in shared memory for the next start */
	SHUTDOWN_ALL,     /* nothing stays */
};

struct channel_request;

/*
 * Somebody asks for it, with words of STOP_* (base/config.h): what is to be saved before is saved first, while writers wait; if that fails the server goes
 * on. `r`, or NULL: whom to answer then; if it succeeds there is no answer.
 */
void shutdown_ask(enum shutdown_how how, uint32_t words, struct channel_request *r);

/* Somebody has asked, and nothing has come in between. */
bool shutdown_asked(void);

/* Gives up one that is still saving. False: there is none. */
bool shutdown_abort(void);

/* Begins it: no client is served any more, every worker is asked to finish its command. Again: the way that stands further below counts. */
void shutdown_begin(enum shutdown_how how);

/* Goes on with it. True: no process is left, shutdown_finish may be called. */
bool shutdown_tick(int64_t now_ms);

/*
 * Removes what the server is not to leave outside its processes, and ends the supervisor or becomes the other binary. Returns only when
 * that fails: the server goes on as it was.
 */
void shutdown_finish(void);

/* The impatient way: kills what is left. What was to stay stays: the next start recovers it. */
_Noreturn void shutdown_force(void);

/* The end of a server that could not begin. `stays`: its data is in shared memory, and is left there; else all of it is on disk. */
_Noreturn void shutdown_failed(bool stays);

/* When shutdown_tick has something to do (monotonic ms), INT64_MAX if never. */
int64_t shutdown_deadline(void);

#endif
