/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latency events (shm/events.h). Run by every process that watches something.
 *
 * Owns the series in the shared figures. No lock: a sample is put in place by one CAS and counted by another. Who dies between the two
 * leaves a sample that whoever comes next counts in its name.
 */
#include "shm/events.h"

#include "base/clock.h"
#include "shm/figures.h"

#define TRIES 16 /* a sample that always comes second to others of its second is no loss */

const char *event_name(enum event e)
{
	static const char *const names[EVENTS] = {
#define EVENT(id, name) [EVENT_##id] = name,
#include "shm/events.def"
#undef EVENT
	};
	return names[e];
}

/* One attempt. False: somebody else was first with something. */
static bool put(struct event_series *s, uint64_t now, uint64_t ms)
{
	uint64_t n = atomic_load(&s->n), last = n ? atomic_load(&s->samples[(n - 1) % EVENT_SAMPLES]) : 0;
	uint64_t word = now << 32 | ms;

	if (n > 0 && last >> 32 == now)
		return (uint32_t)last >= ms || atomic_compare_exchange_strong(&s->samples[(n - 1) % EVENT_SAMPLES], &last, word);
	_Atomic uint64_t *place = &s->samples[n % EVENT_SAMPLES];
	uint64_t old = atomic_load(place);
	/* There already, but not counted: then that is what is missing. */
	bool placed = old >> 32 != now && atomic_compare_exchange_strong(place, &old, word);
	atomic_compare_exchange_strong(&s->n, &n, n + 1);
	return placed;
}

void event_add(enum event e, uint64_t ms)
{
	struct event_series *s = &figures->events[e];
	uint64_t now = (uint64_t)clock_wall_ms() / 1000, worst = atomic_load(&s->worst);

	ms = ms < UINT32_MAX ? ms : UINT32_MAX;
	while (worst < ms && !atomic_compare_exchange_weak(&s->worst, &worst, ms))
		;
	for (int i = 0; i < TRIES && !put(s, now, ms); i++)
		;
}

unsigned event_read(enum event e, struct event_sample out[EVENT_SAMPLES], uint64_t *worst)
{
	struct event_series *s = &figures->events[e];
	uint64_t n = atomic_load(&s->n);
	unsigned found = 0;

	*worst = atomic_load(&s->worst);
	for (uint64_t i = n > EVENT_SAMPLES ? n - EVENT_SAMPLES : 0; i < n && found < EVENT_SAMPLES; i++) {
		uint64_t w = atomic_load(&s->samples[i % EVENT_SAMPLES]);
		if (w >> 32 != 0)
			out[found++] = (struct event_sample){(uint32_t)(w >> 32), (uint32_t)w};
	}
	return found;
}

bool event_reset(enum event e)
{
	struct event_series *s = &figures->events[e];
	bool any = atomic_load(&s->n) != 0;

	atomic_store(&s->n, 0);
	atomic_store(&s->worst, 0);
	for (unsigned i = 0; i < EVENT_SAMPLES; i++)
		atomic_store(&s->samples[i], 0);
	return any;
}
