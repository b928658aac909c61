/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HELP, and the HELP subcommand of containers: how to call what there is, made from the rows of commands.def.
 *
 * Runs in workers, without an access. Owns nothing.
 */
#include "help.h"

#include "base/glob.h"
#include "notation.h"

static void append_name(struct buf *b, const struct command *row)
{
	for (const char *p = row->name; *p != 0; p++)
		buf_append_char(b, *p == '|' ? ' ' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p);
}

/* "SET key value [NX|XX] ...", "CONFIG GET parameter ..." */
static void append_usage(struct buf *b, const struct command *row)
{
	append_name(b, row);
	if (row->arguments != NULL) {
		buf_append_char(b, ' ');
		notation_usage(arg_of(row->arguments), b);
	}
}

static bool wanted(const struct cmd *c, const struct command *row)
{
	for (int i = 1; i < c->argc; i++)
		if (glob_match(c->argv[i].p, c->argv[i].n, row->name, row->name_len, true))
			return true;
	return c->argc == 1;
}

/* Without patterns a line for each command; with them, what it does as well. */
enum cmd_result cmd_help(struct cmd *c)
{
	struct buf line;
	size_t n = 0, mark = reply_defer(c->out);

	buf_init(&line);
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		if (row->handler == NULL || !command_is_callable(row) || !wanted(c, row))
			continue;
		buf_clear(&line);
		append_usage(&line, row);
		reply_bulk(c->out, line.data, line.len);
		n++;
		if (c->argc == 1)
			continue;
		reply_bulkf(c->out, "    %s", row->summary);
		n++;
	}
	reply_defer_array(c->out, mark, n);
	buf_deinit(&line);
	return CMD_DONE;
}

void help_subcommands(struct cmd *c)
{
	const struct command *container = command_find(c->argv[0].p, c->argv[0].n);
	size_t skip = (size_t)container->name_len + 1, n = 1, mark = reply_defer(c->out);
	struct buf line;

	buf_init(&line);
	/* As it is called: it may have been renamed. */
	for (size_t i = 0; i < c->argv[0].n; i++) {
		char letter = c->argv[0].p[i];
		buf_append_char(&line, letter >= 'a' && letter <= 'z' ? (char)(letter - 32) : letter);
	}
	buf_append_str(&line, " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
	buf_append_char(&line, 0);
	reply_status(c->out, line.data);
	for (const struct command *sub = command_first_sub(container); sub != NULL; sub = command_next_sub(sub)) {
		buf_clear(&line);
		append_usage(&line, sub);
		buf_append_char(&line, 0);
		/* Without the container's name. */
		reply_status(c->out, line.data + skip);
		buf_clear(&line);
		buf_printf(&line, "    %s", sub->summary);
		buf_append_char(&line, 0);
		reply_status(c->out, line.data);
		n += 2;
	}
	reply_defer_array(c->out, mark, n);
	buf_deinit(&line);
}
