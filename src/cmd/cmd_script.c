/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SCRIPT, as far as it can be answered while no script can be loaded: none exists, none runs.
 *
 * Runs in workers, without an access. Owns nothing.
 */
#include "args.h"
#include "help.h"

enum cmd_result cmd_script_exists(struct cmd *c)
{
	reply_array(c->out, (size_t)c->argc - 2);
	for (int i = 2; i < c->argc; i++)
		reply_i64(c->out, 0);
	return CMD_DONE;
}

enum cmd_result cmd_script_flush(struct cmd *c)
{
	bool known = c->argc == 3 && (arg_ieq(&c->argv[2], "SYNC") || arg_ieq(&c->argv[2], "ASYNC"));

	if (c->argc > 2 && !known)
		reply_error(c->out, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
	else
		reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_script_kill(struct cmd *c)
{
	reply_error(c->out, "NOTBUSY No scripts in execution right now.");
	return CMD_DONE;
}

enum cmd_result cmd_script_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
