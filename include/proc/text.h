/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's own code and constants, in one huge page. */
#ifndef BULKHEAD_PROC_TEXT_H
#define BULKHEAD_PROC_TEXT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Begins to prepare one, if the program was linked for it and the machine has huge pages; else nothing happens. Supervisor, before any
 * other fork.
 */
void text_gather(void);

/*
 * A child ended, `well`: with status 0. If it is the one that prepared the page, the code is moved there now, and it returns true. Processes
 * forked before go on as they are.
 */
bool text_gathered(pid_t pid, bool well);

#endif
