/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings as numbers: INCR INCRBY DECR DECRBY INCRBYFLOAT.
 *
 * Run in workers with the stripe of the key locked. Own nothing; what a death leaves is the transaction's business.
 */
#include <math.h>

#include "args.h"
#include "base/num.h"
#include "base/seldom.h"

#define EMBSTR_MAX 44u /* bytes of a string that Redis keeps in one piece with its header */

static enum cmd_result add(struct cmd *c, int64_t n)
{
	const struct arg *key = &c->argv[1];
	struct view v = {.due = DUE_NONE};
	enum find found = find_string(c, key, &v, true);
	int64_t old = 0, sum;
	char text[21];

	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if (found == FIND_STRING && !parse_i64(v.value, v.len, &old)) {
		reply_not_integer(c);
		return CMD_DONE;
	}
	if (__builtin_add_overflow(old, n, &sum)) {
		reply_error(c->out, "ERR increment or decrement would overflow");
		return CMD_DONE;
	}
	if (!key_set_string(c->access, cmd_db(c), key, text, format_i64(text, sum), ENC_AUTO, v.due))
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, sum);
	return CMD_DONE;
}

enum cmd_result cmd_incr(struct cmd *c)
{
	return add(c, 1);
}

enum cmd_result cmd_decr(struct cmd *c)
{
	return add(c, -1);
}

enum cmd_result cmd_incrby(struct cmd *c)
{
	int64_t n;

	return want_i64(c, &c->argv[2], &n) ? add(c, n) : CMD_DONE;
}

enum cmd_result cmd_decrby(struct cmd *c)
{
	int64_t n;

	if (!want_i64(c, &c->argv[2], &n))
		return CMD_DONE;
	if (n == INT64_MIN) {
		reply_error(c->out, "ERR decrement would overflow");
		return CMD_DONE;
	}
	return add(c, -n);
}

/* The sum, which another machine might round otherwise: replicas get the result. */
static enum cmd_result store_float(struct cmd *c, long double sum, int64_t due)
{
	static SELDOM_USED char text[FORMAT_LONG_DOUBLE_MAX];
	const struct arg *key = &c->argv[1];
	struct arg value = {text, format_long_double(text, sizeof text, sum)};
	struct arg words[] = {arg_of("SET"), *key, value, arg_of("KEEPTTL")};

	if (!key_set_string(c->access, cmd_db(c), key, value.p, value.n, value.n <= EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW,
			    due))
		return reply_oom(c);
	effect(c->access, cmd_db(c), 4, words);
	c->changes++;
	reply_bulk(c->out, value.p, value.n);
	return CMD_DONE;
}

enum cmd_result cmd_incrbyfloat(struct cmd *c)
{
	struct view v = {.due = DUE_NONE};
	enum find found = find_string(c, &c->argv[1], &v, true);
	long double old = 0, n;

	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if ((found == FIND_STRING && !parse_long_double(v.value, v.len, &old)) ||
	    !parse_long_double(c->argv[2].p, c->argv[2].n, &n)) {
		reply_error(c->out, "ERR value is not a valid float");
		return CMD_DONE;
	}
	if (!isfinite(old + n)) {
		reply_error(c->out, "ERR increment would produce NaN or Infinity");
		return CMD_DONE;
	}
	return store_float(c, old + n, v.due);
}
