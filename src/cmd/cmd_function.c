/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUNCTION, as far as it can be answered while no library can be loaded by a client and none of its functions runs: those that came with the data are
 * kept (store/functions.h), and can be seen, dumped and deleted. Which functions are in them nobody knows before they run.
 *
 * Runs in workers; FLUSH and DELETE inside a transaction with all stripes locked, so their death is its business. Owns nothing.
 */
#include "args.h"
#include "base/config.h"
#include "base/glob.h"
#include "help.h"
#include "persist/rdb_write.h"
#include "store/functions.h"

static void reply_unknown_arguments(struct cmd *c)
{
	reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
		     c->argv[1].n < 128 ? (int)c->argv[1].n : 128, c->argv[1].p);
}

/* False: cancelled, and that was replied. */
static bool copy_libraries(struct cmd *c, struct buf *all)
{
	buf_init(all);
	if (functions_copy(all))
		return true;
	reply_cancelled(c);
	return false;
}

static bool is_wanted(const struct arg *code, const struct arg *pattern)
{
	struct arg name = functions_name(code);

	return pattern == NULL || glob_match(pattern->p, pattern->n, name.p, name.n, true);
}

static void reply_library(struct cmd *c, const struct arg *code, bool with_code)
{
	struct arg name = functions_name(code);

	reply_map(c->out, with_code ? 4 : 3);
	reply_bulk_str(c->out, "library_name");
	reply_bulk(c->out, name.p, name.n);
	reply_bulk_str(c->out, "engine");
	reply_bulk_str(c->out, "LUA");
	reply_bulk_str(c->out, "functions");
	reply_array(c->out, 0);
	if (with_code) {
		reply_bulk_str(c->out, "library_code");
		reply_bulk(c->out, code->p, code->n);
	}
}

static void reply_libraries(struct cmd *c, const struct arg *pattern, bool with_code)
{
	struct buf all;
	struct arg code;
	size_t n = 0;

	if (!copy_libraries(c, &all))
		return;
	for (size_t at = 0; functions_next(&all, &at, &code);)
		n += is_wanted(&code, pattern);
	reply_array(c->out, n);
	for (size_t at = 0; functions_next(&all, &at, &code);)
		if (is_wanted(&code, pattern))
			reply_library(c, &code, with_code);
	buf_deinit(&all);
}

enum cmd_result cmd_function_list(struct cmd *c)
{
	const struct arg *pattern = NULL;
	bool code = false;

	for (int i = 2; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		if (!code && arg_ieq(word, "WITHCODE")) {
			code = true;
		} else if (!pattern && arg_ieq(word, "LIBRARYNAME")) {
			if (++i == c->argc) {
				reply_error(c->out, "ERR library name argument was not given");
				return CMD_DONE;
			}
			pattern = &c->argv[i];
		} else {
			reply_errorf(c->out, "ERR Unknown argument %.*s", (int)(word->n < 1024 ? word->n : 1024), word->p);
			return CMD_DONE;
		}
	}
	reply_libraries(c, pattern, code);
	return CMD_DONE;
}

enum cmd_result cmd_function_stats(struct cmd *c)
{
	struct buf all;
	struct arg code;
	int64_t n = 0;

	if (!copy_libraries(c, &all))
		return CMD_DONE;
	for (size_t at = 0; functions_next(&all, &at, &code);)
		n++;
	buf_deinit(&all);
	reply_map(c->out, 2);
	reply_bulk_str(c->out, "running_script");
	reply_null(c->out);
	reply_bulk_str(c->out, "engines");
	reply_map(c->out, 1);
	reply_bulk_str(c->out, "LUA");
	reply_map(c->out, 2);
	reply_bulk_str(c->out, "libraries_count");
	reply_i64(c->out, n);
	reply_bulk_str(c->out, "functions_count");
	reply_i64(c->out, 0);
	return CMD_DONE;
}

/* The libraries as an RDB file has them, and the footer of DUMP. */
enum cmd_result cmd_function_dump(struct cmd *c)
{
	struct rdb_writer w = {.fd = -1, .compress = config->rdbcompression};
	struct buf all;
	struct arg code;

	if (!copy_libraries(c, &all))
		return CMD_DONE;
	for (size_t at = 0; functions_next(&all, &at, &code);)
		rdb_write_function(&w, code.p, code.n);
	buf_deinit(&all);
	rdb_write_footer(&w.out);
	reply_bulk(c->out, w.out.data, w.out.len);
	rdb_writer_deinit(&w);
	return CMD_DONE;
}

/* `name`: NULL: all. */
static enum cmd_result forget(struct cmd *c, const struct arg *name)
{
	bool found;

	if (!functions_drop(name, &found))
		return reply_oom(c);
	if (name && !found) {
		reply_error(c->out, "ERR Library not found");
		return CMD_DONE;
	}
	effect_self(c);
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_function_flush(struct cmd *c)
{
	if (c->argc > 3)
		reply_unknown_arguments(c);
	else if (c->argc == 3 && !arg_ieq(&c->argv[2], "SYNC") && !arg_ieq(&c->argv[2], "ASYNC"))
		reply_error(c->out, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
	else
		return forget(c, NULL);
	return CMD_DONE;
}

enum cmd_result cmd_function_delete(struct cmd *c)
{
	return forget(c, &c->argv[2]);
}

enum cmd_result cmd_function_kill(struct cmd *c)
{
	reply_error(c->out, "NOTBUSY No scripts in execution right now.");
	return CMD_DONE;
}

enum cmd_result cmd_function_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
