/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's own code and constants, in one huge page. */
#ifndef BULKHEAD_PROC_TEXT_H
#define BULKHEAD_PROC_TEXT_H

/*
 * Moves them there, if the program was linked for it and the machine has huge pages; else nothing happens. Supervisor, before
 * any fork.
 */
void text_gather(void);

#endif
