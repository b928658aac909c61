/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of DEBUG that deals with data: OBJECT, HTSTATS, DIGEST, FSCK look at it, POPULATE makes some.
 *
 * Runs in workers. DIGEST and DIGEST-VALUE read under a pin and hold up nobody; FSCK keeps writers waiting, not readers;
 * POPULATE is a row of transactions of bounded size, each of which is there as a whole or not at all when the process dies.
 * Owns private memory while it runs.
 */
#include "cmd_debug.h"

#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/deadline.h"
#include "base/num.h"
#include "digest.h"
#include "dispatch.h"
#include "shm/layout.h"
#include "store/access.h"
#include "store/fsck.h"
#include "store/table_stats.h"

/* Runs a body by a plan; what went wrong is replied. */
static void run(struct cmd *c, const struct plan *plan, access_body *body, void *arg)
{
	int result = access_run(plan, body, arg);

	if (result == ACCESS_CANCELLED)
		reply_cancelled(c);
	else if (result < 0)
		reply_oom(c);
}

/* ---- OBJECT ---- */

#define RDB_NUMBER_MAX 11u /* longest text that may be a number there */

/* What a string takes in an RDB file, uncompressed. Short numbers are numbers there, however they are kept here. */
static size_t serialized_length(const struct view *v)
{
	int64_t n;

	if (v->len <= RDB_NUMBER_MAX && parse_i64(v->value, v->len, &n)) {
		if (n >= INT8_MIN && n <= INT8_MAX)
			return 2;
		if (n >= INT16_MIN && n <= INT16_MAX)
			return 3;
		if (n >= INT32_MIN && n <= INT32_MAX)
			return 5;
	}
	return v->len + (v->len < 64 ? 1 : v->len < 16384 ? 2 : v->len <= UINT32_MAX ? 5 : 9);
}

static int describe_object(struct access *a, void *arg)
{
	struct cmd *c = arg;
	struct view v;
	char line[160];

	cmd_start_over(c);
	if (!key_peek(a, cmd_db(c), &c->argv[2], &v)) {
		reply_error(c->out, "ERR no such key");
		return CMD_DONE;
	}
	snprintf(line, sizeof line,
		 "Value at:0x%llx refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
		 (unsigned long long)v.item.off,
		 encoding_name(v.encoding), serialized_length(&v), key_clock(&v), key_idle_seconds(a, &v));
	reply_status(c->out, line);
	return CMD_DONE;
}

void debug_object(struct cmd *c)
{
	const struct arg *key = &c->argv[2];
	struct plan plan = {.kind = PLAN_READ, .db = cmd_db(c), .now = c->session->now, .nkeys = 1, .keys = &key};

	run(c, &plan, describe_object, c);
}

/* ---- FSCK ---- */

static int fsck_body(struct access *a, void *arg)
{
	struct cmd *c = arg;
	char why[256];

	(void)a;
	cmd_start_over(c);
	/* The locks were waited for under command-timeout; the check itself takes the time it takes, and looks at no flag. */
	deadline_settle();
	if (store_fsck_beside(why, sizeof why))
		reply_ok(c->out);
	else
		reply_errorf(c->out, "ERR The store is damaged: %s", why);
	return CMD_DONE;
}

void debug_fsck(struct cmd *c)
{
	struct plan plan = {.kind = PLAN_WRITE_ALL, .unlogged = true, .db = cmd_db(c), .now = c->session->now};

	run(c, &plan, fsck_body, c);
}

/* ---- DIGEST ---- */

struct whole {
	struct cmd *c;
	struct digest sum;
	uint32_t db;
	bool begun; /* the database has a key */
};

static bool digest_key(void *arg, const char *key, size_t klen, const struct view *v)
{
	struct whole *w = arg;
	struct digest one = {{0}};

	if (!w->begun)
		digest_mix_u32(&w->sum, w->db);
	w->begun = true;
	digest_mix(&one, key, klen);
	digest_value(&one, v);
	digest_add(&w->sum, one.sum, sizeof one.sum);
	return true;
}

static int digest_all(struct access *a, void *arg)
{
	struct whole *w = arg;
	char text[2 * SHA1_BYTES + 1];

	cmd_start_over(w->c);
	w->sum = (struct digest){{0}};
	for (w->db = 0; w->db < (uint32_t)config->databases && !cancel_requested(); w->db++) {
		w->begun = false;
		db_walk(a, w->db, digest_key, w);
	}
	digest_text(&w->sum, text);
	reply_status(w->c->out, text);
	return CMD_DONE;
}

void debug_digest(struct cmd *c)
{
	struct whole w = {.c = c};
	struct plan plan = {.kind = PLAN_READ_LONG, .db = cmd_db(c), .now = c->session->now};

	run(c, &plan, digest_all, &w);
}

/* ---- DIGEST-VALUE ---- */

static int digest_values(struct access *a, void *arg)
{
	struct cmd *c = arg;
	char text[2 * SHA1_BYTES + 1];

	cmd_start_over(c);
	reply_array(c->out, (size_t)c->argc - 2);
	for (int i = 2; i < c->argc; i++) {
		struct digest d = {{0}};
		struct view v;
		if (key_peek(a, cmd_db(c), &c->argv[i], &v)) {
			if (access_is_long(a, v.len))
				return CMD_LONG;
			digest_value(&d, &v);
		}
		digest_text(&d, text);
		reply_status(c->out, text);
	}
	return CMD_DONE;
}

void debug_digest_value(struct cmd *c)
{
	struct plan plan = {.kind = PLAN_READ_LONG, .db = cmd_db(c), .now = c->session->now};

	run(c, &plan, digest_values, c);
}

/* ---- HTSTATS ---- */

static void describe_tables(const struct table_stats *s, struct buf *out)
{
	buf_append_str(out, "[Dictionary HT]\n");
	if (s->keys == 0) {
		buf_append_str(out, "No stats available for empty dictionaries\n");
	} else {
		buf_printf(out, " tables: %llu\n table size: %llu\n number of elements: %llu\n", (unsigned long long)s->tables,
			   (unsigned long long)(s->buckets * TABLE_CELLS), (unsigned long long)s->keys);
		buf_printf(out, " buckets: %llu\n largest table: %llu buckets\n Bucket fill distribution:\n",
			   (unsigned long long)s->buckets, (unsigned long long)s->largest);
		for (unsigned i = 0; i <= TABLE_CELLS; i++)
			if (s->filled[i] != 0)
				buf_printf(out, "   %u: %llu (%.2f%%)\n", i, (unsigned long long)s->filled[i],
					   100.0 * (double)s->filled[i] / (double)s->buckets);
	}
	buf_append_str(out, "[Expires HT]\n");
	if (s->expires == 0)
		buf_append_str(out, "No stats available for empty dictionaries\n");
	else
		buf_printf(out, " table size: %llu\n number of elements: %llu\n entries in the queues: %llu\n",
			   (unsigned long long)s->queue_room, (unsigned long long)s->expires, (unsigned long long)s->queued);
}

struct tables {
	struct cmd *c;
	uint32_t db;
};

static int reply_tables(struct access *a, void *arg)
{
	struct tables *t = arg;
	struct table_stats stats;
	struct buf text;

	(void)a;
	cmd_start_over(t->c);
	table_stats(t->db, &stats);
	buf_init(&text);
	describe_tables(&stats, &text);
	reply_verbatim(t->c->out, "txt", text.data, text.len);
	buf_deinit(&text);
	return CMD_DONE;
}

void debug_htstats(struct cmd *c)
{
	struct plan plan = {.kind = PLAN_READ, .db = cmd_db(c), .now = c->session->now};
	int64_t db;

	if (!want_i64(c, &c->argv[2], &db))
		return;
	if (db < 0 || db >= config->databases) {
		reply_error(c->out, "ERR Out of range database");
		return;
	}
	struct tables t = {c, (uint32_t)db};
	run(c, &plan, reply_tables, &t);
}

static int reply_key_table(struct access *a, void *arg)
{
	struct cmd *c = arg;
	struct view v;

	cmd_start_over(c);
	if (!key_peek(a, cmd_db(c), &c->argv[2], &v))
		reply_error(c->out, "ERR no such key");
	else
		reply_error(c->out, "ERR The value stored at the specified key is not represented using an hash table");
	return CMD_DONE;
}

/* No kind of value is kept in a table of its own. */
void debug_htstats_key(struct cmd *c)
{
	const struct arg *key = &c->argv[2];
	struct plan plan = {.kind = PLAN_READ, .db = cmd_db(c), .now = c->session->now, .nkeys = 1, .keys = &key};

	run(c, &plan, reply_key_table, c);
}

/* ---- POPULATE ---- */

#define KEYS_AT_ONCE 64          /* of one transaction */
#define BYTES_AT_ONCE (1u << 20) /* of them and their values, unless one alone is longer */

struct populate {
	struct cmd *c;
	struct arg prefix;
	int64_t count, done; /* keys wanted, and how many have been seen to */
	size_t size;         /* of each value; 0: as long as its text */
	char *value;
	struct buf names;
	struct arg keys[KEYS_AT_ONCE];
	const struct arg *key_list[KEYS_AT_ONCE];
	uint32_t nkeys;
};

/* Names the keys of the next transaction. */
static void next_keys(struct populate *p)
{
	size_t at[KEYS_AT_ONCE + 1], most = BYTES_AT_ONCE / (p->prefix.n + p->size + 1);

	buf_clear(&p->names);
	p->nkeys = 0;
	do {
		at[p->nkeys] = p->names.len;
		buf_append(&p->names, p->prefix.p, p->prefix.n);
		buf_printf(&p->names, ":%lld", (long long)(p->done + p->nkeys));
		p->nkeys++;
	} while (p->nkeys < KEYS_AT_ONCE && p->nkeys < most && p->done + p->nkeys < p->count);
	at[p->nkeys] = p->names.len;
	for (uint32_t i = 0; i < p->nkeys; i++) {
		p->keys[i] = (struct arg){p->names.data + at[i], at[i + 1] - at[i]};
		p->key_list[i] = &p->keys[i];
	}
}

/* "value:<number>", cut to the size or followed by zeros up to it. */
static struct arg value_for(struct populate *p, int64_t number)
{
	char text[32];
	size_t n = (size_t)snprintf(text, sizeof text, "value:%lld", (long long)number), size = p->size ? p->size : n;

	memcpy(p->value, text, n < size ? n : size);
	return (struct arg){p->value, size};
}

static int make_keys(struct access *a, void *arg)
{
	struct populate *p = arg;

	for (uint32_t i = 0; i < p->nkeys; i++) {
		struct view v;
		if (key_find(a, cmd_db(p->c), &p->keys[i], &v))
			continue;
		struct arg value = value_for(p, p->done + i);
		if (!key_set_string(a, cmd_db(p->c), &p->keys[i], value.p, value.n, ENC_AUTO, DUE_NONE))
			return CMD_ABORT;
		effect(a, cmd_db(p->c), 3, (struct arg[]){arg_of("SET"), p->keys[i], value});
	}
	return CMD_DONE;
}

/* Says why it ended early; the transactions before have happened. False: it did not. */
static bool ended_early(struct populate *p, int result, int64_t since)
{
	int64_t limit = config->command_timeout;
	bool late = limit > 0 && clock_mono_ns() - since > limit * 1000000;

	if (result == ACCESS_CANCELLED || late)
		reply_errorf(p->c->out, "TIMEOUT The command ran longer than command-timeout; the first %lld keys stay.",
			     (long long)p->done);
	else if (result == ACCESS_NOT_LOGGED)
		reply_not_logged(p->c);
	else if (result != CMD_DONE || store_over_limit())
		reply_error(p->c->out, "OOM command not allowed when used memory > 'maxmemory'.");
	else if (stop_requested())
		reply_error(p->c->out, "ERR the server is shutting down");
	else
		return false;
	return true;
}

/* The next keys, in a transaction that is timed by itself: it may have to wait for others. */
static int populate_some(struct populate *p)
{
	next_keys(p);
	struct plan plan = {.kind = PLAN_WRITE,
			    .pausable = true,
			    .db = cmd_db(p->c),
			    .now = clock_wall_ms(),
			    .nkeys = p->nkeys,
			    .keys = p->key_list};
	deadline_begin();
	int result = access_run(&plan, make_keys, p);
	p->done += result == CMD_DONE ? p->nkeys : 0;
	return result;
}

static void populate_all(struct populate *p)
{
	int64_t since = clock_mono_ns();

	while (p->done < p->count) {
		int result = populate_some(p);
		if (result == ACCESS_PAUSED) {
			deadline_end();
			if (!dispatch_wait_for_pause(p->c, true))
				return;
			since = clock_mono_ns();
		} else if (p->done < p->count && ended_early(p, result, since)) {
			return;
		}
	}
	reply_ok(p->c->out);
}

static bool want_count(struct cmd *c, const struct arg *a, int64_t *out)
{
	if (parse_i64(a->p, a->n, out) && *out >= 0)
		return true;
	reply_error(c->out, "ERR value is out of range, must be positive");
	return false;
}

void debug_populate(struct cmd *c)
{
	struct populate p = {.c = c, .prefix = c->argc > 3 ? c->argv[3] : arg_of("key")};
	int64_t size = 0;

	if (!want_count(c, &c->argv[2], &p.count) || (c->argc > 4 && !want_count(c, &c->argv[4], &size)))
		return;
	if ((uint64_t)size > config->proto_max_bulk_len) {
		reply_error(c->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
		return;
	}
	p.size = (size_t)size;
	p.value = calloc(1, p.size + 32);
	if (p.value == NULL) {
		reply_oom(c);
		return;
	}
	buf_init(&p.names);
	populate_all(&p);
	buf_deinit(&p.names);
	free(p.value);
}
