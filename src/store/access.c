/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a command's body by plan: versions or locks, the body, check or commit, again if need be. Run by workers.
 *
 * Owns the one struct access of this process (private memory). Locks: stripes, through the transaction or one at a time. Nothing is held
 * when access_run returns. A death in the middle is the transaction's business.
 */
#include "store/access.h"

#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/panic.h"
#include "base/stop.h"
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/pause.h"
#include "shm/region.h"
#include "shm/ring.h"
#include "internal.h"

#define READ_TRIES 3
#define ODD_SPINS 64
#define SORTED_MAX 256u /* more keys than this are put in order by a bit per stripe */

enum { BODY_DONE, BODY_ABORT, BODY_LONG };

static struct access the_access;
static bool attached;
static struct access_log awaited;
static int log_errno;

bool store_attach(int fd)
{
	if (!attached)
		attached = region_attach(fd, my_slot);
#ifdef BULKHEAD_DEBUG
	if (attached)
		verify_install();
#endif
	return attached;
}

bool store_attached(void)
{
	return attached;
}

void give_way(uint64_t *since)
{
	uint64_t now = clock_mono_ns();
	if (now - *since < GIVE_WAY_NS)
		return;
	sched_yield();
	*since = clock_mono_ns();
}

void access_touches(bool yes)
{
	the_access.no_touch = !yes;
}

struct access_log access_take_log(void)
{
	struct access_log l = awaited;
	awaited = (struct access_log){0};
	return l;
}

int access_log_errno(void)
{
	return log_errno;
}

int access_log_failed(void)
{
	return attached && ring_is_on() ? (int)atomic_load_explicit(&ring()->failed, memory_order_relaxed) : 0;
}

void access_loads(bool yes)
{
	the_access.loads = yes;
}

void store_pause_takes_effect(void)
{
	txn_cancel_others();
}

/* ---- which stripes ---- */

static void *grow(void *inline_array, uint32_t n, size_t size)
{
	if (n <= ACCESS_INLINE_KEYS)
		return inline_array;
	void *p = malloc(n * size);
	if (!p)
		fatal("out of memory for %u keys", n);
	return p;
}

static int by_number(const void *x, const void *y)
{
	return (int)*(const uint16_t *)x - (int)*(const uint16_t *)y;
}

/* Puts many stripes in order in a time that depends on their number alone: sorting could not be cancelled. */
static uint32_t order_by_bits(uint16_t *stripes, uint32_t n)
{
	uint64_t there[STRIPES / 64] = {0};
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n; i++)
		there[stripes[i] / 64] |= 1ull << (stripes[i] % 64);
	for (uint32_t w = 0; w < STRIPES / 64; w++)
		for (uint64_t m = there[w]; m; m &= m - 1)
			stripes[kept++] = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(m));
	return kept;
}

static uint32_t order(uint16_t *stripes, uint32_t n)
{
	if (n < 2)
		return n;
	if (n > SORTED_MAX)
		return order_by_bits(stripes, n);
	uint32_t kept = 1;
	qsort(stripes, n, sizeof *stripes, by_number);
	for (uint32_t i = 1; i < n; i++)
		if (stripes[i] != stripes[i - 1])
			stripes[kept++] = stripes[i];
	return kept;
}

/* Hashes the keys and lists their stripes, ascending and once each. */
static void find_stripes(struct access *a, const struct plan *plan)
{
	uint32_t n = plan->nkeys;
	a->hashes = grow(a->inline_hashes, n, sizeof *a->hashes);
	a->stripes = grow(a->inline_stripes, n, sizeof *a->stripes);
	a->versions = grow(a->inline_versions, n, sizeof *a->versions);
	a->clocks = grow(a->inline_clocks, n, sizeof *a->clocks);
	for (uint32_t i = 0; i < n; i++) {
		a->hashes[i] = key_hash_of(plan->keys[i]->p, plan->keys[i]->n);
		a->stripes[i] = (uint16_t)a->hashes[i].stripe;
	}
	a->nstripes = order(a->stripes, n);
}

static void drop_stripes(struct access *a)
{
	if (a->hashes == a->inline_hashes)
		return;
	free(a->hashes);
	free(a->stripes);
	free(a->versions);
	free(a->clocks);
}

/* ---- reading ---- */

/* Notes the versions; false when a stripe is being changed and stays so for a while. */
static bool note_versions(struct access *a)
{
	for (uint32_t i = 0; i < a->nstripes; i++) {
		int spins = 0;
		while ((a->versions[i] = version_read(a->stripes[i])) & 1)
			if (++spins == ODD_SPINS)
				return false;
	}
	return true;
}

bool access_still_valid(const struct access *a)
{
	if (a->mode != ACCESS_READ || a->locked)
		return true;
	for (uint32_t i = 0; i < a->nstripes; i++)
		if (!version_same(a->stripes[i], a->versions[i]))
			return false;
	return true;
}

static uint64_t version_of(const struct access *a, uint32_t stripe)
{
	uint16_t key = (uint16_t)stripe;
	const uint16_t *found = bsearch(&key, a->stripes, a->nstripes, sizeof *a->stripes, by_number);

	return found ? a->versions[found - a->stripes] : 1; /* no even version equals it */
}

/* Readers write nothing to items but this: at most once per key and second (LFU: when the counter moves), if the lock is free at once. */
static void refresh_clocks(struct access *a)
{
	for (uint32_t i = 0; i < a->nclocks; i++) {
		uint32_t stripe = a->clocks[i].stripe;
		if (!stripe_try(stripe))
			continue;
		if (version_same(stripe, version_of(a, stripe)))
			clock_set(a->clocks[i].item, a->clocks[i].clock);
		stripe_unlock(stripe);
	}
}

/*
 * What was seen is in the log up to there, or has been since before the log was on. Who names no keys may have seen any: all that is there
 * by now, for a writer that began below a pin commits after it, and is seen.
 */
static void note_logged(const struct access *a)
{
	if (a->nstripes == 0)
		awaited.any = atomic_load(&ring()->offset);
	for (uint32_t i = 0; i < a->nstripes; i++) {
		uint64_t at = atomic_load_explicit(&store_stripe(a->stripes[i])->logged, memory_order_acquire);
		awaited.any = at > awaited.any ? at : awaited.any;
	}
}

/* The locked form of a read: a transaction that changes nothing. */
static int read_locked(struct access *a, access_body *body, void *arg)
{
	if (!txn_begin(a->stripes, a->nstripes))
		return ACCESS_CANCELLED;
	a->locked = true;
	int r = body(a, arg);
	a->locked = false;
	if (ring_is_on())
		note_logged(a);
	txn_rollback();
	return r;
}

static int read_pinned(struct access *a, access_body *body, void *arg)
{
	a->mode = ACCESS_PINNED;
	a->pin = pin_take();
	if (pin_is_none(a->pin))
		return ACCESS_CANCELLED;
	int r = body(a, arg);
	if (ring_is_on())
		note_logged(a);
	pin_release(a->pin);
	return r;
}

static int run_read(struct access *a, access_body *body, void *arg)
{
	for (int i = 0; i < READ_TRIES; i++) {
		a->nclocks = 0;
		if (note_versions(a)) {
			int r = body(a, arg);
			if (access_still_valid(a)) {
				if (ring_is_on())
					note_logged(a);
				refresh_clocks(a);
				return r == BODY_LONG ? read_pinned(a, body, arg) : r;
			}
		}
		count_held_up(COUNTER_READ_RETRIES);
	}
	int r = read_locked(a, body, arg);
	return r == BODY_LONG ? read_pinned(a, body, arg) : r;
}

/* ---- writing ---- */

static int roll_back(const struct access *a, int result)
{
	/* The reply may tell why not. */
	if (ring_is_on())
		note_logged(a);
	txn_rollback();
	count_held_up(COUNTER_ROLLBACKS);
	return result;
}

/* For room in the log, as if outside the command: nothing is held, and nobody waits for this process. */
static int wait_for_log(void)
{
	activity_leave();
	log_errno = ring_wait_room();
	activity_enter();
	return log_errno;
}

/* It has committed: what its reply depends on. One that changed nothing has only read. */
static void note_written(const struct access *a, uint64_t logged_before)
{
	if (txn_logged() == logged_before)
		note_logged(a);
	else
		awaited.own = awaited.any = txn_logged();
}

static int run_write(struct access *a, access_body *body, void *arg, bool all)
{
	uint64_t logged_before = txn_logged();
	for (;;) {
		if (ring_is_on() && !a->loads && !a->plan->unlogged && !ring_has_room() && wait_for_log() != 0)
			return ACCESS_NOT_LOGGED;
		a->mode = ACCESS_WRITE;
		a->touched = false;
		a->effects = a->plan->unlogged;
		a->no_memory = false;
		if (!txn_begin(all ? NULL : a->stripes, all ? STRIPES : a->nstripes))
			return ACCESS_CANCELLED;
		/* Asked within the transaction: who pauses cancels all that have begun before. */
		if (a->plan->pausable && pause_mode() != PAUSE_NONE) {
			txn_rollback();
			return ACCESS_PAUSED;
		}
		if (a->plan->client && control_is_loading()) {
			txn_rollback();
			return ACCESS_LOADING;
		}
		int r = body(a, arg);
		/* From here on it takes the time it takes; asked only afterwards, so that what is committed is not called cancelled. */
		deadline_settle();
		if (cancel_requested())
			return roll_back(a, ACCESS_CANCELLED);
		if (r == BODY_ABORT || a->no_memory)
			return roll_back(a, r == BODY_ABORT ? r : ACCESS_NO_MEMORY);
#ifdef BULKHEAD_DEBUG
		if (!a->effects && txn_changed())
			panic("a command changed the store and handed over no effect");
#endif
		if (txn_commit()) {
			if (ring_is_on())
				note_written(a, logged_before);
			return r;
		}
	}
}

static int run(struct access *a, access_body *body, void *arg)
{
	int r;
	a->mode = ACCESS_READ;
	switch (a->plan->kind) {
	case PLAN_READ:
		r = run_read(a, body, arg);
		return cancel_requested() ? ACCESS_CANCELLED : r;
	case PLAN_READ_LONG:
		r = read_pinned(a, body, arg);
		return cancel_requested() ? ACCESS_CANCELLED : r;
	case PLAN_WRITE:
		return run_write(a, body, arg, false);
	case PLAN_WRITE_ALL:
		return run_write(a, body, arg, true);
	}
	panic("no such plan: %d", (int)a->plan->kind);
}

int access_run(const struct plan *plan, access_body *body, void *arg)
{
	struct access *a = &the_access;
	a->plan = plan;
	a->now = plan->now;
	a->locked = false;
	a->cursor = 0;
	a->nclocks = 0;
	find_stripes(a, plan);
	activity_enter();
	int r = run(a, body, arg);
	/* What a read has seen is whole if loading has not begun by now. */
	if (__builtin_expect(plan->client && plan->kind <= PLAN_READ_LONG && control_is_loading(), 0))
		r = ACCESS_LOADING;
	activity_leave();
	drop_stripes(a);
	return r;
}

bool store_wait_for_others(int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	arena_note_readers();
	while (!arena_readers_left())
		if (stop_requested() || clock_mono_ms() >= until)
			return false;
	return true;
}

int access_snapshot(bool rotate, uint64_t *offset, access_body *body, void *arg)
{
	struct plan plan = {.kind = PLAN_READ_LONG, .now = clock_wall_ms()};
	struct access *a = &the_access;
	*a = (struct access){.plan = &plan, .now = plan.now, .mode = ACCESS_PINNED};
	find_stripes(a, &plan);
	activity_enter();
	a->pin = ring_pin(rotate, offset);
	int r = ACCESS_CANCELLED;
	if (!pin_is_none(a->pin)) {
		r = body(a, arg);
		pin_release(a->pin);
	}
	activity_leave();
	return r;
}
