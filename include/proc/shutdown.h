/* SPDX-License-Identifier: BSD-2-Clause */
/* The orderly end of the server. */
#ifndef BULKHEAD_PROC_SHUTDOWN_H
#define BULKHEAD_PROC_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

/* Begins it, once: no new clients, every worker is asked to finish its command. */
void shutdown_begin(void);

/* Goes on with it. True: no process is left, shutdown_finish may be called. */
bool shutdown_tick(int64_t now_ms);

/* Removes what the server leaves outside its processes, and ends the supervisor. */
_Noreturn void shutdown_finish(int status);

/* The impatient way: kills what is left. */
_Noreturn void shutdown_force(void);

/* When shutdown_tick has something to do (monotonic ms), INT64_MAX if never. */
int64_t shutdown_deadline(void);

#endif
