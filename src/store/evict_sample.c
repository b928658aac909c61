/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which keys go first: samples keys, and keeps the best of those seen. Run by whoever evicts (evict.c): the expirer, and workers whose command
 * finds the store full.
 *
 * Owns a pool of candidates, and hints of where keys are: private memory, so a death leaves nothing. Takes no locks: a sample is what stands in
 * neighbouring cells of a random stripe (of its due queue, where only keys with a due time may go), read by version; a stripe that is being
 * changed is passed by. A candidate is no promise: who takes it looks again.
 */
#include "evict_sample.h"

#include "base/config.h"
#include "base/seldom.h"
#include "due.h"
#include "internal.h"

#define POOL 16u
#define BATCH 16u    /* candidates of one stripe */
#define QUIET_DBS 256u
#define STRIPE_TRIES 12
#define QUIET_MS 100 /* a database in which nothing was found is not asked again before */

static SELDOM_USED struct {
	struct candidate pool[POOL]; /* the best one last */
	unsigned n;
	uint32_t next_db;            /* random policies take a key of each database in turn */
	int64_t quiet_until;
	uint64_t quiet[QUIET_DBS / 64];
	uint32_t fullest[QUIET_DBS]; /* keys of a stripe; shared by those whose number ends alike */
	struct candidate one;        /* what chance has brought, ... */
	bool has_one;                /* ... and nobody has taken */
	int32_t policy;              /* by which the pool was filled */
} sampler;

/* ---- policies ---- */

bool sample_only_volatile(void)
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
	return sample_only_volatile() ? b->ndue > 0 : b->count > 0;
}

static bool add_item(struct candidate *out, uint64_t cell, int64_t now)
{
	struct parts p;
	if (!cell || !item_read(cell_ref(cell), &p) || (sample_only_volatile() && p.due == DUE_NONE))
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
	unsigned n = sample_only_volatile() ? take_due(&b, want, now, out) : take_cells(&b, want, now, out);
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
	while (k < sampler.n && sampler.pool[k].score < c->score)
		k++;
	for (unsigned i = 0; i < sampler.n; i++)
		if (sampler.pool[i].cell == c->cell)
			return;
	if (sampler.n < POOL) {
		memmove(&sampler.pool[k + 1], &sampler.pool[k], (sampler.n - k) * sizeof *c);
		sampler.n++;
	} else if (k == 0) {
		return;
	} else {
		/* The worst one makes room. */
		k--;
		memmove(&sampler.pool[0], &sampler.pool[1], k * sizeof *c);
	}
	sampler.pool[k] = *c;
}

/* Of those that may go; a hint. */
static uint32_t keys_in(const struct root *root, uint32_t stripe)
{
	const struct bin *b = &root->bins[stripe];
	return __atomic_load_n(sample_only_volatile() ? &b->ndue : &b->count, __ATOMIC_RELAXED);
}

/*
 * A stripe to begin with: one with twice as many keys is twice as likely, or keys that have few neighbours would go before their time. Compared
 * is with the fullest one seen, which is forgotten little by little.
 */
static uint32_t random_stripe(const struct root *root, uint32_t db)
{
	uint32_t *most = &sampler.fullest[db % QUIET_DBS], stripe = 0;
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
	return db < QUIET_DBS && sampler.quiet[db / 64] >> (db % 64) & 1;
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
		sampler.quiet[db / 64] |= 1ull << (db % 64);
	*busy |= passed;
	return n;
}

/* ---- what others ask for ---- */

static void add_one(const struct candidate *c)
{
	sampler.one = *c;
	sampler.has_one = true;
}

/* Some key, of one database after the other. */
static bool sample_by_chance(int64_t now)
{
	bool busy = false;
	for (uint32_t i = 0; i < SUPER->databases; i++) {
		uint32_t db = sampler.next_db++ % SUPER->databases;
		activity_enter();
		unsigned n = sample_db(db, 1, now, add_one, &busy);
		activity_leave();
		if (n)
			return true;
	}
	return busy;
}

static bool sample_best(int64_t now)
{
	unsigned want = (unsigned)config->maxmemory_samples, found = 0;
	bool busy = false;
	if (sampler.policy != config->maxmemory_policy)
		sampler.n = 0; /* scores of another kind */
	sampler.policy = config->maxmemory_policy;
	activity_enter();
	for (uint32_t db = 0; db < SUPER->databases; db++)
		found += sample_db(db, want, now, pool_add, &busy);
	activity_leave();
	return found > 0 || busy;
}

bool sample_keys(int64_t now)
{
	sampler.has_one = false;
	return by_chance() ? sample_by_chance(now) : sample_best(now);
}

bool sample_take(struct candidate *out)
{
	if (by_chance()) {
		bool had = sampler.has_one;
		*out = sampler.one;
		sampler.has_one = false;
		return had;
	}
	if (sampler.n == 0)
		return false;
	*out = sampler.pool[--sampler.n];
	return true;
}

bool sample_leaves_out(int64_t now)
{
	uint64_t any = 0;
	if (now >= sampler.quiet_until || sampler.quiet_until > now + QUIET_MS) {
		memset(sampler.quiet, 0, sizeof sampler.quiet);
		sampler.quiet_until = now + QUIET_MS;
	}
	for (unsigned i = 0; i < QUIET_DBS / 64; i++)
		any |= sampler.quiet[i];
	return any != 0;
}

void sample_ask_all(void)
{
	sampler.quiet_until = 0;
}
