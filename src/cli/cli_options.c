/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: the command line and the environment.
 *
 * Runs in bulkhead-cli, before anything else. Owns the copies of the passwords it took from argv: others can read argv,
 * so they are blotted out there. No locks.
 */
#include "cli.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"
#include "base/version.h"

static const char usage[] =
    "Usage: bulkhead-cli [OPTIONS] [cmd [arg [arg ...]]]\n"
    "\n"
    "Where\n"
    "  -h <host>            Server's name or address (default: 127.0.0.1).\n"
    "  -p <port>            Server's port (default: 6379).\n"
    "  -s <path>            Server's unix socket, instead of host and port.\n"
    "  -u <uri>             All at once: redis://user:password@host:port/db\n"
    "  -n <db>              Database number.\n"
    "  -2, -3               Speak RESP2 or RESP3.\n"
    "Who\n"
    "  -a, --pass <word>    Password. Better: put it into the environment as REDISCLI_AUTH.\n"
    "  --user <name>        User for the password.\n"
    "  --askpass            Ask for the password.\n"
    "  --no-auth-warning    Do not warn of a password on the command line.\n"
    "What\n"
    "  -r <count>           Run the command so many times (-1: for ever).\n"
    "  -i <seconds>         Wait after each time; may have a fraction.\n"
    "  -x                   Standard input is the last argument.\n"
    "  -X <tag>             Standard input takes the place of the argument <tag>.\n"
    "  --quoted-input       Arguments are strings with quotes and escapes.\n"
    "  -e                   Exit with status 1 if the reply is an error.\n"
    "How replies are printed\n"
    "  --raw, --no-raw      As they are (default when the output is no terminal), or for people.\n"
    "  -d <text>            Between the elements of raw replies (default: a new line).\n"
    "  -D <text>            After raw replies (default: a new line).\n"
    "  --csv                As comma-separated values.\n"
    "  --json               As JSON, spoken with RESP3 unless -2 is given.\n"
    "  --quoted-json        The same in ASCII alone.\n"
    "  --show-pushes <yn>   Whether to print pushed messages (default: on a terminal).\n"
    "Instead of a command\n"
    "  --stat               A line of figures each second (or -i).\n"
    "  --scan               The names of all keys,\n"
    "  --pattern <glob>     or of those that match; --quoted-pattern for one with escapes.\n"
    "  --latency            How long the server takes to answer, in milliseconds.\n"
    "  --pipe               Send standard input, which is in the protocol, and count the replies.\n"
    "  --pipe-timeout <s>   Give up when no reply comes for so long (default: 30; 0: never).\n"
    "  --verbose, --help, --version\n"
    "\n"
    "Without a command, commands are read from standard input, one a line; on a terminal there is a prompt with "
    "history\n"
    "and completion. Type help there.\n";

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

/* A copy, while the original is overwritten. */
static char *take_secret(char *text)
{
	char *copy = strdup(text);
	size_t n = strlen(text);
	explicit_bzero(text, n);
	if (n > 0)
		text[0] = '*';
	return copy;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Replaces %41 by what it stands for, in place. */
static char *percent_decode(char *text)
{
	char *w = text;
	for (const char *r = text; *r; r++) {
		if (r[0] == '%' && hex(r[1]) >= 0 && hex(r[2]) >= 0) {
			*w++ = (char)(hex(r[1]) * 16 + hex(r[2]));
			r += 2;
		} else {
			*w++ = *r;
		}
	}
	*w = '\0';
	return text;
}

/* redis://[[user]:password@]host[:port][/db]; what stands before an @ without a colon is a password. */
static void take_uri(struct cli_options *o, char *text)
{
	static const char scheme[] = "redis://";
	if (!strncasecmp(text, "rediss://", 9))
		refuse("No TLS in this client", "rediss://");
	if (strncasecmp(text, scheme, sizeof(scheme) - 1))
		refuse("No redis:// URI", "-u");
	char *at, *host = take_secret(text) + sizeof(scheme) - 1, *slash, *colon;
	if ((at = strrchr(host, '@'))) {
		*at = '\0';
		if ((colon = strchr(host, ':'))) {
			*colon = '\0';
			o->user = colon > host ? percent_decode(host) : NULL;
			o->password = percent_decode(colon + 1);
		} else {
			o->password = percent_decode(host);
		}
		host = at + 1;
	}
	if ((slash = strchr(host, '/'))) {
		*slash = '\0';
		if (slash[1])
			o->db = (int)number("-u", slash + 1, 0, 1 << 30);
	}
	char *end = host[0] == '[' ? strchr(host, ']') : NULL; /* an IPv6 address */
	if ((colon = strchr(end ? end : host, ':'))) {
		*colon = '\0';
		o->port = (int)number("-u", colon + 1, 0, 65535);
	}
	if (end) {
		*end = '\0';
		host++;
	}
	if (*host)
		o->host = percent_decode(host);
}

/* A string with quotes and escapes, in place. */
static struct arg unquote(char *text)
{
	struct arg_list list = {0};
	if (!str_split_args(text, strlen(text), &list) || list.n != 1)
		refuse("Invalid quoted string", text);
	struct arg a = list.v[0];
	arg_list_deinit(&list);
	return a;
}

static bool yes_or_no(const char *text)
{
	if (!strcasecmp(text, "y") || !strcasecmp(text, "yes"))
		return true;
	if (strcasecmp(text, "n") && strcasecmp(text, "no"))
		refuse("Neither yes nor no for --show-pushes", text);
	return false;
}

/* Of the program, and of a connection: an option with a value. Returns false if it is none. */
static bool take_valued(struct cli_options *o, const char *name, char *value, bool *warn)
{
	if (!strcmp(name, "-h"))
		o->host = value;
	else if (!strcmp(name, "-p"))
		o->port = (int)number(name, value, 0, 65535);
	else if (!strcmp(name, "-s"))
		o->socket = value;
	else if (!strcmp(name, "-n"))
		o->db = (int)number(name, value, INT32_MIN, INT32_MAX);
	else if (!strcmp(name, "--user"))
		o->user = value;
	else if (!strcmp(name, "-a") || !strcmp(name, "--pass")) {
		o->password = take_secret(value);
		*warn = true;
	} else if (!strcmp(name, "-u")) {
		take_uri(o, value);
		*warn = *warn || o->password;
	} else
		return false;
	return true;
}

/* The same, of commands and replies. */
static bool take_valued_of_command(struct cli_options *o, const char *name, char *value)
{
	if (!strcmp(name, "-r"))
		o->repeat = number(name, value, -1, 1L << 40);
	else if (!strcmp(name, "-i")) {
		o->interval_us = seconds_to_us(value);
		o->interval_given = true;
	} else if (!strcmp(name, "-X"))
		o->tag = value;
	else if (!strcmp(name, "-d"))
		o->element_end = cli_text(value);
	else if (!strcmp(name, "-D"))
		o->reply_end = cli_text(value);
	else if (!strcmp(name, "--show-pushes"))
		o->show_pushes = yes_or_no(value);
	else if (!strcmp(name, "--pattern"))
		o->pattern = cli_text(value);
	else if (!strcmp(name, "--quoted-pattern"))
		o->pattern = unquote(value);
	else if (!strcmp(name, "--pipe-timeout"))
		o->pipe_timeout = number(name, value, 0, 1 << 20);
	else
		return false;
	return true;
}

static bool take_plain(struct cli_options *o, const char *name)
{
	static const struct {
		const char *name;
		int output, mode; /* -1: none */
	} choices[] = {
	    {"--raw", OUTPUT_RAW, -1},   {"--no-raw", OUTPUT_TTY, -1}, {"--csv", OUTPUT_CSV, -1},
	    {"--json", OUTPUT_JSON, -1}, {"--stat", -1, MODE_STAT},    {"--quoted-json", OUTPUT_QUOTED_JSON, -1},
	    {"--scan", -1, MODE_SCAN},   {"--pipe", -1, MODE_PIPE},    {"--latency", -1, MODE_LATENCY},
	};
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (strcmp(choices[i].name, name))
			continue;
		if (choices[i].output >= 0)
			o->output = (enum cli_output)choices[i].output;
		if (choices[i].mode >= 0)
			o->mode = (enum cli_mode)choices[i].mode;
		return true;
	}
	if (!strcmp(name, "-2"))
		o->proto = 2;
	else if (!strcmp(name, "-3"))
		o->proto = 3;
	else if (!strcmp(name, "-x"))
		o->last_from_stdin = true;
	else if (!strcmp(name, "-e"))
		o->error_status = true;
	else if (!strcmp(name, "--quoted-input"))
		o->quoted_input = true;
	else if (!strcmp(name, "--askpass"))
		o->ask_password = true;
	else if (!strcmp(name, "--verbose"))
		o->verbose = true;
	else if (!strcmp(name, "--no-auth-warning"))
		o->no_auth_warning = true;
	else
		return false;
	return true;
}

static void conclude(struct cli_options *o, bool warn)
{
	if (o->last_from_stdin && o->tag) {
		fputs("-x and -X exclude each other.\n", stderr);
		exit(1);
	}
	if ((o->output == OUTPUT_JSON || o->output == OUTPUT_QUOTED_JSON) && o->proto == 0) {
		o->proto = 3;
		o->proto_default = true;
	}
	if (o->repeat == 0)
		o->repeat = o->mode == MODE_STAT ? -1 : 1;
	if (o->ask_password)
		o->password = NULL;
	else if (warn && !o->no_auth_warning)
		fputs("Warning: a password on the command line can be seen by others, in ps for one.\n", stderr);
}

int cli_options_read(struct cli_options *o, int argc, char **argv)
{
	bool tty = isatty(STDOUT_FILENO) || getenv("FAKETTY"), warn = false;
	int i = 1;

	*o = (struct cli_options){.host = "127.0.0.1",
				  .port = 6379,
				  .output = tty ? OUTPUT_TTY : OUTPUT_RAW,
				  .show_pushes = tty,
				  .password = getenv("REDISCLI_AUTH"),
				  .pipe_timeout = 30,
				  .element_end = cli_text("\n"),
				  .reply_end = cli_text("\n")};
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
		if (i + 1 == argc ||
		    (!take_valued(o, argv[i], argv[i + 1], &warn) && !take_valued_of_command(o, argv[i], argv[i + 1])))
			refuse("Unrecognized option or bad number of args for", argv[i]);
		i++;
	}
	conclude(o, warn);
	return i;
}
