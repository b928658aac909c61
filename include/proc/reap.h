/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done when a process has ended. */
#ifndef BULKHEAD_PROC_REAP_H
#define BULKHEAD_PROC_REAP_H

/* Waits for every process that has ended and sees to its slot. */
void reap_all(void);

/*
 * The same, and who has been killed but has not got round to dying yet is shown no longer: pid 0 on its page. Bounded
 * to a tenth of the supervisor's time; beyond that it does only what reap_all does.
 */
void reap_hide_dying(void);

#endif
