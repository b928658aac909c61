/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LCS: the longest common subsequence of two strings.
 *
 * Runs in workers, without a lock; where there is much to compute under a pin, so that neither has a writer to wait nor the answer to be
 * computed again. The strings are copied first: what is torn is noticed afterwards, but must not change while it is worked on.
 *
 * Of the table of lengths, a cell for each pair of prefixes, only the row above is kept, and of all other cells the one bit that the way
 * back asks for: which neighbour is longer. Owns its private memory until the reply is made; a death gives that back.
 */
#include "args.h"

#include <stdlib.h>

#include "base/config.h"
#include "base/num.h"
#include "base/stop.h"

#define CANCEL_STEP (64u << 10) /* cells between two looks whether the command is cancelled */

struct lcs {
	bool want_len, want_idx, with_len;
	int64_t min_len;
	const char *a, *b;    /* private copies */
	size_t alen, blen;
	uint32_t *row;        /* blen + 1 lengths */
	uint64_t *up;         /* a bit per cell: the cell above is longer than the one on the left */
	uint32_t len;         /* the answer */
};

static bool take_options(struct cmd *c, struct lcs *l)
{
	for (int i = 3; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		if (arg_ieq(word, "IDX")) {
			l->want_idx = true;
		} else if (arg_ieq(word, "LEN")) {
			l->want_len = true;
		} else if (arg_ieq(word, "WITHMATCHLEN")) {
			l->with_len = true;
		} else if (arg_ieq(word, "MINMATCHLEN") && i + 1 < c->argc) {
			if (!want_i64(c, &c->argv[++i], &l->min_len))
				return false;
		} else {
			reply_syntax(c);
			return false;
		}
	}
	if (!l->want_idx || !l->want_len)
		return true;
	reply_error(c->out, "ERR If you want both the length and indexes, please just use IDX.");
	return false;
}

static bool bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* Fills the table. False: cancelled. */
static bool compute(struct lcs *l)
{
	uint64_t cell = 0, look = CANCEL_STEP;

	for (size_t i = 0; i < l->alen; i++) {
		uint32_t corner = 0, left = 0; /* above on the left, and on the left */
		for (size_t j = 0; j < l->blen; j++, cell++) {
			uint32_t above = l->row[j + 1], here;
			if (l->a[i] == l->b[j])
				here = corner + 1;
			else
				here = above > left ? above : left;
			if (l->up != NULL && above > left)
				l->up[cell / 64] |= 1ull << (cell % 64);
			corner = above;
			l->row[j + 1] = left = here;
			if (cell == look) {
				look += CANCEL_STEP;
				if (cancel_requested())
					return false;
			}
		}
	}
	l->len = l->row[l->blen];
	return true;
}

/* A stretch that both strings have, the bytes [a, a + n) of one and [b, b + n) of the other. */
static size_t reply_match(struct cmd *c, const struct lcs *l, size_t a, size_t b, size_t n)
{
	if (n == 0 || (l->min_len > 0 && n < (uint64_t)l->min_len))
		return 0;
	reply_array(c->out, l->with_len ? 3 : 2);
	reply_array(c->out, 2);
	reply_i64(c->out, (int64_t)a);
	reply_i64(c->out, (int64_t)(a + n - 1));
	reply_array(c->out, 2);
	reply_i64(c->out, (int64_t)b);
	reply_i64(c->out, (int64_t)(b + n - 1));
	if (l->with_len)
		reply_i64(c->out, (int64_t)n);
	return 1;
}

/* Goes back through the table from its last corner. Puts the bytes in common to `text`, or replies the stretches; returns how many. */
static size_t go_back(struct cmd *c, const struct lcs *l, char *text)
{
	size_t i = l->alen, j = l->blen, run = 0, at = l->len, matches = 0;

	while (i > 0 && j > 0) {
		if (l->a[i - 1] == l->b[j - 1]) {
			i--, j--, run++;
			if (text != NULL)
				text[--at] = l->a[i];
			continue;
		}
		if (text == NULL)
			matches += reply_match(c, l, i, j, run);
		run = 0;
		if (bit(l->up, (uint64_t)(i - 1) * l->blen + j - 1))
			i--;
		else
			j--;
	}
	return matches + (text == NULL ? reply_match(c, l, i, j, run) : 0);
}

static void reply_lcs(struct cmd *c, const struct lcs *l)
{
	if (l->want_idx) {
		reply_map(c->out, 2);
		reply_bulk_str(c->out, "matches");
		size_t mark = reply_defer(c->out);
		reply_defer_array(c->out, mark, go_back(c, l, NULL));
		reply_bulk_str(c->out, "len");
		reply_i64(c->out, l->len);
	} else if (l->want_len) {
		reply_i64(c->out, l->len);
	} else {
		go_back(c, l, reply_bulk_room(c->out, l->len));
	}
}

/* The private memory: both strings, the row, the bits where there is a way to go back. NULL: there is not so much. */
static char *room(struct lcs *l, const struct view *a, const struct view *b)
{
	size_t row = (b->len + 1) * sizeof *l->row, up = l->want_len ? 0 : (size_t)((a->len * b->len + 63) / 64) * 8;
	char *p = calloc(1, up + row + a->len + b->len);

	if (p == NULL)
		return NULL;
	l->up = up > 0 ? (uint64_t *)(void *)p : NULL;
	l->row = (uint32_t *)(void *)(p + up);
	l->alen = a->len;
	l->blen = b->len;
	l->a = memcpy(p + up + row, a->value, a->len);
	l->b = memcpy(p + up + row + a->len, b->value, b->len);
	return p;
}

/* As much as Redis's table would take is refused, with its words, at the sizes at which it refuses. */
static bool small_enough(struct cmd *c, const struct view *a, const struct view *b)
{
	uint64_t bytes;

	if (__builtin_mul_overflow((a->len + 1) * sizeof(uint32_t), b->len + 1, &bytes))
		reply_error(c->out, "ERR Insufficient memory, failed allocating transient memory for LCS");
	else if (bytes > config->proto_max_bulk_len)
		reply_error(c->out, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
	else
		return true;
	return false;
}

enum cmd_result cmd_lcs(struct cmd *c)
{
	struct view a = {.value = "", .type = TYPE_STRING}, b = a;
	struct lcs l = {0};

	find_key(c, &c->argv[1], &a);
	find_key(c, &c->argv[2], &b);
	if (a.type != TYPE_STRING || b.type != TYPE_STRING) {
		reply_error(c->out, "ERR The specified keys must contain string values");
		return CMD_DONE;
	}
	if (!take_options(c, &l) || !small_enough(c, &a, &b))
		return CMD_DONE;
	if (access_is_long(c->access, a.len * b.len) || access_is_long(c->access, a.len + b.len))
		return CMD_LONG;
	char *memory = room(&l, &a, &b);
	if (memory == NULL)
		reply_error(c->out, "ERR Insufficient memory, failed allocating transient memory for LCS");
	else if (access_still_valid(c->access) && compute(&l))
		reply_lcs(c, &l);
	free(memory);
	return CMD_DONE;
}
