/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT KILL: looks for the clients that are meant, and has the supervisor end them.
 *
 * Runs in workers, without an access. The pages of other processes say who their clients are; whether such a process is there, and is a
 * worker, the supervisor knows better. When it answers, the victims are gone and what they were in the middle of is undone. The client that
 * asks, if it is meant too, gets its reply and is closed after it.
 */
#include <stdlib.h>

#include "args.h"
#include "base/num.h"
#include "base/panic.h"
#include "shm/channel.h"
#include "shm/control.h"

/* What is asked for; NULL, 0: anything. */
struct filter {
	const struct arg *addr, *laddr, *user;
	uint64_t id;
	bool normal; /* false: a type that no client of ours has */
	bool skip_me;
};

/* As the C string in it, as Redis compares. */
static bool same_text(const struct arg *a, const char *text)
{
	size_t n = a->n == 0 ? 0 : strnlen(a->p, a->n);
	return strlen(text) == n && (n == 0 || memcmp(a->p, text, n) == 0);
}

/* ---- the options ---- */

static bool take_id(struct cmd *c, struct filter *f, const struct arg *value)
{
	int64_t id;

	if (!parse_i64(value->p, value->n, &id) || id < 1) {
		reply_error(c->out, "ERR client-id should be greater than 0");
		return false;
	}
	f->id = (uint64_t)id;
	return true;
}

static bool take_type(struct cmd *c, struct filter *f, const struct arg *value)
{
	f->normal = arg_ieq(value, "normal");
	if (f->normal || arg_ieq(value, "master") || arg_ieq(value, "replica") || arg_ieq(value, "slave") ||
	    arg_ieq(value, "pubsub"))
		return true;
	reply_errorf(c->out, "ERR Unknown client type '%.*s'", (int)value->n, value->p);
	return false;
}

static bool take_user(struct cmd *c, struct filter *f, const struct arg *value)
{
	f->user = value;
	if (str_eq(value->p, value->n, "default"))
		return true;
	reply_errorf(c->out, "ERR No such user '%.*s'", (int)value->n, value->p);
	return false;
}

static bool take_skip_me(struct cmd *c, struct filter *f, const struct arg *value)
{
	f->skip_me = arg_ieq(value, "yes");
	if (f->skip_me || arg_ieq(value, "no"))
		return true;
	reply_syntax(c);
	return false;
}

static bool take_option(struct cmd *c, struct filter *f, const struct arg *word, const struct arg *value)
{
	if (value != NULL && arg_ieq(word, "id"))
		return take_id(c, f, value);
	if (value != NULL && arg_ieq(word, "type"))
		return take_type(c, f, value);
	if (value != NULL && arg_ieq(word, "user"))
		return take_user(c, f, value);
	if (value != NULL && arg_ieq(word, "skipme"))
		return take_skip_me(c, f, value);
	if (value != NULL && arg_ieq(word, "addr")) {
		f->addr = value;
		return true;
	}
	if (value != NULL && arg_ieq(word, "laddr")) {
		f->laddr = value;
		return true;
	}
	reply_syntax(c);
	return false;
}

static bool take_options(struct cmd *c, struct filter *f)
{
	for (int i = 2; i < c->argc; i += 2)
		if (!take_option(c, f, &c->argv[i], i + 1 < c->argc ? &c->argv[i + 1] : NULL))
			return false;
	return true;
}

/* ---- who is meant ---- */

static bool is_meant(const struct filter *f, const struct client_info *i)
{
	return f->normal && (f->id == 0 || f->id == i->id) && (f->addr == NULL || same_text(f->addr, i->addr)) &&
	       (f->laddr == NULL || same_text(f->laddr, i->laddr)) && (f->user == NULL || same_text(f->user, i->user));
}

/* All others that are meant. The array is the caller's to free. */
static struct kill_victim *find_victims(const struct filter *f, size_t *n)
{
	uint32_t end = atomic_load_explicit(&control->slots_used, memory_order_relaxed);
	struct kill_victim *v = malloc((end + 1) * sizeof *v);
	struct client_info info;
	int32_t pid;

	if (v == NULL)
		fatal("out of memory for a list of %u clients", end);
	*n = 0;
	for (uint32_t slot = 1; slot < end; slot++)
		if (slot != my_slot && client_info_read(slot, &info, &pid) && is_meant(f, &info))
			v[(*n)++] = (struct kill_victim){slot, pid};
	return v;
}

static bool i_am_meant(const struct filter *f)
{
	struct client_info me;
	int32_t pid;

	return !f->skip_me && client_info_read(my_slot, &me, &pid) && is_meant(f, &me);
}

/* How many were killed. False: the server stops. */
static bool kill_them(const struct kill_victim *v, size_t n, int64_t *killed)
{
	char answer[64];

	for (size_t done = 0; done < n;) {
		size_t some = n - done < KILL_VICTIMS_MAX ? n - done : KILL_VICTIMS_MAX;
		int64_t count;
		long got = channel_call(REQUEST_KILL, (const char *)(v + done), some * sizeof *v, answer, sizeof answer, NULL);
		if (got <= 0 || answer[0] != '+' || !parse_i64(answer + 1, (size_t)got - 1, &count))
			return false;
		*killed += count;
		done += some;
	}
	return true;
}

enum cmd_result cmd_client_kill(struct cmd *c)
{
	struct filter f = {.normal = true, .skip_me = true};
	bool old_form = c->argc == 3;
	int64_t killed = 0;
	size_t n;

	if (old_form) {
		f.addr = &c->argv[2];
		f.skip_me = false;
	} else if (!take_options(c, &f)) {
		return CMD_DONE;
	}
	struct kill_victim *victims = find_victims(&f, &n);
	bool done = kill_them(victims, n, &killed);
	free(victims);
	if (i_am_meant(&f)) {
		c->session->close_after_flush = true;
		killed++;
	}
	if (!done)
		reply_error(c->out, "ERR the server cannot kill clients now");
	else if (!old_form)
		reply_i64(c->out, killed);
	else if (killed == 0)
		reply_error(c->out, "ERR No such client");
	else
		reply_ok(c->out);
	return CMD_DONE;
}
