/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: replies as JSON, as redis-cli writes them.
 *
 * Runs in bulkhead-cli. Owns nothing, no locks, no state. Three things are no JSON, and are redis-cli's: an error is
 * the word error before a string, the quoted form doubles the backslash even before a quotation mark, and a key that is
 * an array is not quoted a second time. Bytes are taken as they are: text that is no UTF-8 makes none. Recursion is
 * bounded by REPLY_DEPTH_MAX.
 */
#include "cli.h"

static void append_string(struct buf *out, const char *s, size_t n)
{
	buf_append_char(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		const char *special = c ? strchr("\nn\rr\tt\bb\ff\\\\\"\"", c) : NULL;
		if (special && (c < ' ' || c == '\\' || c == '"')) {
			buf_append_char(out, '\\');
			buf_append_char(out, special[1]);
		} else if (c < ' ') {
			buf_printf(out, "\\u%04x", c);
		} else {
			buf_append_char(out, (char)c);
		}
	}
	buf_append_char(out, '"');
}

static void append_quoted(struct buf *out, const char *s, size_t n)
{
	struct buf repr;
	buf_init(&repr);
	str_repr(&repr, s, n);
	for (size_t i = 0; i < repr.len; i++) {
		if (repr.data[i] == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, repr.data[i]);
	}
	buf_deinit(&repr);
}

static void append_text(struct buf *out, const char *s, size_t n, bool quoted)
{
	if (quoted)
		append_quoted(out, s, n);
	else
		append_string(out, s, n);
}

/* Keys are strings: what is none has its JSON between quotation marks. */
static void append_key(struct buf *out, const struct reply_node *r, bool quoted)
{
	bool text =
	    r->type == REPLY_STATUS || r->type == REPLY_STRING || r->type == REPLY_ERROR || r->type == REPLY_VERBATIM;
	if (!text)
		buf_append_char(out, '"');
	cli_format_json(out, r, quoted);
	if (!text)
		buf_append_char(out, '"');
}

void cli_format_json(struct buf *out, const struct reply_node *r, bool quoted)
{
	bool map = cli_is_map(r);
	switch (r->type) {
	case REPLY_NULL:
		buf_append_str(out, "null");
		break;
	case REPLY_INTEGER:
		buf_printf(out, "%lld", (long long)r->integer);
		break;
	case REPLY_BOOL:
		buf_append_str(out, r->integer ? "true" : "false");
		break;
	case REPLY_ERROR:
		buf_append_str(out, "error:");
		append_text(out, r->str, r->n, quoted);
		break;
	case REPLY_VERBATIM:
		append_text(out, cli_verbatim(r).p, cli_verbatim(r).n, quoted);
		break;
	case REPLY_STATUS:
	case REPLY_STRING:
		append_text(out, r->str, r->n, quoted);
		break;
	case REPLY_DOUBLE:
	case REPLY_BIGNUM:
		buf_append(out, r->str, r->n);
		break;
	default:
		buf_append_char(out, map ? '{' : '[');
		for (size_t i = 0; i < r->n; i++) {
			if (i > 0)
				buf_append_char(out, map && i % 2 ? ':' : ',');
			if (map && i % 2 == 0)
				append_key(out, &r->elem[i], quoted);
			else
				cli_format_json(out, &r->elem[i], quoted);
		}
		buf_append_char(out, map ? '}' : ']');
	}
}
