/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SLOWLOG, and what becomes an entry of it.
 *
 * Runs in workers, without an access. Owns nothing; the ring is src/shm/slowlog.c's, which also says what a death leaves. It lies in the
 * store: what a client does that has none, because it has not logged in, is not noted. Passwords are taken out before anything is
 * written where others can read it.
 */
#include <stdlib.h>

#include "args.h"
#include "base/config.h"
#include "base/num.h"
#include "base/panic.h"
#include "help.h"
#include "shm/control.h"
#include "shm/slowlog.h"
#include "stats.h"

#define WORDS_SHOWN 32
#define BYTES_SHOWN 128u
#define GET_DEFAULT 10

/* ---- what is written ---- */

static const struct arg redacted = {"(redacted)", sizeof "(redacted)" - 1};

static bool is_secret_parameter(const struct arg *name)
{
	static const char *const secrets[] = {"requirepass", "masterauth", "masteruser", "tls-key-file-pass",
					      "tls-client-key-file-pass"};

	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
		if (arg_ieq(name, secrets[i]))
			return true;
	return false;
}

/* Whether one of the `n` words before word i is `option`. */
static bool follows(const struct cmd *c, int i, int n, const char *option)
{
	for (int j = i - 1; j >= 2 && j >= i - n; j--)
		if (arg_ieq(&c->argv[j], option))
			return true;
	return false;
}

/* Whether word i of the command may be a password, or belongs to one. */
static bool is_secret(const struct cmd *c, int i)
{
	const char *name = c->row->name;

	if (strcmp(name, "auth") == 0)
		return i >= 1;
	if (strcmp(name, "acl|setuser") == 0)
		return i >= 2;
	if (strcmp(name, "config|set") == 0)
		return i >= 3 && i % 2 == 1 && is_secret_parameter(&c->argv[i - 1]);
	if (strcmp(name, "hello") == 0)
		return follows(c, i, 2, "auth");
	if (strcmp(name, "migrate") == 0)
		return i >= 7 && (follows(c, i, 1, "auth") || follows(c, i, 2, "auth2"));
	return false;
}

/* Word i as it is shown; what must be made for it is appended to `made`. */
static struct arg shown(const struct cmd *c, int i, struct buf *made)
{
	const struct arg *a = &c->argv[i];
	size_t at = made->len;

	if (c->argc > WORDS_SHOWN && i == WORDS_SHOWN - 1)
		buf_printf(made, "... (%d more arguments)", c->argc - WORDS_SHOWN + 1);
	else if (is_secret(c, i))
		return redacted;
	else if (a->n <= BYTES_SHOWN)
		return *a;
	else {
		buf_append(made, a->p, BYTES_SHOWN);
		buf_printf(made, "... (%zu more bytes)", a->n - BYTES_SHOWN);
	}
	return (struct arg){made->data + at, made->len - at};
}

void slowlog_note(const struct cmd *c, uint64_t us)
{
	struct session *s = c->session;
	char addr[CONTROL_ADDR_MAX];
	struct arg words[SLOWLOG_WORDS] = {{addr, client_addr_text(&my_page->client.peer, addr)},
					   {s->name.data, s->name.len < CONTROL_NAME_MAX ? s->name.len : CONTROL_NAME_MAX}};
	int n = c->argc < WORDS_SHOWN ? c->argc : WORDS_SHOWN;
	struct buf made;

	if (!s->store_mapped)
		return;
	buf_init(&made);
	/* It must not move while words point into it. */
	buf_reserve(&made, WORDS_SHOWN * (BYTES_SHOWN + 64));
	for (int i = 0; i < n; i++)
		words[2 + i] = shown(c, i, &made);
	slowlog_add(s->now / 1000, us, words, (uint32_t)n + 2, (uint64_t)config->slowlog_max_len);
	buf_deinit(&made);
}

/* ---- the commands ---- */

static void reply_entry(struct reply *out, uint64_t id, const struct slow_entry *e)
{
	reply_array(out, 6);
	reply_i64(out, (int64_t)id);
	reply_i64(out, e->time);
	reply_i64(out, (int64_t)e->us);
	reply_array(out, e->nwords > 2 ? e->nwords - 2 : 0);
	for (uint32_t i = 2; i < e->nwords; i++)
		reply_bulk(out, slow_word(e, i).p, slow_word(e, i).n);
	for (uint32_t i = 0; i < 2; i++)
		reply_bulk(out, slow_word(e, i).p, slow_word(e, i).n);
}

enum cmd_result cmd_slowlog_get(struct cmd *c)
{
	int64_t count = GET_DEFAULT;
	uint64_t first, next, n = 0;

	if (c->argc > 3) {
		reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try SLOWLOG HELP.",
			     (int)c->argv[1].n, c->argv[1].p);
		return CMD_DONE;
	}
	if (c->argc == 3 && (!parse_i64(c->argv[2].p, c->argv[2].n, &count) || count < -1)) {
		reply_error(c->out, "ERR count should be greater than or equal to -1");
		return CMD_DONE;
	}
	struct slow_entry *e = malloc(sizeof *e);
	if (e == NULL)
		fatal("out of memory for an entry of the slow log");
	size_t mark = reply_defer(c->out);
	slowlog_range(&first, &next);
	for (uint64_t id = next; id-- > first && (count < 0 || n < (uint64_t)count);) {
		if (!slowlog_read(id, e))
			continue;
		reply_entry(c->out, id, e);
		n++;
	}
	reply_defer_array(c->out, mark, n);
	free(e);
	return CMD_DONE;
}

enum cmd_result cmd_slowlog_len(struct cmd *c)
{
	reply_i64(c->out, (int64_t)slowlog_length());
	return CMD_DONE;
}

enum cmd_result cmd_slowlog_reset(struct cmd *c)
{
	slowlog_reset();
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_slowlog_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
