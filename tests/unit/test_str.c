/* SPDX-License-Identifier: BSD-2-Clause */
/* Counted strings: comparing, splitting, quoting. */
#include "test.h"

#include "base/str.h"

static void test_compare(void)
{
	CHECK(str_ieq("GeT", 3, "get"));
	CHECK(str_ieq("get", 3, "GET"));
	CHECK(!str_ieq("get", 3, "gets"));
	CHECK(!str_ieq("gets", 4, "get"));
	CHECK(!str_ieq("get\0", 4, "get"));
	CHECK(str_ieq("", 0, ""));
	CHECK(str_ieq(NULL, 0, ""));
	CHECK(!str_ieq("@", 1, "`")); /* 32 apart, but no letters */
	CHECK(!str_ieq("[", 1, "{"));
	CHECK(str_eq("abc", 3, "abc"));
	CHECK(!str_eq("abC", 3, "abc"));
	CHECK(!str_eq("ab", 2, "abc"));
	struct arg a = {"Hello world", 5};
	CHECK(arg_ieq(&a, "HELLO"));

	CHECK(str_cmp("a", 1, "b", 1) < 0);
	CHECK(str_cmp("b", 1, "a", 1) > 0);
	CHECK(str_cmp("a", 1, "a", 1) == 0);
	CHECK(str_cmp("a", 1, "ab", 2) < 0);
	CHECK(str_cmp("ab", 2, "a", 1) > 0);
	CHECK(str_cmp("\xff", 1, "\x01", 1) > 0);
	CHECK(str_cmp("a\0b", 3, "a\0c", 3) < 0);
	CHECK(str_cmp(NULL, 0, NULL, 0) == 0);
}

/* want: the arguments, each ended by a |, or NULL if quotes do not balance. */
static void check_split(const char *line, size_t n, const char *want)
{
	struct arg_list args = {0};
	struct buf got;
	char *copy = malloc(n ? n : 1); /* exact size: sanitizers see a byte too far */
	memcpy(copy, line, n);
	buf_init(&got);
	bool ok = str_split_args(copy, n, &args);
	CHECKF(ok == (want != NULL), "'%.*s' is %s", (int)n, line, ok ? "taken" : "refused");
	if (ok && want) {
		for (size_t i = 0; i < args.n; i++) {
			buf_append(&got, args.v[i].p, args.v[i].n);
			buf_append_char(&got, '|');
		}
		CHECK_MEM(got.data, got.len, want, strlen(want));
	}
	buf_deinit(&got);
	arg_list_deinit(&args);
	free(copy);
}

static void test_split(void)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
	    {"", ""},
	    {"   ", ""},
	    {" \t\r\n\v\f ", ""},
	    {"a", "a|"},
	    {"set a b", "set|a|b|"},
	    {"  set\ta   b\r", "set|a|b|"},
	    {"a\vb", "a\vb|"}, /* separates nothing inside a word, as in Redis */
	    {"a \vb", "a|b|"},
	    {"\"\"", "|"},
	    {"'' \"\" x", "||x|"},
	    {"\"a b\"", "a b|"},
	    {"'a b'", "a b|"},
	    {"foo\"bar\"", "foobar|"},
	    {"foo'bar' x", "foobar|x|"},
	    {"\"a\"b", NULL},
	    {"'a'b", NULL},
	    {"\"a\"\"b\"", NULL},
	    {"\"a\"\vb", "a|b|"},
	    {"\"a", NULL},
	    {"'a", NULL},
	    {"\"", NULL},
	    {"a\"", NULL},
	    {"\"a\\\"b\"", "a\"b|"},
	    {"\"a\\", NULL},
	    {"\"a\\\"", NULL},
	    {"'a\\'b'", "a'b|"},
	    {"'a\\nb'", "a\\nb|"},
	    {"'a\\'", NULL},
	    {"\"\\n\\r\\t\\b\\a\\\\\\q\"", "\n\r\t\b\a\\q|"},
	    {"\"\\x41\\x7a\\xzz\\x4\"", "Azxzzx4|"},
	    {"a\\nb", "a\\nb|"},
	    {"\"a'b\" 'a\"b'", "a'b|a\"b|"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_split(cases[i].line, strlen(cases[i].line), cases[i].want);

	struct arg_list args = {0};
	char line[] = "a\0b \"\\x00\\xff\"";
	CHECK(str_split_args(line, sizeof(line) - 1, &args));
	REQUIRE(args.n == 2);
	CHECK_MEM(args.v[0].p, args.v[0].n, "a\0b", 3);
	CHECK_MEM(args.v[1].p, args.v[1].n, "\0\xff", 2);
	arg_list_deinit(&args);
}

static void test_split_many(void)
{
	static char line[200000];
	struct arg_list args = {0};
	for (size_t i = 0; i < sizeof(line); i += 2)
		memcpy(line + i, "x ", 2);
	CHECK(str_split_args(line, sizeof(line), &args));
	CHECK_UINT(args.n, 100000);
	char again[] = "one two";
	CHECK(str_split_args(again, 7, &args)); /* a list may be used again */
	CHECK_UINT(args.n, 2);
	arg_list_deinit(&args);
}

static void test_repr(void)
{
	struct buf b;
	buf_init(&b);
	str_repr(&b, "a\"b\\c\n\r\t\a\b\x01\x7f\xff\0 z", 16);
	static const char want[] = "\"a\\\"b\\\\c\\n\\r\\t\\a\\b\\x01\\x7f\\xff\\x00 z\"";
	CHECK_MEM(b.data, b.len, want, sizeof(want) - 1);
	buf_clear(&b);
	str_repr(&b, NULL, 0);
	CHECK_MEM(b.data, b.len, "\"\"", 2);

	/* What it writes, str_split_args reads. */
	char all[256];
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	buf_clear(&b);
	str_repr(&b, all, sizeof(all));
	struct arg_list args = {0};
	REQUIRE(str_split_args(b.data, b.len, &args) && args.n == 1);
	CHECK_MEM(args.v[0].p, args.v[0].n, all, sizeof(all));
	arg_list_deinit(&args);
	buf_deinit(&b);
}

int main(void)
{
	RUN(test_compare);
	RUN(test_split);
	RUN(test_split_many);
	RUN(test_repr);
	return test_done();
}
