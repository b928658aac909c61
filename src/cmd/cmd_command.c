/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COMMAND: the rows of commands.def in the form client libraries read (INFO, DOCS, LIST).
 *
 * Runs in workers, without an access. Owns nothing; whatever is replied is read from the constant rows.
 */
#include "args.h"
#include "base/glob.h"
#include "base/panic.h"
#include "help.h"
#include "notation.h"

/* ---- INFO ---- */

static const char *const flag_names[] = {
#define X(id, text) text,
    COMMAND_FLAGS(X)
#undef X
};
static const char *const category_names[] = {
#define X(id, text) text,
    COMMAND_CATEGORIES(X)
#undef X
};

static void reply_bits(struct reply *r, uint32_t bits, const char *const *names, size_t n)
{
	size_t found = 0, mark = reply_defer(r);

	for (size_t i = 0; i < n; i++) {
		if (!(bits & 1u << i) || names[i] == NULL)
			continue;
		reply_status(r, names[i]);
		found++;
	}
	reply_defer_set(r, mark, found);
}

/* A set of words, as bulk strings or (status) simple ones. */
static void reply_words(struct reply *r, struct arg text, bool status)
{
	struct arg word;
	size_t found = 0, mark = reply_defer(r);
	char line[64];

	for (; notation_word(&text, &word); found++) {
		if (!status) {
			reply_bulk(r, word.p, word.n);
			continue;
		}
		ASSERT(word.n < sizeof line);
		memcpy(line, word.p, word.n);
		line[word.n] = 0;
		reply_status(r, line);
	}
	reply_defer_set(r, mark, found);
}

static void reply_named_i64(struct reply *r, const char *name, int64_t v)
{
	reply_bulk_str(r, name);
	reply_i64(r, v);
}

static void reply_named_str(struct reply *r, const char *name, const char *text)
{
	reply_bulk_str(r, name);
	reply_bulk_str(r, text);
}

static void reply_named_arg(struct reply *r, const char *name, struct arg text)
{
	reply_bulk_str(r, name);
	reply_bulk(r, text.p, text.n);
}

static void reply_begin_search(struct reply *r, const struct notation_key *k)
{
	reply_bulk_str(r, "begin_search");
	reply_map(r, 2);
	reply_named_str(r, "type", k->unknown ? "unknown" : k->keyword.n ? "keyword" : "index");
	reply_bulk_str(r, "spec");
	if (k->unknown) {
		reply_map(r, 0);
	} else if (k->keyword.n) {
		reply_map(r, 2);
		reply_named_arg(r, "keyword", k->keyword);
		reply_named_i64(r, "startfrom", k->index);
	} else {
		reply_map(r, 1);
		reply_named_i64(r, "index", k->index);
	}
}

static void reply_find_keys(struct reply *r, const struct notation_key *k)
{
	reply_bulk_str(r, "find_keys");
	reply_map(r, 2);
	reply_named_str(r, "type", k->unknown ? "unknown" : k->counted ? "keynum" : "range");
	reply_bulk_str(r, "spec");
	if (k->unknown) {
		reply_map(r, 0);
	} else if (k->counted) {
		reply_map(r, 3);
		reply_named_i64(r, "keynumidx", k->count_at);
		reply_named_i64(r, "firstkey", k->first);
		reply_named_i64(r, "keystep", k->step);
	} else {
		reply_map(r, 3);
		reply_named_i64(r, "lastkey", k->last);
		reply_named_i64(r, "keystep", k->step);
		reply_named_i64(r, "limit", k->limit);
	}
}

static void reply_key_specs(struct reply *r, const struct command *row)
{
	struct arg text = row->keys ? arg_of(row->keys) : (struct arg){"", 0};
	struct notation_key k;
	size_t found = 0, mark = reply_defer(r);

	for (; notation_key(&text, &k); found++) {
		reply_map(r, k.note.n ? 4 : 3);
		if (k.note.n)
			reply_named_arg(r, "notes", k.note);
		reply_bulk_str(r, "flags");
		reply_words(r, k.flags, true);
		reply_begin_search(r, &k);
		reply_find_keys(r, &k);
	}
	reply_defer_set(r, mark, found);
}

static void reply_info(struct reply *r, const struct command *row)
{
	reply_array(r, 10);
	reply_bulk_str(r, row->name);
	reply_i64(r, row->arity);
	reply_bits(r, row->flags, flag_names, sizeof flag_names / sizeof flag_names[0]);
	reply_i64(r, row->first);
	reply_i64(r, row->last);
	reply_i64(r, row->step);
	reply_bits(r, command_categories(row), category_names, sizeof category_names / sizeof category_names[0]);
	reply_words(r, row->tips ? arg_of(row->tips) : (struct arg){"", 0}, false);
	reply_key_specs(r, row);
	if (command_first_sub(row) == NULL) {
		reply_set(r, 0);
		return;
	}
	size_t found = 0, mark = reply_defer(r);
	for (const struct command *sub = command_first_sub(row); sub != NULL; sub = command_next_sub(sub), found++)
		reply_info(r, sub);
	reply_defer_array(r, mark, found);
}

static void reply_all_info(struct cmd *c)
{
	reply_array(c->out, command_count());
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row))
		if (!command_is_sub(row) && command_is_callable(row))
			reply_info(c->out, row);
}

enum cmd_result cmd_command(struct cmd *c)
{
	reply_all_info(c);
	return CMD_DONE;
}

enum cmd_result cmd_command_info(struct cmd *c)
{
	if (c->argc == 2) {
		reply_all_info(c);
		return CMD_DONE;
	}
	reply_array(c->out, (size_t)c->argc - 2);
	for (int i = 2; i < c->argc; i++) {
		const struct command *row = command_find_full(c->argv[i].p, c->argv[i].n);
		if (row == NULL)
			reply_null(c->out);
		else
			reply_info(c->out, row);
	}
	return CMD_DONE;
}

enum cmd_result cmd_command_count(struct cmd *c)
{
	reply_i64(c->out, (int64_t)command_count());
	return CMD_DONE;
}

/* ---- DOCS ---- */

static void reply_arguments(struct reply *r, struct arg text);

static void reply_argument_flags(struct reply *r, const struct notation_arg *a)
{
	reply_bulk_str(r, "flags");
	reply_set(r, (size_t)a->optional + a->multiple + a->multiple_token);
	if (a->optional)
		reply_status(r, "optional");
	if (a->multiple)
		reply_status(r, "multiple");
	if (a->multiple_token)
		reply_status(r, "multiple_token");
}

static void reply_argument(struct reply *r, const struct notation_arg *a)
{
	size_t mark = reply_defer(r), n = 2;

	/* A token without a name of its own is named after itself. */
	char name[64];
	ASSERT(a->name.n < sizeof name);
	for (size_t i = 0; i < a->name.n; i++)
		name[i] = (char)str_lower((unsigned char)a->name.p[i]);
	reply_named_arg(r, "name", (struct arg){name, a->name.n});
	reply_named_str(r, "type", a->type);
	if (a->key_spec >= 0)
		reply_named_i64(r, "key_spec_index", a->key_spec), n++;
	if (a->token.n)
		reply_named_arg(r, "token", a->empty_token ? (struct arg){"", 0} : a->token), n++;
	if (a->since.n)
		reply_named_arg(r, "since", a->since), n++;
	if (a->deprecated.n)
		reply_named_arg(r, "deprecated_since", a->deprecated), n++;
	if (a->optional || a->multiple)
		reply_argument_flags(r, a), n++;
	if (a->members.n)
		reply_arguments(r, a->members), n++;
	reply_defer_map(r, mark, n);
}

static void reply_arguments(struct reply *r, struct arg text)
{
	struct notation_arg a;

	reply_bulk_str(r, "arguments");
	size_t found = 0, mark = reply_defer(r);
	for (; notation_arg(&text, &a); found++)
		reply_argument(r, &a);
	reply_defer_array(r, mark, found);
}

static void reply_history(struct reply *r, struct arg text)
{
	struct arg version, what;

	reply_bulk_str(r, "history");
	size_t found = 0, mark = reply_defer(r);
	for (; notation_line(&text, &version, &what); found++) {
		reply_array(r, 2);
		reply_bulk(r, version.p, version.n);
		reply_bulk(r, what.p, what.n);
	}
	reply_defer_set(r, mark, found);
}

static void reply_docs(struct reply *r, const struct command *row)
{
	reply_bulk_str(r, row->name);
	size_t mark = reply_defer(r), n = 3;
	reply_named_str(r, "summary", row->summary);
	reply_named_str(r, "since", row->since);
	reply_named_str(r, "group", row->group);
	if (row->complexity)
		reply_named_str(r, "complexity", row->complexity), n++;
	if (row->doc_flags) {
		reply_bulk_str(r, "doc_flags");
		reply_words(r, arg_of(row->doc_flags), true);
		n++;
	}
	if (row->deprecated_since)
		reply_named_str(r, "deprecated_since", row->deprecated_since), n++;
	if (row->replaced_by)
		reply_named_str(r, "replaced_by", row->replaced_by), n++;
	if (row->history)
		reply_history(r, arg_of(row->history)), n++;
	if (row->arguments)
		reply_arguments(r, arg_of(row->arguments)), n++;
	if (command_first_sub(row) != NULL) {
		reply_bulk_str(r, "subcommands");
		size_t subs = 0, inner = reply_defer(r);
		for (const struct command *sub = command_first_sub(row); sub != NULL;
		     sub = command_next_sub(sub), subs++)
			reply_docs(r, sub);
		reply_defer_map(r, inner, subs);
		n++;
	}
	reply_defer_map(r, mark, n);
}

enum cmd_result cmd_command_docs(struct cmd *c)
{
	size_t found = 0, mark = reply_defer(c->out);

	if (c->argc == 2) {
		for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
			if (command_is_sub(row) || !command_is_callable(row))
				continue;
			reply_docs(c->out, row);
			found++;
		}
	}
	for (int i = 2; i < c->argc; i++) {
		const struct command *row = command_find_full(c->argv[i].p, c->argv[i].n);
		if (row == NULL)
			continue;
		reply_docs(c->out, row);
		found++;
	}
	reply_defer_map(c->out, mark, found);
	return CMD_DONE;
}

/* ---- LIST ---- */

static bool in_category(const struct command *row, const struct arg *name)
{
	uint32_t acl = command_categories(row);

	for (size_t i = 0; i < sizeof category_names / sizeof category_names[0]; i++)
		if (acl & 1u << i && arg_ieq(name, category_names[i] + 1)) /* without the @ */
			return true;
	return false;
}

enum cmd_result cmd_command_list(struct cmd *c)
{
	enum { ALL, MODULE, ACLCAT, PATTERN } by = ALL;

	if (c->argc == 5 && arg_ieq(&c->argv[2], "FILTERBY")) {
		if (arg_ieq(&c->argv[3], "MODULE"))
			by = MODULE;
		else if (arg_ieq(&c->argv[3], "ACLCAT"))
			by = ACLCAT;
		else if (arg_ieq(&c->argv[3], "PATTERN"))
			by = PATTERN;
	}
	if (c->argc > 2 && by == ALL) {
		reply_syntax(c);
		return CMD_DONE;
	}
	size_t found = 0, mark = reply_defer(c->out);
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		const struct arg *what = by == ALL ? NULL : &c->argv[4];
		if (!command_is_callable(row) || by == MODULE || (by == ACLCAT && !in_category(row, what)) ||
		    (by == PATTERN && !glob_match(what->p, what->n, row->name, row->name_len, true)))
			continue;
		reply_bulk_str(c->out, row->name);
		found++;
	}
	reply_defer_array(c->out, mark, found);
	return CMD_DONE;
}

enum cmd_result cmd_command_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
