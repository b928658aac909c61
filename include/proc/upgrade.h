/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replacing the running server's binary: the same process executes the new one, which goes on with the listening sockets and the store.
 */
#ifndef BULKHEAD_PROC_UPGRADE_H
#define BULKHEAD_PROC_UPGRADE_H

#include <stdbool.h>

/* This process was run to be asked (--store-format): says what store it would want by its configuration, and ends. */
_Noreturn void upgrade_answer(void);

/* Early in main: keeps the arguments for the next binary. */
void upgrade_keep_arguments(int argc, char **argv);

/* Once it is configured: takes note of the password it began with, and of whose store it has. */
void upgrade_keep_password(void);

/*
 * Whether the binary that is now where this one was started from can go on with this store. Runs it to ask; waits a few seconds at most.
 * False: the reason is in the log.
 */
bool upgrade_possible(void);

/* Executes it, in this process, when no child is left. Returns only when that fails, logged. */
void upgrade_execute(int store);

#endif
