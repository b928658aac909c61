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
	if (page && (r->type == REPLY_STRING || r->type == REPLY_VERBATIM))
		cli_format_page(&out, r);
	else
		cli_format(&out, r, o->output, o);
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	buf_deinit(&out);
}

static int give_up(const struct cli_conn *c)
{
	if (c->error[0])
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
	if (c->options->output != OUTPUT_RAW)
		printf("Reading messages... (press Ctrl-C to quit)\n");
	while (cli_receive(c, &r, NULL)) {
		bool refused = r.type == REPLY_ERROR;
		int status = conclude(c, &r, false);
		if (refused)
			return status;
	}
	return give_up(c);
}

/* What the connection is given again when it has to be made anew. */
static void remember_password(struct cli_conn *c, const struct arg *user, const struct arg *password)
{
	free(c->user);
	free(c->password);
	c->user = user ? strndup(user->p, user->n) : NULL;
	c->password = password ? strndup(password->p, password->n) : NULL;
}

static void note_hello(struct cli_conn *c, size_t argc, const struct arg *argv)
{
	int64_t proto;
	if (argc > 1 && parse_i64(argv[1].p, argv[1].n, &proto))
		c->proto = (int)proto;
	for (size_t i = 2; i + 2 < argc; i++)
		if (arg_ieq(&argv[i], "auth")) {
			remember_password(c, &argv[i + 1], &argv[i + 2]);
			return;
		}
}

static void note_end_of_multi(struct cli_conn *c, bool executed)
{
	if (c->in_multi && !executed)
		c->db = c->db_before_multi;
	c->in_multi = false;
}

/* A command that changed what the connection is: the prompt shows some of it. */
static void note_change(struct cli_conn *c, size_t argc, const struct arg *argv, const struct reply_node *r)
{
	int64_t db;
	bool nil = r->type == REPLY_NULL;

	if (r->type == REPLY_ERROR) {
		if (command_is(argc, argv, "exec", NULL) && str_ieq(r->str, r->n < 9 ? r->n : 9, "EXECABORT"))
			note_end_of_multi(c, false);
		return;
	}
	if (command_is(argc, argv, "select", NULL) && argc == 2 && parse_i64(argv[1].p, argv[1].n, &db)) {
		c->db = (int)db;
	} else if (command_is(argc, argv, "auth", NULL) && (argc == 2 || argc == 3)) {
		remember_password(c, argc == 3 ? &argv[1] : NULL, &argv[argc - 1]);
	} else if (command_is(argc, argv, "hello", NULL)) {
		note_hello(c, argc, argv);
	} else if (command_is(argc, argv, "multi", NULL)) {
		c->in_multi = true;
		c->db_before_multi = c->db;
	} else if (command_is(argc, argv, "exec", NULL) || command_is(argc, argv, "discard", NULL)) {
		note_end_of_multi(c, command_is(argc, argv, "exec", NULL) && !nil);
	} else if (command_is(argc, argv, "reset", NULL)) {
		c->in_multi = false;
		c->db = c->proto = 0;
		remember_password(c, NULL, NULL);
	}
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
	note_change(c, argc, argv, &r);
	return conclude(c, &r, is_page(argc, argv));
}

int cli_run_repeated(struct cli_conn *c, size_t argc, const struct arg *argv, long repeat)
{
	while (repeat != 0) {
		if (!cli_ensure_connected(c))
			return 1;
		int status = cli_run(c, argc, argv);
		if (status != 0 || cli_interrupted)
			return status;
		if (repeat > 0)
			repeat--;
		if (c->options->interval_us > 0)
			usleep((useconds_t)c->options->interval_us);
	}
	return 0;
}
