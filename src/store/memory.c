/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory figures of the store. Run by workers; reads sums without locks.
 */
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/heap.h"
#include "internal.h"

#define HEADROOM_MAX (8u << 20)

/* The fixed part that is backed: everything before the slots, and a page per slot ever used. */
static uint64_t fixed_bytes(void)
{
	return SUPER->off_taken + 2 * PAGE_BYTES + (uint64_t)atomic_load(&SUPER->slot_high) * PAGE_BYTES;
}

void store_memory(struct store_memory *out)
{
	if (!store_attached()) {
		*out = (struct store_memory){0};
		return;
	}
	uint64_t blocks = heap_used(), fixed = fixed_bytes(), peak = atomic_load(&SUPER->peak);
	out->used = blocks + fixed;
	out->overhead = heap_meta() + fixed;
	out->dataset = out->used - out->overhead;
	out->committed = arena_committed();
	out->fixed = fixed;
	out->active = fixed + arena_taken();
	while (peak < out->used && !atomic_compare_exchange_weak(&SUPER->peak, &peak, out->used))
		;
	out->peak = peak > out->used ? peak : out->used;
}

uint64_t key_memory(const struct view *v)
{
	return heap_block_bytes(v->item) + 8 + (v->due != DUE_NONE ? 8 : 0);
}

void store_heaps(struct buf *out)
{
	for (uint32_t i = 0; i < SUPER->heaps; i++)
		buf_printf(out, "heap %u: %llu bytes in blocks, %llu of them no data\n", i,
			   (unsigned long long)__atomic_load_n(&store_heap(i)->used, __ATOMIC_RELAXED),
			   (unsigned long long)__atomic_load_n(&store_heap(i)->meta, __ATOMIC_RELAXED));
	buf_printf(out, "runs of slabs: %llu bytes\n", (unsigned long long)__atomic_load_n(&SUPER->arena.used, __ATOMIC_RELAXED));
}

uint64_t store_not_counted(void)
{
	return heap_aside() + atomic_load_explicit(&SUPER->retained_bytes, memory_order_relaxed);
}

uint64_t store_counted(void)
{
	int64_t all = (int64_t)(heap_counted() + fixed_bytes());
	int64_t less = (int64_t)atomic_load_explicit(&SUPER->retained_bytes, memory_order_relaxed);
	return all > less ? (uint64_t)(all - less) : 0;
}

bool store_over_limit(void)
{
	uint64_t limit = (uint64_t)control->config.maxmemory;
	return limit && store_attached() && store_counted() > limit;
}

uint64_t store_headroom(void)
{
	uint64_t part = (uint64_t)control->config.maxmemory / 128;
	return part < HEADROOM_MAX ? part : HEADROOM_MAX;
}

uint64_t store_retained(void)
{
	return atomic_load_explicit(&SUPER->retained_bytes, memory_order_relaxed);
}
