/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an RDB: from a descriptor through a buffer, or from memory; its lengths and strings.
 *
 * Any process that reads an RDB. Owns the reader's buffer, private memory. No locks. The buffer grows to what a string takes only as its
 * bytes come in, and what is compressed is given no more room than so many bytes can hold.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc64.h"
#include "base/hash.h"
#include "base/num.h"
#include "persist/lzf.h"
#include "rdb_parts.h"

#define CHUNK (1u << 20)    /* bytes a read asks for */
#define LZF_EXPANSION 132u  /* 264 bytes from 2 or 3 */

bool rdb_fail(struct rdb_reader *r, enum rdb_outcome outcome, uint64_t at, const char *fmt, ...)
{
	va_list ap;
	if (r->outcome != RDB_GOOD)
		return false;
	r->outcome = outcome;
	r->at = at;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, ap);
	va_end(ap);
	return false;
}

void rdb_from_fd(struct rdb_reader *r, int fd, uint64_t size)
{
	*r = (struct rdb_reader){.fd = fd, .size = size, .check_sum = true};
}

void rdb_from_memory(struct rdb_reader *r, const void *p, size_t n)
{
	*r = (struct rdb_reader){.fd = -1, .p = p, .n = n, .size = n, .check_sum = true};
}

void rdb_reader_deinit(struct rdb_reader *r)
{
	buf_deinit(&r->buffer);
	buf_deinit(&r->name);
	buf_deinit(&r->scratch[0]);
	buf_deinit(&r->scratch[1]);
}

uint64_t rdb_sum(struct rdb_reader *r)
{
	if (r->summing)
		r->sum = crc64(r->sum, r->p + r->summed, r->next - r->summed);
	r->summed = r->next;
	return r->sum;
}

static bool ends_here(struct rdb_reader *r)
{
	return rdb_fail(r, RDB_SHORT, r->before + r->n, "it ends too early");
}

/* Drops what is used up. */
static void make_room(struct rdb_reader *r)
{
	rdb_sum(r);
	buf_consume(&r->buffer, r->next);
	buf_trim(&r->buffer, 2 * CHUNK);
	r->before += r->next;
	r->n -= r->next;
	r->next = r->summed = 0;
}

bool rdb_fill(struct rdb_reader *r, uint64_t n)
{
	if (r->fd < 0 || (r->size != UINT64_MAX && (r->size < rdb_offset(r) || n > r->size - rdb_offset(r)))) {
		if (r->fd >= 0) /* what is missing is missing at the end of all */
			return rdb_fail(r, RDB_SHORT, r->size, "it ends too early");
		return ends_here(r);
	}
	make_room(r);
	while (r->n < n) {
		buf_reserve(&r->buffer, CHUNK);
		r->p = (const unsigned char *)r->buffer.data;
		ssize_t got = read(r->fd, r->buffer.data + r->n, CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return rdb_fail(r, RDB_IO, r->before + r->n, "it cannot be read: %s", strerror(errno));
		if (got == 0)
			return ends_here(r);
		r->buffer.len = r->n += (size_t)got;
		if (r->sink && r->sink->progress)
			r->sink->progress(r->sink->arg, r->before + r->n);
	}
	return true;
}

bool rdb_byte(struct rdb_reader *r, unsigned char *out)
{
	const unsigned char *p = rdb_take(r, 1);
	if (p)
		*out = *p;
	return p;
}

bool rdb_u64(struct rdb_reader *r, uint64_t *out)
{
	const unsigned char *p = rdb_take(r, 8);
	if (p)
		*out = hash_load64(p);
	return p;
}

static bool big_endian(struct rdb_reader *r, unsigned n, uint64_t *out)
{
	const unsigned char *p = rdb_take(r, n);
	*out = 0;
	for (unsigned i = 0; p && i < n; i++)
		*out = *out << 8 | p[i];
	return p;
}

bool rdb_length(struct rdb_reader *r, uint64_t *out, bool *coded)
{
	uint64_t at = rdb_offset(r), low;
	unsigned char first;
	if (coded)
		*coded = false;
	if (!rdb_byte(r, &first))
		return false;
	*out = first & ~RDB_LEN_KIND;
	switch (first & RDB_LEN_KIND) {
	case RDB_LEN_6:
		return true;
	case RDB_LEN_14:
		if (!big_endian(r, 1, &low))
			return false;
		*out = *out << 8 | low;
		return true;
	case RDB_LEN_CODED:
		if (!coded)
			return rdb_fail(r, RDB_DAMAGED, at, "no length, but the head of a coded string (%02x)", first);
		return *coded = true;
	}
	if (first == RDB_LEN_32)
		return big_endian(r, 4, out);
	if (first == RDB_LEN_64)
		return big_endian(r, 8, out);
	return rdb_fail(r, RDB_DAMAGED, at, "no such kind of length: %02x", first);
}

static bool number(struct rdb_reader *r, uint64_t kind, struct arg *out, struct buf *scratch)
{
	unsigned n = 1u << kind;
	const unsigned char *p = rdb_take(r, n);
	if (!p)
		return false;
	uint32_t bits = 0;
	for (unsigned i = 0; i < n; i++)
		bits |= (uint32_t)p[i] << (8 * i);
	int64_t v = n == 1 ? (int8_t)bits : n == 2 ? (int16_t)bits : (int32_t)bits;
	scratch->len = 0;
	char *to = buf_reserve(scratch, 21);
	scratch->len = format_i64(to, v);
	*out = (struct arg){to, scratch->len};
	return true;
}

static bool compressed(struct rdb_reader *r, uint64_t at, struct arg *out, struct buf *scratch)
{
	uint64_t small, large;
	if (!rdb_length(r, &small, NULL) || !rdb_length(r, &large, NULL))
		return false;
	const unsigned char *p = rdb_take(r, small);
	if (!p)
		return false;
	if (large == 0 || large / LZF_EXPANSION > small || large > UINT32_MAX)
		return rdb_fail(r, RDB_DAMAGED, at, "a compressed string of %llu bytes that claims to hold %llu", (unsigned long long)small,
				(unsigned long long)large);
	scratch->len = 0;
	char *to = buf_reserve(scratch, large);
	if (lzf_decompress(p, small, to, large) != large)
		return rdb_fail(r, RDB_DAMAGED, at, "a compressed string that cannot be decompressed");
	scratch->len = large;
	*out = (struct arg){to, large};
	return true;
}

bool rdb_string(struct rdb_reader *r, struct arg *out, struct buf *scratch)
{
	uint64_t at = rdb_offset(r), n;
	bool coded;
	if (!rdb_length(r, &n, &coded))
		return false;
	if (coded) {
		if (n <= RDB_CODED_INT32)
			return number(r, n, out, scratch);
		if (n == RDB_CODED_LZF)
			return compressed(r, at, out, scratch);
		return rdb_fail(r, RDB_DAMAGED, at, "a string coded in a way that is not known: %llu", (unsigned long long)n);
	}
	if (n > UINT32_MAX)
		return rdb_fail(r, RDB_DAMAGED, at, "a string of %llu bytes", (unsigned long long)n);
	const unsigned char *p = rdb_take(r, n);
	*out = (struct arg){(const char *)p, n};
	return p;
}

bool rdb_string_kept(struct rdb_reader *r, struct arg *out, struct buf *scratch)
{
	if (!rdb_string(r, out, scratch))
		return false;
	if (scratch->data == NULL || out->p != scratch->data) {
		buf_clear(scratch);
		buf_append(scratch, out->p, out->n);
		out->p = scratch->data ? scratch->data : "";
	}
	return true;
}
