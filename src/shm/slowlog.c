/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow log (shm/slowlog.h). Run by workers.
 *
 * Owns the ring in the store and its words in the superblock, which no transaction touches. No lock: a number is taken from a counter, and
 * with it a place. Who dies in the middle of writing leaves an entry without a number, which readers skip and the next one to come
 * round writes over. Nobody trusts an entry: it is copied, its check compared, and only the copy looked at. Places get their memory
 * in their order before they are written; who dies in between leaves memory that the next one finds there.
 */
#include "shm/slowlog.h"

#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "shm/layout.h"
#include "shm/region.h"

static uint64_t check_of(const struct slow_entry *e, uint64_t id)
{
	const uint64_t key[2] = {id, e->nbytes};
	size_t head = offsetof(struct slow_entry, text) - offsetof(struct slow_entry, time);
	return hash_bytes(&e->time, head + (e->nbytes <= SLOWLOG_ROOM ? e->nbytes : 0), key);
}

static struct slow_entry *entry_at(uint32_t place)
{
	return (struct slow_entry *)(STORE_BASE + SUPER->off_slowlog) + place;
}

uint32_t slowlog_places(uint64_t keep)
{
	uint32_t n = SLOWLOG_FEW;
	while (n < keep && n < SLOWLOG_MAX)
		n *= 2;
	return n;
}

/* A place without memory is not looked at: that could be the end of this process. */
static bool is_at(uint32_t place, uint64_t id)
{
	return place < atomic_load_explicit(&SUPER->slow_backed, memory_order_acquire) &&
	       atomic_load_explicit(&entry_at(place)->number, memory_order_acquire) == id + 1;
}

/* Wherever it was put: that depends on what slowlog-max-len was then. NULL: nowhere. */
static const struct slow_entry *find(uint64_t id)
{
	for (uint32_t places = SLOWLOG_FEW; places <= SLOWLOG_MAX; places *= 2)
		if (is_at((uint32_t)(id % places), id))
			return entry_at((uint32_t)(id % places));
	return NULL;
}

static bool give_memory(uint32_t place)
{
	uint32_t have = atomic_load(&SUPER->slow_backed), want = place + 1;

	if (have >= want)
		return true;
	if (!region_back(SUPER->off_slowlog + have * sizeof(struct slow_entry), (want - have) * sizeof(struct slow_entry)))
		return false;
	while (have < want && !atomic_compare_exchange_weak(&SUPER->slow_backed, &have, want))
		;
	return true;
}

static void forget_before(uint64_t id)
{
	uint64_t first = atomic_load(&SUPER->slow_first);
	while (first < id && !atomic_compare_exchange_weak(&SUPER->slow_first, &first, id))
		;
}

void slowlog_add(int64_t time, uint64_t us, const struct arg *words, uint32_t n, uint64_t keep)
{
	uint64_t id = atomic_fetch_add(&SUPER->slow_next, 1);
	uint32_t place = (uint32_t)(id % slowlog_places(keep)), at = 0, i = 0;
	struct slow_entry *e = entry_at(place);

	if (!give_memory(place))
		return;
	atomic_store(&e->number, 0);
	atomic_thread_fence(memory_order_release);
	e->time = time;
	e->us = us;
	memset(e->ends, 0, sizeof e->ends);
	for (; i < n && i < SLOWLOG_WORDS && words[i].n <= SLOWLOG_ROOM - at; i++) {
		if (words[i].n > 0)
			memcpy(e->text + at, words[i].p, words[i].n);
		e->ends[i] = at += (uint32_t)words[i].n;
	}
	e->nwords = i;
	e->nbytes = at;
	e->check = check_of(e, id);
	atomic_store_explicit(&e->number, id + 1, memory_order_release);
	keep = keep < SLOWLOG_MAX ? keep : SLOWLOG_MAX;
	if (id + 1 > keep)
		forget_before(id + 1 - keep);
}

void slowlog_range(uint64_t *first, uint64_t *next)
{
	*first = atomic_load(&SUPER->slow_first);
	*next = atomic_load(&SUPER->slow_next);
	if (*first > *next)
		*first = *next;
	if (*next - *first > SLOWLOG_MAX)
		*first = *next - SLOWLOG_MAX;
}

bool slowlog_read(uint64_t id, struct slow_entry *out)
{
	const struct slow_entry *e = find(id);

	if (!e)
		return false;
	memcpy((void *)out, (const void *)e, sizeof *out);
	if (out->nwords > SLOWLOG_WORDS || out->nbytes > SLOWLOG_ROOM || out->check != check_of(out, id))
		return false;
	/* A check that fits is no promise: any process may have written it. */
	for (uint32_t i = 0; i < out->nwords; i++)
		if (out->ends[i] > out->nbytes || (i > 0 && out->ends[i] < out->ends[i - 1]))
			return false;
	return true;
}

struct arg slow_word(const struct slow_entry *e, uint32_t i)
{
	uint32_t from = i ? e->ends[i - 1] : 0;
	return i < e->nwords ? (struct arg){e->text + from, e->ends[i] - from} : (struct arg){e->text, 0};
}

uint64_t slowlog_length(void)
{
	uint64_t first, next, n = 0;

	slowlog_range(&first, &next);
	for (uint64_t id = first; id < next; id++)
		n += find(id) != NULL;
	return n;
}

void slowlog_reset(void)
{
	forget_before(atomic_load(&SUPER->slow_next));
}
