/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of strings: STRLEN GETRANGE SUBSTR APPEND SETRANGE.
 *
 * Run in workers, under the access their rows ask for. A part of a large value costs what the part has: a read copies no more, and a
 * write overwrites it where it is (store/keyspace.h, key_patch). Own nothing; what a death leaves is the transaction's business.
 */
#include "args.h"

#include "base/config.h"
#include "base/num.h"

enum cmd_result cmd_strlen(struct cmd *c)
{
	struct view v;
	enum find found = find_string(c, &c->argv[1], &v, false);

	if (found != FIND_WRONG_TYPE)
		reply_i64(c->out, found == FIND_NONE ? 0 : (int64_t)v.len);
	return CMD_DONE;
}

/* ---- GETRANGE ---- */

/* The bytes from start to end, both included, counted from the end where negative. Returns how many there are, from *start on. */
static size_t clip(int64_t *start, int64_t end, size_t len)
{
	int64_t n = (int64_t)len;

	if (*start < 0 && end < 0 && *start > end)
		return 0;
	if (*start < 0)
		*start = *start + n < 0 ? 0 : *start + n;
	if (end < 0)
		end = end + n < 0 ? 0 : end + n;
	if (end >= n)
		end = n - 1;
	return *start > end ? 0 : (size_t)(end - *start) + 1;
}

static enum cmd_result get_range(struct cmd *c)
{
	int64_t start, end;
	struct view v;

	if (!want_i64(c, &c->argv[2], &start) || !want_i64(c, &c->argv[3], &end))
		return CMD_DONE;
	switch (find_string(c, &c->argv[1], &v, false)) {
	case FIND_STRING:
		v.len = clip(&start, end, v.len);
		v.value = v.len > 0 ? v.value + start : "";
		return reply_value(c, &v);
	case FIND_NONE:
		reply_bulk(c->out, "", 0);
		break;
	case FIND_WRONG_TYPE:
		break;
	}
	return CMD_DONE;
}

enum cmd_result cmd_getrange(struct cmd *c)
{
	return get_range(c);
}

enum cmd_result cmd_substr(struct cmd *c)
{
	return get_range(c);
}

/* ---- APPEND, SETRANGE ---- */

/* False, and an error, when no string may be that long. */
static bool short_enough(struct cmd *c, uint64_t len)
{
	if (len <= config->proto_max_bulk_len)
		return true;
	reply_error(c->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
	return false;
}

enum cmd_result cmd_append(struct cmd *c)
{
	const struct arg *key = &c->argv[1], *more = &c->argv[2];
	struct view v;
	enum find found = find_string(c, key, &v, true);
	size_t len = more->n;
	bool done;

	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if (found == FIND_STRING) {
		len += v.len;
		if (!short_enough(c, len))
			return CMD_DONE;
		done = key_append(c->access, cmd_db(c), key, &v, more->p, more->n);
	} else {
		done = key_set_string(c->access, cmd_db(c), key, more->p, more->n, ENC_AUTO, DUE_NONE);
	}
	if (!done)
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, (int64_t)len);
	return CMD_DONE;
}

enum cmd_result cmd_setrange(struct cmd *c)
{
	const struct arg *key = &c->argv[1], *bytes = &c->argv[3];
	struct view v = {.due = DUE_NONE};
	struct patch p;
	int64_t offset;

	if (!want_i64(c, &c->argv[2], &offset))
		return CMD_DONE;
	if (offset < 0) {
		reply_error(c->out, "ERR offset is out of range");
		return CMD_DONE;
	}
	enum find found = find_string(c, key, &v, true);
	uint64_t end = (uint64_t)offset + bytes->n, len = end > v.len ? end : v.len;
	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if (bytes->n == 0) {
		reply_i64(c->out, (int64_t)v.len);
		return CMD_DONE;
	}
	if (!short_enough(c, end))
		return CMD_DONE;
	if (!key_patch(c->access, cmd_db(c), key, found == FIND_STRING ? &v : NULL, len, bytes->n, &p) ||
	    !patch_write(&p, (uint64_t)offset, bytes->p, bytes->n))
		return reply_oom(c);
	effect_self(c);
	reply_i64(c->out, (int64_t)len);
	return CMD_DONE;
}
