/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eviction: deletes keys until there is room, and has what lies thinly moved together. Run by the expirer, which keeps headroom, and by workers
 * whose command finds the store full. Which keys go says evict_sample.c.
 *
 * Owns nothing but what it tells the log with. A candidate is no promise: it is looked up again under its stripe's lock, and passed by if somebody
 * has used or changed it since. Each key goes in a transaction of its own, which holds the lock, with its effect: so who evicts may die anywhere.
 */
#include "store/evict.h"

#include <time.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/events.h"
#include "shm/pause.h"
#include "shm/ring.h"
#include "shm/wake.h"
#include "store/compact.h"
#include "evict_sample.h"
#include "internal.h"

#define KEYS_PER_LOOK 16 /* keys between two looks at the time */
#define TRIES 64         /* samples of which nothing could be taken, before it is said that nothing can be */
#define SLABS_FEWEST 16u
#define ROOM_NS 250000   /* a client waits so long for slabs to be emptied, again and again, ... */
#define ROOM_MOST_NS 2000000000ull /* ... but no longer than this: the expirer may be stopped */
#define SLABS_MOST 128u
#define RUNS 4u          /* room is made for as many large blocks as one waits for */
#define WORTH 16u        /* a gain of less than one part in so many is not worth the moving */
#define HEADROOM_US 4000 /* the expirer's other work waits no longer */

static SELDOM_USED struct access evictor; /* for effects */

/* ---- one key ---- */

/* Under the stripe's lock: what `c` was taken for, if it still is, and nobody has used it since. */
static bool look_again(const struct candidate *c, struct spot *s)
{
	struct root *root = db_root(c->db);
	if (!root)
		return false;
	*s = (struct spot){.root = root, .bin = &root->bins[c->stripe], .hash = {c->stripe, cell_tag(c->cell)}, .item = cell_ref(c->cell)};
	s->cell = index_cell(s->bin, c->cell);
	return s->cell && item_read(s->item, &s->parts) && s->parts.clock == c->clock && (!sample_only_volatile() || s->parts.due != DUE_NONE);
}

enum outcome { GONE, PASSED_BY, FAILED };

/* In a transaction on the stripe of `c`. */
static enum outcome take_out(const struct candidate *c)
{
	struct spot s;
	/* Asked within the transaction: whoever pauses cancels those that have begun before. */
	if (pause_mode() != PAUSE_NONE)
		return FAILED;
	if (!look_again(c, &s))
		return PASSED_BY;
	struct arg key = {s.parts.key, s.parts.klen};
	evictor.no_memory = false;
	effect_key(&evictor, c->db, config->lazyfree_lazy_eviction ? "UNLINK" : "DEL", &key);
	return spot_remove(&s) && !evictor.no_memory ? GONE : FAILED;
}

static bool can_be_logged(void)
{
	return !ring_is_on() || ring_has_room();
}

static enum outcome remove_key(const struct candidate *c)
{
	uint64_t start = config->latency_monitor_threshold > 0 ? clock_mono_ns() : 0;
	uint16_t stripe = (uint16_t)c->stripe;
	enum outcome result = FAILED;
	if (!can_be_logged())
		return FAILED;
	activity_enter();
	if (txn_begin(&stripe, 1)) {
		result = take_out(c);
		if (result != GONE)
			txn_rollback();
		else if (!txn_commit())
			result = FAILED;
	}
	activity_leave();
	if (result == GONE)
		count_add(COUNTER_EVICTED, 1);
	if (start)
		event_took(EVENT_EVICTION_DEL, clock_mono_ns() - start);
	return result;
}

static enum outcome remove_best(void)
{
	struct candidate c;
	while (sample_take(&c)) {
		enum outcome r = remove_key(&c);
		if (r != PASSED_BY)
			return r;
	}
	return PASSED_BY;
}

/* One key goes. False: none can, or none now. */
static bool evict_one(bool *nothing)
{
	*nothing = config->maxmemory_policy == POLICY_NOEVICTION;
	for (int i = 0; i < TRIES && !*nothing && !cancel_requested(); i++) {
		int64_t now = clock_wall_ms();
		bool left_out = sample_leaves_out(now);
		*nothing = !sample_keys(now);
		enum outcome r = remove_best();
		if (r == GONE)
			return true;
		if (r == FAILED)
			return false;
		/* Before that is said for good, all are asked. */
		if (*nothing && left_out) {
			sample_ask_all();
			*nothing = false;
		}
	}
	return false;
}

/* ---- until there is room ---- */

/* How long a command may spend on it, us, as redis-server reads the parameter. */
static uint64_t tenacity_us(void)
{
	int64_t t = config->maxmemory_eviction_tenacity;
	double us = 500;
	if (t <= 10)
		return 50 * (uint64_t)t;
	if (t >= 100)
		return UINT64_MAX;
	for (; t > 10; t--)
		us *= 1.15;
	return (uint64_t)us;
}

/* Follows how long the store has been over its limit. */
static void note_excess(bool over)
{
	uint64_t since = atomic_load(&control_commons->over_limit_since), now = clock_mono_ns() / 1000;
	if (over && since == 0)
		atomic_compare_exchange_strong(&control_commons->over_limit_since, &since, now);
	else if (!over && since != 0 && atomic_compare_exchange_strong(&control_commons->over_limit_since, &since, 0) && now > since)
		count_add(COUNTER_OVER_LIMIT_US, now - since);
}

/* Evicts until no more than `most` bytes are counted, or the time is up. */
static enum evict_result evict_down_to(uint64_t most, uint64_t us)
{
	uint64_t start = clock_mono_ns();
	enum evict_result result = EVICT_OK;
	bool nothing = false;
	for (int i = 1; store_counted() > most; i++) {
		if (cancel_requested())
			result = EVICT_CANCELLED;
		else if (!evict_one(&nothing))
			result = nothing ? EVICT_NOTHING : EVICT_GOES_ON;
		else if (i % KEYS_PER_LOOK == 0 && (clock_mono_ns() - start) / 1000 >= us)
			result = EVICT_GOES_ON;
		else
			continue;
		break;
	}
	event_took(EVENT_EVICTION_CYCLE, clock_mono_ns() - start);
	return result;
}

static bool may_evict(void)
{
	return config->maxmemory_policy != POLICY_NOEVICTION && pause_mode() == PAUSE_NONE &&
	       !(atomic_load(&control->persistence.trouble) & TROUBLE_LOADING);
}

/* What flushes have left is sure to go: who is short of memory frees it first. */
static bool sweep_first(void)
{
	if (ref_is_none((ref){__atomic_load_n(&SUPER->retired_roots.off, __ATOMIC_RELAXED)}))
		return false;
	db_sweep_retired();
	return !store_over_limit();
}

enum evict_result evict_for_command(void)
{
	enum evict_result result = EVICT_NOTHING;
	uint64_t counted = store_attached() ? store_counted() : 0, limit = (uint64_t)config->maxmemory;
	if (counted <= limit) {
		if (counted > limit - store_headroom() / 2 && may_evict())
			rouse_expirer();
		return EVICT_OK;
	}
	if (pause_mode() != PAUSE_NONE || sweep_first())
		return EVICT_OK;
	if (may_evict()) {
		count_held_up(COUNTER_CLIENT_EVICTIONS);
		result = evict_down_to((uint64_t)config->maxmemory, tenacity_us());
		rouse_expirer();
	}
	note_excess(result == EVICT_GOES_ON || result == EVICT_NOTHING);
	return result;
}

/* Slabs that are to be free for blocks of any size, when the store may not grow. */
static uint64_t slabs_wanted(void)
{
	uint64_t part = (uint64_t)config->maxmemory / SLAB_BYTES / 64;
	return part < SLABS_FEWEST ? SLABS_FEWEST : part < SLABS_MOST ? part : SLABS_MOST;
}

/* So many bytes less are to be counted. False: there is nothing to evict, and whoever waits need not wait any longer. */
static bool evict_bytes(uint64_t bytes)
{
	uint64_t counted = store_counted();
	bool more = may_evict() && evict_down_to(counted > bytes ? counted - bytes : 0, HEADROOM_US) != EVICT_NOTHING;
	if (!more)
		atomic_fetch_add(&SUPER->arena.futile, 1);
	return more;
}

/* For who waits for a large block there are slabs enough, but no neighbours. Where nothing can be moved any more, more has to go. */
static bool keep_neighbours(uint64_t n)
{
	uint64_t most = arena_spare() / 2 < SLABS_PER_EXTENT ? arena_spare() / 2 : SLABS_PER_EXTENT, many = n * RUNS < most ? n * RUNS : most;
	bool more = !(n < many && compact_run(many)) && !compact_run(n) && evict_bytes(n * SLAB_BYTES);
	/* Whoever still waits says so again. */
	if (!more)
		atomic_store(&SUPER->arena.wanted, 0);
	return more;
}

/*
 * Below the limit, but all memory is in slabs of other sizes than those asked for: what lies thinly is moved together. Where that gains too
 * little for what is moved, more is evicted first. Returns whether there is more to do.
 */
static bool keep_slabs(void)
{
	uint64_t run = atomic_load(&SUPER->arena.wanted), want = slabs_wanted() + 2 * run, spare = arena_spare();
	if (run && spare >= want / 2)
		return keep_neighbours(run);
	if (spare >= want / 2 || !arena_is_limited())
		return false;
	uint64_t worth = may_evict() ? arena_taken() / SLAB_BYTES / WORTH + SLABS_FEWEST / 2 : 1;
	uint64_t could = heap_could_gain();
	/* Under a pin little may be moved. */
	if (could >= worth && compact((uint32_t)(want - spare)) > 0)
		return arena_spare() < want / 2;
	return evict_bytes((could < worth ? worth - could : want - spare) * SLAB_BYTES);
}

bool evict_await_room(unsigned tries)
{
	static uint64_t futile, since;
	uint64_t in_vain = atomic_load(&SUPER->arena.futile), limit = (uint64_t)config->maxmemory, bytes = heap_refused();
	if (limit == 0 || !store_attached() || bytes > limit / 2 || cancel_requested())
		return false;
	uint64_t now = clock_mono_ns();
	if (tries == 0)
		futile = in_vain, since = now;
	/* The first time may have begun before we asked. */
	if (in_vain - futile >= 2 || now - since > ROOM_MOST_NS)
		return false;
	if (may_evict() && bytes + store_counted() > limit - store_headroom())
		evict_down_to(limit - store_headroom() - bytes, tenacity_us());
	if (heap_slabs_for(bytes))
		atomic_store(&SUPER->arena.wanted, heap_slabs_for(bytes));
	wake_expirer();
	if (tries > 0)
		nanosleep(&(struct timespec){0, ROOM_NS}, NULL);
	return true;
}

bool evict_headroom(void)
{
	uint64_t limit = (uint64_t)config->maxmemory;
	if (limit == 0)
		return false;
	note_excess(store_over_limit());
	/* Without room in the log nothing can go; whoever writes when there is some again rouses us. */
	if (!can_be_logged())
		return false;
	bool more = may_evict() && evict_down_to(limit - store_headroom(), HEADROOM_US) == EVICT_GOES_ON;
	more |= keep_slabs();
	/* While the log has no room nothing can go: it is tried again now and then. */
	return more && !(ring_is_on() && !ring_has_room());
}
