/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What handlers share. Runs in workers, inside whatever access the handler runs in; owns nothing.
 */
#include "args.h"

#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "base/num.h"
#include "base/stop.h"
#include "shm/control.h"
#include "store/access.h"

#define COPY_STEP (64u << 10) /* between two looks whether the copy is still worth finishing */

void cmd_start_over(struct cmd *c)
{
	reply_rewind(c->out, c->reply_start);
	c->out->errors = c->errors_before;
	c->hits = c->misses = 0;
	c->changes = 0;
	c->sweep = c->all_gone = c->no_memory = false;
}

void reply_syntax(struct cmd *c)
{
	reply_error(c->out, "ERR syntax error");
}

void reply_wrong_type(struct cmd *c)
{
	reply_error(c->out, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void reply_arity(struct cmd *c)
{
	reply_errorf(c->out, "ERR wrong number of arguments for '%s' command", c->row->name);
}

void reply_not_integer(struct cmd *c)
{
	reply_error(c->out, "ERR value is not an integer or out of range");
}

enum cmd_result reply_oom(struct cmd *c)
{
	cmd_start_over(c);
	c->no_memory = true;
	reply_error(c->out, OOM_ERROR);
	return CMD_ABORT;
}

enum cmd_result reply_cancelled(struct cmd *c)
{
	cmd_start_over(c);
	reply_error(c->out, CANCELLED_ERROR);
	return CMD_ABORT;
}

enum cmd_result reply_not_logged(struct cmd *c)
{
	cmd_start_over(c);
	reply_errorf(c->out, NOT_LOGGED_ERROR, strerror(access_log_errno()));
	return CMD_ABORT;
}

enum cmd_result reply_value(struct cmd *c, const struct view *v)
{
	if (v->len <= COPY_STEP) {
		reply_bulk(c->out, v->value, v->len);
		return CMD_DONE;
	}
	if (access_is_long(c->access, v->len))
		return CMD_LONG;
	char *to = reply_bulk_room(c->out, v->len);
	for (size_t done = 0; done < v->len;) {
		size_t n = v->len - done < COPY_STEP ? v->len - done : COPY_STEP;
		memcpy(to + done, v->value + done, n);
		done += n;
		if (done < v->len && (!access_still_valid(c->access) || cancel_requested()))
			break; /* the reply will be thrown away */
	}
	return CMD_DONE;
}

bool want_i64(struct cmd *c, const struct arg *a, int64_t *out)
{
	if (parse_i64(a->p, a->n, out))
		return true;
	reply_not_integer(c);
	return false;
}

bool want_db(struct cmd *c, const struct arg *a, uint32_t *out, const char *error)
{
	int64_t n;

	if (!parse_i64(a->p, a->n, &n))
		reply_error(c->out, error ? error : "ERR value is not an integer or out of range");
	else if (n < INT32_MIN || n > INT32_MAX)
		reply_error(c->out,
			    error ? error : "ERR value is out of range, value must between -2147483648 and 2147483647");
	else if (n < 0 || n >= config->databases)
		reply_error(c->out, "ERR DB index is out of range");
	else {
		*out = (uint32_t)n;
		return true;
	}
	return false;
}

bool want_due(struct cmd *c, const struct arg *n, bool seconds, bool relative, int64_t *out)
{
	int64_t ms;

	if (!want_i64(c, n, &ms))
		return false;
	if (ms <= 0 || (seconds && __builtin_mul_overflow(ms, 1000, &ms)) ||
	    (relative && __builtin_add_overflow(ms, access_now(c->access), &ms))) {
		reply_errorf(c->out, "ERR invalid expire time in '%s' command", c->row->name);
		return false;
	}
	*out = ms;
	return true;
}

/* A unix socket, or an address of this machine alone. */
static bool local_client(void)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	const struct client_addr *a = &my_page->client.peer;

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family != AF_INET6 || memcmp(a->ip, loopback6, sizeof loopback6) == 0;
}

bool client_allowed(int32_t when)
{
	return when == ALLOWED_YES || (when == ALLOWED_LOCAL && local_client());
}

uint32_t cmd_db(const struct cmd *c)
{
	return c->session->db;
}

static bool counted(struct cmd *c, bool found)
{
	c->hits += found;
	c->misses += !found;
	return found;
}

bool find_key(struct cmd *c, const struct arg *key, struct view *out)
{
	return counted(c, key_find(c->access, cmd_db(c), key, out));
}

bool peek_key(struct cmd *c, const struct arg *key, struct view *out)
{
	return counted(c, key_peek(c->access, cmd_db(c), key, out));
}

enum find find_string(struct cmd *c, const struct arg *key, struct view *out, bool quiet)
{
	if (!(quiet ? key_find(c->access, cmd_db(c), key, out) : find_key(c, key, out)))
		return FIND_NONE;
	if (out->type == TYPE_STRING)
		return FIND_STRING;
	reply_wrong_type(c);
	return FIND_WRONG_TYPE;
}

void effect_self(struct cmd *c)
{
	effect(c->access, cmd_db(c), c->argc, c->argv);
	c->changes++;
}

void effect_verb(struct cmd *c, const char *verb, const struct arg *key)
{
	effect(c->access, cmd_db(c), 2, (struct arg[]){arg_of(verb), *key});
	c->changes++;
}

void effect_verb_i64(struct cmd *c, const char *verb, const struct arg *key, int64_t n)
{
	char text[21];
	struct arg words[] = {arg_of(verb), *key, {text, format_i64(text, n)}};

	effect(c->access, cmd_db(c), 3, words);
	c->changes++;
}
