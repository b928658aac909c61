/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: sends commands to a server and prints the replies as redis-cli does.
 *
 * A program of its own, a client like any other: it maps no shared memory. This file puts the command together; the
 * rest is cli_options.c (arguments), cli_conn.c (connection), cli_command.c (a command and its reply), cli_format.c and
 * cli_json.c (printing), cli_repl.c (commands from standard input), cli_docs.c (help and completion), line_*.c (the
 * line editor), cli_modes.c (--stat and the like).
 */
#include "cli.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"

static void read_stdin(struct buf *out)
{
	ssize_t n;
	do {
		n = io_read_full(STDIN_FILENO, buf_reserve(out, 65536), 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while (n == 65536);
}

/* A line from standard input that no terminal shows. */
static char *ask_password(void)
{
	struct termios was, silent;
	bool tty = tcgetattr(STDIN_FILENO, &was) == 0;
	if (tty) {
		silent = was;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
		fputs("Password: ", stderr);
	}
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = getline(&line, &cap, stdin);
	if (tty) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	if (n > 0)
		return line;
	free(line);
	return NULL;
}

/* The command's words. False, said on standard error: they make none. */
static bool gather(const struct cli_options *o, int argc, char **argv, struct arg_list *out, struct buf *from_stdin)
{
	struct arg_list one = {0};
	bool tag_found = false, ok = true;

	if (o->last_from_stdin || o->tag)
		read_stdin(from_stdin);
	for (int i = 0; i < argc && ok; i++) {
		if (o->tag && !strcmp(argv[i], o->tag)) {
			arg_list_add(out, from_stdin->data, from_stdin->len);
			tag_found = true;
		} else if (!o->quoted_input) {
			arg_list_add(out, argv[i], strlen(argv[i]));
		} else if (str_split_args(argv[i], strlen(argv[i]), &one) && one.n == 1) {
			arg_list_add(out, one.v[0].p, one.v[0].n);
		} else {
			puts("Invalid quoted string");
			ok = false;
		}
	}
	if (ok && o->tag && !tag_found) {
		fprintf(stderr, "No argument is '%s', for which -X wants to put standard input.\n", o->tag);
		ok = false;
	}
	if (o->last_from_stdin)
		arg_list_add(out, from_stdin->data, from_stdin->len);
	arg_list_deinit(&one);
	return ok;
}

int main(int argc, char **argv)
{
	struct cli_options o;
	struct cli_conn conn;
	struct arg_list args = {0};
	struct buf from_stdin;
	char *asked = NULL;
	int status = 1;

	int first = cli_options_read(&o, argc, argv);
	if (o.ask_password)
		o.password = asked = ask_password();
	buf_init(&from_stdin);
	cli_conn_init(&conn, &o);

	if (o.mode != MODE_COMMANDS) {
		status = cli_run_mode(&conn);
	} else if (gather(&o, argc - first, argv + first, &args, &from_stdin)) {
		if (args.n == 0) {
			o.error_status = false; /* -e is about one command */
			status = cli_repl(&conn);
		} else {
			status = cli_connect(&conn) ? cli_run_repeated(&conn, args.n, args.v, o.repeat) : 1;
		}
	}

	arg_list_deinit(&args);
	buf_deinit(&from_stdin);
	free(asked);
	cli_conn_deinit(&conn);
	return status;
}
