/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COMMAND GETKEYS and GETKEYSANDFLAGS: which words of a command are keys, by the key specifications of its row.
 *
 * Runs in workers, without an access. Owns nothing; whatever is replied is words of the command and of the constant rows.
 */
#include <stdio.h>
#include <strings.h>

#include "args.h"
#include "base/num.h"
#include "notation.h"

/* The words of a command that was given as arguments. */
struct call {
	const struct command *row;
	const struct arg *argv;
	int argc;
};

/* Where a specification's search begins; 0: it finds no keys in this call. */
static int begin_of(const struct call *call, const struct notation_key *k)
{
	if (k->keyword.n == 0)
		return k->index;
	/* From a position towards the end, or from one before the end towards the front. */
	int from = k->index > 0 ? k->index : call->argc + k->index, step = k->index > 0 ? 1 : -1;
	for (int i = from; i >= 1 && i < call->argc - (step > 0); i += step)
		if (call->argv[i].n == k->keyword.n && strncasecmp(call->argv[i].p, k->keyword.p, k->keyword.n) == 0)
			return i + 1;
	return 0;
}

/* The keys that a specification means: first, then each `step`-th up to and including last. False: the call cannot be right. */
static bool range_of(const struct call *call, const struct notation_key *k, int begin, int *first, int *last)
{
	int64_t n;

	*first = begin;
	if (k->counted) {
		const struct arg *count = begin + k->count_at < call->argc ? &call->argv[begin + k->count_at] : NULL;
		if (count == NULL || !parse_i64(count->p, count->n, &n) || n < 0 || n > call->argc)
			return false;
		*first += k->first;
		*last = *first + ((int)n - 1) * k->step;
	} else if (k->last >= 0) {
		*last = begin + k->last;
	} else if (k->limit == 0) {
		*last = call->argc + k->last;
	} else {
		*last = begin + (call->argc - begin) / k->limit + k->last;
	}
	return *first < call->argc && *last < call->argc && *first <= *last;
}

/* ---- flags that depend on the other words ---- */

static const char *flags_of_set(const struct call *call)
{
	for (int i = 3; i < call->argc; i++)
		if (arg_ieq(&call->argv[i], "GET"))
			return "RW access update";
	return "OW update";
}

static const char *flags_of_bitfield(const struct call *call)
{
	for (int i = 2; i < call->argc; i++) {
		int more = call->argc - 1 - i;
		if (arg_ieq(&call->argv[i], "GET") && more >= 2)
			i += 2;
		else if (arg_ieq(&call->argv[i], "OVERFLOW") && more >= 1)
			i += 1;
		else
			return "RW access update";
	}
	return "RO access";
}

static struct arg flags_for(const struct call *call, const struct notation_key *k)
{
	static const struct {
		const char *name;
		const char *(*flags)(const struct call *call);
	} variable[] = {{"set", flags_of_set}, {"bitfield", flags_of_bitfield}};

	for (size_t i = 0; i < sizeof variable / sizeof variable[0]; i++)
		if (strcmp(call->row->name, variable[i].name) == 0)
			return arg_of(variable[i].flags(call));
	return k->flags;
}

static void reply_flags(struct reply *r, struct arg flags)
{
	struct arg word;
	char text[32];
	size_t n = 0, mark = reply_defer(r);

	for (; notation_word(&flags, &word); n++) {
		snprintf(text, sizeof text, "%.*s", (int)word.n, word.p);
		reply_status(r, text);
	}
	reply_defer_set(r, mark, n);
}

/* ---- the reply ---- */

/* Appends the keys of one specification. False: the call cannot be right. */
static bool reply_keys(struct reply *r, const struct call *call, const struct notation_key *k, bool with_flags, size_t *found)
{
	int begin = k->unknown ? 0 : begin_of(call, k), first, last;

	if (begin == 0)
		return true;
	if (!range_of(call, k, begin, &first, &last))
		return false;
	for (int i = first; i <= last; i += k->step, ++*found) {
		if (with_flags)
			reply_array(r, 2);
		reply_bulk(r, call->argv[i].p, call->argv[i].n);
		if (with_flags)
			reply_flags(r, flags_for(call, k));
	}
	return true;
}

static const struct command *row_of(const struct arg *argv, int argc)
{
	const struct command *row = command_find(argv[0].p, argv[0].n);

	if (row != NULL && command_first_sub(row) != NULL && argc > 1)
		row = command_find_sub(row, argv[1].p, argv[1].n);
	return row;
}

static enum cmd_result reply_all_keys(struct cmd *c, bool with_flags)
{
	struct call call = {row_of(c->argv + 2, c->argc - 2), c->argv + 2, c->argc - 2};
	struct notation_key k;
	size_t found = 0;
	bool right = true;

	if (call.row == NULL) {
		reply_error(c->out, "ERR Invalid command specified");
		return CMD_DONE;
	}
	if (call.row->keys == NULL) {
		reply_error(c->out, "ERR The command has no key arguments");
		return CMD_DONE;
	}
	if (!command_arity_ok(call.row, call.argc)) {
		reply_error(c->out, "ERR Invalid number of arguments specified for command");
		return CMD_DONE;
	}
	size_t mark = reply_defer(c->out);
	for (struct arg text = arg_of(call.row->keys); right && notation_key(&text, &k);)
		right = reply_keys(c->out, &call, &k, with_flags, &found);
	if (right && (found > 0 || call.row->flags & COMMAND_NO_MANDATORY_KEYS)) {
		reply_defer_array(c->out, mark, found);
	} else {
		reply_rewind(c->out, c->reply_start);
		reply_error(c->out, "ERR Invalid arguments specified for command");
	}
	return CMD_DONE;
}

enum cmd_result cmd_command_getkeys(struct cmd *c)
{
	return reply_all_keys(c, false);
}

enum cmd_result cmd_command_getkeysandflags(struct cmd *c)
{
	return reply_all_keys(c, true);
}
