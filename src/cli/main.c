/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: sends commands to a server and prints the replies as redis-cli does.
 *
 * A program of its own, a client like any other: it maps no shared memory. This file reads the arguments; the rest is
 * cli_conn.c (connection), cli_command.c (a command and its reply), cli_format.c (printing), cli_repl.c (commands from
 * standard input).
 */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"
#include "base/version.h"

static const char usage[] = "Usage: bulkhead-cli [OPTIONS] [cmd [arg [arg ...]]]\n"
			    "  -h <host>          Server's name or address (default: 127.0.0.1).\n"
			    "  -p <port>          Server's port (default: 6379).\n"
			    "  -s <path>          Server's unix socket, instead of host and port.\n"
			    "  -a <password>      Password; --pass is the same. Or put it into the environment as\n"
			    "                     BULKHEADCLI_AUTH or REDISCLI_AUTH, where ps does not show it.\n"
			    "  --user <name>      User for the password.\n"
			    "  -n <db>            Database number.\n"
			    "  -2, -3             Speak RESP2 or RESP3.\n"
			    "  -r <count>         Run the command so many times (-1: for ever).\n"
			    "  -i <seconds>       Wait between repetitions; may have a fraction.\n"
			    "  -x                 Read the last argument from standard input.\n"
			    "  -e                 Exit with status 1 if the reply is an error.\n"
			    "  --raw              Print replies as they are (default when the output is no terminal).\n"
			    "  --no-raw           Print replies for people.\n"
			    "  --no-auth-warning  Do not warn of a password on the command line.\n"
			    "  --help, --version\n"
			    "Without a command, commands are read from standard input, one a line.\n";

static _Noreturn void refuse(const char *what, const char *arg)
{
	fprintf(stderr, "%s: '%s'\n", what, arg);
	exit(1);
}

static long number(const char *option, const char *text, long min, long max)
{
	int64_t v;
	if (!parse_i64(text, strlen(text), &v) || v < min || v > max) {
		fprintf(stderr, "Invalid number for %s: '%s'\n", option, text);
		exit(1);
	}
	return (long)v;
}

static long seconds_to_us(const char *text)
{
	double v;
	if (!parse_double(text, strlen(text), &v) || v < 0 || v > 3600)
		refuse("Invalid number for -i", text);
	return (long)(v * 1000000);
}

/* An option with a value. Returns false if it is none. */
static bool take_valued(struct cli_options *o, const char *name, const char *value, bool *warn)
{
	if (!strcmp(name, "-h"))
		o->host = value;
	else if (!strcmp(name, "-p"))
		o->port = (int)number(name, value, 0, 65535);
	else if (!strcmp(name, "-s"))
		o->socket = value;
	else if (!strcmp(name, "-n"))
		o->db = (int)number(name, value, 0, 1 << 30);
	else if (!strcmp(name, "-r"))
		o->repeat = number(name, value, -1, 1L << 40);
	else if (!strcmp(name, "-i"))
		o->interval_us = seconds_to_us(value);
	else if (!strcmp(name, "--user"))
		o->user = value;
	else if (!strcmp(name, "-a") || !strcmp(name, "--pass")) {
		o->password = value;
		*warn = true;
	} else
		return false;
	return true;
}

static bool take_plain(struct cli_options *o, const char *name)
{
	if (!strcmp(name, "-2"))
		o->proto = 2;
	else if (!strcmp(name, "-3"))
		o->proto = 3;
	else if (!strcmp(name, "-x"))
		o->last_from_stdin = true;
	else if (!strcmp(name, "-e"))
		o->error_status = true;
	else if (!strcmp(name, "--raw"))
		o->raw = true;
	else if (!strcmp(name, "--no-raw"))
		o->raw = false;
	else if (!strcmp(name, "--no-auth-warning"))
		o->no_auth_warning = true;
	else
		return false;
	return true;
}

/* Reads the options; returns the index of the first argument that is none. */
static int take_options(struct cli_options *o, int argc, char **argv)
{
	bool warn = false;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help") || (!strcmp(argv[i], "-h") && i + 1 == argc)) {
			printf("bulkhead-cli " BULKHEAD_VERSION "\n\n%s", usage);
			exit(0);
		}
		if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-v")) {
			printf("bulkhead-cli " BULKHEAD_VERSION "\n");
			exit(0);
		}
		if (take_plain(o, argv[i]))
			continue;
		if (i + 1 == argc || !take_valued(o, argv[i], argv[i + 1], &warn))
			refuse("Unrecognized option or bad number of args for", argv[i]);
		i++;
	}
	if (warn && !o->no_auth_warning)
		fputs("Warning: a password on the command line can be seen by others, in ps for one.\n", stderr);
	return i;
}

static void read_stdin(struct buf *out)
{
	ssize_t n;
	buf_init(out);
	do {
		n = io_read_full(STDIN_FILENO, buf_reserve(out, 65536), 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while (n == 65536);
}

int main(int argc, char **argv)
{
	bool tty = isatty(STDOUT_FILENO) || getenv("FAKETTY");
	struct cli_options o = {.host = "127.0.0.1", .port = 6379, .repeat = 1, .raw = !tty, .show_pushes = tty};
	const char *password = getenv("BULKHEADCLI_AUTH");
	o.password = password ? password : getenv("REDISCLI_AUTH");

	int first = take_options(&o, argc, argv);
	struct cli_conn conn;
	struct arg_list args = {0};
	struct buf last;
	buf_init(&last);
	cli_conn_init(&conn, &o);

	for (int i = first; i < argc; i++)
		arg_list_add(&args, argv[i], strlen(argv[i]));
	if (o.last_from_stdin) {
		read_stdin(&last);
		arg_list_add(&args, last.data, last.len);
	}

	int status;
	if (args.n == 0) {
		o.error_status = false; /* -e is about one command */
		status = cli_repl(&conn);
	} else {
		status = cli_connect(&conn) ? cli_run_repeated(&conn, args.n, args.v, o.repeat) : 1;
	}

	arg_list_deinit(&args);
	buf_deinit(&last);
	cli_conn_close(&conn);
	reply_parser_deinit(&conn.parser);
	return status;
}
