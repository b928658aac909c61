/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COMMAND GETKEYS and GETKEYSANDFLAGS: which words of a command are keys.
 *
 * Runs in workers, without an access. Owns nothing; whatever is replied is words of the command and of the constant rows.
 */
#include <stdio.h>

#include "args.h"
#include "key_specs.h"
#include "notation.h"

static void reply_flags(struct reply *r, struct arg flags)
{
	struct arg word;
	char text[32];
	size_t n = 0, mark = reply_defer(r);

	for (; notation_word(&flags, &word); n++) {
		snprintf(text, sizeof text, "%.*s", (int)word.n, word.p);
		reply_status(r, text);
	}
	reply_defer_set(r, mark, n);
}

static void reply_key(void *arg, const struct arg *key, struct arg flags)
{
	struct reply *r = arg;

	(void)flags;
	reply_bulk(r, key->p, key->n);
}

static void reply_key_and_flags(void *arg, const struct arg *key, struct arg flags)
{
	struct reply *r = arg;

	reply_array(r, 2);
	reply_bulk(r, key->p, key->n);
	reply_flags(r, flags);
}

static const struct command *row_of(const struct arg *argv, int argc)
{
	const struct command *row = command_find(argv[0].p, argv[0].n);

	if (row != NULL && command_first_sub(row) != NULL && argc > 1)
		row = command_find_sub(row, argv[1].p, argv[1].n);
	return row;
}

static enum cmd_result reply_keys(struct cmd *c, key_spec_visitor *each)
{
	const struct arg *argv = c->argv + 2;
	int argc = c->argc - 2;
	const struct command *row = row_of(argv, argc);

	if (row == NULL) {
		reply_error(c->out, "ERR Invalid command specified");
		return CMD_DONE;
	}
	if (row->keys == NULL) {
		reply_error(c->out, "ERR The command has no key arguments");
		return CMD_DONE;
	}
	if (!command_arity_ok(row, argc)) {
		reply_error(c->out, "ERR Invalid number of arguments specified for command");
		return CMD_DONE;
	}
	size_t mark = reply_defer(c->out);
	int found = key_specs_find(row, argc, argv, each, c->out);
	if (found > 0) {
		reply_defer_array(c->out, mark, (size_t)found);
		return CMD_DONE;
	}
	reply_rewind(c->out, c->reply_start);
	if (row->flags & COMMAND_NO_MANDATORY_KEYS)
		reply_array(c->out, 0);
	else
		reply_error(c->out, "ERR Invalid arguments specified for command");
	return CMD_DONE;
}

enum cmd_result cmd_command_getkeys(struct cmd *c)
{
	return reply_keys(c, reply_key);
}

enum cmd_result cmd_command_getkeysandflags(struct cmd *c)
{
	return reply_keys(c, reply_key_and_flags);
}
