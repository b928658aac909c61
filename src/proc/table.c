/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's private table of processes (proc/process.h).
 *
 * The supervisor alone, in memory that no child inherits (MADV_DONTFORK): forks neither copy its page tables nor make the
 * supervisor copy its pages again. Slots are taken last in, first out, so that the pages in use stay few.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/panic.h"
#include "proc/process.h"

#define CHAINS 4096u /* a power of two */
#define KEPT 16u     /* slots that workers leave to helpers, however many dead wait for a medic */

static struct table {
	uint32_t slots;
	uint32_t free;  /* first free slot that was in use before */
	uint32_t fresh; /* first slot never used */
	uint32_t taken; /* neither free nor fresh */
	uint32_t running[PROC_KINDS];
	uint32_t chain[CHAINS];
	struct process process[];
} *table;

void table_create(void)
{
	size_t n = sizeof *table + control->slots * sizeof table->process[0];
	table = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		fatal("Out of memory");
	madvise(table, n, MADV_DONTFORK);
	table->slots = control->slots;
	table->fresh = 1;
	table->taken = 1;
}

struct process *table_at(uint32_t slot)
{
	ASSERT(slot < table->slots);
	return &table->process[slot];
}

static uint32_t *chain_of(int32_t pid)
{
	return &table->chain[(uint32_t)pid & (CHAINS - 1)];
}

uint32_t table_find(int32_t pid)
{
	uint32_t slot = *chain_of(pid);
	while (slot && table->process[slot].pid != pid)
		slot = table->process[slot].next;
	return slot;
}

uint32_t table_take(enum process_kind kind)
{
	uint32_t slot = table->free;
	if (kind == PROC_WORKER && table->taken + KEPT >= table->slots)
		return 0;
	if (slot) {
		table->free = table->process[slot].next;
	} else if (table->fresh < table->slots) {
		slot = table->fresh++;
		atomic_store_explicit(&control->slots_used, table->fresh, memory_order_relaxed);
	} else {
		return 0;
	}
	table->taken++;
	table->process[slot] = (struct process){.kind = (uint8_t)kind};
	atomic_store_explicit(&control_page(slot)->kind, kind, memory_order_relaxed);
	return slot;
}

void table_started(uint32_t slot, int32_t pid)
{
	struct process *p = table_at(slot);
	uint32_t *chain = chain_of(pid);
	p->pid = pid;
	p->state = PROCESS_RUNNING;
	p->next = *chain;
	*chain = slot;
	table->running[p->kind]++;
	atomic_store_explicit(&control_page(slot)->pid, pid, memory_order_relaxed);
	atomic_fetch_add_explicit(&control->started[p->kind], 1, memory_order_relaxed);
}

/* What the slot's process counted by command joins the totals, and the page is as new, but for the counters: they go on. */
static void fold_page(uint32_t slot)
{
	struct control_slot *page = control_page(slot);
	atomic_store_explicit(&page->pid, 0, memory_order_relaxed);
	/* Odd until all of it is in the totals: who adds up meanwhile does it again. */
	uint32_t folds = atomic_load_explicit(&control->folds, memory_order_relaxed);
	atomic_store_explicit(&control->folds, folds + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	command_stats_fold(&page->commands);
	atomic_store_explicit(&control->folds, folds + 2, memory_order_release);
	memset((void *)&page->client, 0, offsetof(struct client_info, addr));
	atomic_store_explicit(&page->busy, 0, memory_order_relaxed);
	atomic_store_explicit(&page->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&page->retire, 0, memory_order_relaxed);
	atomic_store_explicit(&page->was_sent, 0, memory_order_relaxed);
	atomic_store_explicit(&page->seq, 0, memory_order_release);
}

void table_ended(uint32_t slot, bool sick)
{
	struct process *p = table_at(slot);
	uint32_t *link = chain_of(p->pid);
	while (*link && *link != slot)
		link = &table->process[*link].next;
	ASSERT(*link == slot);
	*link = p->next;
	table->running[p->kind]--;
	fold_page(slot);
	if (sick)
		p->state = PROCESS_SICK;
	else
		table_release(slot);
}

void table_release(uint32_t slot)
{
	struct process *p = table_at(slot);
	*p = (struct process){.next = table->free};
	table->free = slot;
	table->taken--;
}

uint32_t table_count(enum process_kind kind)
{
	return table->running[kind];
}

void table_each(void (*each)(uint32_t slot, struct process *p))
{
	for (uint32_t i = 1; i < table->fresh; i++)
		if (table->process[i].state == PROCESS_RUNNING)
			each(i, &table->process[i]);
}
