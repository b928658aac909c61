/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: what the server says of its commands (COMMAND DOCS), for HELP, for completion, and for the hints of
 * arguments.
 *
 * Runs in bulkhead-cli. Owns the texts. No locks. A server that does not answer has no help, and nothing else is
 * missing. Answers come as maps (RESP3) or as arrays of pairs (RESP2): both are elements two by two.
 */
#include "cli.h"

#include <stdlib.h>

#include "base/panic.h"
#include "line_edit.h"

static const struct reply_node *field(const struct reply_node *r, const char *name)
{
	for (size_t i = 0; r && r->elem && i + 1 < r->n; i += 2)
		if (r->elem[i].str && !strcmp(r->elem[i].str, name))
			return &r->elem[i + 1];
	return NULL;
}

static const char *text_field(const struct reply_node *r, const char *name)
{
	const struct reply_node *v = field(r, name);
	return v && v->str ? v->str : "";
}

static bool has_flag(const struct reply_node *r, const char *name)
{
	const struct reply_node *flags = field(r, "flags");
	for (size_t i = 0; flags && flags->elem && i < flags->n; i++)
		if (flags->elem[i].str && !strcmp(flags->elem[i].str, name))
			return true;
	return false;
}

static void append_arguments(struct buf *out, const struct reply_node *list, const char *between);

/* The argument once, with its token unless that stands once before all repetitions. */
static void append_value(struct buf *out, const struct reply_node *arg)
{
	const char *type = text_field(arg, "type"), *shown = text_field(arg, "display_text");
	if (!strcmp(type, "pure-token"))
		return;
	if (!strcmp(type, "oneof") || !strcmp(type, "block"))
		append_arguments(out, field(arg, "arguments"), !strcmp(type, "oneof") ? "|" : " ");
	else
		buf_append_str(out, *shown ? shown : text_field(arg, "name"));
}

static void append_with_token(struct buf *out, const struct reply_node *arg, const char *token)
{
	size_t before;
	buf_append_str(out, *token ? token : field(arg, "token") ? "\"\"" : "");
	if (*token || field(arg, "token"))
		buf_append_char(out, ' ');
	before = out->len;
	append_value(out, arg);
	if (out->len == before && out->len > 0 && out->data[out->len - 1] == ' ')
		out->len--; /* a token alone */
}

static void append_argument(struct buf *out, const struct reply_node *arg)
{
	bool optional = has_flag(arg, "optional"), each = has_flag(arg, "multiple_token");
	const char *token = text_field(arg, "token");

	if (optional)
		buf_append_char(out, '[');
	append_with_token(out, arg, token);
	if (has_flag(arg, "multiple") || each) {
		buf_append_str(out, " [");
		if (each)
			append_with_token(out, arg, token);
		else
			append_value(out, arg);
		buf_append_str(out, " ...]");
	}
	if (optional)
		buf_append_char(out, ']');
}

static void append_arguments(struct buf *out, const struct reply_node *list, const char *between)
{
	for (size_t i = 0; list && list->elem && i < list->n; i++) {
		if (i > 0)
			buf_append_str(out, between);
		append_argument(out, &list->elem[i]);
	}
}

static char *copy(const char *s)
{
	char *p = strdup(s);
	if (!p)
		fatal("out of memory");
	return p;
}

/* "config|get" becomes "CONFIG GET". */
static char *copy_name(const char *name)
{
	char *p = copy(name);
	for (char *c = p; *c; c++)
		*c = *c == '|' ? ' ' : *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
	return p;
}

static void add(struct cli_docs *d, const char *name, const struct reply_node *r)
{
	struct buf usage;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 256;
		d->v = realloc(d->v, d->cap * sizeof(*d->v));
		if (!d->v)
			fatal("out of memory");
	}
	buf_init(&usage);
	append_arguments(&usage, field(r, "arguments"), " ");
	buf_append_char(&usage, '\0');
	d->v[d->n++] = (struct cli_doc){.name = copy_name(name),
					.usage = usage.data,
					.summary = copy(text_field(r, "summary")),
					.since = copy(text_field(r, "since")),
					.group = copy(text_field(r, "group"))};
	const struct reply_node *subs = field(r, "subcommands");
	for (size_t i = 0; subs && subs->elem && i + 1 < subs->n; i += 2)
		if (subs->elem[i].str)
			add(d, subs->elem[i].str, &subs->elem[i + 1]);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cli_doc *)a)->name, ((const struct cli_doc *)b)->name);
}

void cli_docs_load(struct cli_docs *d, struct cli_conn *c)
{
	struct reply_node r;
	if (c->fd < 0 || !cli_ask(c, &r, 2, (struct arg[2]){cli_text("COMMAND"), cli_text("DOCS")}))
		return;
	for (size_t i = 0; r.elem && i + 1 < r.n; i += 2)
		if (r.elem[i].str)
			add(d, r.elem[i].str, &r.elem[i + 1]);
	reply_node_deinit(&r);
	if (d->n > 0)
		qsort(d->v, d->n, sizeof(*d->v), by_name);
}

void cli_docs_deinit(struct cli_docs *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].name);
		free(d->v[i].usage);
		free(d->v[i].summary);
		free(d->v[i].since);
		free(d->v[i].group);
	}
	free(d->v);
	*d = (struct cli_docs){0};
}

static const struct cli_doc *find(const struct cli_docs *d, const struct arg *first, const struct arg *second)
{
	struct buf name;
	const struct cli_doc *found = NULL;
	buf_init(&name);
	buf_append(&name, first->p, first->n);
	if (second) {
		buf_append_char(&name, ' ');
		buf_append(&name, second->p, second->n);
	}
	for (size_t i = 0; i < d->n && !found; i++)
		if (str_ieq(name.data, name.len, d->v[i].name))
			found = &d->v[i];
	buf_deinit(&name);
	return found;
}

const struct cli_doc *cli_docs_find(const struct cli_docs *d, size_t argc, const struct arg *argv, size_t *used)
{
	const struct cli_doc *sub = argc > 1 ? find(d, &argv[0], &argv[1]) : NULL;
	*used = sub ? 2 : 1;
	return sub || argc == 0 ? sub : find(d, &argv[0], NULL);
}

/* ---- HELP ---- */

static void print_doc(const struct cli_doc *doc, bool details)
{
	bool colours = line_edit_possible();
	const char *bold = colours ? "\x1b[1m" : "", *grey = colours ? "\x1b[90m" : "", *end = colours ? "\x1b[0m" : "";
	printf("\n  %s%s%s %s%s%s\n", bold, doc->name, end, grey, doc->usage, end);
	if (*doc->summary)
		printf("  summary: %s\n", doc->summary);
	if (*doc->since)
		printf("  since: %s\n", doc->since);
	if (details && *doc->group)
		printf("  group: %s\n", doc->group);
}

static void print_overview(void)
{
	puts("bulkhead-cli: a command a line, as in GET key. Words with spaces or odd bytes: \"a b\\x00\" or 'a b'.\n"
	     "  help <command>       its arguments\n"
	     "  help @<group>        the commands of a group: @string, @connection, @server ...\n"
	     "  <number> <command>   runs it so many times\n"
	     "  connect <host> <port>, clear, quit\n"
	     "On a terminal: tab completes, up and down show earlier lines, Ctrl-R searches them, Ctrl-C stops a "
	     "command.");
}

void cli_docs_help(const struct cli_docs *d, size_t argc, const struct arg *argv)
{
	struct buf name;
	size_t shown = 0;

	if (argc == 1) {
		print_overview();
		return;
	}
	buf_init(&name);
	for (size_t i = 1; i < argc; i++) {
		buf_append(&name, argv[i].p, argv[i].n);
		buf_append_char(&name, i + 1 < argc ? ' ' : '\0');
	}
	size_t n = name.len - 1;
	for (size_t i = 0; i < d->n; i++) {
		const struct cli_doc *doc = &d->v[i];
		bool whole = str_ieq(name.data, n, doc->name);
		bool below = strlen(doc->name) > n && doc->name[n] == ' ' && !strncasecmp(doc->name, name.data, n);
		bool grouped = name.data[0] == '@' && str_ieq(name.data + 1, n - 1, doc->group);
		if (whole || below || grouped) {
			print_doc(doc, !grouped);
			shown++;
		}
	}
	puts(shown ? "" : "There is no help for that.");
	buf_deinit(&name);
}

/* ---- hints and completion ---- */

/* The first element of the usage at s: a word, or what stands in brackets. */
static size_t element_length(const char *s)
{
	size_t depth = 0, n = 0;
	for (; s[n] && (depth > 0 || s[n] != ' '); n++)
		depth = s[n] == '[' ? depth + 1 : s[n] == ']' && depth > 0 ? depth - 1 : depth;
	return n;
}

/* Whether an optional element begins, in one of its forms, with this word. */
static bool has_token(const char *s, size_t n, const struct arg *word)
{
	for (size_t at = 1; at < n;) {
		size_t end = at;
		while (end < n && !strchr(" []|", s[end]))
			end++;
		if (end > at && end - at == word->n && !strncasecmp(s + at, word->p, word->n))
			return true;
		at = end + 1;
	}
	return false;
}

#define ELEMENTS_MAX 64

struct element {
	const char *s;
	size_t n;
	bool given;
};

static size_t split_usage(const char *usage, struct element *e)
{
	size_t n = 0;
	while (*usage && n < ELEMENTS_MAX) {
		size_t len = element_length(usage);
		e[n++] = (struct element){usage, len, false};
		usage += len;
		usage += *usage == ' ';
	}
	return n;
}

/* A word is the next argument that must be there; behind those, the option it names, or the next that has no name. */
static void give(struct element *e, size_t n, const struct arg *word)
{
	for (size_t i = 0; i < n; i++)
		if (!e[i].given && e[i].s[0] != '[') {
			e[i].given = true;
			return;
		} else if (!e[i].given && has_token(e[i].s, e[i].n, word)) {
			e[i].given = true;
			return;
		} else if (!e[i].given && memmem(e[i].s, e[i].n, " ...]", 5) && i + 1 == n) {
			return; /* it may come again and again */
		}
	for (size_t i = 0; i < n; i++)
		if (!e[i].given && e[i].s[1] >= 'a' && e[i].s[1] <= 'z' && !memmem(e[i].s, e[i].n, " ...]", 5)) {
			e[i].given = true;
			return;
		}
}

void cli_docs_hint(const struct cli_docs *d, const char *line, size_t n, struct buf *out)
{
	struct arg_list words = {0};
	struct element e[ELEMENTS_MAX];
	struct buf text;
	size_t used;

	buf_init(&text);
	buf_append(&text, line, n);
	if (n > 0 && str_split_args(text.data, text.len, &words) && words.n > 0) {
		const struct cli_doc *doc = cli_docs_find(d, words.n, words.v, &used);
		size_t count = doc ? split_usage(doc->usage, e) : 0;
		for (size_t i = used; doc && i < words.n; i++)
			give(e, count, &words.v[i]);
		bool space = str_is_space((unsigned char)line[n - 1]);
		for (size_t i = 0; i < count; i++) {
			if (e[i].given)
				continue;
			if (!space)
				buf_append_char(out, ' ');
			space = false;
			buf_append(out, e[i].s, e[i].n);
		}
	}
	arg_list_deinit(&words);
	buf_deinit(&text);
}

void cli_docs_complete(const struct cli_docs *d, const char *line, size_t n,
		       void (*take)(void *context, const char *text, size_t n), void *context)
{
	static const char help[] = "help ";
	size_t prefix = n >= 5 && !strncasecmp(line, help, 5) ? 5 : 0;
	bool lower = n > prefix && line[prefix] >= 'a' && line[prefix] <= 'z';
	struct buf text;

	buf_init(&text);
	for (size_t i = 0; n > 0 && i < d->n; i++) {
		const char *name = d->v[i].name;
		if (strncasecmp(name, line + prefix, n - prefix))
			continue;
		text.len = 0;
		buf_append(&text, line, prefix);
		for (; *name; name++)
			buf_append_char(&text, lower ? (char)str_lower((unsigned char)*name) : *name);
		take(context, text.data, text.len);
	}
	buf_deinit(&text);
}
