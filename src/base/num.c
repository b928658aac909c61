/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as text (base/num.h).
 *
 * Runs in every process. Pure functions: no state, no locks. The C library does floating point; integers are done by
 * hand, being in the path of every command. The locale is assumed to be "C", which it is until somebody calls
 * setlocale().
 */
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"

bool parse_i64(const char *s, size_t n, int64_t *out)
{
	bool negative = n > 0 && s[0] == '-';
	s += negative;
	n -= negative;
	if (n == 0 || n > 19)
		return false;
	uint64_t v = (unsigned char)s[0] - (unsigned)'0';
	if (v == 0 && (n > 1 || negative))
		return false;
	if (v > 9)
		return false;
	for (size_t i = 1; i < n; i++) {
		unsigned d = (unsigned char)s[i] - (unsigned)'0';
		if (d > 9)
			return false;
		v = v * 10 + d; /* 19 digits fit in 64 bits */
	}
	if (v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool parse_u64(const char *s, size_t n, uint64_t *out)
{
	if (n == 0 || n > 20 || (s[0] == '0' && n > 1))
		return false;
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned char)s[i] - (unsigned)'0';
		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

static size_t put_u64(char *out, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	char digits[20];
	size_t at = sizeof(digits);
	while (v >= 100) {
		at -= 2;
		memcpy(digits + at, pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10) {
		at -= 2;
		memcpy(digits + at, pairs + v * 2, 2);
	} else {
		digits[--at] = (char)('0' + v);
	}
	size_t n = sizeof(digits) - at;
	memcpy(out, digits + at, n);
	out[n] = '\0';
	return n;
}

size_t format_u64(char out[21], uint64_t v)
{
	return put_u64(out, v);
}

size_t format_i64(char out[21], int64_t v)
{
	if (v >= 0)
		return put_u64(out, (uint64_t)v);
	out[0] = '-'; /* and 19 digits at most, so that the NUL fits */
	return 1 + put_u64(out + 1, 0 - (uint64_t)v);
}

/* What the C library's parsers allow and Redis does not; `end` is where they stopped. */
static bool whole_number_text(const char *s, size_t n, const char *end)
{
	return n > 0 && !str_is_space((unsigned char)s[0]) && end == s + n;
}

bool parse_double(const char *s, size_t n, double *out)
{
	int64_t integer;
	if (parse_i64(s, n, &integer) && integer >= -(INT64_C(1) << 53) && integer <= INT64_C(1) << 53) {
		*out = (double)integer;
		return true;
	}

	char small[128], *text = small, *end;
	if (n >= sizeof(small) && !(text = malloc(n + 1)))
		fatal("out of memory: cannot parse a number of %zu bytes", n);
	if (n > 0)
		memcpy(text, s, n);
	text[n] = '\0';
	errno = 0;
	double v = strtod(text, &end);
	bool ok = whole_number_text(text, n, end) && !isnan(v) && !(errno == ERANGE && (isinf(v) || v == 0));
	if (text != small)
		free(text);
	if (ok)
		*out = v;
	return ok;
}

bool parse_long_double(const char *s, size_t n, long double *out)
{
	char text[FORMAT_LONG_DOUBLE_MAX], *end;
	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	errno = 0;
	long double v = strtold(text, &end);
	if (!whole_number_text(text, n, end) || isnan(v) || (errno == ERANGE && (isinf(v) || v == 0)))
		return false;
	*out = v;
	return true;
}

size_t format_double(char out[FORMAT_DOUBLE_MAX], double v)
{
	if (isnan(v)) {
		memcpy(out, "nan", 4);
		return 3;
	}
	/* A whole number of up to 17 digits is printed as such. Minus zero is not one. */
	if (v > -1e17 && v < 1e17 && v == (double)(int64_t)v && !(v == 0 && signbit(v)))
		return format_i64(out, (int64_t)v);
	return (size_t)snprintf(out, FORMAT_DOUBLE_MAX, "%.17g", v);
}

size_t format_long_double(char *out, size_t cap, long double v)
{
	const char *word = isnan(v) ? "nan" : isinf(v) ? (v > 0 ? "inf" : "-inf") : NULL;
	int m = word ? snprintf(out, cap, "%s", word) : snprintf(out, cap, "%.17Lf", v);
	if (m < 0 || (size_t)m >= cap)
		return 0;
	size_t n = (size_t)m;
	if (!word && memchr(out, '.', n)) {
		while (out[n - 1] == '0')
			n--;
		if (out[n - 1] == '.')
			n--;
		out[n] = '\0';
		if (n == 2 && memcmp(out, "-0", 2) == 0) {
			memcpy(out, "0", 2);
			n = 1;
		}
	}
	return n;
}

bool parse_memory(const char *s, size_t n, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = {{"", 1},
		     {"b", 1},
		     {"k", 1000},
		     {"kb", 1 << 10},
		     {"m", 1000 * 1000},
		     {"mb", 1 << 20},
		     {"g", 1000 * 1000 * 1000},
		     {"gb", 1 << 30}};
	uint64_t v = 0;
	size_t i = 0;

	/* Leading zeros, and no digits at all, are what Redis takes. */
	for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (unsigned)(s[i] - '0'), &v))
			return false;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		if (!str_ieq(s + i, n - i, units[u].name))
			continue;
		if (__builtin_mul_overflow(v, units[u].factor, &v))
			return false;
		*out = v;
		return true;
	}
	return false;
}
