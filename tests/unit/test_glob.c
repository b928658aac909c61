/* SPDX-License-Identifier: BSD-2-Clause */
/* Glob patterns. The odd cases (open classes, backslashes at the end, bytes above 0x7f) are as redis-server 7.0.15
 * answers KEYS and COMMAND LIST FILTERBY PATTERN. */
#include "test.h"

#include "base/clock.h"
#include "base/glob.h"

struct glob_case {
	const char *pattern, *text;
	bool match;
};

static void check_all(const struct glob_case *cases, size_t n, bool nocase)
{
	for (size_t i = 0; i < n; i++) {
		const struct glob_case *c = &cases[i];
		bool got = glob_match(c->pattern, strlen(c->pattern), c->text, strlen(c->text), nocase);
		CHECKF(got == c->match, "'%s' %s '%s'", c->pattern, got ? "matches" : "does not match", c->text);
	}
}

static void test_plain(void)
{
	static const struct glob_case cases[] = {
	    {"", "", true},       {"", "a", false},       {"a", "", false},       {"a", "a", true},
	    {"a", "b", false},    {"abc", "abc", true},   {"abc", "abcd", false}, {"abcd", "abc", false},
	    {"a", "A", false},    {"?", "a", true},       {"?", "", false},       {"??", "a", false},
	    {"a?c", "abc", true}, {"\\?", "?", true},     {"\\?", "a", false},    {"\\*", "*", true},
	    {"\\a", "a", true},   {"\\", "\\", true},     {"\\", "a", false},     {"a\\", "a\\", true},
	    {"a\\", "a", false},  {"a\\\\", "a\\", true},
	};
	check_all(cases, sizeof(cases) / sizeof(cases[0]), false);
}

static void test_stars(void)
{
	static const struct glob_case cases[] = {
	    {"*", "", true},        {"**", "", false},         {"***", "", false},          {"*", "abc", true},
	    {"**", "abc", true},    {"a*", "a", true},         {"a*", "abc", true},         {"a**", "a", true},
	    {"*a", "a", true},      {"*a", "ba", true},        {"*a", "ab", false},         {"a*b*c", "aXXbYYc", true},
	    {"a*b*c", "abc", true}, {"a*b*c", "acb", false},   {"*b*", "abc", true},        {"*?", "", false},
	    {"*?", "a", true},      {"?*", "a", true},         {"*ab", "aab", true},        {"*aab", "aaaab", true},
	    {"*a*a", "aa", true},   {"*a*a", "a", false},      {"h*llo", "heeeello", true}, {"*.*", "a.b", true},
	    {"*[ab]", "xxa", true}, {"*[ab]c*", "xacd", true},
	};
	check_all(cases, sizeof(cases) / sizeof(cases[0]), false);
}

static void test_classes(void)
{
	static const struct glob_case cases[] = {
	    {"[abc]", "b", true},   {"[abc]", "d", false}, {"[a-c]", "b", true},   {"[a-c]", "d", false},
	    {"[c-a]", "b", true},   {"[^a]", "b", true},   {"[^a]", "a", false},   {"[^a-c]", "d", true},
	    {"[a-c]x", "bx", true}, {"[]a]", "a", false},  {"[]a]", "a]", false},  {"[^]", "a", true},
	    {"[", "a", false},      {"[", "[", false},     {"[a", "a", true},      {"[^b", "a", true},
	    {"[^", "a", true},      {"[a-", "a", true},    {"[a-", "-", true},     {"[a-]", "a", true},
	    {"[\\", "a", false},    {"[\\]", "a", false},  {"[\\]]", "]", true},   {"[\\-a]", "-", true},
	    {"[b-]", "a", true},    {"a[-a]", "a-", true}, {"a[a-]", "a-", false}, {"a[z-", "a-", true},
	    {"[[]", "[", true},     {"[a]]", "a]", true},  {"*[", "a", false},     {"*[^", "a", true},
	    {"[a]*", "a", true},    {"[a-\\]", "a", true}, {"[?]", "?", true},     {"[?]", "a", false},
	    {"[*]", "*", true},
	};
	check_all(cases, sizeof(cases) / sizeof(cases[0]), false);
}

static void test_nocase(void)
{
	static const struct glob_case cases[] = {
	    {"abc", "ABC", true}, {"ABC", "abc", true}, {"a*C", "AbbC", true}, {"[a-c]", "B", true},
	    {"[A-C]", "b", true}, {"[abc]", "B", true}, {"[^a]", "A", false},  {"[\\a]", "A", false},
	    {"[\\a]", "a", true}, {"\\a", "A", true},   {"[Z-e]", "g", false}, {"[z-e]", "G", true},
	};
	check_all(cases, sizeof(cases) / sizeof(cases[0]), true);
}

static void test_bytes(void)
{
	CHECK(glob_match("a\0b", 3, "a\0b", 3, false));
	CHECK(!glob_match("a\0b", 3, "a\0c", 3, false));
	CHECK(glob_match("*\0", 2, "xx\0", 3, false));
	CHECK(glob_match("[\0]", 3, "\0", 1, false));
	CHECK(glob_match("[\x80-a]", 5, "\x90", 1, false));
	CHECK(glob_match("[a-\x80]", 5, "\x90", 1, false));
	CHECK(glob_match("[\x80-\xff]", 5, "\x90", 1, false));
	CHECK(!glob_match("abc", 2, "abc", 3, false)); /* counted */
	CHECK(glob_match("abc", 2, "abc", 2, false));
	CHECK(glob_match(NULL, 0, NULL, 0, false));
}

static void test_no_explosion(void)
{
	static char text[20001], pattern[2001];
	memset(text, 'a', 20000);
	for (int i = 0; i < 1000; i++)
		memcpy(pattern + 2 * i, "a*", 2);
	pattern[1999] = 'b'; /* a*a*a*...ab: recursion would never end */
	int64_t start = clock_mono_ms();
	CHECK(!glob_match(pattern, 2000, text, 20000, false));
	CHECKF(clock_mono_ms() - start < 2000, "took %lld ms", (long long)(clock_mono_ms() - start));
}

int main(void)
{
	RUN(test_plain);
	RUN(test_stars);
	RUN(test_classes);
	RUN(test_nocase);
	RUN(test_bytes);
	RUN(test_no_explosion);
	return test_done();
}
