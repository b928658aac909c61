/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: commands from standard input, one a line, quoted as in the shell of redis-cli.
 *
 * Runs in bulkhead-cli. Owns nothing, no locks. With a terminal at both ends there is a prompt. "quit" and "exit" end
 * it, "connect host port" goes elsewhere, "clear" clears the screen, a number before a command repeats it.
 */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"

static void show_prompt(const struct cli_conn *c)
{
	const struct cli_options *o = c->options;
	if (c->fd < 0)
		printf("not connected");
	else if (o->socket)
		printf("%s", o->socket);
	else
		printf("%s:%d", o->host, o->port);
	if (c->fd >= 0 && c->db != 0)
		printf("[%d]", c->db);
	printf("> ");
	fflush(stdout);
}

/* "connect host port": the options from now on. Their strings are never freed: few, and the process is short. */
static void go_elsewhere(struct cli_conn *c, const struct arg *argv)
{
	static struct cli_options elsewhere;
	int64_t port;
	if (!parse_i64(argv[2].p, argv[2].n, &port) || port < 0 || port > 65535) {
		printf("Invalid argument(s)\n");
		return;
	}
	elsewhere = *c->options;
	elsewhere.host = strndup(argv[1].p, argv[1].n);
	elsewhere.port = (int)port;
	elsewhere.socket = NULL;
	c->options = &elsewhere;
	cli_connect(c);
}

/* Returns the exit status so far; *end is set when the user wants to leave. */
static int run_line(struct cli_conn *c, struct arg_list *args, bool *end)
{
	struct arg *argv = args->v;
	size_t argc = args->n;
	int64_t repeat = 1;

	if (argc == 1 && (arg_ieq(&argv[0], "quit") || arg_ieq(&argv[0], "exit"))) {
		*end = true;
		return 0;
	}
	if (argc == 1 && arg_ieq(&argv[0], "clear")) {
		printf("\x1b[H\x1b[2J");
		fflush(stdout);
		return 0;
	}
	if (argc == 3 && arg_ieq(&argv[0], "connect")) {
		go_elsewhere(c, argv);
		return 0;
	}
	if (argc > 1 && parse_i64(argv[0].p, argv[0].n, &repeat)) {
		if (repeat <= 0) {
			printf("Invalid repeat count\n");
			return 0;
		}
		argv++;
		argc--;
	}
	cli_run_repeated(c, argc, argv, (long)repeat);
	return 0;
}

int cli_repl(struct cli_conn *c)
{
	bool prompt = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), end = false;
	char *line = NULL;
	size_t cap = 0;
	struct arg_list args = {0};

	cli_connect(c);
	while (!end) {
		if (prompt)
			show_prompt(c);
		ssize_t n = getline(&line, &cap, stdin);
		if (n < 0)
			break;
		if (!str_split_args(line, (size_t)n, &args)) {
			printf("Invalid argument(s)\n");
			fflush(stdout);
		} else if (args.n > 0) {
			run_line(c, &args, &end);
		}
	}
	free(line);
	arg_list_deinit(&args);
	return 0;
}
