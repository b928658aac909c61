/* SPDX-License-Identifier: BSD-2-Clause */
/* Counted strings: comparing, splitting a line into arguments, quoting for people. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "base/buf.h"

/* A slice of bytes that somebody else owns. */
struct arg {
	const char *p;
	size_t n;
};

/* A growable list of slices; the list is owned, what the slices point to is not. Start with {0}. */
struct arg_list {
	struct arg *v;
	size_t n, cap;
};

void arg_list_deinit(struct arg_list *l);
void arg_list_grow(struct arg_list *l); /* room for at least one more; out of memory is fatal */

static inline void arg_list_add(struct arg_list *l, const char *p, size_t n)
{
	if (__builtin_expect(l->n == l->cap, 0))
		arg_list_grow(l);
	l->v[l->n++] = (struct arg){p, n};
}

/* ASCII only, whatever the locale. */
static inline unsigned char str_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* The white space of arguments: space, \t \n \v \f \r. */
static inline bool str_is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whether the n bytes at p are the C string s, letters compared without case (str_ieq) or with it (str_eq). */
bool str_ieq(const char *p, size_t n, const char *s);

static inline bool str_eq(const char *p, size_t n, const char *s)
{
	return strlen(s) == n && memcmp(p, s, n) == 0;
}

static inline bool arg_ieq(const struct arg *a, const char *s)
{
	return str_ieq(a->p, a->n, s);
}

/* Negative, 0, positive: bytes compared as unsigned, then a shorter string comes first. */
int str_cmp(const char *p, size_t n, const char *q, size_t m);

/* Splits a line into arguments the way Redis does for inline commands and its configuration file: separated by white
 * space; "..." with \n \r \t \b \a \xHH and \ before any other byte; '...' with \' alone; a closing quote must be
 * followed by white space or the end. A NUL byte is a byte like any other. Arguments are unquoted in place, so the line
 * is overwritten, and are added to `out` (n reset first). Returns false, with the line damaged, if quotes do not
 * balance. */
bool str_split_args(char *line, size_t n, struct arg_list *out);

/* Appends s in double quotes with escapes, all non-ASCII bytes as \xHH: str_split_args reads it back. */
void str_repr(struct buf *out, const char *s, size_t n);

#endif
