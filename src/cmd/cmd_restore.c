/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DUMP, RESTORE and RESTORE-ASKING: a value as the bytes that an RDB file has for it.
 *
 * Run in workers; RESTORE has its key's stripe locked. A payload may be anything: it is read whole, and checked, before a byte of
 * the store changes. Own nothing; what a death leaves is the transaction's business.
 */
#include "args.h"
#include "base/config.h"
#include "base/num.h"
#include "persist/rdb_read.h"
#include "persist/rdb_write.h"
#include "shm/control.h"

/* ---- DUMP ---- */

/* The value may be torn where nobody holds it: then what is made of it is thrown away, and this is run again. */
enum cmd_result cmd_dump(struct cmd *c)
{
	struct rdb_writer w = {.fd = -1, .compress = config->rdbcompression};
	struct view v;

	if (!find_key(c, &c->argv[1], &v)) {
		reply_null(c->out);
		return CMD_DONE;
	}
	if (access_is_long(c->access, v.len))
		return CMD_LONG;
	rdb_write_value(&w, &v);
	rdb_write_footer(&w.out);
	reply_bulk(c->out, w.out.data, w.out.len);
	rdb_writer_deinit(&w);
	return CMD_DONE;
}

/* ---- RESTORE ---- */

struct options {
	bool replace, absolute;
	int64_t idle, freq; /* -1: not told */
};

static bool take_options(struct cmd *c, struct options *o)
{
	*o = (struct options){.idle = -1, .freq = -1};
	for (int i = 4; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		bool more = i + 1 < c->argc;
		if (arg_ieq(word, "REPLACE")) {
			o->replace = true;
		} else if (arg_ieq(word, "ABSTTL")) {
			o->absolute = true;
		} else if (arg_ieq(word, "IDLETIME") && more && o->freq == -1) {
			if (!want_i64(c, &c->argv[++i], &o->idle))
				return false;
			if (o->idle < 0) {
				reply_error(c->out, "ERR Invalid IDLETIME value, must be >= 0");
				return false;
			}
		} else if (arg_ieq(word, "FREQ") && more && o->idle == -1) {
			if (!want_i64(c, &c->argv[++i], &o->freq))
				return false;
			if (o->freq < 0 || o->freq > 255) {
				reply_error(c->out, "ERR Invalid FREQ value, must be >= 0 and <= 255");
				return false;
			}
		} else {
			reply_syntax(c);
			return false;
		}
	}
	return true;
}

/* The expiry as a time; DUE_NONE: 0 was given. What lies beyond the end of time has passed. */
static bool take_ttl(struct cmd *c, bool absolute, int64_t *due)
{
	int64_t ttl;

	if (!want_i64(c, &c->argv[2], &ttl))
		return false;
	if (ttl < 0) {
		reply_error(c->out, "ERR Invalid TTL value, must be >= 0");
		return false;
	}
	*due = ttl == 0 ? DUE_NONE : ttl;
	if (ttl && !absolute && __builtin_add_overflow(ttl, access_now(c->access), due))
		*due = 0;
	return true;
}

/* What a payload holds. */
struct content {
	struct arg string;
	bool other; /* another type than a string */
};

static const char *on_string(void *arg, const struct rdb_key *key, const struct arg *value)
{
	(void)key;
	((struct content *)arg)->string = *value;
	return NULL;
}

static const char *on_other(void *arg, const struct rdb_key *key)
{
	(void)key;
	((struct content *)arg)->other = true;
	return NULL;
}

/* False: the error was replied. What the content points to lasts until the reader is done with. */
static bool read_payload(struct cmd *c, struct rdb_reader *r, struct content *out)
{
	const struct arg *payload = &c->argv[3];
	const struct rdb_sink sink = {.arg = out, .string = on_string, .end = on_other};
	bool sum = !(atomic_load_explicit(&control_commons->paused, memory_order_relaxed) & PAUSED_SUMS);

	rdb_from_memory(r, "", 0);
	if (!rdb_payload_ok(payload->p, payload->n, sum)) {
		reply_error(c->out, "ERR DUMP payload version or checksum are wrong");
		return false;
	}
	size_t n = payload->n - RDB_FOOTER_BYTES;
	if (n)
		rdb_from_memory(r, payload->p + 1, n - 1);
	r->deep = config->sanitize_dump_payload != 0;
	*out = (struct content){0};
	const struct rdb_key key = {.name = c->argv[1], .due = RDB_NO_DUE, .idle = -1, .freq = -1};
	if (n == 0 || !rdb_read_value(r, (uint8_t)payload->p[0], &key, &sink)) {
		reply_error(c->out, "ERR Bad data format");
		return false;
	}
	if (out->other)
		reply_errorf(c->out, STRINGS_ONLY ", and the payload is a value of type %s", r->key.type_name);
	return !out->other;
}

/* RESTORE as it came, with the expiry it came to. */
static void effect_restore(struct cmd *c, const struct options *o, int64_t due)
{
	char text[21];
	struct arg_list words = {0};

	if (due == DUE_NONE || o->absolute) {
		effect_self(c);
		return;
	}
	for (int i = 0; i < c->argc; i++)
		arg_list_add(&words, c->argv[i].p, c->argv[i].n);
	words.v[2] = (struct arg){text, format_i64(text, due)};
	arg_list_add(&words, "ABSTTL", strlen("ABSTTL"));
	effect(c->access, cmd_db(c), (int)words.n, words.v);
	arg_list_deinit(&words);
	c->changes++;
}

static enum cmd_result put_value(struct cmd *c, const struct options *o, int64_t due, const struct arg *value)
{
	const struct arg *key = &c->argv[1];

	bool oom = false, dropped = o->replace && key_drop(c->access, cmd_db(c), key, &oom);

	if (oom)
		return reply_oom(c);
	if (due != DUE_NONE && access_already_due(c->access, due)) {
		if (dropped)
			effect_verb(c, "DEL", key);
	} else {
		if (!key_set_string(c->access, cmd_db(c), key, value->p, value->n, ENC_AUTO, due))
			return reply_oom(c);
		key_set_clock(c->access, cmd_db(c), key, o->idle, (int)o->freq);
		effect_restore(c, o, due);
	}
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_restore(struct cmd *c)
{
	struct options o;
	struct rdb_reader r;
	struct content content;
	struct view old;
	int64_t due;

	if (!take_options(c, &o))
		return CMD_DONE;
	if (!o.replace && key_find(c->access, cmd_db(c), &c->argv[1], &old)) {
		reply_error(c->out, "BUSYKEY Target key name already exists.");
		return CMD_DONE;
	}
	if (!take_ttl(c, o.absolute, &due))
		return CMD_DONE;
	enum cmd_result result = CMD_DONE;
	if (read_payload(c, &r, &content))
		result = put_value(c, &o, due, &content.string);
	rdb_reader_deinit(&r);
	return result;
}

enum cmd_result cmd_restore_asking(struct cmd *c)
{
	return cmd_restore(c);
}
