/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of the RDB format, versions 1 to 11: what introduces a record, a value, a length. For who reads and who writes it.
 *
 * A file: "REDIS" and four digits of the version; records, each an opcode or a value's type and what belongs to it; RDB_OP_EOF; from version
 * RDB_VERSION_SUM on the CRC-64 of all before it, 8 bytes little-endian, 0 where none was made. The payload of DUMP: a value's type, the value,
 * the version in 2 bytes, the CRC-64 of all before it.
 */
#ifndef BULKHEAD_PERSIST_RDB_FORMAT_H
#define BULKHEAD_PERSIST_RDB_FORMAT_H

#define RDB_MAGIC "REDIS"
#define RDB_HEAD_BYTES 9u      /* the magic and the version's digits */
#define RDB_VERSION 10u        /* what we write, as redis-server 7.0 does */
#define RDB_VERSION_READ 11u   /* the newest we read */
#define RDB_VERSION_SUM 5u     /* the oldest that ends with a checksum */
#define RDB_FOOTER_BYTES 10u   /* of a payload of DUMP: version and checksum */

/* Records that are no key. */
enum rdb_opcode {
	RDB_OP_SLOT_INFO = 244,       /* three lengths: a cluster's slot, its keys, those with an expiry */
	RDB_OP_FUNCTION2 = 245,       /* a library's code, a string */
	RDB_OP_FUNCTION_PRE_GA = 246, /* the same as release candidates of version 7 wrote it */
	RDB_OP_MODULE_AUX = 247,      /* what a module keeps beside its keys */
	RDB_OP_IDLE = 248,            /* seconds the next key has not been used, a length */
	RDB_OP_FREQ = 249,            /* its LFU counter, a byte */
	RDB_OP_AUX = 250,             /* a name and a text, strings */
	RDB_OP_RESIZEDB = 251,        /* two lengths: keys of the database, those with an expiry */
	RDB_OP_EXPIRE_MS = 252,       /* the next key's due time, 8 bytes little-endian */
	RDB_OP_EXPIRE = 253,          /* the same in seconds, 4 bytes */
	RDB_OP_SELECTDB = 254,        /* a length */
	RDB_OP_EOF = 255,
};

/* Types of values: number, its type's name for people, the name redis-check-rdb has for the encoding. */
#define RDB_TYPES(X)                                                                                                   \
	X(STRING, 0, "string", "string")                                                                               \
	X(LIST, 1, "list", "list-linked")                                                                              \
	X(SET, 2, "set", "set-hashtable")                                                                              \
	X(ZSET, 3, "zset", "zset-v1")                                                                                  \
	X(HASH, 4, "hash", "hash-hashtable")                                                                           \
	X(ZSET_2, 5, "zset", "zset-v2")                                                                                \
	X(MODULE, 6, "module", "module-value")                                                                         \
	X(MODULE_2, 7, "module", "module-value-2")                                                                     \
	X(HASH_ZIPMAP, 9, "hash", "hash-zipmap")                                                                       \
	X(LIST_ZIPLIST, 10, "list", "list-ziplist")                                                                    \
	X(SET_INTSET, 11, "set", "set-intset")                                                                         \
	X(ZSET_ZIPLIST, 12, "zset", "zset-ziplist")                                                                    \
	X(HASH_ZIPLIST, 13, "hash", "hash-ziplist")                                                                    \
	X(LIST_QUICKLIST, 14, "list", "quicklist")                                                                     \
	X(STREAM_LISTPACKS, 15, "stream", "stream")                                                                    \
	X(HASH_LISTPACK, 16, "hash", "hash-listpack")                                                                  \
	X(ZSET_LISTPACK, 17, "zset", "zset-listpack")                                                                  \
	X(LIST_QUICKLIST_2, 18, "list", "quicklist-v2")                                                                \
	X(STREAM_LISTPACKS_2, 19, "stream", "stream-v2")                                                               \
	X(SET_LISTPACK, 20, "set", "set-listpack")                                                                     \
	X(STREAM_LISTPACKS_3, 21, "stream", "stream-v3")

enum rdb_type {
#define X(id, number, name, encoding) RDB_##id = number,
	RDB_TYPES(X)
#undef X
};

/*
 * A length: the two upper bits of its first byte say which. 6 bits: the rest of the byte; 14 bits: and another one, big-endian; 32, 64: 4 or 8
 * bytes after it, big-endian; RDB_LEN_CODED: no length, the rest of the byte says how the string is coded.
 */
enum rdb_length {
	RDB_LEN_6 = 0x00,
	RDB_LEN_14 = 0x40,
	RDB_LEN_32 = 0x80,
	RDB_LEN_64 = 0x81,
	RDB_LEN_CODED = 0xc0,
};
#define RDB_LEN_KIND 0xc0u

/* Coded strings: a number of 1, 2, 4 bytes, little-endian; LZF: compressed length, length, compressed bytes. */
enum rdb_coded { RDB_CODED_INT8, RDB_CODED_INT16, RDB_CODED_INT32, RDB_CODED_LZF };

/* The first byte of a score in RDB_ZSET: the length of its text, or one of these. */
enum rdb_old_score { RDB_SCORE_NAN = 253, RDB_SCORE_INF = 254, RDB_SCORE_MINUS_INF = 255 };

/* What stands between the parts of a module's value, each a length. */
enum rdb_module_part { RDB_PART_EOF, RDB_PART_SINT, RDB_PART_UINT, RDB_PART_FLOAT, RDB_PART_DOUBLE, RDB_PART_STRING };

/* How a node of RDB_LIST_QUICKLIST_2 is kept. */
enum rdb_node { RDB_NODE_PLAIN = 1, RDB_NODE_PACKED = 2 };

#endif
