/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maxmemory-clients (proc/client_memory.h).
 *
 * The supervisor alone, ten times a second while there is such a limit: what the pages of workers say their buffers take is added up, and while it
 * is too much, the largest client goes whose CLIENT NO-EVICT does not forbid it, by SIGKILL: it may be stuck in the middle of a reply, and the medic
 * undoes what it was doing. Owns nothing but the time of its next look.
 */
#include "proc/client_memory.h"

#include <signal.h>

#include "base/log.h"
#include "proc/process.h"

#define LOOK_MS 100
#define LEAST (128u << 10) /* with less nobody could be served, and nobody set it right again */

static int64_t look_at;

/* Bytes; 0: no limit. */
static uint64_t limit(void)
{
	int64_t n = config->maxmemory_clients;
	uint64_t bytes = n >= 0 ? (uint64_t)n : (uint64_t)((double)config->maxmemory * (double)-n / 100);
	return bytes == 0 || bytes > LEAST ? bytes : LEAST;
}

static bool is_client(uint32_t slot, const struct process *p)
{
	return p->state == PROCESS_RUNNING && p->kind == PROC_WORKER && !p->condemned &&
	       atomic_load_explicit(&control_page(slot)->busy, memory_order_relaxed);
}

static struct {
	uint64_t sum, most;
	uint32_t largest; /* its slot; 0: there is none that may go */
} seen;

static void look(uint32_t slot, struct process *p)
{
	const struct client_info *c = &control_page(slot)->client;
	if (!is_client(slot, p))
		return;
	uint64_t bytes = __atomic_load_n(&c->tot_mem, __ATOMIC_RELAXED);
	seen.sum += bytes;
	if (bytes <= seen.most || __atomic_load_n(&c->flags, __ATOMIC_RELAXED) & CLIENT_FLAG_NO_EVICT)
		return;
	seen.most = bytes;
	seen.largest = slot;
}

static void evict(uint32_t slot)
{
	struct process *p = table_at(slot);
	struct client_info c = {0};
	int32_t pid;
	client_info_read(slot, &c, &pid);
	log_notice("Evicting client: id=%llu addr=%s name=%s tot-mem=%llu, as the buffers of all clients take %llu bytes (maxmemory-clients)",
		   (unsigned long long)c.id, c.addr, c.name, (unsigned long long)c.tot_mem, (unsigned long long)seen.sum);
	p->condemned = true;
	kill(p->pid, SIGKILL);
	count_add(COUNTER_EVICTED_CLIENTS, 1);
}

void client_memory_tick(int64_t now)
{
	uint64_t most = limit();
	if (most == 0 || now < look_at)
		return;
	look_at = now + LOOK_MS;
	for (;;) {
		seen.sum = seen.most = 0;
		seen.largest = 0;
		table_each(look);
		if (seen.sum < most || seen.largest == 0)
			return;
		evict(seen.largest);
	}
}

int64_t client_memory_deadline(void)
{
	return limit() && table_count(PROC_WORKER) ? look_at : INT64_MAX;
}
