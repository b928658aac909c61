/* SPDX-License-Identifier: BSD-2-Clause */
/* A growable byte buffer in private memory. Not NUL-terminated. Running out of memory is fatal for the process: that
 * is one client, and nobody else notices.
 *
 * `data` moves whenever the buffer grows: keep offsets, not pointers, across calls that append.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

struct buf {
	char *data; /* NULL while cap is 0 */
	size_t len; /* bytes in use; a caller may lower it, or raise it to no more than cap */
	size_t cap;
};

static inline void buf_init(struct buf *b)
{
	b->data = NULL;
	b->len = b->cap = 0;
}

/* Frees the memory; the buffer is then empty and may be used again. */
void buf_deinit(struct buf *b);

/* The slow half of buf_reserve: makes cap at least len + n, growing by half as much again or more. */
void buf_grow(struct buf *b, size_t n);

/*
 * One buffer of the process may be watched: `over` is called when it is about to grow beyond `limit` bytes, to `len` of them, each time, before it
 * does. NULL: none.
 */
void buf_watch(const struct buf *b, size_t limit, void (*over)(size_t len));

/* Room for n more bytes (n = 0 is allowed). Returns where they go; the caller writes there and adds to len. */
static inline char *buf_reserve(struct buf *b, size_t n)
{
	if (__builtin_expect(b->cap - b->len < n, 0))
		buf_grow(b, n);
	return b->data + b->len;
}

static inline void buf_append(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), p, n);
	b->len += n;
}

static inline void buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

static inline void buf_append_char(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->len++;
}

void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Empties it, keeping the memory. */
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* Drops the first n bytes (n <= len); the rest moves to the front. */
void buf_consume(struct buf *b, size_t n);

/* Gives memory back: if cap is more than `keep` (and more than what len needs), cap becomes the larger of the two.
 * Contents stay. Call it when idle, with the size worth keeping. */
void buf_trim(struct buf *b, size_t keep);

#endif
