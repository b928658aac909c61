/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MODULE: there are no modules, and none can be loaded, whoever may try: enable-module-command.
 *
 * Runs in workers, without an access. Owns nothing.
 */
#include "args.h"
#include "base/log.h"
#include "help.h"

enum cmd_result cmd_module_list(struct cmd *c)
{
	reply_array(c->out, 0);
	return CMD_DONE;
}

static enum cmd_result load(struct cmd *c)
{
	log_warning("Module %.*s failed to load: this server loads no modules", c->argv[2].n < 1024 ? (int)c->argv[2].n : 1024,
		    c->argv[2].p);
	reply_error(c->out, "ERR Error loading the extension. Please check the server logs.");
	return CMD_DONE;
}

enum cmd_result cmd_module_load(struct cmd *c)
{
	return load(c);
}

enum cmd_result cmd_module_loadex(struct cmd *c)
{
	return load(c);
}

enum cmd_result cmd_module_unload(struct cmd *c)
{
	reply_error(c->out, "ERR Error unloading module: no such module with that name");
	return CMD_DONE;
}

enum cmd_result cmd_module_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
