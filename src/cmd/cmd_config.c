/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONFIG: looking at the configuration, which every process can, and changing it, which the supervisor alone does.
 *
 * Runs in workers, without an access: waiting for the supervisor's answer holds up nobody.
 */
#include "args.h"
#include "base/config.h"
#include "base/glob.h"
#include "help.h"
#include "shm/channel.h"

#define ANSWER_MAX 2048u

/* ---- GET ---- */

struct found {
	const struct cmd *c;
	size_t n;
};

/* A parameter that was asked for by its name, not by a pattern, is called as it was asked for. */
static void reply_name(const struct cmd *c, const char *name)
{
	size_t n = strlen(name);

	for (int i = 2; i < c->argc; i++) {
		const struct arg *a = &c->argv[i];
		if (arg_ieq(a, name)) {
			reply_bulk(c->out, a->p, a->n);
			return;
		}
		if (glob_match(a->p, a->n, name, n, true))
			break;
	}
	reply_bulk(c->out, name, n);
}

/* Secrets are with the supervisor, who knows whether this client may see them. */
static void reply_secret(struct reply *out, const char *name)
{
	char answer[ANSWER_MAX];
	long n = channel_call(REQUEST_CONFIG_GET_SECRET, name, strlen(name), answer, sizeof answer, NULL);

	if (n > 0 && answer[0] == '+')
		reply_bulk(out, answer + 1, (size_t)n - 1);
	else
		reply_bulk(out, NULL, 0);
	explicit_bzero(answer, sizeof answer);
}

static void reply_parameter(void *arg, const char *name, const char *value)
{
	struct found *f = arg;

	reply_name(f->c, name);
	if (value != NULL)
		reply_bulk_str(f->c->out, value);
	else
		reply_secret(f->c->out, name);
	f->n++;
}

enum cmd_result cmd_config_get(struct cmd *c)
{
	struct found f = {.c = c};
	size_t mark = reply_defer(c->out);

	config_get(c->argv + 2, (size_t)c->argc - 2, reply_parameter, &f);
	reply_defer_map(c->out, mark, f.n);
	return CMD_DONE;
}

/* ---- SET, REWRITE, RESETSTAT ---- */

static void ask_supervisor(struct cmd *c, enum request what, const struct buf *text)
{
	char answer[ANSWER_MAX];
	long n = channel_call(what, text->data, text->len, answer, sizeof answer, NULL);

	if (n < 0)
		reply_error(c->out, "ERR the server is shutting down");
	else if (n > 0 && answer[0] == '+')
		reply_ok(c->out);
	else
		reply_error_n(c->out, answer, (size_t)n);
}

enum cmd_result cmd_config_set(struct cmd *c)
{
	struct buf text;

	if (c->argc % 2) {
		reply_syntax(c);
		return CMD_DONE;
	}
	buf_init(&text);
	for (int i = 2; i < c->argc; i++) {
		/* The request has no room for a NUL inside a word; no value needs one. */
		if (c->argv[i].n != 0 && memchr(c->argv[i].p, 0, c->argv[i].n) != NULL) {
			reply_errorf(
			    c->out,
			    "ERR CONFIG SET failed (possibly related to argument '%.*s') - a NUL byte is not allowed",
			    (int)c->argv[i & ~1].n, c->argv[i & ~1].p);
			buf_deinit(&text);
			return CMD_DONE;
		}
		buf_append(&text, c->argv[i].p, c->argv[i].n);
		buf_append_char(&text, 0);
	}
	ask_supervisor(c, REQUEST_CONFIG_SET, &text);
	explicit_bzero(text.data, text.len);
	buf_deinit(&text);
	return CMD_DONE;
}

enum cmd_result cmd_config_resetstat(struct cmd *c)
{
	struct buf none;

	buf_init(&none);
	ask_supervisor(c, REQUEST_CONFIG_RESETSTAT, &none);
	return CMD_DONE;
}

enum cmd_result cmd_config_rewrite(struct cmd *c)
{
	struct buf none;

	buf_init(&none);
	ask_supervisor(c, REQUEST_CONFIG_REWRITE, &none);
	return CMD_DONE;
}

enum cmd_result cmd_config_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
