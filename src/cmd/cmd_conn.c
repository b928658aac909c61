/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about the connection itself: PING ECHO QUIT SELECT AUTH HELLO RESET, and those that only a cluster has a use for.
 *
 * Run in workers, without an access to the store; AUTH and HELLO wait for the supervisor. They change the session and,
 * for the login, this process's page.
 */
#include "args.h"

#include <string.h>

#include "base/config.h"
#include "base/num.h"
#include "base/version.h"
#include "shm/control.h"
#include "store/access.h"

enum cmd_result cmd_ping(struct cmd *c)
{
	int failed = access_log_failed();

	/* Who asks how the server is learns that it takes no writes. */
	if (__builtin_expect(failed != 0, 0))
		reply_errorf(c->out, NOT_LOGGED_ERROR, strerror(failed));
	else if (c->argc > 2)
		reply_arity(c);
	else if (c->argc == 2)
		reply_bulk(c->out, c->argv[1].p, c->argv[1].n);
	else
		reply_literal(c->out, "+PONG\r\n");
	return CMD_DONE;
}

enum cmd_result cmd_echo(struct cmd *c)
{
	reply_bulk(c->out, c->argv[1].p, c->argv[1].n);
	return CMD_DONE;
}

enum cmd_result cmd_quit(struct cmd *c)
{
	reply_ok(c->out);
	c->session->close_after_flush = true;
	return CMD_DONE;
}

enum cmd_result cmd_select(struct cmd *c)
{
	if (want_db(c, &c->argv[1], &c->session->db, NULL))
		reply_ok(c->out);
	return CMD_DONE;
}

/* ---- login ---- */

static const struct arg default_user = {"default", 7};

enum cmd_result cmd_auth(struct cmd *c)
{
	if (c->argc > 3) {
		reply_syntax(c);
		return CMD_DONE;
	}
	if (c->argc == 2 && !config->password_set) {
		reply_error(c->out,
			    "ERR AUTH <password> called without any password configured for the default user. Are you "
			    "sure your configuration is correct?");
		return CMD_DONE;
	}
	const struct arg *user = c->argc == 3 ? &c->argv[1] : &default_user;
	const char *error = session_auth(c->session, user, &c->argv[c->argc - 1]);
	if (error)
		reply_error(c->out, error);
	else
		reply_ok(c->out);
	return CMD_DONE;
}

static bool hello_version(struct cmd *c, int *proto)
{
	int64_t v;

	if (c->argc < 2)
		return true;
	if (!parse_i64(c->argv[1].p, c->argv[1].n, &v)) {
		reply_error(c->out, "ERR Protocol version is not an integer or out of range");
		return false;
	}
	if (v < 2 || v > 3) {
		reply_error(c->out, "NOPROTO unsupported protocol version");
		return false;
	}
	*proto = (int)v;
	return true;
}

/* Each option takes effect when it is come to, also when a later one fails: as in Redis. */
static bool hello_options(struct cmd *c)
{
	for (int i = 2; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		int more = c->argc - 1 - i;
		const char *error = NULL;
		if (arg_ieq(word, "AUTH") && more >= 2) {
			error = session_auth(c->session, &c->argv[i + 1], &c->argv[i + 2]);
			i += 2;
		} else if (arg_ieq(word, "SETNAME") && more >= 1) {
			error = client_set_name(c->session, &c->argv[++i]);
		} else {
			reply_errorf(c->out, "ERR Syntax error in HELLO option '%.*s'", (int)word->n, word->p);
			return false;
		}
		if (error != NULL) {
			reply_error(c->out, error);
			return false;
		}
	}
	return true;
}

static void reply_hello(struct cmd *c)
{
	reply_map(c->out, 7);
	reply_bulk_str(c->out, "server");
	reply_bulk_str(c->out, "redis"); /* what client libraries look for */
	reply_bulk_str(c->out, "version");
	reply_bulk_str(c->out, REDIS_COMPAT_VERSION);
	reply_bulk_str(c->out, "proto");
	reply_i64(c->out, c->out->proto);
	reply_bulk_str(c->out, "id");
	reply_i64(c->out, (int64_t)my_page->client.id);
	reply_bulk_str(c->out, "mode");
	reply_bulk_str(c->out, "standalone");
	reply_bulk_str(c->out, "role");
	reply_bulk_str(c->out, "master");
	reply_bulk_str(c->out, "modules");
	reply_array(c->out, 0);
}

enum cmd_result cmd_hello(struct cmd *c)
{
	int proto = c->out->proto;

	if (!hello_version(c, &proto) || !hello_options(c))
		return CMD_DONE;
	if (!session_authenticated(c->session)) {
		reply_error(
		    c->out,
		    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
		    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
		    "version at the same time");
		return CMD_DONE;
	}
	c->out->proto = proto;
	reply_hello(c);
	return CMD_DONE;
}

enum cmd_result cmd_reset(struct cmd *c)
{
	session_reset(c->session);
	reply_status(c->out, "RESET");
	return CMD_DONE;
}

/* ---- for clusters ---- */

static enum cmd_result no_cluster(struct cmd *c)
{
	reply_error(c->out, "ERR This instance has cluster support disabled");
	return CMD_DONE;
}

enum cmd_result cmd_readonly(struct cmd *c)
{
	return no_cluster(c);
}

enum cmd_result cmd_readwrite(struct cmd *c)
{
	return no_cluster(c);
}

enum cmd_result cmd_asking(struct cmd *c)
{
	return no_cluster(c);
}
