/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies (wire/reply.h).
 *
 * Runs in every process that answers a client. Owns the output buffer, private memory: a reply of a process that dies
 * is lost with its connection. No locks, and none may be needed: replies are built from copies.
 *
 * Headers are the common case and are written in place, without printf: lengths below 100 take one or two stores.
 */
#include "wire/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/panic.h"

/* A type byte, 20 digits, a sign, \r\n. */
#define HEADER_MAX 24

void reply_init(struct reply *r)
{
	buf_init(&r->out);
	r->proto = 2;
	r->errors = 0;
	r->error_at = 0;
}

void reply_deinit(struct reply *r)
{
	buf_deinit(&r->out);
}

/* Writes a header line and returns where it ends. Needs HEADER_MAX bytes of room. */
static inline char *put_header(char *w, char type, uint64_t n)
{
	if (n < 10) {
		memcpy(w, (char[4]){type, (char)('0' + n), '\r', '\n'}, 4);
		return w + 4;
	}
	*w++ = type;
	if (n < 100) {
		memcpy(w, (char[4]){(char)('0' + n / 10), (char)('0' + n % 10), '\r', '\n'}, 4);
		return w + 4;
	}
	char digits[21];
	size_t len = format_u64(digits, n);
	memcpy(w, digits, len);
	w[len] = '\r';
	w[len + 1] = '\n';
	return w + len + 2;
}

static inline void add_header(struct reply *r, char type, uint64_t n)
{
	char *w = buf_reserve(&r->out, HEADER_MAX);
	r->out.len += (size_t)(put_header(w, type, n) - w);
}

/* type, text, \r\n */
static void add_line(struct reply *r, char type, const char *p, size_t n)
{
	char *w = buf_reserve(&r->out, n + 3);
	*w++ = type;
	memcpy(w, p, n);
	w[n] = '\r';
	w[n + 1] = '\n';
	r->out.len += n + 3;
}

void reply_status(struct reply *r, const char *text)
{
	add_line(r, '+', text, strlen(text));
}

void reply_error_n(struct reply *r, const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\r' || p[n - 1] == '\n'))
		n--;
	size_t at = r->out.len + 1;
	add_line(r, '-', p, n);
	for (char *c = r->out.data + at, *end = c + n; c < end; c++)
		if (*c == '\r' || *c == '\n')
			*c = ' ';
	r->error_at = at;
	r->errors++;
}

void reply_error(struct reply *r, const char *text)
{
	reply_error_n(r, text, strlen(text));
}

void reply_errorf(struct reply *r, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	buf_init(&text);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reply_error_n(r, text.data ? text.data : "", text.len);
	buf_deinit(&text);
}

void reply_i64(struct reply *r, int64_t v)
{
	if (v >= 0) {
		add_header(r, ':', (uint64_t)v);
		return;
	}
	char digits[21];
	add_line(r, ':', digits, format_i64(digits, v));
}

char *reply_bulk_room(struct reply *r, size_t n)
{
	char *w = buf_reserve(&r->out, n + HEADER_MAX + 2);
	char *at = put_header(w, '$', n);
	at[n] = '\r';
	at[n + 1] = '\n';
	r->out.len += (size_t)(at - w) + n + 2;
	return at;
}

void reply_bulk(struct reply *r, const void *p, size_t n)
{
	char *w = reply_bulk_room(r, n);
	if (n > 0)
		memcpy(w, p, n);
}

void reply_bulk_str(struct reply *r, const char *s)
{
	reply_bulk(r, s, strlen(s));
}

void reply_bulkf(struct reply *r, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	buf_init(&text);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reply_bulk(r, text.data, text.len);
	buf_deinit(&text);
}

void reply_bulk_i64(struct reply *r, int64_t v)
{
	char digits[21];
	reply_bulk(r, digits, format_i64(digits, v));
}

void reply_null(struct reply *r)
{
	if (r->proto == 2)
		reply_literal(r, "$-1\r\n");
	else
		reply_literal(r, "_\r\n");
}

void reply_null_array(struct reply *r)
{
	if (r->proto == 2)
		reply_literal(r, "*-1\r\n");
	else
		reply_literal(r, "_\r\n");
}

void reply_array(struct reply *r, size_t n)
{
	add_header(r, '*', n);
}

void reply_map(struct reply *r, size_t n)
{
	add_header(r, r->proto == 2 ? '*' : '%', r->proto == 2 ? 2 * n : n);
}

void reply_set(struct reply *r, size_t n)
{
	add_header(r, r->proto == 2 ? '*' : '~', n);
}

void reply_push(struct reply *r, size_t n)
{
	add_header(r, r->proto == 2 ? '*' : '>', n);
}

void reply_attribute(struct reply *r, size_t n)
{
	ASSERT(r->proto == 3);
	add_header(r, '|', n);
}

/* Text that is a bulk string in RESP2 and a line of its own type in RESP3. */
static void add_scalar(struct reply *r, char type3, const char *p, size_t n)
{
	if (r->proto == 2)
		reply_bulk(r, p, n);
	else
		add_line(r, type3, p, n);
}

void reply_double(struct reply *r, double v)
{
	char text[FORMAT_DOUBLE_MAX];
	add_scalar(r, ',', text, format_double(text, v));
}

void reply_long_double(struct reply *r, long double v)
{
	char text[FORMAT_LONG_DOUBLE_MAX];
	add_scalar(r, ',', text, format_long_double(text, sizeof(text), v));
}

void reply_bool(struct reply *r, bool v)
{
	if (r->proto == 2)
		reply_i64(r, v);
	else
		reply_raw(r, v ? "#t\r\n" : "#f\r\n", 4);
}

void reply_verbatim(struct reply *r, const char ext[3], const void *p, size_t n)
{
	if (r->proto == 2) {
		reply_bulk(r, p, n);
		return;
	}
	size_t at = r->out.len;
	char *w = reply_bulk_room(r, n + 4);
	r->out.data[at] = '=';
	memcpy(w, ext, 3);
	w[3] = ':';
	if (n > 0)
		memcpy(w + 4, p, n);
}

void reply_bignum(struct reply *r, const char *p, size_t n)
{
	add_scalar(r, '(', p, n);
}

size_t reply_defer(struct reply *r)
{
	return r->out.len;
}

/* Moves what was appended since the mark to make place for the header before it. */
static void settle(struct reply *r, size_t mark, char type, uint64_t n)
{
	char header[HEADER_MAX];
	size_t len = (size_t)(put_header(header, type, n) - header);
	ASSERT(mark <= r->out.len);
	buf_reserve(&r->out, len);
	char *at = r->out.data + mark;
	memmove(at + len, at, r->out.len - mark);
	memcpy(at, header, len);
	r->out.len += len;
}

void reply_defer_array(struct reply *r, size_t mark, size_t n)
{
	settle(r, mark, '*', n);
}

void reply_defer_map(struct reply *r, size_t mark, size_t n)
{
	settle(r, mark, r->proto == 2 ? '*' : '%', r->proto == 2 ? 2 * n : n);
}

void reply_defer_set(struct reply *r, size_t mark, size_t n)
{
	settle(r, mark, r->proto == 2 ? '*' : '~', n);
}

void reply_defer_push(struct reply *r, size_t mark, size_t n)
{
	settle(r, mark, r->proto == 2 ? '*' : '>', n);
}
