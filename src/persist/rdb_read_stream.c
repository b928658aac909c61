/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of an RDB: their entries, packed by nodes, and their consumer groups.
 *
 * Any process that reads an RDB. Owns a list of the group's pending ids while its consumers are read, 24 bytes for 17 or more that were read.
 * No locks.
 *
 * A node: the id of its first entry, 16 bytes big-endian, and a listpack: entries, deleted ones, fields, the fields' names, 0; then for each
 * entry: flags, id less the node's in two parts, then the number of fields and names and values, or, with the same fields, values alone; then how
 * many elements that were.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/panic.h"
#include "rdb_parts.h"

#define ENTRY_DELETED 1
#define ENTRY_SAME_FIELDS 2

struct pending {
	struct rdb_id id;
	uint64_t owner; /* number of the consumer, from 1; 0: none yet */
};

struct group {
	struct pending *all;
	uint64_t n, cap;
	struct twice consumers;
};

static struct rdb_id id_of(const unsigned char *p)
{
	return (struct rdb_id){__builtin_bswap64(hash_load64(p)), __builtin_bswap64(hash_load64(p + 8))};
}

static int id_cmp(const struct rdb_id *a, const struct rdb_id *b)
{
	if (a->ms != b->ms)
		return a->ms < b->ms ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static bool raw_id(struct rdb_reader *r, struct rdb_id *out)
{
	const unsigned char *p = rdb_take(r, 16);
	if (p)
		*out = id_of(p);
	return p;
}

static bool two_lengths(struct rdb_reader *r, struct rdb_id *out)
{
	return rdb_length(r, &out->ms, NULL) && rdb_length(r, &out->seq, NULL);
}

/* ---- nodes ---- */

struct node {
	struct value *v;
	uint64_t at;        /* offset of it */
	struct rdb_id id;
	struct compact c, fields; /* fields: where the names common to its entries begin */
	int64_t nfields;
};

static bool node_bad(struct node *n, const char *why)
{
	return rdb_fail(n->v->r, RDB_DAMAGED, n->at, "a damaged node of a stream: %s", why);
}

static bool node_text(struct node *n, struct compact *c, struct compact_entry *e)
{
	return compact_next(c, e) || node_bad(n, c->why ? c->why : "an entry is cut off");
}

static bool node_number(struct node *n, int64_t *out)
{
	struct compact_entry e;
	if (!node_text(n, &n->c, &e))
		return false;
	return parse_i64(e.text.p, e.text.n, out) || node_bad(n, "no number where there must be one");
}

/* Fields of an entry; told to the sink unless it was deleted. Names come from `names` alone where they are common. */
static bool node_fields(struct node *n, int64_t count, bool same, bool told)
{
	struct compact names = n->fields;
	for (; count > 0; count--) {
		struct compact_entry name, text;
		struct rdb_element e = {.part = RDB_FIELD};
		if (!node_text(n, same ? &names : &n->c, &name) || !node_text(n, &n->c, &text))
			return false;
		e.a = name.text;
		e.b = text.text;
		if (told && !value_part(n->v, &e))
			return false;
	}
	return true;
}

static bool node_entry(struct node *n, bool *deleted)
{
	int64_t flags, ms, seq, count = n->nfields, elements;
	uint64_t first = n->c.count;
	if (!node_number(n, &flags) || !node_number(n, &ms) || !node_number(n, &seq))
		return false;
	bool same = flags & ENTRY_SAME_FIELDS;
	*deleted = flags & ENTRY_DELETED;
	if (!same && !node_number(n, &count))
		return false;
	if (count < 0)
		return node_bad(n, "an entry with less than no field");
	struct rdb_element e = {.part = RDB_ENTRY, .n = (uint64_t)count};
	e.id = (struct rdb_id){n->id.ms + (uint64_t)ms, n->id.seq + (uint64_t)seq};
	if ((!*deleted && !value_part(n->v, &e)) || !node_fields(n, count, same, !*deleted))
		return false;
	uint64_t had = n->c.count - first;
	return node_number(n, &elements) && ((uint64_t)elements == had || node_bad(n, "an entry that is not as long as it says"));
}

/* How many entries it has, those deleted left out. */
static bool read_node(struct node *n, uint64_t *live)
{
	int64_t count, gone, zero;
	struct compact_entry e;
	bool deleted;
	if (!node_number(n, &count) || !node_number(n, &gone) || !node_number(n, &n->nfields))
		return false;
	if (count < 0 || gone < 0 || n->nfields < 0)
		return node_bad(n, "a count below nothing");
	n->fields = n->c;
	for (int64_t i = 0; i < n->nfields; i++)
		if (!node_text(n, &n->c, &e))
			return false;
	if (!node_number(n, &zero))
		return false;
	if (zero != 0)
		return node_bad(n, "its fields do not end");
	uint64_t left = (uint64_t)count + (uint64_t)gone;
	for (*live = 0; left > 0; left--) {
		if (!node_entry(n, &deleted))
			return false;
		*live += !deleted;
	}
	if (compact_next(&n->c, &e))
		return node_bad(n, "more than it says to have");
	return !n->c.why || node_bad(n, n->c.why);
}

static bool read_nodes(struct value *v, uint64_t *nodes, uint64_t *live)
{
	struct rdb_reader *r = v->r;
	if (!rdb_length(r, nodes, NULL) || !value_begin(v, 0))
		return false;
	*live = 0;
	for (uint64_t i = 0; i < *nodes; i++) {
		struct node n = {.v = v, .at = rdb_offset(r)};
		struct arg id, blob;
		uint64_t more;
		if (!rdb_string(r, &id, &r->scratch[0]))
			return false;
		if (id.n != 16)
			return node_bad(&n, "its id is no id");
		if (twice_seen(&v->twice, &id))
			return node_bad(&n, "its id is there twice");
		n.id = id_of((const unsigned char *)id.p);
		n.at = rdb_offset(r);
		if (!rdb_string(r, &blob, &r->scratch[0]))
			return false;
		if (!listpack_open(&n.c, &blob))
			return node_bad(&n, n.c.why);
		if (!read_node(&n, &more))
			return false;
		*live += more;
	}
	twice_deinit(&v->twice);
	return true;
}

/* ---- groups ---- */

static int pending_cmp(const void *a, const void *b)
{
	return id_cmp(&((const struct pending *)a)->id, &((const struct pending *)b)->id);
}

static struct pending *pending_find(const struct group *g, const struct rdb_id *id)
{
	uint64_t lo = 0, hi = g->n;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		int c = id_cmp(&g->all[mid].id, id);
		if (c == 0)
			return &g->all[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void pending_add(struct group *g, const struct rdb_id *id)
{
	if (g->n == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 64;
		g->all = realloc(g->all, g->cap * sizeof *g->all);
		if (!g->all)
			fatal("out of memory");
	}
	g->all[g->n++] = (struct pending){.id = *id};
}

static bool read_pending(struct value *v, struct group *g)
{
	struct rdb_reader *r = v->r;
	uint64_t n, at = rdb_offset(r), time;
	bool ascends = true;
	if (!rdb_length(r, &n, NULL))
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct rdb_element e = {.part = RDB_PENDING};
		if (!raw_id(r, &e.id) || !rdb_u64(r, &time) || !rdb_length(r, &e.n, NULL))
			return false;
		e.time = (int64_t)time;
		ascends = ascends && (i == 0 || id_cmp(&g->all[i - 1].id, &e.id) < 0);
		pending_add(g, &e.id);
		if (!value_part(v, &e))
			return false;
	}
	if (!ascends)
		qsort(g->all, g->n, sizeof *g->all, pending_cmp);
	for (uint64_t i = 1; !ascends && i < n; i++)
		if (id_cmp(&g->all[i - 1].id, &g->all[i].id) == 0)
			return rdb_fail(r, RDB_DAMAGED, at, "an entry is pending twice in a stream's group");
	return true;
}

static bool read_owned(struct value *v, struct group *g, uint64_t consumer)
{
	struct rdb_reader *r = v->r;
	uint64_t n;
	if (!rdb_length(r, &n, NULL))
		return false;
	for (; n > 0; n--) {
		struct rdb_element e = {.part = RDB_OWNED};
		uint64_t at = rdb_offset(r);
		if (!raw_id(r, &e.id))
			return false;
		struct pending *p = pending_find(g, &e.id);
		if (!p)
			return rdb_fail(r, RDB_DAMAGED, at, "a stream's consumer has an entry that its group does not know of");
		if (p->owner == consumer)
			return rdb_fail(r, RDB_DAMAGED, at, "a stream's consumer has an entry twice");
		p->owner = consumer;
		if (!value_part(v, &e))
			return false;
	}
	return true;
}

static bool read_consumers(struct value *v, struct group *g)
{
	struct rdb_reader *r = v->r;
	uint64_t n;
	if (!rdb_length(r, &n, NULL))
		return false;
	for (uint64_t i = 1; i <= n; i++) {
		struct rdb_element e = {.part = RDB_CONSUMER, .active = -1};
		uint64_t time, at = rdb_offset(r);
		if (!rdb_string_kept(r, &e.a, &r->scratch[0]))
			return false;
		if (twice_seen(&g->consumers, &e.a))
			return rdb_fail(r, RDB_DAMAGED, at, "a consumer of a stream's group is there twice");
		if (!rdb_u64(r, &time))
			return false;
		e.time = e.active = (int64_t)time;
		if (r->key.type == RDB_STREAM_LISTPACKS_3) {
			if (!rdb_u64(r, &time))
				return false;
			e.active = (int64_t)time;
		}
		if (!value_part(v, &e) || !read_owned(v, g, i))
			return false;
	}
	for (uint64_t i = 0; r->deep && i < g->n; i++)
		if (!g->all[i].owner)
			return rdb_fail(r, RDB_DAMAGED, rdb_offset(r), "an entry is pending in a stream's group, with no consumer");
	return true;
}

static bool read_group(struct value *v, struct group *g)
{
	struct rdb_reader *r = v->r;
	struct rdb_element e = {.part = RDB_GROUP, .added = -1};
	uint64_t read, at = rdb_offset(r);
	if (!rdb_string_kept(r, &e.a, &r->scratch[0]))
		return false;
	if (twice_seen(&v->twice, &e.a))
		return rdb_fail(r, RDB_DAMAGED, at, "a group of a stream is there twice");
	if (!two_lengths(r, &e.id))
		return false;
	if (r->key.type != RDB_STREAM_LISTPACKS) {
		if (!rdb_length(r, &read, NULL))
			return false;
		e.added = (int64_t)read;
	}
	return value_part(v, &e) && read_pending(v, g) && read_consumers(v, g);
}

bool rdb_stream(struct value *v)
{
	struct rdb_reader *r = v->r;
	struct rdb_element e = {.part = RDB_STREAM};
	uint64_t nodes, live, groups, added, at;
	if (!read_nodes(v, &nodes, &live))
		return false;
	at = rdb_offset(r);
	if (!rdb_length(r, &e.n, NULL) || !two_lengths(r, &e.id))
		return false;
	added = e.n;
	if (r->key.type != RDB_STREAM_LISTPACKS &&
	    (!two_lengths(r, &e.first) || !two_lengths(r, &e.max_deleted) || !rdb_length(r, &added, NULL)))
		return false;
	if (e.n && !nodes)
		return rdb_fail(r, RDB_DAMAGED, at, "a stream of %llu entries that has none", (unsigned long long)e.n);
	e.added = (int64_t)added;
	if (!value_part(v, &e) || !rdb_length(r, &groups, NULL))
		return false;
	for (; groups > 0; groups--) {
		struct group g = {0};
		bool ok = read_group(v, &g);
		free(g.all);
		twice_deinit(&g.consumers);
		if (!ok)
			return false;
	}
	return true;
}
