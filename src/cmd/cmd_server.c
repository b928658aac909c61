/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about the server and whole databases: TIME DBSIZE FLUSHDB FLUSHALL SWAPDB SHUTDOWN.
 *
 * Run in workers. Those that change a database hold every stripe, for as long as it takes to exchange a few references;
 * the old keys are freed afterwards, without locks that others wait for. SHUTDOWN is a request to the supervisor.
 */
#include "args.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/num.h"
#include "shm/channel.h"

enum cmd_result cmd_time(struct cmd *c)
{
	int64_t us = clock_wall_us();

	reply_array(c->out, 2);
	reply_bulk_i64(c->out, us / 1000000);
	reply_bulk_i64(c->out, us % 1000000);
	return CMD_DONE;
}

enum cmd_result cmd_dbsize(struct cmd *c)
{
	struct db_stats stats;

	db_stats(cmd_db(c), &stats);
	reply_i64(c->out, (int64_t)stats.keys);
	return CMD_DONE;
}

/* ---- whole databases ---- */

/* All stripes held. */
static uint64_t keys_of(uint32_t db)
{
	struct db_stats stats;
	uint64_t n = 0;

	for (uint32_t i = 0; i < (uint32_t)config->databases; i++) {
		if (db != DB_ALL && db != i)
			continue;
		db_stats(i, &stats);
		n += stats.keys;
	}
	return n;
}

static enum cmd_result flush_databases(struct cmd *c, uint32_t db)
{
	bool async = c->argc == 1 ? config->lazyfree_lazy_user_flush : c->argc == 2 && arg_ieq(&c->argv[1], "ASYNC");

	if (c->argc > 1 && !async && !(c->argc == 2 && arg_ieq(&c->argv[1], "SYNC"))) {
		reply_syntax(c);
		return CMD_DONE;
	}
	uint64_t keys = keys_of(db);
	if (!db_flush(c->access, db))
		return reply_oom(c);
	effect_self(c);
	/* Each key is a change; where there was none, nothing has changed. */
	c->changes = keys;
	c->sweep = !async;
	c->all_gone = db == DB_ALL;
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_flushdb(struct cmd *c)
{
	return flush_databases(c, cmd_db(c));
}

enum cmd_result cmd_flushall(struct cmd *c)
{
	return flush_databases(c, DB_ALL);
}

static bool want_int(struct cmd *c, const struct arg *a, const char *error)
{
	int64_t n;

	if (parse_i64(a->p, a->n, &n) && n >= INT32_MIN && n <= INT32_MAX)
		return true;
	reply_error(c->out, error);
	return false;
}

enum cmd_result cmd_swapdb(struct cmd *c)
{
	uint32_t x, y;

	/* Both are numbers, before either must be a database. */
	if (!want_int(c, &c->argv[1], "ERR invalid first DB index") ||
	    !want_int(c, &c->argv[2], "ERR invalid second DB index") || !want_db(c, &c->argv[1], &x, NULL) ||
	    !want_db(c, &c->argv[2], &y, NULL))
		return CMD_DONE;
	if (x != y && !db_swap(c->access, x, y))
		return reply_oom(c);
	effect_self(c);
	reply_ok(c->out);
	return CMD_DONE;
}

/* ---- SHUTDOWN ---- */

/* The supervisor reads the options; its answer is an error, or the end of this process. */
enum cmd_result cmd_shutdown(struct cmd *c)
{
	char text[64], answer[256];
	size_t n = 0;

	for (int i = 1; i < c->argc; i++) {
		if (c->argv[i].n + 1 > sizeof text - n) {
			reply_syntax(c);
			return CMD_DONE;
		}
		if (c->argv[i].n != 0)
			memcpy(text + n, c->argv[i].p, c->argv[i].n);
		n += c->argv[i].n;
		text[n++] = 0;
	}
	long got = channel_call(REQUEST_SHUTDOWN, text, n, answer, sizeof answer, NULL);
	if (got > 0 && answer[0] != '+')
		reply_error_n(c->out, answer, (size_t)got);
	else if (got > 0)
		reply_ok(c->out); /* ABORT */
	else
		c->session->close_after_flush = true;
	return CMD_DONE;
}

/* The supervisor says what becomes of it. */
enum cmd_result cmd_bgrewriteaof(struct cmd *c)
{
	char answer[256];
	long got = channel_call(REQUEST_REWRITE_AOF, NULL, 0, answer, sizeof answer - 1, NULL);

	answer[got > 0 ? got : 0] = 0;
	if (got <= 0)
		reply_error(c->out, "ERR the server is shutting down");
	else if (answer[0] == '+')
		reply_status(c->out, answer + 1);
	else
		reply_error(c->out, answer);
	return CMD_DONE;
}
