/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Applying commands that come from a file (cmd/apply.h).
 *
 * Run by the loader. Owns a session without a client. Takes no lock itself: access_run does, and holds nothing when it returns. A death in here
 * leaves what a worker's leaves, and the load begins anew.
 *
 * Only what a server writes into such a file is applied: commands that write, SELECT, and libraries of functions (apply_function.c). Commands that read do nothing there. All others are
 * refused, for they would act on the server and not on its data (CONFIG, SHUTDOWN ...).
 */
#include "cmd/apply.h"

#include <stdio.h>

#include "apply_function.h"
#include "args.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/seldom.h"
#include "command_plan.h"
#include "store/access.h"

#define CLOCK_EACH 256u     /* commands: relative expiries are counted from the moment of the load, roughly */
#define ERRORS_LOGGED 16u   /* each of the first has a line; who loads says how many there were */
#define PREVIEW 64

static struct {
	struct session session;
	bool ready;
	struct applied done;
	uint64_t at_clock; /* commands when the clock was last read */
	char why[256];
} applier SELDOM_USED;

void apply_begin(void)
{
	struct session *s = &applier.session;

	if (!applier.ready) {
		reply_init(&s->out);
		s->fd = -1;
		s->authenticated = s->store_mapped = applier.ready = true;
	}
	applier.done = (struct applied){0};
	access_loads(true);
	apply_file();
}

void apply_file(void)
{
	applier.session.db = 0;
	applier.session.now = clock_wall_ms();
	applier.at_clock = applier.done.commands;
}

struct applied apply_done(void)
{
	return applier.done;
}

/* ---- which commands ---- */

static const char *refuse(const char *what, const struct arg *name)
{
	struct buf b = {0};

	str_repr(&b, name->p, name->n < PREVIEW ? name->n : PREVIEW);
	snprintf(applier.why, sizeof applier.why, "%s %.*s", what, (int)b.len, b.data);
	buf_deinit(&b);
	return applier.why;
}

static bool is_select(const struct command *row)
{
	return row->handler == cmd_select;
}

/* NULL: it may stand in a file, and *out is its row. */
static const char *find(int argc, const struct arg *argv, const struct command **out)
{
	const struct command *row = command_find(argv[0].p, argv[0].n);

	if (row == NULL)
		return refuse("unknown command", &argv[0]);
	if (command_first_sub(row) != NULL) {
		row = argc > 1 ? command_find_sub(row, argv[1].p, argv[1].n) : NULL;
		if (row == NULL)
			return refuse("unknown subcommand of", &argv[0]);
	}
	if (!command_arity_ok(row, argc))
		return refuse("wrong number of arguments for", &argv[0]);
	if (!(row->flags & (COMMAND_WRITE | COMMAND_READONLY)) && !is_select(row))
		return refuse("a command that has no place in such a file:", &argv[0]);
	*out = row;
	return NULL;
}

const char *apply_known(int argc, const struct arg *argv)
{
	const struct command *row;

	return apply_is_function(argc, argv) ? NULL : find(argc, argv, &row);
}

/* ---- running one ---- */

static int run_write(struct cmd *c)
{
	struct command_plan p;

	command_plan(&p, c);
	int result = command_plan_run(&p, c);
	command_plan_over();
	return result;
}

static bool begins(const char *text, int n, const char *with)
{
	size_t len = strlen(with);
	return n >= (int)len && memcmp(text, with, len) == 0;
}

/* What it answered with is an error. Where a key would be missing that no later command explains, the load stops. */
static const char *answered_with_error(struct cmd *c, int result)
{
	const struct buf *out = &c->out->out;
	const char *text = out->data + c->out->error_at;
	int n = (int)(out->len - c->out->error_at);
	struct buf name = {0};

	n = n > 2 ? n - 2 : n; /* its line's end */
	if (is_select(c->row) || begins(text, n, "OOM") || begins(text, n, STRINGS_ONLY) || result < 0) {
		snprintf(applier.why, sizeof applier.why, "%s answers: %.*s", c->row->name, n, text);
		return applier.why;
	}
	if (applier.done.errors++ < ERRORS_LOGGED) {
		str_repr(&name, c->argc > 1 ? c->argv[1].p : "", c->argc > 1 ? (c->argv[1].n < PREVIEW ? c->argv[1].n : PREVIEW) : 0);
		log_warning("== CRITICAL == A command of the append only file answers with an error: '%.*s', after %s %.*s", n, text,
			    c->row->name, (int)name.len, name.data);
		buf_deinit(&name);
	}
	return NULL;
}

const char *apply_command(int argc, const struct arg *argv)
{
	struct session *s = &applier.session;
	struct cmd c = {.session = s, .out = &s->out, .argc = argc, .argv = argv};
	const char *why = find(argc, argv, &c.row);
	int result = CMD_DONE;

	if (__builtin_expect(why != NULL || c.row->parent != NOT_A_SUBCOMMAND, 0) && apply_is_function(argc, argv)) {
		applier.done.commands++;
		return apply_function(argc, argv);
	}
	if (why != NULL)
		return why;
	if (applier.done.commands++ - applier.at_clock >= CLOCK_EACH) {
		s->now = clock_wall_ms();
		applier.at_clock = applier.done.commands;
	}
	reply_rewind(&s->out, 0);
	c.errors_before = s->out.errors;
	if (c.row->flags & COMMAND_WRITE)
		result = run_write(&c);
	else if (is_select(c.row))
		c.row->handler(&c);
	if (result < 0)
		reply_oom(&c);
	if (c.sweep)
		db_sweep_retired();
	return s->out.errors == c.errors_before ? NULL : answered_with_error(&c, result);
}
