/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies, in RESP2 or RESP3 as the connection has chosen. Every function appends to r->out; sending it is the
 * caller's. Aggregates are a header followed by that many replies (a map: by that many pairs).
 *
 *                RESP2          RESP3
 *   null         $-1            _
 *   null_array   *-1            _
 *   map n        *2n            %n
 *   set n        *n             ~n
 *   push n       *n             >n
 *   double       bulk string    ,
 *   bool         :1 :0          #t #f
 *   verbatim     bulk string    =
 *   bignum       bulk string    (
 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

struct reply {
	struct buf out;
	int proto;       /* 2 or 3 */
	uint64_t errors; /* how many error replies were appended, ever: compare before and after a command */
	size_t error_at; /* where in `out` the last of them has its text */
};

void reply_init(struct reply *r); /* RESP2 */
void reply_deinit(struct reply *r);

/* Bytes that are RESP already. */
static inline void reply_raw(struct reply *r, const void *p, size_t n)
{
	buf_append(&r->out, p, n);
}

#define reply_literal(r, s) reply_raw((r), "" s, sizeof(s) - 1)

static inline void reply_ok(struct reply *r)
{
	reply_literal(r, "+OK\r\n");
}

/* +text. The text must have no line break. */
void reply_status(struct reply *r, const char *text);

/* -text, the text with its code ("ERR no such key"). Line breaks become spaces, those at the end go. */
void reply_error(struct reply *r, const char *text);
void reply_error_n(struct reply *r, const char *p, size_t n);
void reply_errorf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void reply_i64(struct reply *r, int64_t v);

/* p may be NULL if n is 0: an empty string, not null. */
void reply_bulk(struct reply *r, const void *p, size_t n);
void reply_bulk_str(struct reply *r, const char *s);
void reply_bulkf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_bulk_i64(struct reply *r, int64_t v); /* the number as a bulk string */

/* Appends the header of a bulk string of n bytes and makes room for them; the caller writes all n where this points,
 * before anything else is appended, and their end of line is already there. Saves a copy for readers of shared
 * memory. */
char *reply_bulk_room(struct reply *r, size_t n);

void reply_null(struct reply *r);
void reply_null_array(struct reply *r);

void reply_array(struct reply *r, size_t n);
void reply_map(struct reply *r, size_t n); /* n pairs */
void reply_set(struct reply *r, size_t n);
void reply_push(struct reply *r, size_t n);
void reply_attribute(struct reply *r, size_t n); /* n pairs; RESP3 only */

void reply_double(struct reply *r, double v);
void reply_long_double(struct reply *r, long double v); /* as INCRBYFLOAT prints; a double in RESP3 */
void reply_bool(struct reply *r, bool v);
void reply_verbatim(struct reply *r, const char ext[3], const void *p, size_t n);
void reply_bignum(struct reply *r, const char *p, size_t n);

/* An aggregate whose length is known only after its elements: keep the mark, append the elements, then say how many.
 * Marks nest, and are settled innermost first: settling moves what was appended since. */
size_t reply_defer(struct reply *r);
void reply_defer_array(struct reply *r, size_t mark, size_t n);
void reply_defer_map(struct reply *r, size_t mark, size_t n);
void reply_defer_set(struct reply *r, size_t mark, size_t n);
void reply_defer_push(struct reply *r, size_t mark, size_t n);

/* Takes back what was appended since out.len was `len` (the command starts over). */
static inline void reply_rewind(struct reply *r, size_t len)
{
	r->out.len = len;
}

#endif
