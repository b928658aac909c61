/* SPDX-License-Identifier: BSD-2-Clause */
/* CLIENT KILL: ending workers because a client asks for it. */
#ifndef BULKHEAD_PROC_KILLS_H
#define BULKHEAD_PROC_KILLS_H

#include "shm/channel.h"

/* Serves a REQUEST_KILL: kills, and keeps the request until the victims are gone. */
void kills_begin(struct channel_request *r);

/* Answers the requests whose victims are gone: reaped, and what they left in the store put in order. */
void kills_tick(int64_t now);

/* When the next tick is due at the latest, monotonic ms; INT64_MAX: never. */
int64_t kills_deadline(void);

#endif
