/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MODULE: there are no modules, and no client may load one: a module would run in the supervisor.
 *
 * Runs in workers, without an access. Owns nothing.
 */
#include "args.h"
#include "help.h"

enum cmd_result cmd_module_list(struct cmd *c)
{
	reply_array(c->out, 0);
	return CMD_DONE;
}

static enum cmd_result not_allowed(struct cmd *c)
{
	reply_error(c->out,
		    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can "
		    "run it from a local connection, otherwise you need to set this option in the configuration "
		    "file, and then restart the server.");
	return CMD_DONE;
}

enum cmd_result cmd_module_load(struct cmd *c)
{
	return not_allowed(c);
}

enum cmd_result cmd_module_loadex(struct cmd *c)
{
	return not_allowed(c);
}

enum cmd_result cmd_module_unload(struct cmd *c)
{
	return not_allowed(c);
}

enum cmd_result cmd_module_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
