/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT: who is connected.
 *
 * Runs in workers, without an access. Reads the pages of other processes, which may be half-written when their owner
 * died; they are facts for people, nothing depends on them. Writes only this process's page and session.
 */
#include <stdlib.h>

#include "args.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/panic.h"
#include "help.h"
#include "info.h"
#include "shm/control.h"

static bool printable(const struct arg *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->p[i] < '!' || a->p[i] > '~')
			return false;
	return true;
}

static void copy_text(char *to, size_t cap, const struct arg *from)
{
	size_t n = from->n < cap - 1 ? from->n : cap - 1;

	client_info_begin();
	if (n != 0)
		memcpy(to, from->p, n);
	to[n] = 0;
	client_info_end();
}

const char *client_set_name(struct session *s, const struct arg *name)
{
	if (!printable(name))
		return "ERR Client names cannot contain spaces, newlines or special characters.";
	buf_clear(&s->name);
	buf_append(&s->name, name->p, name->n);
	copy_text(my_page->client.name, sizeof my_page->client.name, name);
	return NULL;
}

enum cmd_result cmd_client_id(struct cmd *c)
{
	reply_i64(c->out, (int64_t)my_page->client.id);
	return CMD_DONE;
}

enum cmd_result cmd_client_setname(struct cmd *c)
{
	const char *error = client_set_name(c->session, &c->argv[2]);

	if (error)
		reply_error(c->out, error);
	else
		reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_client_getname(struct cmd *c)
{
	const struct buf *name = &c->session->name;

	if (name->len)
		reply_bulk(c->out, name->data, name->len);
	else
		reply_null(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_client_setinfo(struct cmd *c)
{
	struct client_info *me = &my_page->client;
	const struct arg *what = &c->argv[2], *value = &c->argv[3];
	bool lib_name = arg_ieq(what, "lib-name");

	if (!lib_name && !arg_ieq(what, "lib-ver"))
		reply_errorf(c->out, "ERR Unrecognized option '%.*s'", (int)what->n, what->p);
	else if (!printable(value))
		reply_errorf(c->out, "ERR %.*s cannot contain spaces, newlines or special characters.", (int)what->n,
			     what->p);
	else {
		copy_text(lib_name ? me->lib_name : me->lib_ver, sizeof me->lib_name, value);
		reply_ok(c->out);
	}
	return CMD_DONE;
}

/* ---- the list ---- */

/* Letters in the order of Redis, and T of its version 7.2. */
static void append_flags(struct buf *b, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		char letter;
	} letters[] = {
	    {CLIENT_FLAG_BLOCKED, 'b'}, {CLIENT_FLAG_CLOSING, 'c'}, {CLIENT_FLAG_UNIX, 'U'}, {CLIENT_FLAG_NO_EVICT, 'e'}, {CLIENT_FLAG_NO_TOUCH, 'T'},
	};
	size_t before = b->len;

	for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
		if (flags & letters[i].flag)
			buf_append_char(b, letters[i].letter);
	if (b->len == before)
		buf_append_char(b, 'N');
}

/*
 * One line. What has no meaning here (subscriptions, transactions) shows as Redis shows it for a client that has none. Replies are in one buffer,
 * which is obl; what Redis lists beside it (oll, omem) there is none of.
 */
static void append_client(struct buf *b, const struct client_info *i, int32_t pid, int64_t now)
{
	buf_printf(
	    b,
	    "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=",
	    (unsigned long long)i->id, i->addr, i->laddr, i->fd, i->name, (long long)(now - i->created_ms) / 1000,
	    (long long)(now - i->last_ms) / 1000);
	append_flags(b, i->flags);
	buf_printf(
	    b,
	    " db=%u sub=0 psub=0 ssub=0 multi=-1 qbuf=%llu qbuf-free=%llu argv-mem=%llu multi-mem=0 rbs=%llu rbp=%llu obl=%llu oll=0 omem=0 tot-mem=%llu ",
	    i->db, (unsigned long long)i->qbuf, (unsigned long long)i->qbuf_free, (unsigned long long)i->argv_mem,
	    (unsigned long long)i->omem, (unsigned long long)i->omem, (unsigned long long)i->obl,
	    (unsigned long long)i->tot_mem);
	buf_printf(b, "events=%s cmd=%s user=%s redir=-1 resp=%u lib-name=%s lib-ver=%s pid=%d\n",
		   i->flags & CLIENT_FLAG_WRITING ? "rw" : "r", i->cmd, i->user, i->resp, i->lib_name, i->lib_ver, pid);
}

struct entry {
	uint64_t id;
	uint32_t slot;
};

static int by_id(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* The clients there are, the oldest first. The array is the caller's to free. */
static struct entry *list_clients(size_t *n)
{
	info_refresh();
	uint32_t end = atomic_load_explicit(&control->slots_used, memory_order_relaxed);
	struct entry *v = malloc((end + 1) * sizeof *v);
	struct client_info info;
	int32_t pid;

	if (v == NULL)
		fatal("out of memory for a list of %u clients", end);
	*n = 0;
	for (uint32_t slot = 0; slot < end; slot++)
		if (client_info_read(slot, &info, &pid))
			v[(*n)++] = (struct entry){info.id, slot};
	qsort(v, *n, sizeof *v, by_id);
	return v;
}

static void append_entry(struct buf *b, const struct entry *e, int64_t now)
{
	struct client_info info;
	int32_t pid;

	if (client_info_read(e->slot, &info, &pid) && info.id == e->id)
		append_client(b, &info, pid, now);
}

/* All clients, or with first_id those whose ids are argv[first_id] and on: in that order, again when named again. */
static void reply_list(struct cmd *c, int first_id)
{
	struct buf text;
	size_t n;
	struct entry *list = list_clients(&n), *found;
	int64_t now = clock_wall_ms(), id;

	buf_init(&text);
	for (size_t i = 0; first_id == 0 && i < n; i++)
		append_entry(&text, &list[i], now);
	for (int i = first_id; first_id != 0 && i < c->argc; i++) {
		if (!parse_i64(c->argv[i].p, c->argv[i].n, &id) || id <= 0)
			continue;
		found = bsearch(&(struct entry){.id = (uint64_t)id}, list, n, sizeof *list, by_id);
		if (found != NULL)
			append_entry(&text, found, now);
	}
	reply_verbatim(c->out, "txt", text.data, text.len);
	buf_deinit(&text);
	free(list);
}

/* CLIENT LIST TYPE: all of ours are normal ones. */
static void list_by_type(struct cmd *c)
{
	const struct arg *type = &c->argv[3];

	if (arg_ieq(type, "normal"))
		reply_list(c, 0);
	else if (arg_ieq(type, "master") || arg_ieq(type, "replica") || arg_ieq(type, "slave") ||
		 arg_ieq(type, "pubsub"))
		reply_verbatim(c->out, "txt", NULL, 0);
	else
		reply_errorf(c->out, "ERR Unknown client type '%.*s'", (int)type->n, type->p);
}

static void list_by_id(struct cmd *c)
{
	int64_t id;

	for (int i = 3; i < c->argc; i++) {
		if (!parse_i64(c->argv[i].p, c->argv[i].n, &id)) {
			reply_error(c->out, "ERR Invalid client ID");
			return;
		}
	}
	reply_list(c, 3);
}

enum cmd_result cmd_client_list(struct cmd *c)
{
	session_publish(c->session, c->row);
	if (c->argc == 2)
		reply_list(c, 0);
	else if (c->argc == 4 && arg_ieq(&c->argv[2], "type"))
		list_by_type(c);
	else if (c->argc > 3 && arg_ieq(&c->argv[2], "id"))
		list_by_id(c);
	else
		reply_syntax(c);
	return CMD_DONE;
}

enum cmd_result cmd_client_info(struct cmd *c)
{
	struct buf text;
	struct client_info info;
	int32_t pid;

	session_publish(c->session, c->row);
	buf_init(&text);
	if (client_info_read(my_slot, &info, &pid))
		append_client(&text, &info, pid, clock_wall_ms());
	reply_verbatim(c->out, "txt", text.data, text.len);
	buf_deinit(&text);
	return CMD_DONE;
}

enum cmd_result cmd_client_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
