/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of bulkhead-cli share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/str.h"
#include "wire/reply_parse.h"

struct cli_options {
	const char *host, *socket; /* socket: path, or NULL for TCP */
	int port;
	const char *user, *password; /* NULL: none */
	int db;
	int proto;            /* 0: whatever the server starts with; 2, 3: ask for it */
	bool raw;             /* replies without decoration */
	bool error_status;    /* -e */
	bool last_from_stdin; /* -x */
	bool no_auth_warning;
	bool show_pushes;
	long repeat;
	long interval_us; /* between repetitions */
};

/* ---- cli_conn.c: the connection ---- */

struct cli_conn {
	const struct cli_options *options;
	int fd; /* -1: not connected */
	int db; /* as selected; selected again after reconnecting */
	struct buf in;
	struct reply_parser parser;
	char error[256]; /* why the last call failed, for the user */
};

void cli_conn_init(struct cli_conn *c, const struct cli_options *o);
void cli_conn_close(struct cli_conn *c);

/* Connects, then AUTH, SELECT and HELLO as the options want. A refusal of one of these is said on standard error and is
 * no failure. False: not connected, and that was said too. */
bool cli_connect(struct cli_conn *c);

/* Connects unless connected to a server that has not hung up meanwhile. */
bool cli_ensure_connected(struct cli_conn *c);

/* False: the connection is gone; c->error says why. */
bool cli_send(struct cli_conn *c, size_t argc, const struct arg *argv);

/* One reply, pushes and attributes included; the caller deinits it. *closed (may be NULL): the server hung up
 * without a word. False: the connection is gone; c->error says why. */
bool cli_receive(struct cli_conn *c, struct reply_node *out, bool *closed);

/* ---- cli_format.c: replies as text ---- */

/* For people: types shown, strings quoted, elements numbered. */
void cli_format_tty(struct buf *out, const struct reply_node *r);

/* For programs: bytes as they are, elements on lines. Ends without a newline, but for errors. */
void cli_format_raw(struct buf *out, const struct reply_node *r);

/* ---- cli_command.c: a command and its reply ---- */

/* Sends it, and prints what comes. Subscribing and monitoring go on printing until the connection ends. Returns the
 * exit status that redis-cli would have; c->error is printed. */
int cli_run(struct cli_conn *c, size_t argc, const struct arg *argv);

/* The same, options->repeat times (-1: for ever). */
int cli_run_repeated(struct cli_conn *c, size_t argc, const struct arg *argv, long repeat);

/* ---- cli_repl.c: commands from standard input, one a line ---- */

int cli_repl(struct cli_conn *c);

#endif
