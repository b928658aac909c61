/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom the kernel ends first when the machine has no memory left: workers before helpers, helpers before the supervisor. */
#ifndef BULKHEAD_PROC_OOM_H
#define BULKHEAD_PROC_OOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

/* Takes note of the score the supervisor was given, and applies the parameters to it. At the start. */
void oom_begin(void);

/* A child was forked; it has the supervisor's score until a tick. */
void oom_born(void);

/* Applies what `values` say to the supervisor at once, to its children at the next tick. False: refused, logged; nothing has changed. */
bool oom_set(const struct config *values);

/* Gives those their scores that have lived for a while. */
void oom_tick(int64_t now_ms);

/* When the next tick is due, monotonic ms; INT64_MAX: never. */
int64_t oom_deadline(void);

/* The supervisor gets the score back that it was given, for the binary that is about to be executed. */
void oom_restore(void);

#endif
