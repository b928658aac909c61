/* SPDX-License-Identifier: BSD-2-Clause */
/* CLIENT PAUSE in the supervisor: who writes the word of shm/pause.h, and takes it back. */
#ifndef BULKHEAD_PROC_PAUSES_H
#define BULKHEAD_PROC_PAUSES_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/channel.h"

/* Serve REQUEST_PAUSE and REQUEST_UNPAUSE. */
void pauses_begin(struct channel_request *r);
void pauses_end(struct channel_request *r);

/* The supervisor's own: holds writers up until further notice, beside what clients want; and no more. */
void pauses_hold(bool yes);

/* When pauses_tick wants to be called, monotonic ms. INT64_MAX: never. */
int64_t pauses_deadline(void);
void pauses_tick(int64_t now);

#endif
