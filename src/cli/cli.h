/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of bulkhead-cli share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/str.h"
#include "wire/reply_parse.h"

enum cli_output { OUTPUT_TTY, OUTPUT_RAW, OUTPUT_CSV, OUTPUT_JSON, OUTPUT_QUOTED_JSON };

enum cli_mode { MODE_COMMANDS, MODE_STAT, MODE_SCAN, MODE_LATENCY, MODE_PIPE };

struct cli_options {
	const char *host, *socket; /* socket: path, or NULL for TCP */
	int port;
	const char *user, *password; /* NULL: none */
	int db;
	int proto;          /* 0: whatever the server starts with; 2, 3: ask for it */
	bool proto_default; /* proto was not asked for: a server that refuses it is not reported */
	enum cli_output output;
	struct arg element_end, reply_end; /* -d, -D: what OUTPUT_RAW puts between elements and after replies */
	bool error_status;                 /* -e */
	bool last_from_stdin;              /* -x */
	const char *tag;                   /* -X: the argument that standard input replaces, or NULL */
	bool quoted_input;
	bool ask_password;
	bool no_auth_warning;
	bool show_pushes;
	bool verbose;
	long repeat; /* -1: for ever; 0: not asked for */
	bool interval_given;
	long interval_us; /* between repetitions */
	enum cli_mode mode;
	struct arg pattern; /* of --scan; p is NULL: all keys */
	long pipe_timeout;  /* of --pipe, seconds; 0: none */
};

/* ---- cli_options.c: the command line and the environment ---- */

/* Reads the options of argv; returns the index of the first argument that is none. Ends the process, with a message,
 * when they make no sense, and for --help and --version. Passwords are copied and blotted out of argv. */
int cli_options_read(struct cli_options *o, int argc, char **argv);

/* ---- cli_conn.c: the connection ---- */

struct cli_conn {
	const struct cli_options *options;
	int fd;                /* -1: not connected */
	int db;                /* as selected; selected again after reconnecting */
	int proto;             /* asked for again after reconnecting; 0: nothing to ask for */
	char *user, *password; /* owned; given again after reconnecting. password NULL: none */
	bool in_multi;         /* between MULTI and EXEC */
	int db_before_multi;
	struct buf in;
	struct reply_parser parser;
	char error[256]; /* why the last call failed, for the user; empty: it was interrupted */
};

/* Set by Ctrl-C while a command waits at a prompt: the next wait for the server ends. */
extern volatile sig_atomic_t cli_interrupted;

void cli_conn_init(struct cli_conn *c, const struct cli_options *o);
void cli_conn_deinit(struct cli_conn *c);
void cli_conn_close(struct cli_conn *c);

/* Connects, then AUTH, SELECT and HELLO as the options want. A refusal of one of these is said on standard error and is
 * no failure. False: not connected, and that was said too. */
bool cli_connect(struct cli_conn *c);

/* Connects unless connected to a server that has not hung up meanwhile. */
bool cli_ensure_connected(struct cli_conn *c);

/* Whether the server has hung up, with nothing more to read. */
bool cli_conn_is_gone(struct cli_conn *c);

/* False: the connection is gone; c->error says why. */
bool cli_send(struct cli_conn *c, size_t argc, const struct arg *argv);

/* One reply, pushes and attributes included; the caller deinits it. *closed (may be NULL): the server hung up
 * without a word. False: the connection is gone; c->error says why. */
bool cli_receive(struct cli_conn *c, struct reply_node *out, bool *closed);

/* Sends and receives, pushes and attributes dropped. For what the client itself wants to know. */
bool cli_ask(struct cli_conn *c, struct reply_node *out, size_t argc, const struct arg *argv);

/* The bytes of a C string. */
static inline struct arg cli_text(const char *s)
{
	return (struct arg){s, strlen(s)};
}

/* Names and values by turns. */
static inline bool cli_is_map(const struct reply_node *r)
{
	return r->type == REPLY_MAP || r->type == REPLY_ATTRIBUTE;
}

/* The text of a REPLY_VERBATIM, without the three letters and the colon that say what kind of text it is. */
static inline struct arg cli_verbatim(const struct reply_node *r)
{
	size_t kind = r->n > 4 ? 4 : r->n;
	return (struct arg){r->str + kind, r->n - kind};
}

/* ---- cli_format.c: replies as text ---- */

/* Appends the reply as `mode` wants it, its end included. For OUTPUT_TTY: types shown, strings quoted, elements
 * numbered; for OUTPUT_RAW: bytes as they are. */
void cli_format(struct buf *out, const struct reply_node *r, enum cli_output mode, const struct cli_options *o);

/* The reply's text as it is, elements on lines: a page such as INFO's. */
void cli_format_page(struct buf *out, const struct reply_node *r);

/* ---- cli_json.c ---- */

/* One value. `quoted`: ASCII only, bytes as \xHH. */
void cli_format_json(struct buf *out, const struct reply_node *r, bool quoted);

/* ---- cli_command.c: a command and its reply ---- */

/* Sends it, and prints what comes. Subscribing and monitoring go on printing until the connection ends. Returns the
 * exit status that redis-cli would have; c->error is printed. */
int cli_run(struct cli_conn *c, size_t argc, const struct arg *argv);

/* The same, `repeat` times (-1: for ever), connecting where necessary. */
int cli_run_repeated(struct cli_conn *c, size_t argc, const struct arg *argv, long repeat);

/* ---- cli_docs.c: what COMMAND DOCS says ---- */

struct cli_doc {
	char *name;    /* "CONFIG GET", in capitals */
	char *usage;   /* the arguments */
	char *summary; /* these may be empty, none is NULL */
	char *since;
	char *group;
};

struct cli_docs {
	struct cli_doc *v; /* by name */
	size_t n, cap;
};

/* Asks the server. Without an answer there are none. */
void cli_docs_load(struct cli_docs *d, struct cli_conn *c);
void cli_docs_deinit(struct cli_docs *d);

/* The command, with its subcommand if it has one, that the words begin with; *used: how many of them are its name.
 * NULL: none. */
const struct cli_doc *cli_docs_find(const struct cli_docs *d, size_t argc, const struct arg *argv, size_t *used);

/* "HELP ...": prints what is known. */
void cli_docs_help(const struct cli_docs *d, size_t argc, const struct arg *argv);

/* Appends what is still to be typed after `line`; nothing where that is unknown. */
void cli_docs_hint(const struct cli_docs *d, const char *line, size_t n, struct buf *out);

/* Calls take(context, text, n) for each way to complete the line. */
void cli_docs_complete(const struct cli_docs *d, const char *line, size_t n,
		       void (*take)(void *context, const char *text, size_t n), void *context);

/* ---- cli_repl.c: commands from standard input, one a line ---- */

int cli_repl(struct cli_conn *c);

/* ---- cli_modes.c: --stat, --scan, --latency, --pipe ---- */

int cli_run_mode(struct cli_conn *c);

#endif
