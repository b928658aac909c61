/* SPDX-License-Identifier: BSD-2-Clause */
/* lock-timeout: a process that is stopped while others wait for what it holds is killed. */
#ifndef BULKHEAD_PROC_STOPPED_H
#define BULKHEAD_PROC_STOPPED_H

#include <stdint.h>

/* Somebody has been waiting for a lock that is held in the name of `slot`, or for the medic that is to see to it. */
void stopped_waiting_for(uint32_t slot, int64_t now_ms);

#endif
