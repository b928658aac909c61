/* SPDX-License-Identifier: BSD-2-Clause */
/* The reply parser: every stream whole, byte by byte, and cut at every byte gives the same tree. */
#include "test.h"

#include "wire/reply_parse.h"

/* The tree as text. */
static void dump(struct buf *out, const struct reply_node *n)
{
	static const char *const names[] = {"status", "error", "int",  "str",    "null", "array", "map",
					    "set",    "push",  "attr", "double", "bool", "verb",  "big"};
	buf_printf(out, "%s", names[n->type]);
	if (n->type == REPLY_INTEGER || n->type == REPLY_BOOL)
		buf_printf(out, "(%lld)", (long long)n->integer);
	else if (n->str)
		buf_printf(out, "(%.*s)", (int)n->n, n->str);
	else if (n->type != REPLY_NULL) {
		buf_append_char(out, '[');
		for (size_t i = 0; i < n->n; i++)
			dump(out, &n->elem[i]);
		buf_append_char(out, ']');
	}
	buf_append_char(out, ' ');
}

static void check_step(const char *stream, size_t step, const char *want)
{
	struct reply_parser p;
	struct buf in, got;
	struct reply_node node;
	size_t n = strlen(stream);
	enum reply_parse_result r = REPLY_MORE;
	buf_init(&in);
	buf_init(&got);
	reply_parser_init(&p);
	for (size_t at = 0; at < n && r != REPLY_BROKEN; at += step) {
		buf_append(&in, stream + at, n - at < step ? n - at : step);
		while ((r = reply_parse(&p, &in, &node)) == REPLY_DONE) {
			dump(&got, &node);
			reply_node_deinit(&node);
			if (step % 2)
				reply_parser_compact(&p, &in);
		}
	}
	if (r == REPLY_BROKEN)
		buf_append_str(&got, p.error);
	CHECKF(got.len == strlen(want) && (got.len == 0 || memcmp(got.data, want, got.len) == 0),
	       "'%s' by %zu gives '%.*s', want '%s'", stream, step, (int)got.len, got.len ? got.data : "", want);
	reply_parser_deinit(&p); /* also frees what was under way */
	buf_deinit(&in);
	buf_deinit(&got);
}

static void check_stream(const char *stream, const char *want)
{
	for (size_t step = 1; step <= strlen(stream); step++)
		check_step(stream, step, want);
}

static void test_types(void)
{
	check_stream("+OK\r\n-ERR no\r\n:42\r\n:-7\r\n$3\r\nabc\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n",
		     "status(OK) error(ERR no) int(42) int(-7) str(abc) str() null null null ");
	check_stream("*0\r\n*2\r\n:1\r\n$1\r\nx\r\n", "array[] array[int(1) str(x) ] ");
	check_stream("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "map[status(a) int(1) status(b) int(2) ] ");
	check_stream("~1\r\n:1\r\n>2\r\n+m\r\n:1\r\n", "set[int(1) ] push[status(m) int(1) ] ");
	check_stream("|1\r\n+k\r\n:1\r\n:5\r\n", "attr[status(k) int(1) ] int(5) ");
	check_stream(
	    ",3.14\r\n,inf\r\n#t\r\n#f\r\n=7\r\ntxt:abc\r\n(123456789012345678901234567890\r\n!5\r\nERR x\r\n",
	    "double(3.14) double(inf) bool(1) bool(0) verb(txt:abc) big(123456789012345678901234567890) error(ERR x) ");
	check_stream("*3\r\n*2\r\n*1\r\n:1\r\n%1\r\n+k\r\n*0\r\n~0\r\n$2\r\n\r\n\r\n",
		     "array[array[array[int(1) ] map[status(k) array[] ] ] set[] str(\r\n) ] ");
	check_stream("%0\r\n", "map[] ");
}

static void test_incomplete(void)
{
	check_stream("*3\r\n:1\r\n*2\r\n$5\r\nhello\r\n*4\r\n+x\r\n$3\r\nab", "");
	check_stream("+OK\r", "");
	check_stream("$5\r\nab\r\n", "");
}

static void test_broken(void)
{
	check_stream("?1\r\n", "Protocol error, got \"?\" as reply type byte");
	check_stream(":1\r\n:x\r\n", "int(1) invalid number in a reply");
	check_stream("$-2\r\n", "invalid bulk length");
	check_stream("*-2\r\n", "invalid multibulk length");
	check_stream("*2\r\n$1\r\na\r\n*x\r\n", "invalid number in a reply");
	check_stream("$9223372036854775807\r\n", "invalid bulk length");
}

static void test_depth(void)
{
	struct buf s;
	buf_init(&s);
	for (int i = 0; i < REPLY_DEPTH_MAX; i++)
		buf_append_str(&s, "*1\r\n");
	buf_append_str(&s, ":1\r\n");
	buf_append(&s, "", 1);
	struct reply_parser p;
	struct reply_node node;
	struct buf in = {s.data, s.len - 1, s.cap};
	reply_parser_init(&p);
	CHECK_INT(reply_parse(&p, &in, &node), REPLY_DONE);
	reply_node_deinit(&node);
	reply_parser_deinit(&p);
	buf_clear(&s);
	for (int i = 0; i < REPLY_DEPTH_MAX + 1; i++)
		buf_append_str(&s, "*1\r\n");
	reply_parser_init(&p);
	CHECK_INT(reply_parse(&p, &s, &node), REPLY_BROKEN);
	reply_parser_deinit(&p);
	buf_deinit(&s);
}

/* A length is believed only as its elements come. */
static void test_lengths_cost_nothing(void)
{
	struct reply_parser p;
	struct reply_node node;
	struct buf in;
	buf_init(&in);
	buf_append_str(&in, "*1000000000000\r\n*1000000000000\r\n$1000000000000\r\nabc");
	reply_parser_init(&p);
	CHECK_INT(reply_parse(&p, &in, &node), REPLY_MORE);
	CHECK_UINT(p.wanted, 1000000000000 + 2 - 3);
	reply_parser_deinit(&p);
	buf_deinit(&in);
}

int main(void)
{
	RUN(test_types);
	RUN(test_incomplete);
	RUN(test_broken);
	RUN(test_depth);
	RUN(test_lengths_cost_nothing);
	return test_done();
}
