/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the control region that every process may write, and that nothing depends on: totals, latency events. Memory is
 * taken for what is used of it. See shm/control.h.
 */
#ifndef BULKHEAD_SHM_FIGURES_H
#define BULKHEAD_SHM_FIGURES_H

#include "shm/command_stats.h"
#include "shm/control.h"
#include "shm/events.h"

/* What had been counted at a moment: for what INFO tells per second. */
struct rate_sample {
	int64_t ms; /* monotonic */
	uint64_t counts[3];
	uint64_t check;
};

struct figures {
	struct rate_sample samples[2]; /* the newer, the older */
	_Atomic int64_t cpu_told[4];   /* us; the most that INFO has told: user and system time of all, and of the supervisor */
	struct event_series events[EVENTS];
	struct shared_stats stats;
};

/* As this process sees it; set by control_create, never NULL afterwards. */
extern struct figures *figures;

#endif
