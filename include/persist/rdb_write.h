/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the RDB format, version 10, as redis-server 7.0 does: to a file in pieces, or to memory (payloads of DUMP).
 *
 *	struct rdb_writer w = {.fd = fd, .sum = true, .compress = true};
 *	rdb_write_start(&w);
 *	rdb_write_aux(&w, ...); rdb_write_db(&w, ...); rdb_write_key(&w, ...) ...
 *	ok = rdb_write_end(&w);
 *	rdb_writer_deinit(&w);
 *
 * After a failed write everything else does nothing; w.error says why.
 */
#ifndef BULKHEAD_PERSIST_RDB_WRITE_H
#define BULKHEAD_PERSIST_RDB_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/keyspace.h"

struct lzf;

struct rdb_writer {
	/* Set by the user; the rest begins as zeros. */
	int fd;             /* -1: all stays in `out` */
	bool sum;           /* the file ends with its checksum, else with zeros */
	bool compress;      /* strings, where that makes them shorter */
	bool sync;          /* has the kernel write to the disk on the way, so that the end need not wait for all of it */
	void (*pause)(void); /* called between two pieces of at most RDB_PIECE bytes; NULL: nothing is */

	struct buf out;     /* what is not written yet */
	int error;          /* errno of the first write that failed */
	uint64_t written;   /* bytes that went to fd */
	uint64_t begun;     /* of these, bytes the kernel was told to write to the disk */
	uint64_t crc;
	struct lzf *lzf;    /* made when first needed */
	struct buf packed;
};
#define RDB_PIECE (128u << 10)

void rdb_writer_deinit(struct rdb_writer *w);

/* The head of a file. */
void rdb_write_start(struct rdb_writer *w);
void rdb_write_aux(struct rdb_writer *w, const char *name, const char *text);
void rdb_write_aux_i64(struct rdb_writer *w, const char *name, int64_t n);

/* The keys that follow are this database's. The numbers, which tell a loader how much room to make, need not be exact. */
void rdb_write_db(struct rdb_writer *w, uint32_t db, uint64_t keys, uint64_t expires);

/* The code of a library of functions. */
void rdb_write_function(struct rdb_writer *w, const void *code, size_t n);

/* The end of what DUMP and FUNCTION DUMP answer: the format's version, and the sum of all. */
void rdb_write_footer(struct buf *b);

/* A key with its value and due time. `idle`: seconds, `freq`: 0 to 255; each -1: not told. */
void rdb_write_key(struct rdb_writer *w, const char *key, size_t n, const struct view *v, int64_t idle, int freq);

/* A value alone: its type, and what it is. */
void rdb_write_value(struct rdb_writer *w, const struct view *v);

/* Bytes as they are, for what goes to a file the same way. */
void rdb_write_raw(struct rdb_writer *w, const void *p, size_t n);

/* Writes all that is left; true: everything was written. */
bool rdb_write_flush(struct rdb_writer *w);

/* The end of a file. Writes all that is left; true: everything was written. It is not synced. */
bool rdb_write_end(struct rdb_writer *w);

#endif
