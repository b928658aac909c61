/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands on keys of any type: DEL UNLINK EXISTS TYPE TOUCH RENAME RENAMENX COPY MOVE. Looking for keys is in cmd_scan.c, looking
 * at them in cmd_object.c.
 *
 * Run in workers; those that change something have the stripes of all their keys locked. Own nothing; what a death
 * leaves is the transaction's business.
 */
#include "args.h"

/* ---- DEL ---- */

static enum cmd_result delete_keys(struct cmd *c)
{
	int64_t deleted = 0;
	bool oom = false;

	for (int i = 1; i < c->argc && !oom; i++)
		deleted += key_delete(c->access, cmd_db(c), &c->argv[i], &oom);
	if (oom)
		return reply_oom(c);
	if (deleted) {
		effect_self(c);
		c->changes = (uint64_t)deleted;
	}
	reply_i64(c->out, deleted);
	return CMD_DONE;
}

enum cmd_result cmd_del(struct cmd *c)
{
	return delete_keys(c);
}

/* Nothing is freed while others wait, so there is no slower DEL to differ from. */
enum cmd_result cmd_unlink(struct cmd *c)
{
	return delete_keys(c);
}

/* ---- EXISTS, TYPE, TOUCH ---- */

enum cmd_result cmd_exists(struct cmd *c)
{
	struct view v;
	int64_t n = 0;

	for (int i = 1; i < c->argc; i++)
		n += peek_key(c, &c->argv[i], &v);
	reply_i64(c->out, n);
	return CMD_DONE;
}

enum cmd_result cmd_type(struct cmd *c)
{
	struct view v;

	reply_status(c->out, peek_key(c, &c->argv[1], &v) ? type_name(v.type) : "none");
	return CMD_DONE;
}

enum cmd_result cmd_touch(struct cmd *c)
{
	for (int i = 1; i < c->argc; i++)
		c->hits += key_touch(c->access, cmd_db(c), &c->argv[i]);
	c->misses = (uint32_t)c->argc - 1 - c->hits;
	reply_i64(c->out, c->hits);
	return CMD_DONE;
}

/* ---- RENAME, COPY, MOVE ---- */

static bool same_key(const struct arg *a, const struct arg *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

/* Puts a copy of `from` in the place of what `to` holds. False: no memory. */
static bool put_copy(struct cmd *c, const struct arg *from, uint32_t to_db, const struct arg *to)
{
	bool oom = false;

	key_delete(c->access, to_db, to, &oom);
	return !oom && key_copy(c->access, cmd_db(c), from, to_db, to);
}

static enum cmd_result rename_key(struct cmd *c, bool replace)
{
	const struct arg *from = &c->argv[1], *to = &c->argv[2];
	struct view v, other;
	bool oom = false;

	if (!key_find(c->access, cmd_db(c), from, &v)) {
		reply_error(c->out, "ERR no such key");
		return CMD_DONE;
	}
	bool same = same_key(from, to);
	if (!replace && (same || key_find(c->access, cmd_db(c), to, &other))) {
		reply_i64(c->out, 0);
		return CMD_DONE;
	}
	if (!same) {
		int freq = key_freq(c->access, &v);
		if (!put_copy(c, from, cmd_db(c), to))
			return reply_oom(c);
		key_set_clock(c->access, cmd_db(c), to, 0, freq);
		key_delete(c->access, cmd_db(c), from, &oom);
		if (oom)
			return reply_oom(c);
		effect_self(c);
	}
	if (replace)
		reply_ok(c->out);
	else
		reply_i64(c->out, 1);
	return CMD_DONE;
}

enum cmd_result cmd_rename(struct cmd *c)
{
	return rename_key(c, true);
}

enum cmd_result cmd_renamenx(struct cmd *c)
{
	return rename_key(c, false);
}

enum cmd_result cmd_copy(struct cmd *c)
{
	const struct arg *from = &c->argv[1], *to = &c->argv[2];
	uint32_t to_db = cmd_db(c);
	bool replace = false;
	struct view v;

	for (int i = 3; i < c->argc; i++) {
		if (arg_ieq(&c->argv[i], "REPLACE")) {
			replace = true;
		} else if (arg_ieq(&c->argv[i], "DB") && i + 1 < c->argc) {
			if (!want_db(c, &c->argv[++i], &to_db, NULL))
				return CMD_DONE;
		} else {
			reply_syntax(c);
			return CMD_DONE;
		}
	}
	if (to_db == cmd_db(c) && same_key(from, to)) {
		reply_error(c->out, "ERR source and destination objects are the same");
		return CMD_DONE;
	}
	if (!find_key(c, from, &v) || (key_find(c->access, to_db, to, &v) && !replace)) {
		reply_i64(c->out, 0);
		return CMD_DONE;
	}
	if (!put_copy(c, from, to_db, to))
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, 1);
	return CMD_DONE;
}

/* A key has the same stripe in all databases, so the lock of the one it leaves is that of the one it goes to. */
enum cmd_result cmd_move(struct cmd *c)
{
	const struct arg *key = &c->argv[1];
	uint32_t to_db;
	struct view v;

	if (!want_db(c, &c->argv[2], &to_db, NULL))
		return CMD_DONE;
	if (to_db == cmd_db(c)) {
		reply_error(c->out, "ERR source and destination objects are the same");
		return CMD_DONE;
	}
	if (!key_find(c->access, cmd_db(c), key, &v) || key_find(c->access, to_db, key, &v)) {
		reply_i64(c->out, 0);
		return CMD_DONE;
	}
	if (!key_move(c->access, cmd_db(c), key, to_db))
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, 1);
	return CMD_DONE;
}
