/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable byte buffers (base/buf.h).
 *
 * Runs in every process, on private memory only: nothing here is seen by another process or survives this one. No
 * locks. Growth is by half, so that appending n bytes costs O(n) in all; big blocks are moved by the kernel (mremap),
 * not copied.
 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/panic.h"

#define BUF_MIN 64

static struct {
	const struct buf *buf;
	size_t limit;
	void (*over)(size_t len);
} watched;

void buf_watch(const struct buf *b, size_t limit, void (*over)(size_t len))
{
	watched.buf = b;
	watched.limit = limit;
	watched.over = over;
}

void buf_deinit(struct buf *b)
{
	free(b->data);
	buf_init(b);
}

void buf_grow(struct buf *b, size_t n)
{
	if (n > SIZE_MAX / 2 - b->len)
		fatal("out of memory: a buffer of %zu bytes cannot grow by %zu", b->len, n);
	if (b == watched.buf && b->len + n > watched.limit)
		watched.over(b->len + n);
	size_t cap = b->len + n;
	if (cap < b->cap + b->cap / 2)
		cap = b->cap + b->cap / 2;
	if (cap < BUF_MIN)
		cap = BUF_MIN;
	char *data = realloc(b->data, cap);
	if (!data)
		fatal("out of memory: cannot make a buffer of %zu bytes", cap);
	b->data = data;
	b->cap = cap;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	size_t room = b->cap - b->len;
	int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	ASSERT(n >= 0);
	if ((size_t)n >= room)
		vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void buf_consume(struct buf *b, size_t n)
{
	ASSERT(n <= b->len);
	b->len -= n;
	if (n && b->len)
		memmove(b->data, b->data + n, b->len);
}

void buf_trim(struct buf *b, size_t keep)
{
	if (keep < b->len)
		keep = b->len;
	if (b->cap <= keep)
		return;
	if (keep == 0) {
		buf_deinit(b);
		return;
	}
	char *data = realloc(b->data, keep);
	if (!data)
		return; /* shrinking failed: the old block is still good */
	b->data = data;
	b->cap = keep;
}
