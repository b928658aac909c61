/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latency events: what took latency-monitor-threshold or longer, the worst of each second, the last 160 such seconds of each kind.
 */
#ifndef BULKHEAD_SHM_EVENTS_H
#define BULKHEAD_SHM_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

#define EVENT_SAMPLES 160u

enum event {
#define EVENT(id, name) EVENT_##id,
#include "shm/events.def"
#undef EVENT
	EVENTS
};

/* A sample is one word, time << 32 | ms, so it is never seen half-written. Written by everybody. */
struct event_series {
	_Atomic uint64_t samples[EVENT_SAMPLES]; /* by number, modulo */
	_Atomic uint64_t n;                      /* samples ever */
	_Atomic uint64_t worst;                  /* ms, since the last reset */
};

/* Adds a sample of this moment. */
void event_add(enum event e, uint64_t ms);

/* The same, if what took so long is to be watched. */
static inline void event_took(enum event e, uint64_t ns)
{
	int64_t threshold = config->latency_monitor_threshold;
	if (__builtin_expect(threshold > 0, 0) && ns / 1000000 >= (uint64_t)threshold)
		event_add(e, ns / 1000000);
}

const char *event_name(enum event e);

/* Copies what there is, oldest first. Returns the number of samples. */
struct event_sample {
	uint32_t time, ms; /* seconds since 1970 */
};
unsigned event_read(enum event e, struct event_sample out[EVENT_SAMPLES], uint64_t *worst);

/* Forgets the samples. True if there were any. What comes at the same moment may stay or go. */
bool event_reset(enum event e);

#endif
