/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands as clients send them: RESP arrays of bulk strings, and inline commands (a line of words).
 *
 * The reader appends what it receives to one struct buf and calls resp_parse() until it says PARSE_MORE. Nothing is
 * copied: arguments point into the buffer. Between calls the parser keeps offsets from the start of the unfinished
 * command, so the buffer may grow (and move) and no byte is scanned twice. A reader's loop:
 *
 *     while ((r = resp_parse(&parser, &in, &limits)) == PARSE_COMMAND)
 *         execute(parser.argc, parser.argv);
 *     if (r == PARSE_MORE) {
 *         resp_parser_compact(&parser, &in);
 *         size_t room = parser.wanted > 16384 ? parser.wanted : 16384;
 *         n = recv(fd, buf_reserve(&in, room), room, 0);
 *         in.len += n;
 *     }
 */
#ifndef WIRE_RESP_PARSE_H
#define WIRE_RESP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"

enum resp_result {
	PARSE_COMMAND, /* argc >= 1 arguments are in argv */
	PARSE_MORE,    /* the bytes so far are fine, but not a whole command */
	PARSE_ERROR, /* `error` says what is wrong; reply "ERR " and it, then close: the stream has no sense any more */
	PARSE_SECURITY, /* POST or Host:, a browser tricked into talking to us: log it and close, no reply */
};

struct resp_limits {
	bool authenticated;         /* false: at most 10 arguments of at most 16,384 bytes */
	int64_t proto_max_bulk_len; /* longest bulk string, bytes */
};

#define RESP_BIG_BULK 32768   /* from this size on a bulk string is announced in `wanted` */
#define RESP_INLINE_MAX 65536 /* longest inline command and longest header line */
#define RESP_UNAUTH_ARGS 10
#define RESP_UNAUTH_BULK 16384

struct resp_parser {
	/* For the caller to read. */
	size_t argc;            /* after PARSE_COMMAND */
	const struct arg *argv; /* points into `in`: valid until the next resp_parse, compact or change of `in` */
	size_t consumed;        /* offset in `in` of the first byte that belongs to no command returned so far */
	char error[64];         /* after PARSE_ERROR: "Protocol error: ..." as Redis says it */

	/* After PARSE_MORE: bytes still missing from a bulk string of RESP_BIG_BULK or more, its end of line included,
	 * so that the reader can make room for it once; otherwise 0. */
	size_t wanted;

	/* The parser's own. Offsets count from `consumed`. */
	struct arg_list args; /* while a command is unfinished, p holds an offset */
	int64_t args_left;    /* of an array under way; 0: none under way */
	int64_t bulk_len;     /* of the bulk string under way; -1: its header is next */
	size_t pos;           /* next byte to look at */
	size_t scanned;       /* no end of line before this offset */
};

void resp_parser_init(struct resp_parser *p);
void resp_parser_deinit(struct resp_parser *p);

/* Takes the next command from `in` at `consumed`. Empty lines and arrays of no or a negative length are skipped without
 * a result. Inline commands are unquoted in place, so `in` is written to. After PARSE_ERROR or PARSE_SECURITY do not
 * call it again. */
enum resp_result resp_parse(struct resp_parser *p, struct buf *in, const struct resp_limits *limits);

/* Moves what is not consumed to the front of `in`. Invalidates argv. Call it before reading more. */
void resp_parser_compact(struct resp_parser *p, struct buf *in);

/* Gives back what an unusually long command made it keep. Only when no command is under way (it checks). */
void resp_parser_trim(struct resp_parser *p);

#endif
