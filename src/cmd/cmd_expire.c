/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times to live: setting, taking away, telling.
 *
 * Run in workers; those that change something have the stripe of the key locked. Own nothing; what a death leaves is
 * the transaction's business.
 */
#include "args.h"

#include "base/config.h"
#include "base/num.h"

struct condition {
	bool nx, xx, gt, lt;
};

static bool take_condition(struct cmd *c, struct condition *out)
{
	*out = (struct condition){0};
	for (int i = 3; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		if (arg_ieq(word, "NX"))
			out->nx = true;
		else if (arg_ieq(word, "XX"))
			out->xx = true;
		else if (arg_ieq(word, "GT"))
			out->gt = true;
		else if (arg_ieq(word, "LT"))
			out->lt = true;
		else {
			reply_errorf(c->out, "ERR Unsupported option %.*s", (int)word->n, word->p);
			return false;
		}
	}
	if (out->nx && (out->xx || out->gt || out->lt)) {
		reply_error(c->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if (out->gt && out->lt) {
		reply_error(c->out, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	return true;
}

/* argv[2] as an absolute time, ms; it may lie in the past. */
static bool take_due(struct cmd *c, bool seconds, bool relative, int64_t *out)
{
	int64_t due;

	if (!want_i64(c, &c->argv[2], &due))
		return false;
	if ((seconds && __builtin_mul_overflow(due, 1000, &due)) ||
	    (relative && __builtin_add_overflow(due, access_now(c->access), &due))) {
		reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->row->name);
		return false;
	}
	*out = due == DUE_NONE ? due + 1 : due; /* as long ago, and not "never" */
	return true;
}

/* A key without an expiry lives longer than any other. */
static bool met(const struct condition *is, int64_t old, int64_t due)
{
	bool has = old != DUE_NONE;

	return !(is->nx && has) && !(is->xx && !has) && !(is->gt && (!has || due <= old)) &&
	       !(is->lt && has && due >= old);
}

/* PEXPIREAT as it came; any other as PEXPIREAT with the options that came, each of them once; their first letters differ. */
static void effect_expire(struct cmd *c, int64_t due, bool as_it_came)
{
	struct arg words[6] = {arg_of("PEXPIREAT"), c->argv[1]};
	char text[21];
	int n = 3;

	if (as_it_came) {
		effect_self(c);
		return;
	}
	words[2] = (struct arg){text, format_i64(text, due)};
	for (int i = 3; i < c->argc && n < 6; i++) {
		bool again = false;
		for (int k = 3; k < n; k++)
			again |= (words[k].p[0] | 32) == (c->argv[i].p[0] | 32);
		if (!again)
			words[n++] = c->argv[i];
	}
	effect(c->access, cmd_db(c), n, words);
	c->changes++;
}

static enum cmd_result expire(struct cmd *c, bool seconds, bool relative)
{
	const struct arg *key = &c->argv[1];
	struct condition condition;
	struct view v;
	int64_t due;

	if (!take_condition(c, &condition) || !take_due(c, seconds, relative, &due))
		return CMD_DONE;
	if (!key_find(c->access, cmd_db(c), key, &v) || !met(&condition, v.due, due)) {
		reply_i64(c->out, 0);
		return CMD_DONE;
	}
	if (access_already_due(c->access, due)) {
		bool oom = false;
		key_delete(c->access, cmd_db(c), key, &oom);
		if (oom)
			return reply_oom(c);
		effect_verb(c, config->lazyfree_lazy_expire ? "UNLINK" : "DEL", key);
	} else {
		if (!key_set_due(c->access, cmd_db(c), key, due))
			return reply_oom(c);
		effect_expire(c, due, !seconds && !relative);
	}
	reply_i64(c->out, 1);
	return CMD_DONE;
}

enum cmd_result cmd_expire(struct cmd *c)
{
	return expire(c, true, true);
}

enum cmd_result cmd_pexpire(struct cmd *c)
{
	return expire(c, false, true);
}

enum cmd_result cmd_expireat(struct cmd *c)
{
	return expire(c, true, false);
}

enum cmd_result cmd_pexpireat(struct cmd *c)
{
	return expire(c, false, false);
}

enum cmd_result cmd_persist(struct cmd *c)
{
	struct view v;

	if (!key_find(c->access, cmd_db(c), &c->argv[1], &v) || v.due == DUE_NONE) {
		reply_i64(c->out, 0);
		return CMD_DONE;
	}
	if (!key_set_due(c->access, cmd_db(c), &c->argv[1], DUE_NONE))
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, 1);
	return CMD_DONE;
}

/* ---- telling ---- */

static int64_t rounded_seconds(int64_t ms)
{
	return ms / 1000 + (ms % 1000 >= 500);
}

static enum cmd_result tell(struct cmd *c, bool seconds, bool relative)
{
	struct view v;

	if (!peek_key(c, &c->argv[1], &v)) {
		reply_i64(c->out, -2);
	} else if (v.due == DUE_NONE) {
		reply_i64(c->out, -1);
	} else {
		/* What is there is not yet due; a torn due time must do no harm either. */
		int64_t ms = v.due;
		if (relative && (__builtin_sub_overflow(ms, access_now(c->access), &ms) || ms < 0))
			ms = 0;
		reply_i64(c->out, seconds ? rounded_seconds(ms) : ms);
	}
	return CMD_DONE;
}

enum cmd_result cmd_ttl(struct cmd *c)
{
	return tell(c, true, true);
}

enum cmd_result cmd_pttl(struct cmd *c)
{
	return tell(c, false, true);
}

enum cmd_result cmd_expiretime(struct cmd *c)
{
	return tell(c, true, false);
}

enum cmd_result cmd_pexpiretime(struct cmd *c)
{
	return tell(c, false, false);
}
