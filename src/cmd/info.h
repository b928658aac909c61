/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures of INFO that have to be gathered from the whole machine: the server's processes, their memory and time.
 */
#ifndef BULKHEAD_CMD_INFO_H
#define BULKHEAD_CMD_INFO_H

#include <stdint.h>

#include "shm/control.h"

struct process_counts {
	uint32_t now[PROC_KINDS]; /* running */
	uint32_t busy;            /* workers with a client */
};
void info_processes(struct process_counts *out);

/* Has the supervisor see to it that what is counted next lives: asked before clients are counted or listed. */
void info_refresh(void);

/* Processor time of the running processes, and of those that have ended; microseconds. */
struct cpu_times {
	int64_t user, sys, ended_user, ended_sys;
};
void info_cpu(struct cpu_times *out);

/* Memory that the processes have for themselves, bytes; of many workers some are looked at and stand for all. */
uint64_t info_private_memory(void);

#endif
