/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies as a server sends them, RESP2 and RESP3, into a tree in private memory: for bulkhead-cli, for the handshake
 * with a leader, for tests. */
#ifndef WIRE_REPLY_PARSE_H
#define WIRE_REPLY_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum reply_type {
	REPLY_STATUS,
	REPLY_ERROR,
	REPLY_INTEGER,
	REPLY_STRING,
	REPLY_NULL, /* $-1, *-1, _ */
	REPLY_ARRAY,
	REPLY_MAP, /* elements are key, value, key, value ... */
	REPLY_SET,
	REPLY_PUSH,
	REPLY_ATTRIBUTE, /* says something about the reply that follows it; elements as for a map */
	REPLY_DOUBLE,    /* text as sent in str */
	REPLY_BOOL,      /* integer 0 or 1 */
	REPLY_VERBATIM,  /* str begins with the three letters of its kind and a colon */
	REPLY_BIGNUM,    /* text as sent in str */
};

struct reply_node {
	enum reply_type type;
	char mark;       /* the first byte on the wire, that tells $-1 from *-1 */
	int64_t integer; /* REPLY_INTEGER, REPLY_BOOL */
	char *str;       /* n bytes and a NUL; owned */
	size_t n;        /* bytes of str, or elements */
	struct reply_node *elem;
};

enum reply_parse_result { REPLY_DONE, REPLY_MORE, REPLY_BROKEN };

/* Aggregates deeper than this are refused, so that code which walks a tree may recurse. */
#define REPLY_DEPTH_MAX 128

struct reply_parser {
	/* For the caller to read. */
	size_t pos;     /* offset in `in` of the first byte that no reply returned so far has used */
	size_t wanted;  /* after REPLY_MORE: bytes missing from a bulk string, 0 if unknown */
	char error[80]; /* after REPLY_BROKEN */

	/* The parser's own. */
	struct reply_frame *stack; /* aggregates under way, the outermost first */
	size_t depth;
	size_t next; /* next byte to look at */
	struct reply_node root;
};

void reply_parser_init(struct reply_parser *p);
void reply_parser_deinit(struct reply_parser *p);

/* Takes one reply from `in` at `pos`. REPLY_DONE: *out is the tree, the caller's to deinit. REPLY_MORE: append to
 * `in` and call again; what was understood is kept. REPLY_BROKEN: what is there is no reply; do not call again. */
enum reply_parse_result reply_parse(struct reply_parser *p, const struct buf *in, struct reply_node *out);

/* Moves what is not used to the front of `in`. Between replies only: call it before reading more after REPLY_DONE, or
 * when pos has grown large. */
void reply_parser_compact(struct reply_parser *p, struct buf *in);

void reply_node_deinit(struct reply_node *n);

#endif
