/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the RDB reader share. Functions that return bool: false, the reader has noted what is wrong.
 */
#ifndef BULKHEAD_PERSIST_RDB_PARTS_H
#define BULKHEAD_PERSIST_RDB_PARTS_H

#include "persist/rdb_read.h"

/* ---- bytes: rdb_read_bytes.c ---- */

/* Notes the first thing wrong. Returns false. */
bool rdb_fail(struct rdb_reader *r, enum rdb_outcome outcome, uint64_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));

/* Makes n bytes from r->next on lie at hand. */
bool rdb_fill(struct rdb_reader *r, uint64_t n);

/* The sum of all bytes before r->next. */
uint64_t rdb_sum(struct rdb_reader *r);

static inline uint64_t rdb_offset(const struct rdb_reader *r)
{
	return r->before + r->next;
}

/* The next n bytes, valid until the next call; NULL: they are not there. */
static inline const unsigned char *rdb_take(struct rdb_reader *r, uint64_t n)
{
	if (__builtin_expect(r->n - r->next < n, 0) && !rdb_fill(r, n))
		return NULL;
	const unsigned char *p = r->p + r->next;
	r->next += n;
	return p;
}

bool rdb_byte(struct rdb_reader *r, unsigned char *out);
bool rdb_u64(struct rdb_reader *r, uint64_t *out); /* 8 bytes, little-endian */

/* A length. *coded: it is none, but says how a string is coded; where coded is NULL that is wrong. */
bool rdb_length(struct rdb_reader *r, uint64_t *out, bool *coded);

/* A string: lies in what was read, or in `scratch`; valid until the next call, or the next use of scratch. */
bool rdb_string(struct rdb_reader *r, struct arg *out, struct buf *scratch);

/* The same, surely in scratch: it outlives the next call. */
bool rdb_string_kept(struct rdb_reader *r, struct arg *out, struct buf *scratch);

/* ---- what is twice: rdb_twice.c ---- */

struct twice {
	uint64_t (*seen)[2];
	uint64_t cap, n;
};

/* True: the same bytes were asked for before. */
bool twice_seen(struct twice *t, const struct arg *a);
void twice_deinit(struct twice *t);

/* ---- compact encodings: rdb_compact.c ---- */

struct compact_entry {
	struct arg text; /* its bytes; of a number the digits */
	char digits[21];
};

/* A walk over a listpack or a ziplist, all in memory. `why` is set once something is wrong. */
struct compact {
	const unsigned char *p;
	size_t n, at, entry; /* where the next entry begins; where the last one did */
	uint64_t count, said; /* entries so far; as the head has it, COMPACT_UNKNOWN: it does not say */
	uint64_t before;     /* ziplist: bytes of the last entry */
	bool ziplist;
	const char *why;
};
#define COMPACT_UNKNOWN 0xffffu

/* False: the head is wrong. */
bool listpack_open(struct compact *c, const struct arg *blob);
bool ziplist_open(struct compact *c, const struct arg *blob);

/* False: no more, the end has been checked; or something is wrong (why). */
bool compact_next(struct compact *c, struct compact_entry *e);

/* A hash of old: fields with values. */
struct zipmap {
	const unsigned char *p;
	size_t n, at;
	uint64_t count;
	const char *why;
};
bool zipmap_open(struct zipmap *z, const struct arg *blob);
bool zipmap_next(struct zipmap *z, struct arg *field, struct arg *value);

struct intset {
	const unsigned char *p;
	uint32_t width;
	uint64_t count, next;
};
/* NULL, or what is wrong. */
const char *intset_open(struct intset *s, const struct arg *blob);
bool intset_next(struct intset *s, int64_t *out);

/* ---- values: rdb_read_value.c, rdb_read_stream.c ---- */

/* A value being read. */
struct value {
	struct rdb_reader *r;
	uint64_t from;       /* offset of it */
	bool any;            /* it has an element */
	struct twice twice;
};

bool value_begin(struct value *v, uint64_t expected);
bool value_part(struct value *v, const struct rdb_element *e);

/* Reads the value of r->key, which is no string, and tells the sink. */
bool rdb_collection(struct rdb_reader *r);

/* The same for what rdb_collection does not do itself. */
bool rdb_stream(struct value *v);

/* A module's data up to its end. `name` receives its name. */
bool rdb_module(struct rdb_reader *r, char name[10], bool aux);

#endif
