/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: one command, its reply, and the exit status.
 *
 * Runs in bulkhead-cli. Owns nothing, no locks. Standard output is flushed after every reply, so that what was printed
 * is true even if the process is then killed.
 */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"

static bool command_is(size_t argc, const struct arg *argv, const char *name, const char *second)
{
	return argc >= 1 && arg_ieq(&argv[0], name) && (!second || (argc >= 2 && arg_ieq(&argv[1], second)));
}

/* Replies that are pages of text: printed as they are, whatever the mode. */
static bool is_page(size_t argc, const struct arg *argv)
{
	static const char *const pages[][2] = {
	    {"info", NULL},        {"lolwut", NULL},     {"client", "list"},   {"client", "info"},
	    {"cluster", "nodes"},  {"cluster", "info"},  {"memory", "doctor"}, {"memory", "malloc-stats"},
	    {"latency", "doctor"}, {"latency", "graph"}, {"debug", "htstats"}, {"debug", "htstats-key"},
	};
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (command_is(argc, argv, pages[i][0], pages[i][1]))
			return true;
	return false;
}

/* Commands whose replies never end. */
static bool is_stream(size_t argc, const struct arg *argv)
{
	return command_is(argc, argv, "subscribe", NULL) || command_is(argc, argv, "psubscribe", NULL) ||
	       command_is(argc, argv, "ssubscribe", NULL) || command_is(argc, argv, "monitor", NULL);
}

static void print(const struct cli_options *o, const struct reply_node *r, bool page)
{
	struct buf out;
	buf_init(&out);
	if (o->raw || page) {
		cli_format_raw(&out, r);
		if (!page)
			buf_append_char(&out, '\n');
	} else {
		cli_format_tty(&out, r);
	}
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	buf_deinit(&out);
}

static int give_up(const struct cli_conn *c)
{
	fprintf(stderr, "Error: %s\n", c->error);
	return 1;
}

/* Prints and frees the reply; returns the exit status. */
static int conclude(struct cli_conn *c, struct reply_node *r, bool page)
{
	int status = 0;
	if (r->type == REPLY_ERROR && c->options->error_status) {
		fprintf(stderr, "%s\n", r->str);
		status = 1;
	} else {
		print(c->options, r, page);
	}
	reply_node_deinit(r);
	return status;
}

/* A reply that answers a command: pushes between are shown or dropped, attributes dropped. */
static bool receive_answer(struct cli_conn *c, struct reply_node *r, bool *closed)
{
	while (cli_receive(c, r, closed)) {
		if (r->type != REPLY_PUSH && r->type != REPLY_ATTRIBUTE)
			return true;
		if (r->type == REPLY_PUSH && c->options->show_pushes)
			print(c->options, r, false);
		reply_node_deinit(r);
	}
	return false;
}

static int run_stream(struct cli_conn *c)
{
	struct reply_node r;
	if (!c->options->raw)
		printf("Reading messages... (press Ctrl-C to quit)\n");
	while (cli_receive(c, &r, NULL)) {
		bool refused = r.type == REPLY_ERROR;
		int status = conclude(c, &r, false);
		if (refused)
			return status;
	}
	return give_up(c);
}

int cli_run(struct cli_conn *c, size_t argc, const struct arg *argv)
{
	struct reply_node r;
	bool closed = false;

	if (!cli_send(c, argc, argv))
		return give_up(c);
	if (is_stream(argc, argv))
		return run_stream(c);
	if (!receive_answer(c, &r, &closed))
		return closed && command_is(argc, argv, "shutdown", NULL) ? 0 : give_up(c);

	int64_t db;
	if (command_is(argc, argv, "select", NULL) && argc == 2 && r.type == REPLY_STATUS &&
	    parse_i64(argv[1].p, argv[1].n, &db))
		c->db = (int)db;
	return conclude(c, &r, is_page(argc, argv));
}

int cli_run_repeated(struct cli_conn *c, size_t argc, const struct arg *argv, long repeat)
{
	while (repeat != 0) {
		if (!cli_ensure_connected(c))
			return 1;
		int status = cli_run(c, argc, argv);
		if (status != 0)
			return status;
		if (repeat > 0)
			repeat--;
		if (repeat != 0 && c->options->interval_us > 0)
			usleep((useconds_t)c->options->interval_us);
	}
	return 0;
}
