/* SPDX-License-Identifier: BSD-2-Clause */
/* How much a client may let lie of what it is sent: client-output-buffer-limit, in a worker. */
#ifndef BULKHEAD_PROC_UNSENT_H
#define BULKHEAD_PROC_UNSENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/session.h"

/* So many bytes of replies never count: Redis keeps them in memory that each of its clients has anyway. */
#define UNSENT_FREE 16384u

/* The configuration may have changed: the session's replies may grow as far as it says now. */
void unsent_follow_config(struct session *s);

/* A command has made more reply than may ever lie; it was cancelled then, if it could be, and nothing is to be sent any more. */
bool unsent_overrun(void);

/*
 * Whether n bytes are too many for a client to let lie: at once, or since *since (monotonic ms; 0: not so far), which is kept here between two
 * calls. `now`: monotonic ms, or 0: only whether they are too many at once.
 */
bool unsent_too_much(size_t n, int64_t now, int64_t *since);

/* The connection is to be closed for it: says so in the log. */
void unsent_log(void);

#endif
