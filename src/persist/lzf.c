/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LZF (persist/lzf.h). It finds the copies that redis-server finds, so a payload of DUMP is the same to the byte.
 *
 * Any process; private memory only, no locks. A place in the table is a position in the present string plus a base that grows by each string's
 * length: what an earlier string left is below the base, so a short string does not pay for clearing a large table.
 */
#include "persist/lzf.h"

#include <stdbool.h>
#include <string.h>

#define FAR (1u << 13)             /* a copy begins at most so far back */
#define COPY_MAX (256u + 8u)       /* bytes of one copy */
#define PLAIN_MAX 32u              /* bytes of a piece that is no copy */
#define LONG_COPY 7u               /* the length's bits that announce another byte of it */

struct out {
	unsigned char *start, *p, *end;
	uint32_t plain; /* bytes of the open piece; its opening byte lies before them */
};

static uint32_t three(const unsigned char *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t slot(uint32_t v)
{
	return ((v >> 8) - v * 5) & (LZF_PLACES - 1);
}

static void open_plain(struct out *o)
{
	o->plain = 0;
	o->p++;
}

/* The opening byte of a piece without bytes is taken back. */
static void close_plain(struct out *o)
{
	if (o->plain)
		o->p[-(ptrdiff_t)o->plain - 1] = (unsigned char)(o->plain - 1);
	else
		o->p--;
}

static bool put_plain(struct out *o, unsigned char c)
{
	if (o->p >= o->end)
		return false;
	*o->p++ = c;
	if (++o->plain == PLAIN_MAX) {
		close_plain(o);
		open_plain(o);
	}
	return true;
}

/* A copy takes at most 3 bytes, and the next piece's opening byte one. */
static bool put_copy(struct out *o, uint32_t back, uint32_t len)
{
	if (o->p - !o->plain + 4 >= o->end)
		return false;
	close_plain(o);
	len -= 2;
	if (len < LONG_COPY) {
		*o->p++ = (unsigned char)((back >> 8) + (len << 5));
	} else {
		*o->p++ = (unsigned char)((back >> 8) + (LONG_COPY << 5));
		*o->p++ = (unsigned char)(len - LONG_COPY);
	}
	*o->p++ = (unsigned char)back;
	open_plain(o);
	return true;
}

/* The place three bytes were seen last, which is now `at`; 0: nowhere it could be copied from. */
static uint32_t seen(struct lzf *s, const unsigned char *in, uint32_t at)
{
	uint32_t v = three(in + at), *p = &s->place[slot(v)], was = *p - s->base;
	bool old = *p < s->base;
	*p = s->base + at;
	if (old || was == 0 || was >= at || at - was - 1 >= FAR || three(in + was) != v)
		return 0;
	return was;
}

static uint32_t same(const unsigned char *a, const unsigned char *b, uint32_t max)
{
	uint32_t n = 3;
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* How long a copy may be when so many bytes are left: the last two are not looked at, unless it is no more than 19 with them. */
static uint32_t longest(uint32_t left)
{
	uint32_t max = left - 2 < COPY_MAX ? left - 2 : COPY_MAX;
	return max == 17 || max == 18 ? 19 : max;
}

size_t lzf_compress(struct lzf *s, const void *data, size_t size, void *out, size_t cap)
{
	const unsigned char *in = data;
	if (size == 0 || size > LZF_MAX || cap == 0)
		return 0;
	uint32_t n = (uint32_t)size, at = 0;
	if (s->base > UINT32_MAX - n)
		memset(s, 0, sizeof *s);
	struct out o = {.start = out, .p = out, .end = (unsigned char *)out + cap};
	open_plain(&o);
	while (at + 2 < n) {
		uint32_t from = seen(s, in, at);
		if (!from) {
			if (!put_plain(&o, in[at++]))
				goto too_long;
			continue;
		}
		uint32_t len = same(in + from, in + at, longest(n - at));
		if (!put_copy(&o, at - from - 1, len))
			goto too_long;
		at += len;
		if (at + 2 >= n)
			break;
		/* Of what was copied only the last two places are noted. */
		s->place[slot(three(in + at - 2))] = s->base + at - 2;
		s->place[slot(three(in + at - 1))] = s->base + at - 1;
	}
	/* The few bytes that are left are asked for together. */
	if (o.end - o.p < 3)
		goto too_long;
	while (at < n)
		if (!put_plain(&o, in[at++]))
			goto too_long;
	close_plain(&o);
	s->base += n;
	return (size_t)(o.p - o.start);
too_long:
	s->base += n;
	return 0;
}

size_t lzf_decompress(const void *data, size_t n, void *out, size_t cap)
{
	const unsigned char *p = data, *end = p + n;
	unsigned char *to = out, *start = out, *to_end = to + cap;
	while (p < end) {
		size_t c = *p++;
		if (c < PLAIN_MAX) {
			if ((size_t)(end - p) < c + 1 || (size_t)(to_end - to) < c + 1)
				return 0;
			memcpy(to, p, c + 1);
			p += c + 1;
			to += c + 1;
			continue;
		}
		size_t len = c >> 5, back = (c & 31) << 8;
		if (len == LONG_COPY) {
			if (p >= end)
				return 0;
			len += *p++;
		}
		if (p >= end)
			return 0;
		back += (size_t)*p++ + 1;
		len += 2;
		if (back > (size_t)(to - start) || len > (size_t)(to_end - to))
			return 0;
		/* The copy may run into itself: that is how a byte is repeated. */
		for (const unsigned char *from = to - back; len > 0; len--)
			*to++ = *from++;
	}
	return (size_t)(to - start);
}
