/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands as clients send them (wire/resp_parse.h).
 *
 * Runs in workers, and in whatever reads RESP commands from a leader or a file. Owns the list of arguments; the bytes
 * are the caller's. Private memory, no locks; a process that dies here was between commands and leaves nothing.
 *
 * This is the path of every command: digits are read by hand in one pass, and what is unusual (a header that is not
 * complete or not a plain number) is looked at again, slowly, only when it occurs. Like redis-server it takes any byte
 * for the \n that follows a \r, and does not look at the two bytes behind a bulk string.
 */
#include "wire/resp_parse.h"

#include <limits.h>
#include <stdio.h>

#include "base/num.h"
#include "base/panic.h"

/* Arguments remembered between commands at most; about 16 kB. */
#define KEEP_ARGS 1024

enum header { HEADER_OK, HEADER_MORE, HEADER_TOO_BIG, HEADER_BAD };

void resp_parser_init(struct resp_parser *p)
{
	*p = (struct resp_parser){.bulk_len = -1};
}

void resp_parser_deinit(struct resp_parser *p)
{
	arg_list_deinit(&p->args);
	resp_parser_init(p);
}

void resp_parser_trim(struct resp_parser *p)
{
	if (p->pos == 0 && p->args_left == 0 && p->args.cap > KEEP_ARGS) {
		arg_list_deinit(&p->args);
		p->argc = 0;
		p->argv = NULL;
	}
}

void resp_parser_compact(struct resp_parser *p, struct buf *in)
{
	buf_consume(in, p->consumed);
	p->consumed = 0;
}

static enum resp_result broken(struct resp_parser *p, const char *what)
{
	snprintf(p->error, sizeof(p->error), "Protocol error: %s", what);
	return PARSE_ERROR;
}

/* Where the line that starts at s ends: its \r (with a byte behind it), or NULL. Remembers how far it has looked. */
static enum header find_return(struct resp_parser *p, const char *base, const char *s, const char *end, const char **cr)
{
	const char *from = base + p->scanned > s ? base + p->scanned : s;
	*cr = from < end ? memchr(from, '\r', (size_t)(end - from)) : NULL;
	if (*cr && end - *cr >= 2)
		return HEADER_OK;
	p->scanned = (size_t)((*cr ? *cr : end) - base);
	return !*cr && end - s > RESP_INLINE_MAX ? HEADER_TOO_BIG : HEADER_MORE;
}

static __attribute__((noinline)) enum header slow_header(struct resp_parser *p, const char *base, const char **s,
							 const char *end, int64_t *out)
{
	const char *cr;
	enum header h = find_return(p, base, *s, end, &cr);
	if (h != HEADER_OK)
		return h;
	if (!parse_i64(*s + 1, (size_t)(cr - *s - 1), out))
		return HEADER_BAD;
	*s = cr + 2;
	return HEADER_OK;
}

/* Reads the number of a header line; *s is at its type byte and moves behind the line. */
static inline enum header header_number(struct resp_parser *p, const char *base, const char **s, const char *end,
					int64_t *out)
{
	const char *c = *s + 1;
	uint64_t v;
	unsigned d;

	/* A number that starts with 1 to 9 and has at most 18 digits, with the line's end in sight. */
	if (end - c < 3 || (d = (unsigned char)*c - (unsigned)'0') - 1 > 8)
		return slow_header(p, base, s, end, out);
	v = d;
	const char *stop = end - c > 19 ? c + 18 : end - 1;
	for (c++; c < stop && (d = (unsigned char)*c - (unsigned)'0') <= 9; c++)
		v = v * 10 + d;
	if (c >= end - 1 || *c != '\r')
		return slow_header(p, base, s, end, out);
	*out = (int64_t)v;
	*s = c + 2;
	return HEADER_OK;
}

/* A web page can make a browser send POST lines here: such a stream is cut off at once. */
static inline bool cross_protocol(const struct arg *name)
{
	if (name->n != 4 && name->n != 5)
		return false;
	return name->n == 4 ? arg_ieq(name, "post") : arg_ieq(name, "host:");
}

/* The command is complete and ends at `end`: the next one starts there. */
static enum resp_result finish(struct resp_parser *p, const char *base, const char *end)
{
	p->argc = p->args.n;
	p->argv = p->args.v;
	p->consumed += (size_t)(end - base);
	p->pos = 0;
	p->scanned = 0;
	char first = p->argv[0].n ? *p->argv[0].p : '\0';
	if ((first == 'p' || first == 'P' || first == 'h' || first == 'H') && cross_protocol(&p->argv[0]))
		return PARSE_SECURITY;
	return PARSE_COMMAND;
}

/* The stream goes on at s, in the middle of a command. */
static inline enum resp_result more(struct resp_parser *p, const char *base, const char *s)
{
	p->pos = (size_t)(s - base);
	return PARSE_MORE;
}

static enum resp_result bad_bulk_header(struct resp_parser *p, const char *base, const char *s, enum header h)
{
	switch (h) {
	case HEADER_MORE:
		return more(p, base, s);
	case HEADER_TOO_BIG:
		return broken(p, "too big bulk count string");
	default:
		return broken(p, "invalid bulk length");
	}
}

/* Something else where $ belongs. Said only when the line is complete, as redis-server does. */
static enum resp_result no_dollar(struct resp_parser *p, const char *base, const char *s, const char *end)
{
	const char *cr;
	enum header h = find_return(p, base, s, end, &cr);
	if (h != HEADER_OK)
		return bad_bulk_header(p, base, s, h);
	char what[] = "expected '$', got '?'";
	what[sizeof(what) - 3] = *s ? *s : ' ';
	return broken(p, what);
}

/* The bulk strings of an array under way, from s on. */
static enum resp_result parse_args(struct resp_parser *p, const char *base, const char *s, const char *end,
				   const struct resp_limits *limits)
{
	for (; p->args_left > 0; p->args_left--) {
		int64_t len = p->bulk_len;
		if (len < 0) {
			if (s == end)
				return more(p, base, s);
			if (*s != '$')
				return no_dollar(p, base, s, end);
			enum header h = header_number(p, base, &s, end, &len);
			if (h != HEADER_OK)
				return bad_bulk_header(p, base, s, h);
			if (len < 0 || len > limits->proto_max_bulk_len)
				return broken(p, "invalid bulk length");
			if (!limits->authenticated && len > RESP_UNAUTH_BULK)
				return broken(p, "unauthenticated bulk length");
		}
		if (end - s < 2 || end - s - 2 < len) {
			p->bulk_len = len;
			if (len >= RESP_BIG_BULK)
				p->wanted = (size_t)len + 2 - (size_t)(end - s);
			return more(p, base, s);
		}
		/* The buffer may move before the command is complete, so this is an offset until then. */
		arg_list_add(&p->args, (const char *)(uintptr_t)(s - base), (size_t)len);
		p->bulk_len = -1;
		s += len + 2;
	}
	for (size_t i = 0; i < p->args.n; i++)
		p->args.v[i].p = base + (uintptr_t)p->args.v[i].p;
	return finish(p, base, s);
}

/* A line of words. Sets *skip if it is empty. */
static enum resp_result parse_inline(struct resp_parser *p, char *base, const char *end, bool *skip)
{
	size_t avail = (size_t)(end - base);
	const char *newline = memchr(base + p->scanned, '\n', avail - p->scanned);
	if (!newline) {
		if (avail > RESP_INLINE_MAX)
			return broken(p, "too big inline request");
		p->scanned = avail;
		return PARSE_MORE;
	}
	size_t n = (size_t)(newline - base);
	if (n > 0 && base[n - 1] == '\r')
		n--;
	if (!str_split_args(base, n, &p->args))
		return broken(p, "unbalanced quotes in request");
	*skip = p->args.n == 0;
	if (!*skip)
		return finish(p, base, newline + 1);
	p->consumed += (size_t)(newline + 1 - base);
	p->scanned = 0;
	return PARSE_MORE;
}

/* The header of an array. Sets *skip if it announces no arguments. On PARSE_COMMAND, *s is at the first of them. */
static enum resp_result parse_array(struct resp_parser *p, const char *base, const char **s, const char *end,
				    const struct resp_limits *limits, bool *skip)
{
	int64_t count;
	enum header h = header_number(p, base, s, end, &count);
	if (h == HEADER_MORE)
		return PARSE_MORE;
	if (h == HEADER_TOO_BIG)
		return broken(p, "too big mbulk count string");
	if (h == HEADER_BAD || count > INT_MAX)
		return broken(p, "invalid multibulk length");
	if (!limits->authenticated && count > RESP_UNAUTH_ARGS)
		return broken(p, "unauthenticated multibulk length");
	*skip = count <= 0;
	if (*skip) {
		p->consumed += (size_t)(*s - base);
		p->scanned = 0;
		return PARSE_MORE;
	}
	p->args.n = 0;
	p->args_left = count;
	p->bulk_len = -1;
	return PARSE_COMMAND;
}

enum resp_result resp_parse(struct resp_parser *p, struct buf *in, const struct resp_limits *limits)
{
	p->wanted = 0;
	if (p->args_left > 0) {
		const char *base = in->data + p->consumed;
		return parse_args(p, base, base + p->pos, in->data + in->len, limits);
	}
	for (;;) {
		bool skip = false;
		enum resp_result r;
		if (p->consumed == in->len)
			return PARSE_MORE;
		char *base = in->data + p->consumed;
		const char *end = in->data + in->len, *s = base;
		if (*base == '*') {
			r = parse_array(p, base, &s, end, limits, &skip);
			if (r == PARSE_COMMAND)
				return parse_args(p, base, s, end, limits);
		} else {
			r = parse_inline(p, base, end, &skip);
		}
		if (!skip)
			return r;
	}
}
