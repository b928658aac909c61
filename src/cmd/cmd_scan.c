/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking for keys: KEYS SCAN RANDOMKEY.
 *
 * Run in workers. KEYS reads under a pin, without locks, however long it takes; SCAN and RANDOMKEY lock a stripe at a
 * time inside the store. Own nothing but the reply.
 */
#include "args.h"

#include "base/glob.h"
#include "base/num.h"

static const char *const type_names[] = {
    [TYPE_STRING] = "string", [TYPE_LIST] = "list", [TYPE_SET] = "set",
    [TYPE_ZSET] = "zset",     [TYPE_HASH] = "hash", [TYPE_STREAM] = "stream",
};

const char *type_name(uint8_t type)
{
	return type < sizeof type_names / sizeof type_names[0] ? type_names[type] : "unknown";
}

/* What is looked for, and what was found. */
struct search {
	struct reply *out;
	const struct arg *pattern; /* NULL: all */
	const struct arg *type;    /* NULL: any */
	size_t found;
};

static bool reply_if_wanted(void *arg, const char *key, size_t klen, const struct view *v)
{
	struct search *s = arg;

	if (s->pattern != NULL && !glob_match(s->pattern->p, s->pattern->n, key, klen, false))
		return true;
	if (s->type != NULL && !arg_ieq(s->type, type_name(v->type)))
		return true;
	reply_bulk(s->out, key, klen);
	s->found++;
	return true;
}

static const struct arg *unless_all(const struct arg *pattern)
{
	return pattern->n == 1 && pattern->p[0] == '*' ? NULL : pattern;
}

enum cmd_result cmd_keys(struct cmd *c)
{
	struct search s = {.out = c->out, .pattern = unless_all(&c->argv[1])};
	size_t mark = reply_defer(c->out);

	db_walk(c->access, cmd_db(c), reply_if_wanted, &s);
	reply_defer_array(c->out, mark, s.found);
	return CMD_DONE;
}

/* ---- SCAN ---- */

/* What strtoul makes of it, as in Redis: a sign is allowed, a NUL ends it, no space before it. */
static bool parse_cursor(const struct arg *a, uint64_t *out)
{
	const char *p = a->p, *end = a->p + a->n;
	uint64_t v = 0;
	bool minus = false;

	if (p < end && (*p == '+' || *p == '-'))
		minus = *p++ == '-';
	const char *digits = p;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
	if (p < end && *p != 0)
		return false;
	if (p == digits && p != a->p)
		return false;
	*out = minus ? -v : v;
	return true;
}

struct scan {
	struct search search;
	int64_t count;
};

static bool scan_options(struct cmd *c, struct scan *s)
{
	for (int i = 2; i < c->argc; i += 2) {
		const struct arg *word = &c->argv[i], *value = word + 1;
		bool has_value = i + 1 < c->argc;
		if (arg_ieq(word, "COUNT") && has_value) {
			if (!want_i64(c, value, &s->count))
				return false;
			if (s->count >= 1)
				continue;
		} else if (arg_ieq(word, "MATCH") && has_value) {
			s->search.pattern = unless_all(value);
			continue;
		} else if (arg_ieq(word, "TYPE") && has_value) {
			s->search.type = value;
			continue;
		}
		reply_syntax(c);
		return false;
	}
	return true;
}

enum cmd_result cmd_scan(struct cmd *c)
{
	struct scan s = {.search.out = c->out, .count = 10};
	struct reply found;
	uint64_t cursor;

	if (!parse_cursor(&c->argv[1], &cursor)) {
		reply_error(c->out, "ERR invalid cursor");
		return CMD_DONE;
	}
	if (!scan_options(c, &s))
		return CMD_DONE;
	/* The cursor is known last and replied first. */
	reply_init(&found);
	s.search.out = &found;
	cursor = db_scan(c->access, cmd_db(c), cursor, (uint64_t)s.count, reply_if_wanted, &s.search);
	char text[21];
	size_t n = format_u64(text, cursor);
	reply_array(c->out, 2);
	reply_bulk(c->out, text, n);
	reply_array(c->out, s.search.found);
	reply_raw(c->out, found.out.data, found.out.len);
	reply_deinit(&found);
	return CMD_DONE;
}

enum cmd_result cmd_randomkey(struct cmd *c)
{
	struct buf key;

	buf_init(&key);
	if (db_random_key(c->access, cmd_db(c), &key))
		reply_bulk(c->out, key.data, key.len);
	else
		reply_null(c->out);
	buf_deinit(&key);
	return CMD_DONE;
}
