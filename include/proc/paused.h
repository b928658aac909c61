/* SPDX-License-Identifier: BSD-2-Clause */
/* How a worker waits for the end of a pause (shm/pause.h). */
#ifndef BULKHEAD_PROC_PAUSED_H
#define BULKHEAD_PROC_PAUSED_H

#include "cmd/session.h"

/* The session's `wait` (cmd/session.h). */
bool paused_wait(struct session *s, bool writes);

#endif
