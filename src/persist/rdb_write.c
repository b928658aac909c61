/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing RDB (persist/rdb_write.h, persist/rdb_format.h).
 *
 * Run by the snapshot into a file and by workers into memory. Values lie in the store and are read where they are: under a pin, or in a transaction.
 * Private memory, no locks. A death leaves a file without an end, which nobody takes for one.
 */
#include "persist/rdb_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/io.h"
#include "base/num.h"
#include "persist/lzf.h"
#include "persist/rdb_format.h"

#define NUMBER_DIGITS 11u    /* longer texts are no numbers of 32 bits */
#define COMPRESS_FROM 21u    /* bytes */
#define SYNC_BYTES (4u << 20)

void rdb_writer_deinit(struct rdb_writer *w)
{
	buf_deinit(&w->out);
	buf_deinit(&w->packed);
	free(w->lzf);
	w->lzf = NULL;
}

/* ---- bytes ---- */

/*
 * What was written is on its way to the disk all the time: begins with one stretch, and waits for the one before it, so that no more than two are ever
 * owed, and whoever else writes to this disk is not stuck behind all of them.
 */
static void sync_on_the_way(struct rdb_writer *w)
{
	if (!w->sync || w->written - w->begun < SYNC_BYTES)
		return;
	if (w->begun >= SYNC_BYTES)
		sync_file_range(w->fd, (off_t)(w->begun - SYNC_BYTES), SYNC_BYTES,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	sync_file_range(w->fd, (off_t)w->begun, SYNC_BYTES, SYNC_FILE_RANGE_WRITE);
	w->begun += SYNC_BYTES;
}

static void write_out(struct rdb_writer *w, const void *p, size_t n)
{
	if (w->error || n == 0)
		return;
	if (w->sum)
		w->crc = crc64(w->crc, p, n);
	if (io_write_full(w->fd, p, n)) {
		w->error = errno;
		return;
	}
	w->written += n;
	sync_on_the_way(w);
	if (w->pause)
		w->pause();
}

static void flush(struct rdb_writer *w)
{
	write_out(w, w->out.data, w->out.len);
	buf_clear(&w->out);
}

/* What is long goes to the file from where it lies. */
static void put_long(struct rdb_writer *w, const char *p, size_t n)
{
	flush(w);
	for (; n > 0 && !w->error;) {
		size_t piece = n < RDB_PIECE ? n : RDB_PIECE;
		write_out(w, p, piece);
		p += piece;
		n -= piece;
	}
}

static void put(struct rdb_writer *w, const void *p, size_t n)
{
	if (w->fd >= 0 && w->out.len + n > RDB_PIECE) {
		if (n > RDB_PIECE) {
			put_long(w, p, n);
			return;
		}
		flush(w);
	}
	buf_append(&w->out, p, n);
}

static void put_byte(struct rdb_writer *w, unsigned b)
{
	put(w, &(unsigned char){(unsigned char)b}, 1);
}

static void put_little(struct rdb_writer *w, uint64_t v, unsigned bytes)
{
	unsigned char b[8];
	for (unsigned i = 0; i < bytes; i++)
		b[i] = (unsigned char)(v >> (8 * i));
	put(w, b, bytes);
}

static void put_big(struct rdb_writer *w, unsigned kind, uint64_t v, unsigned bytes)
{
	unsigned char b[9] = {(unsigned char)kind};
	for (unsigned i = 0; i < bytes; i++)
		b[1 + i] = (unsigned char)(v >> (8 * (bytes - 1 - i)));
	put(w, b, 1 + bytes);
}

static void put_length(struct rdb_writer *w, uint64_t n)
{
	if (n < 1u << 6)
		put_byte(w, RDB_LEN_6 | (unsigned)n);
	else if (n < 1u << 14)
		put_big(w, RDB_LEN_14 | (unsigned)(n >> 8), n & 0xff, 1);
	else if (n <= UINT32_MAX)
		put_big(w, RDB_LEN_32, n, 4);
	else
		put_big(w, RDB_LEN_64, n, 8);
}

/* ---- strings ---- */

static void put_number(struct rdb_writer *w, int64_t v)
{
	static const unsigned bytes[] = {[RDB_CODED_INT8] = 1, [RDB_CODED_INT16] = 2, [RDB_CODED_INT32] = 4};
	unsigned how = v == (int8_t)v ? RDB_CODED_INT8 : v == (int16_t)v ? RDB_CODED_INT16 : RDB_CODED_INT32;
	put_byte(w, RDB_LEN_CODED | how);
	put_little(w, (uint64_t)v, bytes[how]);
}

/* False: it is not shorter that way, or there is no memory to find out. */
static bool put_compressed(struct rdb_writer *w, const char *p, size_t n)
{
	if (n > LZF_MAX)
		return false;
	if (!w->lzf)
		w->lzf = calloc(1, sizeof *w->lzf);
	char *room = n <= RDB_PIECE ? buf_reserve(&w->packed, n) : malloc(n);
	size_t got = w->lzf && room ? lzf_compress(w->lzf, p, n, room, n - 4) : 0;
	if (got) {
		put_byte(w, RDB_LEN_CODED | RDB_CODED_LZF);
		put_length(w, got);
		put_length(w, n);
		put(w, room, got);
	}
	if (room != w->packed.data)
		free(room);
	return got != 0;
}

static void put_string(struct rdb_writer *w, const char *p, size_t n)
{
	int64_t number;
	if (n <= NUMBER_DIGITS && parse_i64(p, n, &number) && number == (int32_t)number) {
		put_number(w, number);
		return;
	}
	if (w->compress && n >= COMPRESS_FROM && put_compressed(w, p, n))
		return;
	put_length(w, n);
	put(w, p, n);
}

/* ---- records ---- */

void rdb_write_start(struct rdb_writer *w)
{
	char head[RDB_HEAD_BYTES + 1];
	snprintf(head, sizeof head, RDB_MAGIC "%04u", RDB_VERSION);
	put(w, head, RDB_HEAD_BYTES);
}

void rdb_write_aux(struct rdb_writer *w, const char *name, const char *text)
{
	put_byte(w, RDB_OP_AUX);
	put_string(w, name, strlen(name));
	put_string(w, text, strlen(text));
}

void rdb_write_aux_i64(struct rdb_writer *w, const char *name, int64_t n)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, n);
	rdb_write_aux(w, name, text);
}

void rdb_write_db(struct rdb_writer *w, uint32_t db, uint64_t keys, uint64_t expires)
{
	put_byte(w, RDB_OP_SELECTDB);
	put_length(w, db);
	put_byte(w, RDB_OP_RESIZEDB);
	put_length(w, keys);
	put_length(w, expires);
}

void rdb_write_function(struct rdb_writer *w, const void *code, size_t n)
{
	put_byte(w, RDB_OP_FUNCTION2);
	put_string(w, code, n);
}

void rdb_write_footer(struct buf *b)
{
	buf_append(b, (const unsigned char[]){RDB_VERSION & 0xff, RDB_VERSION >> 8}, 2);
	uint64_t sum = crc64(0, b->data, b->len);
	for (int i = 0; i < 8; i++)
		buf_append_char(b, (char)(sum >> (8 * i)));
}

void rdb_write_key(struct rdb_writer *w, const char *key, size_t n, const struct view *v, int64_t idle, int freq)
{
	if (v->due != DUE_NONE) {
		put_byte(w, RDB_OP_EXPIRE_MS);
		put_little(w, (uint64_t)v->due, 8);
	}
	if (idle >= 0) {
		put_byte(w, RDB_OP_IDLE);
		put_length(w, (uint64_t)idle);
	}
	if (freq >= 0) {
		put_byte(w, RDB_OP_FREQ);
		put_byte(w, (unsigned)freq);
	}
	/* The type comes before the key, the value after it. */
	put_byte(w, RDB_STRING);
	put_string(w, key, n);
	put_string(w, v->value, v->len);
}

void rdb_write_value(struct rdb_writer *w, const struct view *v)
{
	put_byte(w, RDB_STRING);
	put_string(w, v->value, v->len);
}

void rdb_write_raw(struct rdb_writer *w, const void *p, size_t n)
{
	put(w, p, n);
}

bool rdb_write_flush(struct rdb_writer *w)
{
	flush(w);
	return !w->error;
}

bool rdb_write_end(struct rdb_writer *w)
{
	put_byte(w, RDB_OP_EOF);
	flush(w);
	unsigned char sum[8];
	for (unsigned i = 0; i < 8; i++)
		sum[i] = w->sum ? (unsigned char)(w->crc >> (8 * i)) : 0;
	if (!w->error && io_write_full(w->fd, sum, sizeof sum))
		w->error = errno;
	w->written += sizeof sum;
	return !w->error;
}
