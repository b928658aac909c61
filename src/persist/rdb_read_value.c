/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of an RDB other than strings and streams: lists, sets, sorted sets, hashes in all their encodings, and what modules left.
 *
 * Any process that reads an RDB. A value is walked once, its parts handed to the sink on the way. Owns nothing but what finds elements that
 * are there twice. No locks.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "rdb_parts.h"

#define SCORE_TEXT_MAX 127u

bool value_begin(struct value *v, uint64_t expected)
{
	struct rdb_reader *r = v->r;
	if (!r->sink->begin)
		return true;
	const char *why = r->sink->begin(r->sink->arg, &r->key, expected);
	return !why || rdb_fail(r, RDB_REFUSED, r->key.offset, "%s", why);
}

bool value_part(struct value *v, const struct rdb_element *e)
{
	struct rdb_reader *r = v->r;
	v->any = true;
	if (!r->sink->element)
		return true;
	const char *why = r->sink->element(r->sink->arg, &r->key, e);
	return !why || rdb_fail(r, RDB_REFUSED, r->key.offset, "%s", why);
}

static bool damaged(struct value *v, uint64_t at, const char *what, const char *why)
{
	return rdb_fail(v->r, RDB_DAMAGED, at, "%s: %s", what, why);
}

/* False: it was there before. */
static bool unique(struct value *v, uint64_t at, const struct arg *a)
{
	return !twice_seen(&v->twice, a) || rdb_fail(v->r, RDB_DAMAGED, at, "an element is there twice: '%.*s'", a->n < 64 ? (int)a->n : 64, a->p);
}

/* The text of a score; it may be any number that strtod takes, but not NaN. */
static bool score_of(const struct arg *text, double *out)
{
	char copy[SCORE_TEXT_MAX + 1], *end;
	if (text->n == 0 || text->n > SCORE_TEXT_MAX)
		return false;
	memcpy(copy, text->p, text->n);
	copy[text->n] = 0;
	*out = strtod(copy, &end);
	return end == copy + text->n && !isnan(*out);
}

/* ---- one string per element ---- */

static bool plain_list(struct value *v, uint64_t n)
{
	struct rdb_element e = {.part = RDB_ELEMENT};
	for (; n > 0; n--)
		if (!rdb_string(v->r, &e.a, &v->r->scratch[0]) || !value_part(v, &e))
			return false;
	return true;
}

static bool plain_set(struct value *v, uint64_t n)
{
	struct rdb_element e = {.part = RDB_MEMBER};
	for (; n > 0; n--) {
		uint64_t at = rdb_offset(v->r);
		if (!rdb_string(v->r, &e.a, &v->r->scratch[0]) || !unique(v, at, &e.a) || !value_part(v, &e))
			return false;
	}
	return true;
}

static bool plain_hash(struct value *v, uint64_t n)
{
	struct rdb_element e = {.part = RDB_FIELD};
	for (; n > 0; n--) {
		uint64_t at = rdb_offset(v->r);
		if (!rdb_string_kept(v->r, &e.a, &v->r->scratch[0]) || !unique(v, at, &e.a) ||
		    !rdb_string(v->r, &e.b, &v->r->scratch[1]) || !value_part(v, &e))
			return false;
	}
	return true;
}

static bool binary_score(struct rdb_reader *r, double *out)
{
	uint64_t bits, at = rdb_offset(r);
	if (!rdb_u64(r, &bits))
		return false;
	memcpy(out, &bits, sizeof bits);
	return !isnan(*out) || rdb_fail(r, RDB_DAMAGED, at, "a score that is no number");
}

static bool old_score(struct rdb_reader *r, double *out)
{
	uint64_t at = rdb_offset(r);
	unsigned char n;
	if (!rdb_byte(r, &n))
		return false;
	if (n == RDB_SCORE_INF || n == RDB_SCORE_MINUS_INF) {
		*out = n == RDB_SCORE_INF ? INFINITY : -INFINITY;
		return true;
	}
	const unsigned char *p = n == RDB_SCORE_NAN ? NULL : rdb_take(r, n);
	if (!p && n != RDB_SCORE_NAN)
		return false;
	struct arg text = {(const char *)p, n};
	return (p && score_of(&text, out)) || rdb_fail(r, RDB_DAMAGED, at, "a score that is no number");
}

static bool plain_zset(struct value *v, uint64_t n)
{
	struct rdb_element e = {.part = RDB_MEMBER};
	bool binary = v->r->key.type == RDB_ZSET_2;
	for (; n > 0; n--) {
		uint64_t at = rdb_offset(v->r);
		if (!rdb_string_kept(v->r, &e.a, &v->r->scratch[0]) || !unique(v, at, &e.a) ||
		    !(binary ? binary_score(v->r, &e.score) : old_score(v->r, &e.score)) || !value_part(v, &e))
			return false;
	}
	return true;
}

static bool plain(struct value *v)
{
	uint64_t n;
	if (!rdb_length(v->r, &n, NULL) || !value_begin(v, n))
		return false;
	switch (v->r->key.type) {
	case RDB_LIST:
		return plain_list(v, n);
	case RDB_SET:
		return plain_set(v, n);
	case RDB_HASH:
		return plain_hash(v, n);
	default:
		return plain_zset(v, n);
	}
}

/* ---- one string that has them all ---- */

static bool read_blob(struct value *v, struct arg *out, uint64_t *at)
{
	*at = rdb_offset(v->r);
	return rdb_string(v->r, out, &v->r->scratch[0]);
}

static const char *name_of(const struct compact *c)
{
	return c->ziplist ? "a damaged ziplist" : "a damaged listpack";
}

static bool compact_open(struct compact *c, const struct arg *blob, bool ziplist)
{
	return ziplist ? ziplist_open(c, blob) : listpack_open(c, blob);
}

/* The second entry of a pair: a hash's value, a member's score. */
static bool second(struct value *v, uint64_t at, struct compact *c, struct compact_entry *e, struct rdb_element *out)
{
	if (!compact_next(c, e))
		return damaged(v, at, name_of(c), c->why ? c->why : "an odd number of entries");
	if (out->part == RDB_FIELD)
		out->b = e->text;
	else if (!score_of(&e->text, &out->score))
		return rdb_fail(v->r, RDB_DAMAGED, at, "a score that is no number");
	return true;
}

/* All entries of a listpack or ziplist as parts; with `pairs`, two make one. `once`: none may be there twice. */
static bool entries(struct value *v, const struct arg *blob, uint64_t at, bool ziplist, enum rdb_part part, bool pairs, bool once)
{
	struct compact c;
	struct compact_entry first, next;
	if (!compact_open(&c, blob, ziplist))
		return damaged(v, at, name_of(&c), c.why);
	while (compact_next(&c, &first)) {
		struct rdb_element e = {.part = part, .a = first.text};
		if ((pairs && !second(v, at, &c, &next, &e)) || (once && !unique(v, at, &first.text)) || !value_part(v, &e))
			return false;
	}
	return !c.why || damaged(v, at, name_of(&c), c.why);
}

/* How many the head says there are. */
static uint64_t said(const struct arg *blob, bool ziplist, bool pairs)
{
	struct compact c;
	return compact_open(&c, blob, ziplist) && c.said != COMPACT_UNKNOWN ? c.said / (pairs ? 2 : 1) : 0;
}

static bool compact(struct value *v)
{
	uint8_t type = v->r->key.type;
	bool ziplist = type == RDB_LIST_ZIPLIST || type == RDB_ZSET_ZIPLIST || type == RDB_HASH_ZIPLIST;
	bool hash = type == RDB_HASH_ZIPLIST || type == RDB_HASH_LISTPACK, list = type == RDB_LIST_ZIPLIST;
	bool pairs = hash || type == RDB_ZSET_ZIPLIST || type == RDB_ZSET_LISTPACK;
	struct arg blob;
	uint64_t at;
	return read_blob(v, &blob, &at) && value_begin(v, said(&blob, ziplist, pairs)) &&
	       entries(v, &blob, at, ziplist, hash ? RDB_FIELD : list ? RDB_ELEMENT : RDB_MEMBER, pairs,
		       !list && (ziplist || v->r->deep));
}

static bool zipmap(struct value *v)
{
	struct rdb_element e = {.part = RDB_FIELD};
	struct zipmap z;
	struct arg blob;
	uint64_t at;
	if (!read_blob(v, &blob, &at) || !value_begin(v, 0))
		return false;
	for (zipmap_open(&z, &blob); zipmap_next(&z, &e.a, &e.b);)
		if (!unique(v, at, &e.a) || !value_part(v, &e))
			return false;
	return !z.why || damaged(v, at, "a damaged zipmap", z.why);
}

static bool intset(struct value *v)
{
	struct intset s;
	struct arg blob;
	uint64_t at;
	if (!read_blob(v, &blob, &at))
		return false;
	const char *why = intset_open(&s, &blob);
	if (why)
		return damaged(v, at, "a damaged intset", why);
	if (!value_begin(v, s.count))
		return false;
	int64_t n, last = 0;
	for (bool first = true; intset_next(&s, &n); first = false, last = n) {
		char digits[21];
		struct rdb_element e = {.part = RDB_MEMBER, .a = {digits, format_i64(digits, n)}};
		if (!first && n <= last)
			return damaged(v, at, "a damaged intset", "its numbers do not ascend");
		if (!value_part(v, &e))
			return false;
	}
	return true;
}

/* A row of nodes: ziplists; or listpacks and, alone, what is too large for one. */
static bool quicklist(struct value *v)
{
	bool old = v->r->key.type == RDB_LIST_QUICKLIST;
	uint64_t n, kind = RDB_NODE_PACKED, at;
	struct arg blob;
	if (!rdb_length(v->r, &n, NULL) || !value_begin(v, 0))
		return false;
	for (; n > 0; n--) {
		at = rdb_offset(v->r);
		if (!old && !rdb_length(v->r, &kind, NULL))
			return false;
		if (kind != RDB_NODE_PACKED && kind != RDB_NODE_PLAIN)
			return rdb_fail(v->r, RDB_DAMAGED, at, "a list's node of a kind that is not known: %llu", (unsigned long long)kind);
		if (!read_blob(v, &blob, &at))
			return false;
		struct rdb_element e = {.part = RDB_ELEMENT, .a = blob};
		if (kind == RDB_NODE_PLAIN ? !value_part(v, &e) : !entries(v, &blob, at, old, RDB_ELEMENT, false, false))
			return false;
	}
	return true;
}

/* ---- modules ---- */

/* A module's name is nine letters of 6 bits each above a version of 10. */
static void module_name(uint64_t id, char name[10])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (int i = 0; i < 9; i++)
		name[8 - i] = letters[id >> (10 + 6 * i) & 63];
	name[9] = 0;
}

bool rdb_module(struct rdb_reader *r, char name[10], bool aux)
{
	uint64_t id, part, n, at;
	struct arg text;
	if (!rdb_length(r, &id, NULL))
		return false;
	module_name(id, name);
	if (aux) { /* when it was saved: a number, as a part */
		at = rdb_offset(r);
		if (!rdb_length(r, &part, NULL) || !rdb_length(r, &n, NULL))
			return false;
		if (part != RDB_PART_UINT)
			return rdb_fail(r, RDB_DAMAGED, at, "data of module %s that do not say when they were saved", name);
	}
	for (;;) {
		bool ok;
		at = rdb_offset(r);
		if (!rdb_length(r, &part, NULL))
			return false;
		switch (part) {
		case RDB_PART_EOF:
			return true;
		case RDB_PART_SINT:
		case RDB_PART_UINT:
			ok = rdb_length(r, &n, NULL);
			break;
		case RDB_PART_FLOAT:
			ok = rdb_take(r, 4);
			break;
		case RDB_PART_DOUBLE:
			ok = rdb_take(r, 8);
			break;
		case RDB_PART_STRING:
			ok = rdb_string(r, &text, &r->scratch[0]);
			break;
		default:
			ok = rdb_fail(r, RDB_DAMAGED, at, "a part of module %s's data of a kind that is not known: %llu", name,
				      (unsigned long long)part);
		}
		if (!ok)
			return false;
	}
}

static bool module_value(struct value *v)
{
	char name[10];
	uint64_t id;
	if (v->r->key.type == RDB_MODULE) {
		if (!rdb_length(v->r, &id, NULL))
			return false;
		module_name(id, name);
		return rdb_fail(v->r, RDB_DAMAGED, v->from, "a value of module %s in the first format of modules, which nobody else can read", name);
	}
	v->any = true;
	if (v->r->keep_modules && !value_begin(v, 0))
		return false;
	if (!rdb_module(v->r, name, false))
		return false;
	if (v->r->sink->module)
		v->r->sink->module(v->r->sink->arg, &v->r->key, name);
	return true;
}

/* ---- any ---- */

static bool walk(struct value *v)
{
	switch (v->r->key.type) {
	case RDB_LIST:
	case RDB_SET:
	case RDB_HASH:
	case RDB_ZSET:
	case RDB_ZSET_2:
		return plain(v);
	case RDB_LIST_ZIPLIST:
	case RDB_ZSET_ZIPLIST:
	case RDB_HASH_ZIPLIST:
	case RDB_ZSET_LISTPACK:
	case RDB_HASH_LISTPACK:
	case RDB_SET_LISTPACK:
		return compact(v);
	case RDB_HASH_ZIPMAP:
		return zipmap(v);
	case RDB_SET_INTSET:
		return intset(v);
	case RDB_LIST_QUICKLIST:
	case RDB_LIST_QUICKLIST_2:
		return quicklist(v);
	case RDB_STREAM_LISTPACKS:
	case RDB_STREAM_LISTPACKS_2:
	case RDB_STREAM_LISTPACKS_3:
		v->any = true;
		return rdb_stream(v);
	default:
		return module_value(v);
	}
}

bool rdb_collection(struct rdb_reader *r)
{
	const struct rdb_sink *sink = r->sink;
	struct value v = {.r = r, .from = rdb_offset(r)};
	bool ok = walk(&v);
	twice_deinit(&v.twice);
	if (!ok)
		return false;
	if (!v.any && !sink->empty)
		return rdb_fail(r, RDB_DAMAGED, v.from, "a %s without an element", r->key.type_name);
	if (r->key.type == RDB_MODULE_2 && !r->keep_modules)
		return true;
	const char *why = NULL;
	if (!v.any)
		why = sink->empty(sink->arg, &r->key);
	else if (sink->end)
		why = sink->end(sink->arg, &r->key);
	r->keys += v.any;
	r->expires += v.any && r->key.due != RDB_NO_DUE;
	return !why || rdb_fail(r, RDB_REFUSED, r->key.offset, "%s", why);
}
