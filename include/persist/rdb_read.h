/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading RDB: whole files of versions 1 to 11, and single values (RESTORE).
 *
 * A reader takes its bytes from a descriptor or from memory and hands what it finds to a sink. Every value is walked and checked to its
 * last byte, whether or not the sink wants its parts. Lengths are not believed before the bytes are there: nothing is allocated
 * for a length alone, no check reads beyond what was read, nothing recurses.
 *
 * Run by the loader, by workers (RESTORE), by bulkhead-check-rdb and by tests: private memory, no locks.
 */
#ifndef BULKHEAD_PERSIST_RDB_READ_H
#define BULKHEAD_PERSIST_RDB_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "persist/rdb_format.h"

#define RDB_NO_DUE INT64_MIN /* = DUE_NONE */

/* What stands before a value. */
struct rdb_key {
	struct arg name;     /* valid during the callback */
	uint64_t offset;     /* where the record begins, its expiry included; counted from the file's start */
	int64_t due;         /* wall ms; RDB_NO_DUE: never */
	int64_t idle;        /* seconds; -1: not said */
	int32_t freq;        /* LFU counter, 0 to 255; -1: not said */
	uint32_t db;
	uint8_t type;        /* enum rdb_type */
	const char *type_name; /* "list", "stream" ..., as TYPE says it */
};

/* The parts of values other than strings, in the order they are handed out. */
enum rdb_part {
	RDB_ELEMENT,  /* list: a, from head to tail */
	RDB_MEMBER,   /* set: a; zset: a and score */
	RDB_FIELD,    /* hash: a and its value b */
	RDB_ENTRY,    /* stream: the entry id, with n fields, which follow as RDB_FIELD */
	RDB_STREAM,   /* stream, after all entries: n of them; id is the last one ever added, first, max_deleted, added */
	RDB_GROUP,    /* a group of it: its name a, last delivered id, entries read `added` (-1: not known) */
	RDB_PENDING,  /* of the group: entry id, delivered at `time` ms, `n` times */
	RDB_CONSUMER, /* of the group: its name a, seen at `time`, active at `active` ms (-1: never) */
	RDB_OWNED,    /* of the consumer: entry id is pending with it */
};

struct rdb_id {
	uint64_t ms, seq;
};

struct rdb_element {
	enum rdb_part part;
	struct arg a, b; /* valid during the callback */
	double score;
	uint64_t n;
	struct rdb_id id, first, max_deleted;
	int64_t added, time, active;
};

/*
 * Where what was read goes. Each function may be NULL. Those that return a text stop the reading with it (it must last until rdb_read
 * has returned); NULL: go on.
 */
struct rdb_sink {
	void *arg;

	/* A key whose value is a string. `value` is valid during the callback; numbers come as their digits. */
	const char *(*string)(void *arg, const struct rdb_key *key, const struct arg *value);

	/*
	 * Any other key: begin, its parts, end. Only at its end it is known to be good. `expected`: how many elements it says to have, 0 where it
	 * does not; not to be believed. Who does not hold the type says so in `end`, where all of the value has been checked. A module's value has no parts.
	 */
	const char *(*begin)(void *arg, const struct rdb_key *key, uint64_t expected);
	const char *(*element)(void *arg, const struct rdb_key *key, const struct rdb_element *e);
	const char *(*end)(void *arg, const struct rdb_key *key);

	/* A collection without an element, which no server holds: instead of `end`. Without this function it is an error. */
	const char *(*empty)(void *arg, const struct rdb_key *key);

	const char *(*database)(void *arg, uint32_t db); /* SELECTDB, checked against nothing */
	const char *(*sizes)(void *arg, uint32_t db, uint64_t keys, uint64_t expires);
	const char *(*aux)(void *arg, const struct arg *name, const struct arg *text);
	const char *(*function)(void *arg, const struct arg *code);

	/* A module's value or its own data were passed over: `name` of 9 letters. Value: key is given. For a warning in the log. */
	void (*module)(void *arg, const struct rdb_key *key, const char *name);

	/* So many bytes have been read: about once per MiB, and at the end. */
	void (*progress)(void *arg, uint64_t offset);
};

enum rdb_outcome {
	RDB_GOOD,
	RDB_SHORT,   /* it ends too early */
	RDB_DAMAGED, /* what stands at `at` cannot be */
	RDB_BAD_SUM, /* the checksum is another one */
	RDB_REFUSED, /* the sink stopped it */
	RDB_IO,      /* it could not be read */
};

/* What the reader is at, for people: index into rdb_doing_text. */
enum rdb_doing { RDB_AT_START, RDB_AT_TYPE, RDB_AT_EXPIRE, RDB_AT_KEY, RDB_AT_VALUE, RDB_AT_SUM, RDB_AT_LENGTH, RDB_AT_AUX, RDB_AT_MODULE, RDB_AT_FUNCTION };

struct rdb_reader {
	/* To be set after rdb_from_fd or rdb_from_memory. */
	bool deep;          /* sanitize-dump-payload: also look for what is twice in compact encodings */
	bool keep_modules;  /* a module's value is handed to begin and end; else it is passed over with `module` */
	bool check_sum;     /* rdbchecksum: a file's checksum is verified */

	/* How it went. */
	enum rdb_outcome outcome;
	enum rdb_doing doing;
	uint64_t at;         /* RDB_GOOD: where the file ends; else the offset of what is wrong */
	uint32_t version;
	uint64_t keys, expires; /* read whole; those among them with a due time */
	bool sum_was_off;    /* the file has none */
	struct rdb_key key;  /* the one last begun; key.name is kept after an error */
	bool in_key;         /* the error is within it */
	char why[256];       /* in words, without the offset */

	/* Its own. */
	const unsigned char *p; /* bytes at hand */
	size_t n, next;         /* how many, and how many of them are used up */
	uint64_t before;        /* offset of p[0] */
	uint64_t size;          /* of all; UINT64_MAX: not known */
	uint64_t sum;           /* of all before p[summed] */
	size_t summed;
	bool summing;
	int fd;                 /* -1: memory */
	struct buf buffer, name, scratch[2];
	const struct rdb_sink *sink;
};

/* Reads from the descriptor, where it stands, offset 0 there; `size` bytes are to be had, or UINT64_MAX if nobody knows. It may be read beyond the end of the RDB. */
void rdb_from_fd(struct rdb_reader *r, int fd, uint64_t size);

/* Reads n bytes of memory, which must not change. */
void rdb_from_memory(struct rdb_reader *r, const void *p, size_t n);

/* Gives back its memory. */
void rdb_reader_deinit(struct rdb_reader *r);

/* Reads a whole file. True: RDB_GOOD. */
bool rdb_read(struct rdb_reader *r, const struct rdb_sink *sink);

/*
 * Reads one value of `type` (the byte before it has been read), all of what is there; `key` is what the sink is told. True: RDB_GOOD. The
 * payload of DUMP is checked with rdb_payload_ok first.
 */
bool rdb_read_value(struct rdb_reader *r, uint8_t type, const struct rdb_key *key, const struct rdb_sink *sink);

/* Whether n bytes end as a payload of DUMP does: a version we read and, with `sum`, its checksum. */
bool rdb_payload_ok(const void *p, size_t n, bool sum);

/* The type's name as TYPE says it; NULL: no such type. rdb_encoding_name: the encoding's, as redis-check-rdb says it. */
const char *rdb_type_name(uint8_t type);
const char *rdb_encoding_name(uint8_t type);
const char *rdb_doing_text(enum rdb_doing doing);

#endif
