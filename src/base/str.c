/* SPDX-License-Identifier: BSD-2-Clause */
/* Counted strings (base/str.h).
 *
 * Runs in every process, on private memory. No locks, no state.
 */
#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/panic.h"

void arg_list_deinit(struct arg_list *l)
{
	free(l->v);
	*l = (struct arg_list){0};
}

void arg_list_grow(struct arg_list *l)
{
	size_t cap = l->cap ? l->cap * 2 : 16;
	struct arg *v = cap <= SIZE_MAX / sizeof(*v) ? realloc(l->v, cap * sizeof(*v)) : NULL;
	if (!v)
		fatal("out of memory: cannot hold %zu arguments", cap);
	l->v = v;
	l->cap = cap;
}

bool str_ieq(const char *p, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '\0' || str_lower((unsigned char)p[i]) != str_lower((unsigned char)s[i]))
			return false;
	return s[n] == '\0';
}

int str_cmp(const char *p, size_t n, const char *q, size_t m)
{
	size_t common = n < m ? n : m;
	int c = common ? memcmp(p, q, common) : 0;
	return c ? c : (n > m) - (n < m);
}

static int hex_digit(char c)
{
	unsigned char l = str_lower((unsigned char)c);
	if (l >= '0' && l <= '9')
		return l - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return c;
	}
}

/* Copies what is inside a pair of quotes from *r (just after the opening one) to *w. Moves both; *r ends behind the
 * closing quote. Returns false if that is missing, or not followed by white space or the end. */
static bool take_quoted(const char **r, const char *end, char **w, char quote)
{
	const char *p = *r;
	char *o = *w;

	for (;; p++) {
		if (p == end)
			return false;
		if (*p == quote)
			break;
		if (*p == '\\' && quote == '"' && end - p >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 &&
		    hex_digit(p[3]) >= 0) {
			*o++ = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
			p += 3;
		} else if (*p == '\\' && quote == '"' && end - p >= 2) {
			*o++ = unescape(*++p);
		} else if (*p == '\\' && quote == '\'' && end - p >= 2 && p[1] == '\'') {
			*o++ = *++p;
		} else {
			*o++ = *p;
		}
	}
	p++;
	*r = p;
	*w = o;
	return p == end || str_is_space((unsigned char)*p);
}

/* Words end at fewer bytes than separate them: \v and \f do only the latter. */
static bool ends_word(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool str_split_args(char *line, size_t n, struct arg_list *out)
{
	const char *r = line, *end = line + n;
	char *w = line; /* never ahead of r: an argument is at most as long as its source */

	out->n = 0;
	for (;;) {
		while (r < end && str_is_space((unsigned char)*r))
			r++;
		if (r == end)
			return true;
		char *start = w;
		while (r < end && !ends_word(*r)) {
			char c = *r++;
			if (c != '"' && c != '\'') {
				*w++ = c;
				continue;
			}
			if (!take_quoted(&r, end, &w, c))
				return false;
			break;
		}
		arg_list_add(out, start, (size_t)(w - start));
	}
}

void str_repr(struct buf *out, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	buf_append_char(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char *w = buf_reserve(out, 4);
		const char *special = c ? strchr("\nn\rr\tt\aa\bb\\\\\"\"", c) : NULL;
		if (special && (c < ' ' || c == '\\' || c == '"')) {
			w[0] = '\\';
			w[1] = special[1];
			out->len += 2;
		} else if (c >= ' ' && c < 127) {
			w[0] = (char)c;
			out->len += 1;
		} else {
			w[0] = '\\';
			w[1] = 'x';
			w[2] = hex[c >> 4];
			w[3] = hex[c & 15];
			out->len += 4;
		}
	}
	buf_append_char(out, '"');
}
