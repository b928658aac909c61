/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUNCTION, as far as it can be answered while no library can be loaded: there is none, and none of its functions runs.
 *
 * Runs in workers; FLUSH and DELETE inside a transaction that changes nothing. Owns nothing.
 */
#include "args.h"
#include "base/crc64.h"
#include "help.h"
#include "persist/rdb_format.h"

static void reply_unknown_arguments(struct cmd *c)
{
	reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try FUNCTION HELP.",
		     c->argv[1].n < 128 ? (int)c->argv[1].n : 128, c->argv[1].p);
}

enum cmd_result cmd_function_list(struct cmd *c)
{
	bool pattern = false, code = false;

	for (int i = 2; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		if (!code && arg_ieq(word, "WITHCODE")) {
			code = true;
		} else if (!pattern && arg_ieq(word, "LIBRARYNAME")) {
			pattern = true;
			if (++i == c->argc) {
				reply_error(c->out, "ERR library name argument was not given");
				return CMD_DONE;
			}
		} else {
			reply_errorf(c->out, "ERR Unknown argument %.*s", (int)(word->n < 1024 ? word->n : 1024), word->p);
			return CMD_DONE;
		}
	}
	reply_array(c->out, 0);
	return CMD_DONE;
}

enum cmd_result cmd_function_stats(struct cmd *c)
{
	reply_map(c->out, 2);
	reply_bulk_str(c->out, "running_script");
	reply_null(c->out);
	reply_bulk_str(c->out, "engines");
	reply_map(c->out, 1);
	reply_bulk_str(c->out, "LUA");
	reply_map(c->out, 2);
	reply_bulk_str(c->out, "libraries_count");
	reply_i64(c->out, 0);
	reply_bulk_str(c->out, "functions_count");
	reply_i64(c->out, 0);
	return CMD_DONE;
}

/* The libraries as an RDB file has them, the version of its format, and the sum over all of that, both little-endian. */
enum cmd_result cmd_function_dump(struct cmd *c)
{
	unsigned char payload[10] = {RDB_VERSION & 0xff, RDB_VERSION >> 8};
	uint64_t sum = crc64(0, payload, 2);

	for (int i = 0; i < 8; i++)
		payload[2 + i] = (unsigned char)(sum >> (8 * i));
	reply_bulk(c->out, payload, sizeof payload);
	return CMD_DONE;
}

enum cmd_result cmd_function_flush(struct cmd *c)
{
	if (c->argc > 3)
		reply_unknown_arguments(c);
	else if (c->argc == 3 && !arg_ieq(&c->argv[2], "SYNC") && !arg_ieq(&c->argv[2], "ASYNC"))
		reply_error(c->out, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
	else {
		effect_self(c);
		reply_ok(c->out);
	}
	return CMD_DONE;
}

enum cmd_result cmd_function_delete(struct cmd *c)
{
	reply_error(c->out, "ERR Library not found");
	return CMD_DONE;
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
