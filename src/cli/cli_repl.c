/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: commands from standard input, one a line, quoted as in the shell of redis-cli.
 *
 * Runs in bulkhead-cli. Owns the history, no locks. On a terminal there is a prompt, with the line editor if it is one
 * that can be drawn on. "quit" and "exit" end it, "help" helps, "connect host port" goes elsewhere, "clear" clears the
 * screen, a number before a command repeats it. Ctrl-C while a command waits ends the connection, which is the only way
 * to make a server stop, and a new one is made at once.
 */
#include "cli.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "line_edit.h"

#define SLOW_US 500000 /* a command that takes longer has its time printed */

struct repl {
	struct cli_conn *conn;
	bool prompt; /* standard input is a terminal */
	bool editor;
	struct line_history history;
	struct cli_docs docs;
	bool docs_asked;
	struct cli_options elsewhere; /* after "connect" */
	char *elsewhere_host;
};

static void append_prompt(const struct cli_conn *c, struct buf *out)
{
	const struct cli_options *o = c->options;
	out->len = 0;
	if (c->fd < 0)
		buf_append_str(out, "not connected");
	else if (o->socket)
		buf_printf(out, "redis %s", o->socket);
	else
		buf_printf(out, strchr(o->host, ':') ? "[%s]:%d" : "%s:%d", o->host, o->port);
	if (c->fd >= 0 && c->db != 0)
		buf_printf(out, "[%d]", c->db);
	if (c->fd >= 0 && c->in_multi)
		buf_append_str(out, "(TX)");
	buf_append_str(out, "> ");
	buf_append_char(out, '\0');
}

/* Whether the line holds a secret, and is not for the history. */
static bool is_secret(size_t argc, const struct arg *argv)
{
	static const char *const always[] = {"auth", "acl", "sentinel"};
	static const char *const words[] = {"auth", "auth2", "requirepass", "masterauth", "primaryauth", "masteruser"};
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (argc > 1 && arg_ieq(&argv[0], always[i]))
			return true;
	if (argc < 2 || !(arg_ieq(&argv[0], "hello") || arg_ieq(&argv[0], "migrate") || arg_ieq(&argv[0], "config")))
		return false;
	for (size_t i = 1; i < argc; i++) {
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			if (arg_ieq(&argv[i], words[k]))
				return true;
		if (memmem(argv[i].p, argv[i].n, "pass", 4))
			return true;
	}
	return false;
}

static void docs_needed(struct repl *r)
{
	if (!r->docs_asked && r->conn->fd >= 0) {
		r->docs_asked = true;
		cli_docs_load(&r->docs, r->conn);
	}
}

static void on_interrupt(int sig)
{
	(void)sig;
	cli_interrupted = 1;
}

/* Ctrl-C ends this command, not us. One that was typed before the command was sent counts. */
static void run_interruptible(struct repl *r, size_t argc, const struct arg *argv, long repeat)
{
	struct timespec t0, t1;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	cli_run_repeated(r->conn, argc, argv, repeat);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	if (cli_interrupted) {
		cli_interrupted = 0;
		printf("\n");
		if (r->conn->fd < 0)
			cli_connect(r->conn);
		return;
	}
	int64_t us = (t1.tv_sec - t0.tv_sec) * 1000000LL + (t1.tv_nsec - t0.tv_nsec) / 1000;
	if (us >= SLOW_US && r->conn->options->output == OUTPUT_TTY)
		printf("(%.2fs)\n", (double)us / 1000000);
}

/* "connect host port". */
static void go_elsewhere(struct repl *r, const struct arg *argv)
{
	int64_t port;
	if (!parse_i64(argv[2].p, argv[2].n, &port) || port < 0 || port > 65535) {
		printf("Invalid argument(s)\n");
		return;
	}
	char *host = strndup(argv[1].p, argv[1].n);
	r->elsewhere = *r->conn->options;
	r->elsewhere.host = host;
	r->elsewhere.port = (int)port;
	r->elsewhere.socket = NULL;
	r->conn->options = &r->elsewhere;
	free(r->elsewhere_host);
	r->elsewhere_host = host;
	cli_connect(r->conn);
}

/* What is for us and not for the server. */
static bool run_own(struct repl *r, size_t argc, const struct arg *argv, bool *end)
{
	if (arg_ieq(&argv[0], "quit") || arg_ieq(&argv[0], "exit")) {
		*end = true;
	} else if (arg_ieq(&argv[0], "help") || arg_ieq(&argv[0], "?")) {
		docs_needed(r);
		cli_docs_help(&r->docs, argc, argv);
	} else if (argc == 1 && arg_ieq(&argv[0], "clear")) {
		if (r->editor)
			printf("\x1b[H\x1b[2J");
	} else if (argc == 3 && arg_ieq(&argv[0], "connect")) {
		go_elsewhere(r, argv);
	} else {
		return false;
	}
	fflush(stdout);
	return true;
}

static void run_line(struct repl *r, char *line, size_t n, bool *end)
{
	struct arg_list args = {0};
	int64_t repeat = 1;
	char *typed = r->editor ? strdup(line) : NULL;
	bool balanced = str_split_args(line, n, &args);
	size_t skip = balanced && args.n > 1 && parse_i64(args.v[0].p, args.v[0].n, &repeat) ? 1 : 0;

	/* What we cannot take apart may hold a password, too. */
	if (typed && balanced && args.n > 0 && !is_secret(args.n - skip, args.v + skip))
		line_history_add(&r->history, typed);
	if (!balanced)
		printf("Invalid argument(s)\n");
	else if (args.n > 0 && skip && repeat <= 0)
		printf("Invalid redis-cli repeat command option value.\n");
	else if (args.n > 0 && (skip || !run_own(r, args.n, args.v, end)))
		run_interruptible(r, args.n - skip, args.v + skip, (long)repeat);
	fflush(stdout);
	free(typed);
	arg_list_deinit(&args);
}

/* ---- where lines come from ---- */

static void hint(void *context, const char *line, size_t n, struct buf *out)
{
	struct repl *r = context;
	cli_docs_hint(&r->docs, line, n, out);
}

static void complete(void *context, const char *line, size_t n, void (*take)(void *, const char *, size_t), void *to)
{
	struct repl *r = context;
	cli_docs_complete(&r->docs, line, n, take, to);
}

static enum line_result next_edited(struct repl *r, const char *prompt, struct buf *line)
{
	struct line_help help = {r, hint, complete};
	docs_needed(r);
	return line_edit(prompt, &r->history, &help, line);
}

static enum line_result next_plain(struct repl *r, const char *prompt, struct buf *line)
{
	char *text = NULL;
	size_t cap = 0;
	if (r->prompt) {
		fputs(prompt, stdout);
		fflush(stdout);
	}
	ssize_t n = getline(&text, &cap, stdin);
	line->len = 0;
	if (n > 0)
		buf_append(line, text, (size_t)n);
	free(text);
	return n < 0 ? LINE_END : LINE_DONE;
}

/* ~/.bulkheadcli_history, or what the environment says; NULL: none is kept. */
static char *history_path(void)
{
	const char *path = getenv("BULKHEADCLI_HISTFILE"), *home = getenv("HOME");
	char *out = NULL;
	if (path)
		return *path && strcmp(path, "/dev/null") ? strdup(path) : NULL;
	if (!home || !*home || asprintf(&out, "%s/.bulkheadcli_history", home) < 0)
		return NULL;
	return out;
}

int cli_repl(struct cli_conn *c)
{
	struct repl r = {
	    .conn = c, .prompt = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), .editor = line_edit_possible()};
	struct buf line, prompt;
	char *path = r.editor ? history_path() : NULL;
	bool end = false;

	buf_init(&line);
	buf_init(&prompt);
	line_history_init(&r.history, path);
	free(path);
	/* Without SA_RESTART: at a prompt without the editor Ctrl-C ends the reading, and so the client. */
	if (r.prompt)
		sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
	cli_connect(c);
	while (!end) {
		cli_interrupted = 0;
		append_prompt(c, &prompt);
		enum line_result got =
		    r.editor ? next_edited(&r, prompt.data, &line) : next_plain(&r, prompt.data, &line);
		if (got == LINE_END)
			break;
		if (got == LINE_DONE)
			run_line(&r, line.data, line.len, &end);
	}
	buf_deinit(&line);
	buf_deinit(&prompt);
	line_history_deinit(&r.history);
	cli_docs_deinit(&r.docs);
	free(r.elsewhere_host);
	return 0;
}
