/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many keys at once (store/bulk.h). Run by the loader.
 *
 * Why not a command's way: a transaction costs as much as a small key, and the index is larger than any cache, so keys that wait for each
 * other wait for memory. Here a batch is hashed, its places in the index are fetched ahead, and it goes in as one transaction.
 *
 * Owns the batch (private memory). Locks: the stripes of the batch's keys. A death in the middle is the transaction's business, and the batch is
 * gone with the process: its successor begins anew.
 */
#include "store/bulk.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/panic.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "internal.h"

#ifdef BULKHEAD_DEBUG
#define BATCH_KEYS 64u /* its checks compare each change with each touch */
#else
#define BATCH_KEYS 8192u
#endif
#define BATCH_BYTES (8u << 20)
#define AHEAD 8u       /* keys whose places are being fetched */
#define LARGE (64u << 10) /* such values are not gathered */

struct entry {
	struct arg key;
	struct bulk_key k;
};

static SELDOM_USED struct {
	struct entry *v;
	const struct arg **keys;
	uint32_t n;
	struct buf bytes; /* keys and values, one behind the other; never moves while it is in use */
	bool replace;
	const struct entry *culprit;
} batch;

void bulk_begin(bool replace)
{
	if (!batch.v) {
		batch.v = malloc(BATCH_KEYS * sizeof *batch.v);
		batch.keys = malloc(BATCH_KEYS * sizeof *batch.keys);
		if (!batch.v || !batch.keys)
			fatal("out of memory for loading");
		buf_reserve(&batch.bytes, BATCH_BYTES + LARGE);
	}
	batch.n = 0;
	batch.bytes.len = 0;
	batch.replace = replace;
	batch.culprit = NULL;
}

const struct arg *bulk_culprit(uint32_t *db)
{
	*db = batch.culprit->k.db;
	return &batch.culprit->key;
}

/* ---- a key ---- */

static uint32_t clock_told(const struct bulk_key *k, int64_t now)
{
	if (policy_is_lfu())
		return k->freq >= 0 ? lfu_clock((uint32_t)k->freq, now) : clock_fresh(now);
	return k->idle > 0 ? clock_idle_for(k->idle, now) : clock_of(now);
}

static enum bulk_result put(struct access *a, const struct entry *e)
{
	struct spot s;
	if (e->k.len > UINT32_MAX)
		return BULK_TOO_LONG;
	struct parts p = {.key = e->key.p, .klen = e->key.n, .value = e->k.value, .vlen = e->k.len, .due = e->k.due,
			  .flags = item_flags(&e->key, e->k.due), .type = TYPE_STRING,
			  .encoding = encoding_of(e->k.value, e->k.len)};
	if (!spot_prepare(a, e->k.db, &e->key, &s))
		return BULK_NO_MEMORY;
	if (s.cell && !batch.replace) {
		batch.culprit = e;
		return BULK_DUPLICATE;
	}
	ref r = txn_alloc(item_bytes(p.klen, p.vlen, p.flags), BLOCK_DATA);
	if (ref_is_none(r))
		return BULK_NO_MEMORY;
	char *to = item_write(at(r), txn_epoch(), clock_told(&e->k, a->now), &p);
	memcpy(to, p.value, p.vlen);
	return spot_publish(&s, r, p.due) ? BULK_OK : BULK_NO_MEMORY;
}

/* ---- fetching ahead: the bin of one key, the bucket of another that is nearer ---- */

static void fetch_bin(const struct access *a, uint32_t i)
{
	if (i >= batch.n)
		return;
	struct root *root = db_root(batch.v[i].k.db);
	if (root)
		__builtin_prefetch(&root->bins[a->hashes[i].stripe], 1);
}

static void fetch_bucket(const struct access *a, uint32_t i)
{
	if (i >= batch.n)
		return;
	struct root *root = db_root(batch.v[i].k.db);
	if (!root)
		return;
	const struct bin *b = &root->bins[a->hashes[i].stripe];
	if (b->nbuckets)
		__builtin_prefetch((char *)at(b->table) + index_home(a->hashes[i].tag, b->nbuckets) * 64ull, 1);
}

static int put_all(struct access *a, void *arg)
{
	enum bulk_result *r = arg;
	*r = BULK_OK;
	for (uint32_t i = 0; i < batch.n && *r == BULK_OK; i++) {
		fetch_bin(a, i + 2 * AHEAD);
		fetch_bucket(a, i + AHEAD);
		*r = put(a, &batch.v[i]);
	}
	return *r != BULK_OK;
}

static enum bulk_result put_batch(void)
{
	enum bulk_result r = BULK_OK;
	struct plan plan = {.kind = PLAN_WRITE, .unlogged = true, .now = clock_wall_ms(), .nkeys = batch.n, .keys = batch.keys};
	if (batch.n == 0)
		return BULK_OK;
	if (stop_requested())
		return BULK_CANCELLED;
	int result = access_run(&plan, put_all, &r);
	if (result < 0)
		return result == ACCESS_CANCELLED ? BULK_CANCELLED : BULK_NO_MEMORY;
	if (r == BULK_OK) {
		batch.n = 0;
		batch.bytes.len = 0;
	}
	return r;
}

static void gather(const struct bulk_key *k, const char *key, const char *value)
{
	struct entry *e = &batch.v[batch.n];
	e->k = *k;
	e->k.value = value;
	e->key = (struct arg){key, k->key.n};
	batch.keys[batch.n++] = &e->key;
}

static const char *keep(const char *p, uint64_t n)
{
	char *to = batch.bytes.data + batch.bytes.len;
	memcpy(to, p, n);
	batch.bytes.len += n;
	return to;
}

enum bulk_result bulk_add(const struct bulk_key *k)
{
	uint64_t bytes = k->key.n + k->len;
	enum bulk_result r = BULK_OK;
	if (batch.n == BATCH_KEYS || batch.bytes.len + bytes > BATCH_BYTES)
		r = put_batch();
	if (r != BULK_OK)
		return r;
	if (bytes <= LARGE) {
		const char *key = keep(k->key.p, k->key.n);
		gather(k, key, keep(k->value, k->len));
		return BULK_OK;
	}
	/* In order: with `replace` the last of equal keys counts. */
	r = put_batch();
	if (r != BULK_OK)
		return r;
	gather(k, k->key.p, k->value);
	return put_batch();
}

enum bulk_result bulk_flush(void)
{
	return put_batch();
}

/* ---- whole databases ---- */

struct expected {
	uint32_t db;
	uint64_t per_bin;
	uint16_t from, to; /* stripes */
};

#define PRESIZED_MIN (STRIPES * 16ull) /* fewer keys grow as they come */
#define PRESIZED_PER_TXN 256u

static int presize(struct access *a, void *arg)
{
	(void)a;
	const struct expected *e = arg;
	struct root *root = db_root_make(e->db);
	for (uint32_t i = e->from; root && i < e->to; i++)
		if (!index_presize(i, &root->bins[i], e->per_bin))
			return 1;
	return !root;
}

/* Square root, rounded up: bins differ in their number of keys by a few of these. */
static uint64_t root_of(uint64_t n)
{
	uint64_t r = 0;
	while (r * r < n)
		r++;
	return r;
}

void bulk_expect(uint32_t db, uint64_t keys, uint64_t expires)
{
	(void)expires;
	if (db >= SUPER->databases || keys < PRESIZED_MIN || keys >> 40)
		return;
	uint64_t mean = keys / STRIPES;
	struct plan plan = {.kind = PLAN_WRITE_ALL, .unlogged = true, .now = clock_wall_ms()};
	struct expected e = {.db = db, .per_bin = mean + 2 * root_of(mean)};
	for (uint32_t s = 0; s < STRIPES && !stop_requested(); s += PRESIZED_PER_TXN) {
		e.from = (uint16_t)s;
		e.to = (uint16_t)(s + PRESIZED_PER_TXN);
		/* What is not to be had now will be asked for again by the keys, and said then. */
		if (access_run(&plan, presize, &e) != 0)
			return;
	}
}

static int empty(struct access *a, void *arg)
{
	(void)arg;
	return !db_flush(a, DB_ALL);
}

enum bulk_result bulk_empty(void)
{
	struct plan plan = {.kind = PLAN_WRITE_ALL, .unlogged = true, .now = clock_wall_ms()};
	int r = access_run(&plan, empty, NULL);
	if (r)
		return r == ACCESS_CANCELLED ? BULK_CANCELLED : BULK_NO_MEMORY;
	db_sweep_retired();
	return BULK_OK;
}
