/* SPDX-License-Identifier: BSD-2-Clause */
/* Glob patterns (base/glob.h).
 *
 * Runs in every process that matches keys or channels. Pure function, no state, no locks.
 *
 * Every pattern element but * takes exactly one byte of the text, so when a match fails only the last * need be tried
 * again one byte further on: what an earlier * could take instead, the last one can take as well. That bounds the
 * work by plen * slen, where plain recursion is exponential in the number of stars.
 */
#include "base/glob.h"

#include "base/str.h"

static int fold(char c, bool nocase)
{
	return nocase ? (signed char)str_lower((unsigned char)c) : (signed char)c;
}

/* A class, *pat just after its [. Moves *pat behind it. A missing ] ends the class with the pattern. Bytes compare as
 * signed: a range that crosses 0x80 means what it means to redis-server on x86. */
static bool class_match(const char **pat, const char *end, char c, bool nocase)
{
	const char *p = *pat;
	bool negated = p < end && *p == '^', found = false;

	for (p += negated; p < end && *p != ']'; p++) {
		if (*p == '\\' && end - p >= 2) {
			p++;
			found |= *p == c; /* a quoted byte keeps its case */
		} else if (end - p >= 3 && p[1] == '-') {
			bool forward = (signed char)p[0] <= (signed char)p[2]; /* decided before case is folded */
			int from = fold(forward ? p[0] : p[2], nocase), to = fold(forward ? p[2] : p[0], nocase);
			int v = fold(c, nocase);
			found |= v >= from && v <= to;
			p += 2;
		} else {
			found |= fold(*p, nocase) == fold(c, nocase);
		}
	}
	*pat = p < end ? p + 1 : end;
	return found != negated;
}

/* Whether the element at *pat, which is not a star, takes c. Moves *pat behind it. */
static bool element_match(const char **pat, const char *end, char c, bool nocase)
{
	const char *p = *pat;
	char e = *p++;
	bool match;

	if (e == '?') {
		match = true;
	} else if (e == '[') {
		match = class_match(&p, end, c, nocase);
	} else {
		if (e == '\\' && p < end)
			e = *p++;
		match = fold(e, nocase) == fold(c, nocase);
	}
	*pat = p;
	return match;
}

bool glob_match(const char *pat, size_t plen, const char *s, size_t slen, bool nocase)
{
	if (slen == 0)
		return plen == 0 || (plen == 1 && *pat == '*');
	if (plen == 0)
		return false;
	const char *pend = pat + plen, *send = s + slen;
	const char *star = NULL, *taken = NULL; /* behind the last star; what it has taken ends here */

	while (s < send) {
		if (pat < pend && *pat == '*') {
			while (pat < pend && *pat == '*')
				pat++;
			if (pat == pend)
				return true;
			star = pat;
			taken = s;
		} else if (pat < pend && element_match(&pat, pend, *s, nocase)) {
			s++;
		} else if (star) {
			pat = star;
			s = ++taken;
		} else {
			return false;
		}
	}
	while (pat < pend && *pat == '*')
		pat++;
	return pat == pend;
}
