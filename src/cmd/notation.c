/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The notations of commands.def (described there), read by a few steps over the text.
 *
 * Used by COMMAND and HELP in workers, and by the test that reads every row. No memory, no locks; a mistake in a row is
 * a broken invariant.
 */
#include "notation.h"

#include "base/num.h"
#include "base/panic.h"

static char peek(const struct arg *t)
{
	return t->n ? t->p[0] : 0;
}

static void skip(struct arg *t, size_t n)
{
	t->p += n;
	t->n -= n;
}

static bool take_char(struct arg *t, char c)
{
	if (peek(t) != c || t->n == 0)
		return false;
	skip(t, 1);
	return true;
}

static void expect(struct arg *t, char c)
{
	if (!take_char(t, c))
		panic("commands.def: '%c' expected at '%.*s'", c, (int)t->n, t->p);
}

static void skip_spaces(struct arg *t)
{
	while (take_char(t, ' '))
		;
}

/* What stands before the first of `ends`. */
static struct arg take_until(struct arg *t, const char *ends)
{
	struct arg head = {t->p, 0};

	while (t->n != 0 && strchr(ends, t->p[0]) == NULL) {
		head.n++;
		skip(t, 1);
	}
	return head;
}

/* What stands inside the bracket that begins here. */
static struct arg take_bracket(struct arg *t)
{
	int depth = 0;
	struct arg inside = {t->p + 1, 0};

	do {
		if (t->n == 0)
			panic("commands.def: a bracket is not closed");
		if (strchr("<([", t->p[0]))
			depth++;
		else if (strchr(">)]", t->p[0]))
			depth--;
		skip(t, 1);
	} while (depth > 0);
	inside.n = (size_t)(t->p - inside.p) - 1;
	return inside;
}

/* Tokens are in capitals, names are not; a token may be a mark ("$", "~") too. */
static bool is_token(struct arg word)
{
	bool letters = false;

	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] >= 'a' && word.p[i] <= 'z')
			return false;
		letters = true;
	}
	return letters;
}

static bool has_suffix(struct arg name, const char *suffix)
{
	size_t n = strlen(suffix);
	return name.n > n && memcmp(name.p + name.n - n, suffix, n) == 0;
}

/* Parts "name:type" and "name:typeN". A colon before anything else belongs to the name. */
static void split_type(struct notation_arg *out)
{
	static const char *const types[][2] = {
	    {":int", "integer"},    {":double", "double"}, {":pattern", "pattern"},
	    {":time", "unix-time"}, {":key", "key"},       {":string", "string"},
	};
	struct arg name = out->name;
	char last = name.n ? name.p[name.n - 1] : 0;
	int spec = last >= '0' && last <= '9' ? last - '0' : -1;

	out->type = "string";
	if (str_eq(name.p, name.n, "key")) {
		out->type = "key";
		out->key_spec = 0;
		return;
	}
	name.n -= spec >= 0;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (!has_suffix(name, types[i][0]))
			continue;
		out->type = types[i][1];
		out->name.n = name.n - strlen(types[i][0]);
		out->key_spec = spec < 0 && strcmp(out->type, "key") == 0 ? 0 : spec;
		return;
	}
}

/* name, name:type, name=<...>, name=(...), TOKEN, name=TOKEN */
static void take_core(struct arg *t, struct notation_arg *out)
{
	out->name = take_until(t, " =@!.|<>()[]");
	if (take_char(t, '=')) {
		if (peek(t) == '<') {
			out->type = "oneof";
			out->members = take_bracket(t);
		} else if (peek(t) == '(') {
			out->type = "block";
			out->members = take_bracket(t);
		} else {
			out->type = "pure-token";
			out->token = take_until(t, " @!.|<>()[]");
			out->empty_token = str_eq(out->token.p, out->token.n, "\"\"");
		}
	} else if (is_token(out->name)) {
		out->type = "pure-token";
		out->token = out->name;
	} else {
		split_type(out);
	}
}

static void take_suffixes(struct arg *t, struct notation_arg *out)
{
	if (take_char(t, '@'))
		out->since = take_until(t, " !|<>()[]");
	if (take_char(t, '!'))
		out->deprecated = take_until(t, " |<>()[]");
	/* A version ends where its dots do. */
	struct arg *versions[] = {&out->since, &out->deprecated};
	for (size_t i = 0; i < 2; i++) {
		struct arg *v = versions[i];
		if (has_suffix(*v, "...+") || has_suffix(*v, "...")) {
			size_t n = has_suffix(*v, "...+") ? 4 : 3;
			v->n -= n;
			t->p -= n;
			t->n += n;
		}
	}
	if (t->n >= 3 && memcmp(t->p, "...", 3) == 0) {
		out->multiple = true;
		skip(t, 3);
		out->multiple_token = take_char(t, '+');
	}
}

bool notation_arg(struct arg *text, struct notation_arg *out)
{
	skip_spaces(text);
	take_char(text, '|');
	skip_spaces(text);
	if (text->n == 0)
		return false;
	*out = (struct notation_arg){.key_spec = -1};
	struct arg inside = *text, *t = text;
	if (peek(text) == '[') {
		out->optional = true;
		inside = take_bracket(text);
		t = &inside;
	}
	/* A token before a name introduces it. */
	struct arg ahead = *t, token = take_until(&ahead, " =@!.|<>()[]");
	if (is_token(token) && peek(&ahead) == ' ') {
		struct arg after = ahead;
		skip_spaces(&after);
		if (after.n != 0 && after.p[0] != '[' && !is_token(take_until(&after, " =@!.|<>()[]"))) {
			skip_spaces(&ahead);
			*t = ahead;
			out->token = token;
		}
	}
	struct arg introduced = out->token;
	take_core(t, out);
	if (introduced.n != 0)
		out->token = introduced;
	take_suffixes(t, out);
	if (t == &inside && inside.n != 0)
		panic("commands.def: '%.*s' does not belong there", (int)inside.n, inside.p);
	return true;
}

/* ---- key specifications ---- */

static int take_int(struct arg *t)
{
	struct arg digits = {t->p, 0};
	int64_t v;

	while (t->n != 0 && (t->p[0] == '-' || (t->p[0] >= '0' && t->p[0] <= '9'))) {
		digits.n++;
		skip(t, 1);
	}
	if (!parse_i64(digits.p, digits.n, &v))
		panic("commands.def: a number expected at '%.*s'", (int)t->n, t->p);
	return (int)v;
}

static void take_where(struct arg *t, struct notation_key *out)
{
	if (take_char(t, '?')) {
		out->unknown = true;
		return;
	}
	if (is_token((struct arg){t->p, 1}) && (t->p[0] < '0' || t->p[0] > '9')) {
		out->keyword = take_until(t, "@");
		expect(t, '@');
	}
	out->index = take_int(t);
	if (take_char(t, '#')) {
		out->counted = true;
		out->count_at = take_int(t);
		expect(t, '.');
		out->first = take_int(t);
		expect(t, '.');
		out->step = take_int(t);
		return;
	}
	if (t->n >= 2 && memcmp(t->p, "..", 2) == 0) {
		skip(t, 2);
		out->last = take_int(t);
	}
	if (take_char(t, '/'))
		out->step = take_int(t);
	if (take_char(t, '%'))
		out->limit = take_int(t);
}

bool notation_key(struct arg *text, struct notation_key *out)
{
	static const char note[] = " -- ";

	skip_spaces(text);
	if (text->n == 0)
		return false;
	*out = (struct notation_key){.step = 1};
	struct arg one = take_until(text, ";");
	take_char(text, ';');
	const char *at = memmem(one.p, one.n, note, sizeof note - 1);
	if (at != NULL) {
		out->note.p = at + sizeof note - 1;
		out->note.n = (size_t)(one.p + one.n - out->note.p);
		one.n = (size_t)(at - one.p);
	}
	take_where(&one, out);
	out->flags = one;
	return true;
}

/* ---- words and lines ---- */

bool notation_word(struct arg *text, struct arg *out)
{
	skip_spaces(text);
	*out = take_until(text, " ");
	return out->n != 0;
}

bool notation_line(struct arg *text, struct arg *head, struct arg *rest)
{
	if (text->n == 0)
		return false;
	struct arg line = take_until(text, "\n");
	take_char(text, '\n');
	notation_word(&line, head);
	skip_spaces(&line);
	*rest = line;
	return true;
}

/* ---- usage ---- */

static void append_arg(const struct notation_arg *a, struct buf *out);

static void append_members(struct arg text, const char *between, struct buf *out)
{
	struct notation_arg a;

	for (bool first = true; notation_arg(&text, &a); first = false) {
		if (!first)
			buf_append_str(out, between);
		append_arg(&a, out);
	}
}

static void append_core(const struct notation_arg *a, struct buf *out)
{
	bool oneof = strcmp(a->type, "oneof") == 0, block = strcmp(a->type, "block") == 0;
	bool enclose = oneof && (!a->optional || a->token.n != 0);

	if (a->token.n != 0)
		buf_append(out, a->token.p, a->token.n);
	if (strcmp(a->type, "pure-token") == 0)
		return;
	if (a->token.n != 0)
		buf_append_char(out, ' ');
	if (enclose)
		buf_append_char(out, '<');
	if (oneof || block)
		append_members(a->members, oneof ? "|" : " ", out);
	else
		buf_append(out, a->name.p, a->name.n);
	if (enclose)
		buf_append_char(out, '>');
}

static void append_arg(const struct notation_arg *a, struct buf *out)
{
	if (a->optional)
		buf_append_char(out, '[');
	size_t start = out->len;
	append_core(a, out);
	size_t n = out->len - start;
	if (a->multiple) {
		/* Once more, to show what is repeated: without its token if that stands once. */
		size_t from = a->token.n != 0 && !a->multiple_token ? start + a->token.n + 1 : start;
		n = start + n - from;
		buf_append_str(out, " [");
		buf_reserve(out, n);
		buf_append(out, out->data + from, n);
		buf_append_str(out, " ...]");
	}
	if (a->optional)
		buf_append_char(out, ']');
}

void notation_usage(struct arg text, struct buf *out)
{
	append_members(text, " ", out);
}
