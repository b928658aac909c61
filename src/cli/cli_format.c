/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: replies as text, in the forms of redis-cli (JSON: cli_json.c).
 *
 * Runs in bulkhead-cli. Owns nothing, no locks, no state. Recursion is bounded by REPLY_DEPTH_MAX.
 */
#include "cli.h"

/* Whether it takes more than one line; inside a map it then begins on a line of its own. */
static bool is_multiline(const struct reply_node *r)
{
	size_t step = cli_is_map(r) ? 2 : 1;
	if (!r->elem || r->n == 0)
		return false;
	return r->n > step || is_multiline(&r->elem[step - 1]);
}

static void append_spaces(struct buf *out, size_t n)
{
	memset(buf_reserve(out, n), ' ', n);
	out->len += n;
}

/* Without the kind, "txt:". */
static void append_verbatim(struct buf *out, const struct reply_node *r)
{
	struct arg text = cli_verbatim(r);
	buf_append(out, text.p, text.n);
}

static void format_tty(struct buf *out, const struct reply_node *r, size_t indent);

/* Elements numbered from 1, the numbers as wide as the largest; all but the first, whose line has begun already, are
 * indented. A map's pairs share a number. */
static void format_tty_elements(struct buf *out, const struct reply_node *r, size_t indent)
{
	size_t step = cli_is_map(r) ? 2 : 1;
	char mark = cli_is_map(r) ? '#' : r->type == REPLY_SET ? '~' : ')';
	int width = snprintf(NULL, 0, "%zu", r->n / step);
	size_t inner = indent + (size_t)width + 2;

	for (size_t i = 0; i < r->n; i += step) {
		if (i > 0)
			append_spaces(out, indent);
		buf_printf(out, "%*zu%c ", width, i / step + 1, mark);
		format_tty(out, &r->elem[i], inner);
		if (step == 1)
			continue;
		const struct reply_node *value = &r->elem[i + 1];
		out->len--; /* the key's newline */
		buf_append_str(out, " => ");
		if (is_multiline(value)) {
			buf_append_char(out, '\n');
			append_spaces(out, inner);
		}
		format_tty(out, value, inner);
	}
}

static const char *empty_name(const struct reply_node *r)
{
	switch (r->type) {
	case REPLY_MAP:
		return "(empty hash)\n";
	case REPLY_SET:
		return "(empty set)\n";
	case REPLY_PUSH:
		return "(empty push)\n";
	default:
		return "(empty array)\n";
	}
}

static void format_tty(struct buf *out, const struct reply_node *r, size_t indent)
{
	switch (r->type) {
	case REPLY_STATUS:
		buf_printf(out, "%s\n", r->str);
		break;
	case REPLY_ERROR:
		buf_printf(out, "(error) %s\n", r->str);
		break;
	case REPLY_INTEGER:
		buf_printf(out, "(integer) %lld\n", (long long)r->integer);
		break;
	case REPLY_DOUBLE:
		buf_printf(out, "(double) %s\n", r->str);
		break;
	case REPLY_BOOL:
		buf_append_str(out, r->integer ? "(true)\n" : "(false)\n");
		break;
	case REPLY_BIGNUM:
		buf_printf(out, "(big number) %s\n", r->str);
		break;
	case REPLY_NULL:
		buf_append_str(out, "(nil)\n");
		break;
	case REPLY_STRING:
		str_repr(out, r->str, r->n);
		buf_append_char(out, '\n');
		break;
	case REPLY_VERBATIM:
		append_verbatim(out, r);
		buf_append_char(out, '\n');
		break;
	default:
		if (r->n == 0)
			buf_append_str(out, empty_name(r));
		else
			format_tty_elements(out, r, indent);
	}
}

static void format_raw(struct buf *out, const struct reply_node *r, struct arg between)
{
	switch (r->type) {
	case REPLY_NULL:
		break;
	case REPLY_INTEGER:
		buf_printf(out, "%lld", (long long)r->integer);
		break;
	case REPLY_BOOL:
		buf_append_str(out, r->integer ? "(true)" : "(false)");
		break;
	case REPLY_ERROR:
		buf_printf(out, "%s\n", r->str);
		break;
	case REPLY_VERBATIM:
		append_verbatim(out, r);
		break;
	case REPLY_STATUS:
	case REPLY_STRING:
	case REPLY_DOUBLE:
	case REPLY_BIGNUM:
		buf_append(out, r->str, r->n);
		break;
	default:
		for (size_t i = 0; i < r->n; i++) {
			if (i > 0 && cli_is_map(r) && i % 2)
				buf_append_char(out, ' ');
			else if (i > 0)
				buf_append(out, between.p, between.n);
			format_raw(out, &r->elem[i], between);
		}
	}
}

/* Nested elements are not told apart: a line of values. */
static void format_csv(struct buf *out, const struct reply_node *r)
{
	switch (r->type) {
	case REPLY_NULL:
		buf_append_str(out, "NULL");
		break;
	case REPLY_INTEGER:
		buf_printf(out, "%lld", (long long)r->integer);
		break;
	case REPLY_BOOL:
		buf_append_str(out, r->integer ? "true" : "false");
		break;
	case REPLY_ERROR:
		buf_append_str(out, "ERROR,");
		str_repr(out, r->str, r->n);
		break;
	case REPLY_VERBATIM:
		str_repr(out, cli_verbatim(r).p, cli_verbatim(r).n);
		break;
	case REPLY_STATUS:
	case REPLY_STRING:
		str_repr(out, r->str, r->n);
		break;
	case REPLY_DOUBLE:
	case REPLY_BIGNUM:
		buf_append(out, r->str, r->n);
		break;
	default:
		for (size_t i = 0; i < r->n; i++) {
			if (i > 0)
				buf_append_char(out, ',');
			format_csv(out, &r->elem[i]);
		}
	}
}

void cli_format(struct buf *out, const struct reply_node *r, enum cli_output mode, const struct cli_options *o)
{
	switch (mode) {
	case OUTPUT_TTY:
		format_tty(out, r, 0);
		break;
	case OUTPUT_RAW:
		format_raw(out, r, o->element_end);
		buf_append(out, o->reply_end.p, o->reply_end.n);
		break;
	case OUTPUT_CSV:
		format_csv(out, r);
		buf_append_char(out, '\n');
		break;
	case OUTPUT_JSON:
	case OUTPUT_QUOTED_JSON:
		cli_format_json(out, r, mode == OUTPUT_QUOTED_JSON);
		buf_append_char(out, '\n');
	}
}

void cli_format_page(struct buf *out, const struct reply_node *r)
{
	format_raw(out, r, (struct arg){"\n", 1});
}
