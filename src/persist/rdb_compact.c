/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The compact encodings of small collections as RDB has them: listpack, ziplist, zipmap, intset.
 *
 * Any process that reads an RDB. The bytes may be anything: each one is only looked at after its place was checked, and every step goes
 * forward. Owns nothing. No locks.
 *
 * listpack: bytes of all (4), entries (2); entries: head, content, length of both backwards; 0xff.
 * ziplist:  bytes of all (4), offset of the last entry (4), entries (2); entries: length of the one before, head, content; 0xff.
 * zipmap:   entries (1); length, field, length, free bytes (1), value, that many bytes; 0xff.
 * intset:   bytes of a number (4), numbers (4); numbers, ascending. All little-endian.
 */
#include "base/hash.h"
#include "base/num.h"
#include "rdb_parts.h"

#define LP_HEAD 6u
#define ZL_HEAD 10u
#define END 0xffu
#define BIG_BEFORE 254u /* ziplist: 4 bytes of length follow */
#define ZM_BIG 254u     /* zipmap: likewise */

static uint32_t load16(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static bool bad(struct compact *c, const char *why)
{
	c->why = why;
	return false;
}

static size_t left(const struct compact *c, size_t at)
{
	return at < c->n ? c->n - at : 0;
}

static bool open_head(struct compact *c, const struct arg *blob, size_t head, size_t count_at)
{
	*c = (struct compact){.p = (const unsigned char *)blob->p, .n = blob->n, .at = head};
	if (blob->n < head + 1 || hash_load32(c->p) != blob->n)
		return bad(c, "it is not as long as it says");
	if (c->p[c->n - 1] != END)
		return bad(c, "it does not end with an end");
	c->said = load16(c->p + count_at);
	return true;
}

bool listpack_open(struct compact *c, const struct arg *blob)
{
	return open_head(c, blob, LP_HEAD, 4);
}

bool ziplist_open(struct compact *c, const struct arg *blob)
{
	bool ok = open_head(c, blob, ZL_HEAD, 8);
	c->ziplist = true;
	if (ok && hash_load32(c->p + 4) > c->n - 1)
		return bad(c, "its last entry lies beyond its end");
	return ok;
}

/* What an entry holds: bytes at `at`, or a number. */
struct content {
	bool number;
	int64_t value;
	size_t at, n; /* of the text; n is also what a number takes */
};

/* A little-endian number of n bytes with sign. */
static int64_t signed_of(const unsigned char *p, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return n == 8 ? (int64_t)v : (int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n);
}

static bool number_at(struct compact *c, size_t at, unsigned n, struct content *out)
{
	if (left(c, at) < n)
		return bad(c, "an entry beyond its end");
	*out = (struct content){.number = true, .value = signed_of(c->p + at, n), .at = at, .n = n};
	return true;
}

static bool text_at(struct compact *c, size_t at, uint64_t n, struct content *out)
{
	if (left(c, at) < n)
		return bad(c, "an entry beyond its end");
	*out = (struct content){.at = at, .n = n};
	return true;
}

static bool listpack_content(struct compact *c, size_t at, struct content *out)
{
	static const unsigned char widths[] = {2, 3, 4, 8};
	unsigned head = c->p[at];
	if (head < 0x80) {
		*out = (struct content){.number = true, .value = head, .at = at + 1};
		return true;
	}
	if (head < 0xc0)
		return text_at(c, at + 1, head & 0x3f, out);
	if (left(c, at) < 2)
		return bad(c, "an entry beyond its end");
	if (head < 0xe0) {
		int64_t v = (int64_t)(head & 0x1f) << 8 | c->p[at + 1];
		*out = (struct content){.number = true, .value = v >= 1 << 12 ? v - (1 << 13) : v, .at = at + 1, .n = 1};
		return true;
	}
	if (head < 0xf0)
		return text_at(c, at + 2, (uint64_t)(head & 0x0f) << 8 | c->p[at + 1], out);
	if (head == 0xf0)
		return left(c, at) < 5 ? bad(c, "an entry beyond its end") : text_at(c, at + 5, hash_load32(c->p + at + 1), out);
	if (head <= 0xf4)
		return number_at(c, at + 1, widths[head - 0xf1], out);
	return bad(c, "an entry of a kind that is not known");
}

static bool ziplist_content(struct compact *c, size_t at, struct content *out)
{
	unsigned head = c->p[at];
	switch (head >> 6) {
	case 0:
		return text_at(c, at + 1, head, out);
	case 1:
		return left(c, at) < 2 ? bad(c, "an entry beyond its end") : text_at(c, at + 2, (uint64_t)(head & 0x3f) << 8 | c->p[at + 1], out);
	case 2:
		return left(c, at) < 5 ? bad(c, "an entry beyond its end")
				       : text_at(c, at + 5, __builtin_bswap32(hash_load32(c->p + at + 1)), out);
	}
	switch (head) {
	case 0xc0:
		return number_at(c, at + 1, 2, out);
	case 0xd0:
		return number_at(c, at + 1, 4, out);
	case 0xe0:
		return number_at(c, at + 1, 8, out);
	case 0xf0:
		return number_at(c, at + 1, 3, out);
	case 0xfe:
		return number_at(c, at + 1, 1, out);
	}
	if (head < 0xf1 || head > 0xfd)
		return bad(c, "an entry of a kind that is not known");
	*out = (struct content){.number = true, .value = (int64_t)(head & 0x0f) - 1, .at = at + 1};
	return true;
}

/* The length of an entry, backwards: 7 bits a byte, the last one first, the others marked. */
static bool listpack_length_follows(struct compact *c, uint64_t n, size_t *at)
{
	unsigned bytes = n < 1u << 7 ? 1 : n < 1u << 14 ? 2 : n < 1u << 21 ? 3 : n < 1u << 28 ? 4 : 5;
	if (left(c, *at) < bytes)
		return bad(c, "an entry beyond its end");
	for (unsigned i = 0; i < bytes; i++)
		if (c->p[*at + i] != ((n >> (7 * (bytes - 1 - i)) & 0x7f) | (i ? 0x80 : 0)))
			return bad(c, "an entry whose length does not stand behind it");
	*at += bytes;
	return true;
}

static bool ziplist_length_before(struct compact *c, size_t *at)
{
	uint64_t before = c->p[*at];
	if (left(c, *at) < (before < BIG_BEFORE ? 2u : 6u))
		return bad(c, "an entry beyond its end");
	if (before >= BIG_BEFORE)
		before = hash_load32(c->p + *at + 1);
	*at += c->p[*at] < BIG_BEFORE ? 1 : 5;
	return before == c->before || bad(c, "an entry that does not know the length of the one before it");
}

static bool at_end(struct compact *c)
{
	if (c->at != c->n - 1)
		return bad(c, "it ends before its end");
	if (c->said != COMPACT_UNKNOWN && c->said != c->count)
		return bad(c, "it does not have as many entries as it says");
	if (c->ziplist && c->count && hash_load32(c->p + 4) != c->entry)
		return bad(c, "its last entry is not where it says");
	return false;
}

bool compact_next(struct compact *c, struct compact_entry *e)
{
	struct content in;
	size_t at = c->at;
	if (c->why)
		return false;
	if (at >= c->n)
		return bad(c, "it has no end");
	if (c->p[at] == END)
		return at_end(c);
	if (c->ziplist && !ziplist_length_before(c, &at))
		return false;
	if (!(c->ziplist ? ziplist_content(c, at, &in) : listpack_content(c, at, &in)))
		return false;
	at = in.at + in.n;
	if (!c->ziplist && !listpack_length_follows(c, at - c->at, &at))
		return false;
	c->entry = c->at;
	c->before = at - c->at;
	c->at = at;
	c->count++;
	e->text = (struct arg){(const char *)c->p + in.at, in.n};
	if (in.number)
		e->text = (struct arg){e->digits, format_i64(e->digits, in.value)};
	return true;
}

/* ---- zipmap ---- */

static bool zipmap_bad(struct zipmap *z, const char *why)
{
	z->why = why;
	return false;
}

bool zipmap_open(struct zipmap *z, const struct arg *blob)
{
	*z = (struct zipmap){.p = (const unsigned char *)blob->p, .n = blob->n, .at = 1};
	if (blob->n < 2 || z->p[z->n - 1] != END)
		return zipmap_bad(z, "it does not end with an end");
	return true;
}

/* A length and its bytes, with `more` bytes between. */
static bool zipmap_text(struct zipmap *z, struct arg *out, bool value)
{
	size_t room = z->n - z->at;
	if (room < 1 || z->p[z->at] == END)
		return zipmap_bad(z, "a field without a value");
	size_t head = z->p[z->at] < ZM_BIG ? 1 : 5;
	if (room < head + value)
		return zipmap_bad(z, "an entry beyond its end");
	uint64_t n = head == 1 ? z->p[z->at] : hash_load32(z->p + z->at + 1);
	uint64_t unused = value ? z->p[z->at + head] : 0;
	room -= head + value;
	if (n + unused > room)
		return zipmap_bad(z, "an entry beyond its end");
	*out = (struct arg){(const char *)z->p + z->at + head + value, n};
	z->at += head + value + n + unused;
	return true;
}

bool zipmap_next(struct zipmap *z, struct arg *field, struct arg *value)
{
	if (z->why)
		return false;
	if (z->at >= z->n)
		return zipmap_bad(z, "it has no end");
	if (z->p[z->at] == END) {
		if (z->at != z->n - 1)
			return zipmap_bad(z, "it ends before its end");
		if (z->p[0] < ZM_BIG && z->p[0] != z->count)
			return zipmap_bad(z, "it does not have as many entries as it says");
		return false;
	}
	if (!zipmap_text(z, field, false) || !zipmap_text(z, value, true))
		return false;
	z->count++;
	return true;
}

/* ---- intset ---- */

const char *intset_open(struct intset *s, const struct arg *blob)
{
	*s = (struct intset){.p = (const unsigned char *)blob->p};
	if (blob->n < 8)
		return "it has no head";
	s->width = hash_load32(s->p);
	s->count = hash_load32(s->p + 4);
	if (s->width != 2 && s->width != 4 && s->width != 8)
		return "its numbers have no size that there is";
	if (8 + s->count * s->width != blob->n)
		return "it is not as long as it says";
	return s->count ? NULL : "it is empty";
}

bool intset_next(struct intset *s, int64_t *out)
{
	if (s->next == s->count)
		return false;
	*out = signed_of(s->p + 8 + s->next++ * s->width, s->width);
	return true;
}
