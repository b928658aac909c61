/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT KILL (proc/kills.h): SIGKILL, and an answer once it has taken effect.
 *
 * The supervisor alone. SIGKILL and nothing gentler: it ends also a worker that is stopped, stuck or gone mad, and undoing what a worker was
 * in the middle of is what medics are for. A request waits until none of its victims' slots is RUNNING or SICK any more. What waits
 * is in memory that no child inherits, a mapping for each request. A caller that dies meanwhile goes without its answer.
 */
#include "proc/kills.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/process.h"
#include "proc/stopped.h"

#define LOOK_MS 100

struct pending {
	struct pending *next;
	size_t size;      /* of the mapping */
	struct channel_request request;
	uint32_t counted; /* victims that nobody was killing yet */
	size_t left;      /* the first ones of victim[] may still be there */
	struct kill_victim victim[];
};

static struct pending *first;
static int64_t look_at; /* when to ask next what keeps the first one waiting, monotonic ms */

static struct pending *create(struct channel_request *r)
{
	size_t n = r->n / sizeof(struct kill_victim), size = sizeof(struct pending) + n * sizeof(struct kill_victim);
	struct pending *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_DONTFORK);
	*p = (struct pending){.size = size, .request = *r, .left = n};
	p->request.text = NULL;
	memcpy(p->victim, r->text, n * sizeof(struct kill_victim));
	return p;
}

static void tell(uint32_t slot, const struct process *p, uint32_t by)
{
	struct client_info c;
	int32_t pid;
	if (client_info_read(slot, &c, &pid))
		log_verbose("Killing client id=%llu addr=%s (worker %d), as worker %d asks", (unsigned long long)c.id, c.addr,
			    p->pid, table_at(by)->pid);
}

static bool has_client(uint32_t slot, const struct process *p)
{
	return p->state == PROCESS_RUNNING && p->kind == PROC_WORKER &&
	       atomic_load_explicit(&control_page(slot)->busy, memory_order_relaxed);
}

/* True when the victim was there, and nobody was killing it yet. */
static bool condemn(const struct kill_victim *v, uint32_t by)
{
	struct process *p = table_at(v->slot < control->slots ? v->slot : 0);
	if (p->pid != v->pid || p->condemned || !has_client(v->slot, p))
		return false;
	tell(v->slot, p, by);
	p->condemned = true;
	kill(p->pid, SIGKILL);
	return true;
}

void kills_begin(struct channel_request *r)
{
	static const char oom[] = "ERR no memory to kill clients";
	struct pending *p = create(r);
	if (!p) {
		channel_answer(r, oom, sizeof oom - 1, -1);
		return;
	}
	for (size_t i = 0; i < p->left; i++)
		p->counted += condemn(&p->victim[i], r->slot);
	if (!first)
		look_at = clock_mono_ms() + LOOK_MS;
	p->next = first;
	first = p;
}

/* Whoever names a process that may not be killed does not wait for its end. */
static bool there(const struct kill_victim *v)
{
	const struct process *p = table_at(v->slot < control->slots ? v->slot : 0);
	return p->pid == v->pid && p->state != PROCESS_FREE && p->condemned;
}

static void answer(struct pending *p)
{
	char text[16];
	int n = snprintf(text, sizeof text, "+%u", p->counted);
	channel_answer(&p->request, text, (size_t)n, -1);
	munmap(p, p->size);
}

/* Perhaps the medic stands still, and nobody else waits for it: what is pending here waits like others for a lock. */
static void look(int64_t now)
{
	if (!first || now < look_at)
		return;
	look_at = now + LOOK_MS;
	stopped_waiting_for(first->victim[first->left - 1].slot, now);
}

int64_t kills_deadline(void)
{
	return first ? look_at : INT64_MAX;
}

void kills_tick(int64_t now)
{
	for (struct pending **link = &first; *link;) {
		struct pending *p = *link;
		while (p->left && !there(&p->victim[p->left - 1]))
			p->left--;
		if (p->left) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		answer(p);
	}
	look(now);
}
