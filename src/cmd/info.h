/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures of INFO that have to be gathered: the server's processes, their memory and time, what commands took. */
#ifndef BULKHEAD_CMD_INFO_H
#define BULKHEAD_CMD_INFO_H

#include <stdint.h>

#include "base/buf.h"
#include "shm/command_stats.h"
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
	int64_t user, sys, ended_user, ended_sys; /* the first two: of all, the ended too */
	int64_t supervisor_user, supervisor_sys; /* its part of user and sys */
};
void info_cpu(struct cpu_times *out);

/* Sums over the buffers of all clients, bytes. */
struct client_sums {
	uint64_t max_input, max_output, memory;
};
void info_clients(struct client_sums *out);

/* Memory, bytes. Of many workers some are looked at and stand for all. */
struct memory_figures {
	uint64_t used, peak, startup, overhead, dataset; /* of the store; startup: without a key */
	uint64_t not_counted; /* of `used`: no matter of maxmemory */
	uint64_t active;                                 /* of the store: slabs in use, and the fixed part */
	uint64_t committed;                              /* of the machine for the store */
	uint64_t processes;                              /* that processes have for themselves */
	uint64_t rss;                                    /* committed + processes */
	uint64_t machine;                                /* the machine's */
	uint64_t clients;                                /* buffers of clients; a part of `processes` */
};
void info_memory(struct memory_figures *out);

/*
 * What happened a second, lately: since somebody asked half a second ago or more, at first since the server's start. Nobody keeps samples for
 * those who never ask.
 */
struct rates {
	double commands, input, output; /* a second; the latter in bytes */
};
void info_rates(struct rates *out);

/* The sections about commands and errors. */
void info_commandstats(struct buf *b);
void info_errorstats(struct buf *b);
void info_latencystats(struct buf *b);

/* Sums of all commands by number; the caller frees them. */
struct command_sum *info_command_sums(void);
/* Calls that have their place in the histogram. */
uint64_t command_sum_timed(const struct command_sum *s);

#endif
