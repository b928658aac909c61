/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done when a process has ended. */
#ifndef BULKHEAD_PROC_REAP_H
#define BULKHEAD_PROC_REAP_H

/* Waits for every process that has ended and sees to its slot. */
void reap_all(void);

#endif
