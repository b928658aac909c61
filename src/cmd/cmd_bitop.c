/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BITOP: strings combined bit by bit.
 *
 * Runs in workers with the stripes of all its keys locked, for as long as the strings are long. The result is made where it will lie, in a
 * new block that nobody knows of, so the destination may be one of the sources. Owns nothing; a death on the way leaves the block to the
 * journal.
 */
#include "args.h"

#include <stdlib.h>

#include "base/panic.h"
#include "base/stop.h"

#define STEP (64u << 10) /* bytes that are computed from all sources before the next ones; between two looks whether it is cancelled */

enum op { AND, OR, XOR, NOT, OPS };

static bool take_op(struct cmd *c, enum op *op)
{
	static const char *const names[] = {[AND] = "AND", [OR] = "OR", [XOR] = "XOR", [NOT] = "NOT"};

	for (*op = 0; *op < OPS && !arg_ieq(&c->argv[1], names[*op]); (*op)++)
		;
	if (*op == OPS)
		reply_syntax(c);
	else if (*op == NOT && c->argc != 4)
		reply_error(c->out, "ERR BITOP NOT must be called with a single source key.");
	else
		return true;
	return false;
}

#define EACH_WORD(to, from, n, combine)                                                                                \
	do {                                                                                                           \
		size_t i_ = 0;                                                                                         \
		for (uint64_t x, y; (n) - i_ >= 8; i_ += 8) {                                                          \
			memcpy(&x, (to) + i_, 8);                                                                      \
			memcpy(&y, (from) + i_, 8);                                                                    \
			x = combine;                                                                                   \
			memcpy((to) + i_, &x, 8);                                                                      \
		}                                                                                                      \
		for (uint64_t x, y; i_ < (n); i_++) {                                                                  \
			x = (unsigned char)(to)[i_];                                                                   \
			y = (unsigned char)(from)[i_];                                                                 \
			(to)[i_] = (char)(combine);                                                                    \
		}                                                                                                      \
	} while (0)

/* Combines what is at `to` with n bytes of a further source. */
static void combine_bytes(enum op op, char *restrict to, const char *restrict from, size_t n)
{
	if (op == AND)
		EACH_WORD(to, from, n, x & y);
	else if (op == OR)
		EACH_WORD(to, from, n, x | y);
	else
		EACH_WORD(to, from, n, x ^ y);
}

static void invert(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)~p[i];
}

/* The part of a source that lies in [at, at + n). */
static size_t part(const struct arg *source, size_t at, size_t n)
{
	size_t left = at < source->n ? source->n - at : 0;

	return left < n ? left : n;
}

/* Bytes [at, at + n) of the result. Sources end in zeros. */
static void combine(enum op op, char *to, const struct arg *sources, int nsources, size_t at, size_t n)
{
	size_t have = part(&sources[0], at, n);

	if (have > 0)
		memcpy(to, sources[0].p + at, have);
	memset(to + have, 0, n - have);
	if (op == NOT)
		invert(to, n);
	for (int i = 1; i < nsources; i++) {
		have = part(&sources[i], at, n);
		if (have > 0)
			combine_bytes(op, to, sources[i].p + at, have);
		if (op == AND)
			memset(to + have, 0, n - have);
	}
}

/* False: cancelled. */
static bool combine_all(enum op op, char *to, const struct arg *sources, int nsources, size_t len)
{
	for (size_t at = 0; at < len; at += STEP) {
		combine(op, to + at, sources, nsources, at, len - at < STEP ? len - at : STEP);
		if (cancel_requested())
			return false;
	}
	return true;
}

/* The sources' bytes, and the longest's length. False: not all are strings. */
static bool find_sources(struct cmd *c, struct arg *sources, size_t *len)
{
	struct view v;

	*len = 0;
	for (int i = 3; i < c->argc; i++) {
		enum find found = find_string(c, &c->argv[i], &v, false);
		if (found == FIND_WRONG_TYPE)
			return false;
		sources[i - 3] = found == FIND_STRING ? (struct arg){v.value, v.len} : (struct arg){NULL, 0};
		*len = sources[i - 3].n > *len ? sources[i - 3].n : *len;
	}
	return true;
}

static enum cmd_result store(struct cmd *c, enum op op, const struct arg *sources, size_t len)
{
	const struct arg *to = &c->argv[2];
	bool oom = false, changed = true;
	char *bytes;
	ref block;

	if (len == 0) {
		changed = key_drop(c->access, cmd_db(c), to, &oom);
	} else {
		bytes = key_make(c->access, to, len, &block);
		oom = bytes == NULL || !combine_all(op, bytes, sources, c->argc - 3, len) || !key_made(c->access, cmd_db(c), to, block);
	}
	if (oom)
		return reply_oom(c);
	if (changed)
		effect_self(c);
	reply_i64(c->out, (int64_t)len);
	return CMD_DONE;
}

enum cmd_result cmd_bitop(struct cmd *c)
{
	struct arg few[16], *sources = few;
	enum cmd_result result = CMD_DONE;
	enum op op;
	size_t len;

	if (!take_op(c, &op))
		return CMD_DONE;
	if (c->argc - 3 > (int)(sizeof few / sizeof few[0])) {
		sources = malloc((size_t)(c->argc - 3) * sizeof *sources);
		if (sources == NULL)
			fatal("out of memory for %d strings", c->argc - 3);
	}
	if (find_sources(c, sources, &len))
		result = store(c, op, sources, len);
	if (sources != few)
		free(sources);
	return result;
}
