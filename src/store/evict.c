/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Eviction: samples keys, and deletes the best of those seen. Run by the expirer, which keeps headroom, and by workers whose command finds the
 * store full.
 *
 * Owns a pool of candidates, private memory. A sample is what stands in neighbouring cells of a random stripe (of its due queue, where only
 * keys with a due time may go), read by version; a stripe that is being changed is passed by. A candidate is no promise: it is looked up
 * again under its stripe's lock, and passed by if somebody has used or changed it since. Each key goes in a transaction of its own with its
 * effect, so who evicts may die anywhere.
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
#include "due.h"
#include "internal.h"

#define POOL 16u
#define BATCH 16u        /* candidates of one stripe */
#define KEYS_PER_LOOK 16 /* keys between two looks at the time */
#define TRIES 64         /* samples of which nothing could be taken, before it is said that nothing can be */
#define QUIET_DBS 256u
#define STRIPE_TRIES 12
#define QUIET_MS 100     /* a database in which nothing was found is not asked again before */
#define SLABS_FEWEST 16u
#define ROOM_NS 250000   /* a client waits so long for slabs to be emptied, again and again, ... */
#define ROOM_MOST_NS 2000000000ull /* ... but no longer than this: the expirer may be stopped */
#define SLABS_MOST 128u
#define RUNS 4u          /* room is made for as many large blocks as one waits for */
#define WORTH 16u        /* a gain of less than one part in so many is not worth the moving */
#define HEADROOM_US 4000 /* the expirer's other work waits no longer */

/* What may go. `score`: the higher, the sooner. */
struct candidate {
	uint64_t score;
	uint64_t cell; /* as it stood in the table: tag and item */
	uint32_t db, stripe, clock;
};

static SELDOM_USED struct {
	struct candidate pool[POOL]; /* the best one last */
	unsigned n;
	uint32_t next_db;            /* random policies take a key of each database in turn */
	int64_t quiet_until;
	uint64_t quiet[QUIET_DBS / 64];
	uint32_t fullest[QUIET_DBS]; /* keys of a stripe; shared by those whose number ends alike */
	struct candidate one;        /* what chance has brought */
	int32_t policy;              /* by which the pool was filled */
	struct access access;        /* for effects */
} evictor;

/* ---- policies ---- */

static bool only_volatile(void)
{
	int32_t p = config->maxmemory_policy;
	return p == POLICY_VOLATILE_LRU || p == POLICY_VOLATILE_LFU || p == POLICY_VOLATILE_RANDOM || p == POLICY_VOLATILE_TTL;
}

static bool by_chance(void)
{
	return config->maxmemory_policy == POLICY_ALLKEYS_RANDOM || config->maxmemory_policy == POLICY_VOLATILE_RANDOM;
}

static uint64_t score_of(const struct parts *p, int64_t now)
{
	if (config->maxmemory_policy == POLICY_VOLATILE_TTL)
		return UINT64_MAX - (uint64_t)p->due;
	return policy_is_lfu() ? 255 - lfu_counter(p->clock, now) : clock_idle(p->clock, now);
}

/* ---- sampling ---- */

/* The bin of a stripe in a database, each word loaded once; false: there is none. */
static bool read_bin(uint32_t db, uint32_t stripe, struct bin *b)
{
	const struct root *root = db_root(db);
	if (!root)
		return false;
	const struct bin *from = &root->bins[stripe];
	*b = bin_read(from);
	b->ndue = __atomic_load_n(&from->ndue, __ATOMIC_RELAXED);
	b->due.off = __atomic_load_n(&from->due.off, __ATOMIC_RELAXED);
	return only_volatile() ? b->ndue > 0 : b->count > 0;
}

static bool add_item(struct candidate *out, uint64_t cell, int64_t now)
{
	struct parts p;
	if (!cell || !item_read(cell_ref(cell), &p) || (only_volatile() && p.due == DUE_NONE))
		return false;
	*out = (struct candidate){.score = score_of(&p, now), .cell = cell, .clock = p.clock};
	return true;
}

/* Of a bucket's keys as many as are wanted, each as likely as any other. */
static unsigned take_bucket(const uint64_t *bucket, unsigned want, int64_t now, struct candidate *out)
{
	uint64_t cells[CELLS];
	unsigned full = 0, n = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		cells[full] = __atomic_load_n(&bucket[i], __ATOMIC_RELAXED);
		full += cells[full] != 0;
	}
	unsigned first = full ? (unsigned)(dice_throw() % full) : 0;
	for (unsigned i = 0; i < full && n < want; i++)
		n += add_item(&out[n], cells[(first + i) % full], now);
	return n;
}

/*
 * Of all keys: buckets from a random one on. Not cells: a new key goes to the first free one of its bucket, and whatever comes behind a gap would
 * be seen more often than the rest.
 */
static unsigned take_cells(const struct bin *b, unsigned want, int64_t now, struct candidate *out)
{
	const uint64_t *table = b->nbuckets ? peek(b->table, b->nbuckets * 64ull) : NULL;
	uint32_t bucket = table ? (uint32_t)(dice_throw() % b->nbuckets) : 0;
	unsigned n = 0;
	for (uint32_t i = 0; table && i < b->nbuckets && n < want; i++) {
		n += take_bucket(table + (uint64_t)bucket * CELLS, want - n, now, out + n);
		bucket = bucket + 1 == b->nbuckets ? 0 : bucket + 1;
	}
	return n;
}

/* The item with a due time under a tag, from its home bucket on. */
static bool take_tag(const struct bin *b, const uint64_t *table, uint32_t tag, int64_t now, struct candidate *out)
{
	uint32_t bucket = index_home(tag, b->nbuckets);
	for (uint32_t n = 0; n < b->nbuckets; n++, bucket = bucket + 1 == b->nbuckets ? 0 : bucket + 1) {
		bool room = false;
		for (uint32_t i = 0; i < CELLS; i++) {
			uint64_t cell = __atomic_load_n(&table[bucket * CELLS + i], __ATOMIC_RELAXED);
			if (cell && cell_tag(cell) == tag && add_item(out, cell, now))
				return true;
			room |= cell == 0;
		}
		if (room)
			return false;
	}
	return false;
}

/* Of those with a due time: neighbours in the due queue from a random one on; by time to live, from the first to fall due on. */
static unsigned take_due(const struct bin *b, unsigned want, int64_t now, struct candidate *out)
{
	const uint64_t *queue = peek(b->due, b->ndue * 8ull), *table = b->nbuckets ? peek(b->table, b->nbuckets * 64ull) : NULL;
	uint32_t place = config->maxmemory_policy == POLICY_VOLATILE_TTL ? 0 : (uint32_t)(dice_throw() % b->ndue);
	unsigned n = 0;
	for (uint32_t i = 0; queue && table && i < b->ndue && n < want; i++) {
		uint32_t tag = (uint32_t)__atomic_load_n(&queue[place], __ATOMIC_RELAXED) & TAG_MASK;
		n += take_tag(b, table, tag, now, &out[n]);
		place = place + 1 == b->ndue ? 0 : place + 1;
	}
	return n;
}

/* Candidates of one stripe, at most `want`. *busy: it was being changed. */
static unsigned sample_stripe(uint32_t db, uint32_t stripe, unsigned want, int64_t now, struct candidate *out, bool *busy)
{
	struct bin b;
	uint64_t v = version_read(stripe);
	if (v & 1) {
		*busy = true;
		return 0;
	}
	if (!read_bin(db, stripe, &b))
		return 0;
	/* A torn bin may be of any size; what it says is worth something only if the stripe stands still. */
	if (!version_same(stripe, v)) {
		*busy = true;
		return 0;
	}
	want = want < BATCH ? want : BATCH;
	unsigned n = only_volatile() ? take_due(&b, want, now, out) : take_cells(&b, want, now, out);
	if (!version_same(stripe, v)) {
		*busy = true;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		out[i].db = db, out[i].stripe = stripe;
	return n;
}

/* ---- the pool ---- */

static void pool_add(const struct candidate *c)
{
	unsigned k = 0;
	while (k < evictor.n && evictor.pool[k].score < c->score)
		k++;
	for (unsigned i = 0; i < evictor.n; i++)
		if (evictor.pool[i].cell == c->cell)
			return;
	if (evictor.n < POOL) {
		memmove(&evictor.pool[k + 1], &evictor.pool[k], (evictor.n - k) * sizeof *c);
		evictor.n++;
	} else if (k == 0) {
		return;
	} else {
		/* The worst one makes room. */
		k--;
		memmove(&evictor.pool[0], &evictor.pool[1], k * sizeof *c);
	}
	evictor.pool[k] = *c;
}

/* Of those that may go; a hint. */
static uint32_t keys_in(const struct root *root, uint32_t stripe)
{
	const struct bin *b = &root->bins[stripe];
	return __atomic_load_n(only_volatile() ? &b->ndue : &b->count, __ATOMIC_RELAXED);
}

/*
 * A stripe to begin with: one with twice as many keys is twice as likely, or keys that have few neighbours would go before their time. Compared
 * is with the fullest one seen, which is forgotten little by little.
 */
static uint32_t random_stripe(const struct root *root, uint32_t db)
{
	uint32_t *most = &evictor.fullest[db % QUIET_DBS], stripe = 0;
	for (int i = 0; i < STRIPE_TRIES; i++) {
		uint64_t dice = dice_throw();
		stripe = (uint32_t)(dice >> 52);
		uint32_t n = keys_in(root, stripe);
		if (n > *most)
			*most = n;
		else if ((dice & 0xffff) == 0)
			*most -= *most / 8;
		if ((dice >> 16 & 0xffffff) * (uint64_t)*most < (uint64_t)n << 24)
			break;
	}
	return stripe;
}

static bool is_quiet(uint32_t db)
{
	return db < QUIET_DBS && evictor.quiet[db / 64] >> (db % 64) & 1;
}

/* Calls to `add` for up to `want` keys of a database. Returns how many. */
static unsigned sample_db(uint32_t db, unsigned want, int64_t now, void (*add)(const struct candidate *c), bool *busy)
{
	struct candidate some[BATCH];
	const struct root *root = db_root(db);
	unsigned n = 0;
	bool passed = false;
	if (is_quiet(db) || !root)
		return 0;
	uint32_t first = random_stripe(root, db);
	for (uint32_t i = 0; i < STRIPES && n < want; i++) {
		/* Where nothing seems to be it is not worth a closer look; of a sparse database many are passed. */
		if (keys_in(root, (first + i) % STRIPES) == 0)
			continue;
		unsigned found = sample_stripe(db, (first + i) % STRIPES, want - n, now, some, &passed);
		for (unsigned k = 0; k < found; k++)
			add(&some[k]);
		n += found;
	}
	if (n == 0 && !passed && db < QUIET_DBS)
		evictor.quiet[db / 64] |= 1ull << (db % 64);
	*busy |= passed;
	return n;
}

/* Whether there are databases that are not asked now. */
static bool some_are_quiet(int64_t now)
{
	uint64_t any = 0;
	if (now >= evictor.quiet_until || evictor.quiet_until > now + QUIET_MS) {
		memset(evictor.quiet, 0, sizeof evictor.quiet);
		evictor.quiet_until = now + QUIET_MS;
	}
	for (unsigned i = 0; i < QUIET_DBS / 64; i++)
		any |= evictor.quiet[i];
	return any != 0;
}

/* ---- one key ---- */

/* Under the stripe's lock: what `c` was taken for, if it still is, and nobody has used it since. */
static bool look_again(const struct candidate *c, struct spot *s)
{
	struct root *root = db_root(c->db);
	if (!root)
		return false;
	*s = (struct spot){.root = root, .bin = &root->bins[c->stripe], .hash = {c->stripe, cell_tag(c->cell)}, .item = cell_ref(c->cell)};
	s->cell = index_cell(s->bin, c->cell);
	return s->cell && item_read(s->item, &s->parts) && s->parts.clock == c->clock && (!only_volatile() || s->parts.due != DUE_NONE);
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
	evictor.access.no_memory = false;
	effect_key(&evictor.access, c->db, config->lazyfree_lazy_eviction ? "UNLINK" : "DEL", &key);
	return spot_remove(&s) && !evictor.access.no_memory ? GONE : FAILED;
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

static void add_one(const struct candidate *c)
{
	evictor.one = *c;
}

/* Evicts some key, of one database after the other. */
static enum outcome evict_by_chance(int64_t now, bool *nothing)
{
	bool busy = false;
	for (uint32_t i = 0; i < SUPER->databases; i++) {
		uint32_t db = evictor.next_db++ % SUPER->databases;
		activity_enter();
		unsigned n = sample_db(db, 1, now, add_one, &busy);
		activity_leave();
		if (n)
			return remove_key(&evictor.one);
	}
	*nothing = !busy;
	return PASSED_BY;
}

static enum outcome evict_best(int64_t now, bool *nothing)
{
	unsigned want = (unsigned)config->maxmemory_samples, found = 0;
	bool busy = false;
	if (evictor.policy != config->maxmemory_policy)
		evictor.n = 0; /* scores of another kind */
	evictor.policy = config->maxmemory_policy;
	activity_enter();
	for (uint32_t db = 0; db < SUPER->databases; db++)
		found += sample_db(db, want, now, pool_add, &busy);
	activity_leave();
	*nothing = found == 0 && !busy;
	while (evictor.n > 0) {
		enum outcome r = remove_key(&evictor.pool[--evictor.n]);
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
		bool some_quiet = some_are_quiet(now);
		enum outcome r = by_chance() ? evict_by_chance(now, nothing) : evict_best(now, nothing);
		if (r == GONE)
			return true;
		if (r == FAILED)
			return false;
		/* Before that is said for good, all are asked. */
		if (*nothing && some_quiet) {
			evictor.quiet_until = 0;
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
