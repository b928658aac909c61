/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies into a tree (wire/reply_parse.h).
 *
 * Runs in bulkhead-cli, in the process that follows a leader, and in tests. Owns the tree until it is handed over;
 * private memory, no locks, nothing outlives the process.
 *
 * Aggregates under way are kept on a stack of their own instead of the machine's, so that a reply may arrive in pieces
 * of any size. Memory is taken as elements arrive, never because a length was announced.
 */
#include "wire/reply_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/panic.h"

struct reply_frame {
	struct reply_node *node;
	size_t total, cap; /* elements announced; room in node->elem, where node->n are complete */
};

static void *must_realloc(void *p, size_t n)
{
	void *q = realloc(p, n);
	if (!q)
		fatal("out of memory: cannot hold a reply of %zu bytes", n);
	return q;
}

void reply_parser_init(struct reply_parser *p)
{
	memset(p, 0, sizeof(*p));
	p->stack = must_realloc(NULL, REPLY_DEPTH_MAX * sizeof(*p->stack));
}

void reply_parser_deinit(struct reply_parser *p)
{
	/* A node counts its complete elements only, so each one under way is freed on its own. */
	while (p->depth > 0)
		reply_node_deinit(p->stack[--p->depth].node);
	free(p->stack);
	memset(p, 0, sizeof(*p));
}

void reply_node_deinit(struct reply_node *n)
{
	for (size_t i = 0; n->elem && i < n->n; i++)
		reply_node_deinit(&n->elem[i]);
	free(n->elem);
	free(n->str);
	*n = (struct reply_node){.type = REPLY_NULL};
}

void reply_parser_compact(struct reply_parser *p, struct buf *in)
{
	ASSERT(p->depth == 0);
	buf_consume(in, p->pos);
	p->next -= p->pos;
	p->pos = 0;
}

static enum reply_parse_result broken(struct reply_parser *p, const char *what)
{
	snprintf(p->error, sizeof(p->error), "%s", what);
	return REPLY_BROKEN;
}

static void set_str(struct reply_node *n, const char *s, size_t len)
{
	n->str = must_realloc(NULL, len + 1);
	if (len > 0)
		memcpy(n->str, s, len);
	n->str[len] = '\0';
	n->n = len;
}

/* A bulk string whose header is `line` and whose bytes begin at s. Moves *s behind it. */
static enum reply_parse_result take_bulk(struct reply_parser *p, struct reply_node *n, int64_t len, const char **s,
					 const char *end)
{
	if (len == -1) {
		n->type = REPLY_NULL;
		return REPLY_DONE;
	}
	if (len < 0 || len > INT64_MAX / 2)
		return broken(p, "invalid bulk length");
	if (end - *s - 2 < len) {
		p->wanted = (size_t)(len + 2 - (end - *s));
		return REPLY_MORE;
	}
	set_str(n, *s, (size_t)len);
	*s += len + 2;
	return REPLY_DONE;
}

static enum reply_parse_result open_aggregate(struct reply_parser *p, struct reply_node *n, int64_t count)
{
	bool pairs = n->type == REPLY_MAP || n->type == REPLY_ATTRIBUTE;
	if (count == -1) {
		n->type = REPLY_NULL;
		return REPLY_DONE;
	}
	if (count < 0 || count > INT64_MAX / 4)
		return broken(p, "invalid multibulk length");
	if (count == 0)
		return REPLY_DONE;
	if (p->depth == REPLY_DEPTH_MAX)
		return broken(p, "replies are nested too deeply");
	p->stack[p->depth++] = (struct reply_frame){.node = n, .total = (size_t)count << pairs};
	return REPLY_DONE;
}

static bool type_of(char mark, enum reply_type *type)
{
	static const char marks[] = "+-:$*%~>|,#=(_!";
	static const enum reply_type types[] = {REPLY_STATUS,    REPLY_ERROR,  REPLY_INTEGER, REPLY_STRING,
						REPLY_ARRAY,     REPLY_MAP,    REPLY_SET,     REPLY_PUSH,
						REPLY_ATTRIBUTE, REPLY_DOUBLE, REPLY_BOOL,    REPLY_VERBATIM,
						REPLY_BIGNUM,    REPLY_NULL,   REPLY_ERROR};
	const char *at = mark ? strchr(marks, mark) : NULL;
	if (at)
		*type = types[at - marks];
	return at != NULL;
}

/* The first line of a reply is complete: s to line_end. *s is moved behind all that was used. */
static enum reply_parse_result take_line(struct reply_parser *p, struct reply_node *n, const char **s,
					 const char *line_end, const char *end)
{
	const char *text = *s + 1;
	size_t len = (size_t)(line_end - text);
	int64_t v = 0;
	enum reply_parse_result r = REPLY_DONE;

	memset(n, 0, sizeof(*n));
	n->mark = **s;
	if (!type_of(n->mark, &n->type)) {
		unsigned char c = (unsigned char)n->mark;
		snprintf(p->error, sizeof(p->error), "Protocol error, got \"%c\" as reply type byte",
			 c >= ' ' && c < 127 ? c : '?');
		return REPLY_BROKEN;
	}
	if (strchr(":$*%~>|=!", n->mark) && !parse_i64(text, len, &v))
		return broken(p, "invalid number in a reply");

	const char *after = line_end + 2;
	switch (n->mark) {
	case ':':
		n->integer = v;
		break;
	case '#':
		n->integer = len > 0 && text[0] == 't';
		break;
	case '_':
		break;
	case '$':
	case '=':
	case '!':
		r = take_bulk(p, n, v, &after, end);
		break;
	case '*':
	case '%':
	case '~':
	case '>':
	case '|':
		r = open_aggregate(p, n, v);
		break;
	default:
		set_str(n, text, len);
	}
	if (r == REPLY_DONE)
		*s = after;
	return r;
}

/* Where the next reply goes: the root, or one more element of the innermost aggregate. */
static struct reply_node *next_place(struct reply_parser *p)
{
	if (p->depth == 0)
		return &p->root;
	struct reply_frame *f = &p->stack[p->depth - 1];
	if (f->node->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 8;
		if (f->cap > f->total)
			f->cap = f->total;
		f->node->elem = must_realloc(f->node->elem, f->cap * sizeof(*f->node->elem));
	}
	return &f->node->elem[f->node->n];
}

enum reply_parse_result reply_parse(struct reply_parser *p, const struct buf *in, struct reply_node *out)
{
	p->wanted = 0;
	if (p->next == in->len)
		return REPLY_MORE;
	const char *end = in->data + in->len, *s = in->data + p->next;

	for (;;) {
		const char *cr = s;
		while (cr < end && (cr = memchr(cr, '\r', (size_t)(end - cr))) && end - cr >= 2 && cr[1] != '\n')
			cr++;
		if (!cr || end - cr < 2)
			return REPLY_MORE;

		size_t depth = p->depth;
		enum reply_parse_result r = take_line(p, next_place(p), &s, cr, end);
		p->next = (size_t)(s - in->data);
		if (r != REPLY_DONE)
			return r;
		if (p->depth > depth)
			continue; /* its elements come first */
		while (p->depth > 0) {
			struct reply_frame *f = &p->stack[p->depth - 1];
			if (++f->node->n < f->total)
				break;
			p->depth--;
		}
		if (p->depth == 0) {
			*out = p->root;
			p->pos = p->next;
			return REPLY_DONE;
		}
	}
}
