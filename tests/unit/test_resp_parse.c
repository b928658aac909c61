/* SPDX-License-Identifier: BSD-2-Clause */
/* The command parser: every stream is given whole, byte by byte, and cut in two at every byte, with the buffer moved
 * and compacted between; the outcome must be the same. Error texts are those of redis-server 7.0.15. */
#include "test.h"

#include "base/clock.h"
#include "wire/resp_parse.h"

static const struct resp_limits open_limits = {.authenticated = true, .proto_max_bulk_len = 512 << 20};
static const struct resp_limits strict_limits = {.authenticated = false, .proto_max_bulk_len = 512 << 20};

/* What a stream says, as text: arguments ended by |, commands by \n, then the error, SECURITY, or nothing. */
struct outcome {
	struct buf text;
	bool ended;
};

/* Appends a piece to the buffer, at a new address and with nothing behind it, and parses all there is. */
static void feed(struct resp_parser *p, struct buf *in, const char *piece, size_t n, const struct resp_limits *limits,
		 struct outcome *o)
{
	resp_parser_compact(p, in);
	char *moved = malloc(in->len + n ? in->len + n : 1);
	if (in->len)
		memcpy(moved, in->data, in->len);
	memcpy(moved + in->len, piece, n);
	size_t len = in->len + n;
	if (in->data) {
		memset(in->data, '#', in->cap); /* a stale pointer shows */
		free(in->data);
	}
	*in = (struct buf){.data = moved, .len = len, .cap = len};

	for (;;) {
		enum resp_result r = resp_parse(p, in, limits);
		if (r == PARSE_COMMAND) {
			CHECK(p->argc > 0);
			for (size_t i = 0; i < p->argc; i++) {
				CHECK(p->argv[i].n == 0 ||
				      (p->argv[i].p >= in->data && p->argv[i].p + p->argv[i].n <= in->data + in->len));
				buf_append(&o->text, p->argv[i].p, p->argv[i].n);
				buf_append_char(&o->text, '|');
			}
			buf_append_char(&o->text, '\n');
			CHECK(p->consumed <= in->len);
			continue;
		}
		if (r == PARSE_ERROR)
			buf_append_str(&o->text, p->error);
		if (r == PARSE_SECURITY)
			buf_append_str(&o->text, "SECURITY");
		o->ended = r != PARSE_MORE;
		return;
	}
}

static void check_cut(const char *stream, size_t n, size_t cut, size_t step, const struct resp_limits *limits,
		      const char *want, size_t want_n)
{
	struct resp_parser p;
	struct buf in;
	struct outcome o = {.ended = false};
	buf_init(&in);
	buf_init(&o.text);
	resp_parser_init(&p);
	if (step) {
		for (size_t at = 0; at < n && !o.ended; at += step)
			feed(&p, &in, stream + at, at + step < n ? step : n - at, limits, &o);
	} else {
		feed(&p, &in, stream, cut, limits, &o);
		if (!o.ended)
			feed(&p, &in, stream + cut, n - cut, limits, &o);
	}
	if (o.text.len != want_n || memcmp(o.text.data ? o.text.data : "", want, want_n) != 0)
		test_check(false, TEST_HERE, "'%.*s' cut at %zu step %zu gives '%.*s', want '%.*s'",
			   (int)(n < 80 ? n : 80), stream, cut, step, (int)(o.text.len < 200 ? o.text.len : 200),
			   o.text.data ? o.text.data : "", (int)(want_n < 200 ? want_n : 200), want);
	resp_parser_deinit(&p);
	buf_deinit(&o.text);
	buf_deinit(&in);
}

static void check_stream_n(const char *stream, size_t n, const struct resp_limits *limits, const char *want,
			   size_t want_n)
{
	size_t every = n < 300 ? 1 : n / 300;
	check_cut(stream, n, n, 0, limits, want, want_n);
	for (size_t step = 1; step <= 7; step += 2)
		if (n / step < 2000)
			check_cut(stream, n, 0, step, limits, want, want_n);
	for (size_t cut = 0; cut < n; cut += every)
		check_cut(stream, n, cut, 0, limits, want, want_n);
}

static void check_stream(const char *stream, const char *want)
{
	check_stream_n(stream, strlen(stream), &open_limits, want, strlen(want));
}

static void test_arrays(void)
{
	check_stream("*1\r\n$4\r\nPING\r\n", "PING|\n");
	check_stream("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n", "SET|k|value|\n");
	check_stream("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "ECHO||\n");
	check_stream("*1\r\n$0\r\n\r\n", "|\n");
	check_stream("*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n", "ECHO|a\r\nb|\n");
	check_stream("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n",
		     "PING|\nGET|k|\nPING|\n");
	check_stream("*1\r\n$12\r\nabcdefghijkl\r\n", "abcdefghijkl|\n");
	check_stream_n("*2\r\n$4\r\nECHO\r\n$3\r\n\0\r\n\r\n", 24, &open_limits, "ECHO|\0\r\n|\n", 10);
	/* Bytes that redis-server does not look at either. */
	check_stream("*1\rX$4\rXPINGab", "PING|\n");
	/* Nothing to run. */
	check_stream("*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n", "PING|\n");
	check_stream("*-9223372036854775808\r\nPING\r\n", "PING|\n");
	/* Not complete. */
	check_stream("", "");
	check_stream("*", "");
	check_stream("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalu", "");
	check_stream("*1\r\n$4\r\nPING\r", "");
	check_stream("*1\r\n\n", "");
	check_stream("*1\n$4\nPING\n", "");
	check_stream("*abc", "");
	check_stream("*2147483647\r\n", "");
}

static void test_inline(void)
{
	check_stream("PING\r\n", "PING|\n");
	check_stream("PING\n", "PING|\n");
	check_stream("set  a\tb\r\nget a\n", "set|a|b|\nget|a|\n");
	check_stream("\r\n\n   \r\nPING\r\n", "PING|\n");
	check_stream("PING\r\r\n", "PING|\n");
	check_stream("PING \"a b\\x41\\n\" 'c\\'d'\r\n", "PING|a bA\n|c'd|\n");
	check_stream("\"\" a\r\n", "|a|\n");
	check_stream("PING foo\"bar\"\r\n", "PING|foobar|\n");
	check_stream("PING\r\n*1\r\n$4\r\nPING\r\nPING x\r\n", "PING|\nPING|\nPING|x|\n");
	check_stream("$4\r\nPING\r\n", "$4|\nPING|\n");
	check_stream_n("a \0b\n", 5, &open_limits, "a|\0b|\n", 6);
	check_stream("PING", "");
}

static void test_errors(void)
{
	static const char *const bad_count[] = {"*abc\r\n",
						"*\r\n",
						"*01\r\n",
						"*+1\r\n",
						"*-0\r\n",
						"*-a\r\n",
						"*1 \r\n",
						"*2147483648\r\n",
						"*9223372036854775808\r\n",
						"*-9223372036854775809\r\n",
						"*1000000000000000000000\r\n",
						"*0x1\r\n",
						"*1a\r\n",
						"* \r\n"};
	for (size_t i = 0; i < sizeof(bad_count) / sizeof(bad_count[0]); i++)
		check_stream(bad_count[i], "Protocol error: invalid multibulk length");
	static const char *const bad_length[] = {"*1\r\n$-1\r\n",
						 "*1\r\n$04\r\n",
						 "*1\r\n$\r\n",
						 "*1\r\n$x\r\n",
						 "*1\r\n$4x\r\n",
						 "*1\r\n$536870913\r\n",
						 "*1\r\n$9999999999999999999999\r\n"};
	for (size_t i = 0; i < sizeof(bad_length) / sizeof(bad_length[0]); i++)
		check_stream(bad_length[i], "Protocol error: invalid bulk length");
	check_stream("*1\r\n!4\r\nPING\r\n", "Protocol error: expected '$', got '!'");
	check_stream("*1\r\n\r\n", "Protocol error: expected '$', got '\r'");
	check_stream("*2\r\n$1\r\na\r\n:5\r\n", "Protocol error: expected '$', got ':'");
	check_stream("*1\r\n4", ""); /* said when the line is complete */
	check_stream("PING \"a\r\n", "Protocol error: unbalanced quotes in request");
	check_stream("PING 'a'b\r\n", "Protocol error: unbalanced quotes in request");
	check_stream("*1\r\n$4\r\nPING\r\n*x\r\n", "PING|\nProtocol error: invalid multibulk length");
}

static void test_security(void)
{
	check_stream("POST / HTTP/1.1\r\n", "SECURITY");
	check_stream("post\n", "SECURITY");
	check_stream(" \"POST\" a\r\n", "SECURITY");
	check_stream("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET|/|HTTP/1.1|\nSECURITY");
	check_stream("HOST: x\r\n", "SECURITY");
	check_stream("*1\r\n$4\r\nPOST\r\n", "SECURITY");
	check_stream("*1\r\n$5\r\nHost:\r\n", "SECURITY");
	check_stream("POSTS\r\nHost\r\nhost\r\nPOS\r\n", "POSTS|\nHost|\nhost|\nPOS|\n");
	check_stream("GET POST\r\n", "GET|POST|\n");
}

/* A stream of a prefix and n times the byte c. */
static char *long_stream(const char *prefix, char c, size_t n, size_t *len)
{
	size_t m = strlen(prefix);
	char *s = malloc(m + n + 2);
	memcpy(s, prefix, m);
	memset(s + m, c, n);
	memcpy(s + m + n, "\r\n", 2);
	*len = m + n;
	return s;
}

static void test_too_long(void)
{
	static const struct {
		const char *prefix;
		char c;
		const char *error;
	} cases[] = {{"*", '1', "Protocol error: too big mbulk count string"},
		     {"*1\r\n$", '1', "Protocol error: too big bulk count string"},
		     {"*1\r\n!", '1', "Protocol error: too big bulk count string"},
		     {"", 'a', "Protocol error: too big inline request"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n, header = strlen(cases[i].prefix) > 1 ? 4 : 0;
		char *s = long_stream(cases[i].prefix, cases[i].c, 70000, &n);
		check_stream_n(s, n, &open_limits, cases[i].error, strlen(cases[i].error));
		check_stream_n(s, header + RESP_INLINE_MAX, &open_limits, "", 0);
		check_stream_n(s, header + RESP_INLINE_MAX + 1, &open_limits, cases[i].error, strlen(cases[i].error));
		free(s);
	}
	/* A line as long as is allowed. */
	size_t n;
	char *s = long_stream("", 'a', RESP_INLINE_MAX - 2, &n), *want = malloc(n + 2);
	memcpy(want, s, n);
	memcpy(want + n, "|\n", 2);
	check_stream_n(s, n + 2, &open_limits, want, n + 2);
	free(s);
	free(want);
}

static void test_unauthenticated(void)
{
	static const char ten[] = "*10\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"
				  "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n";
	static const char many[] = "*11\r\n$1\r\na\r\n", large[] = "*2\r\n$4\r\nAUTH\r\n$16385\r\n";
	static const char many_error[] = "Protocol error: unauthenticated multibulk length";
	static const char large_error[] = "Protocol error: unauthenticated bulk length";
	check_stream_n(ten, sizeof(ten) - 1, &strict_limits, "a|a|a|a|a|a|a|a|a|a|\n", 21);
	check_stream_n(many, sizeof(many) - 1, &strict_limits, many_error, sizeof(many_error) - 1);
	check_stream_n(large, sizeof(large) - 1, &strict_limits, large_error, sizeof(large_error) - 1);

	size_t n;
	char *s = long_stream("*1\r\n$16384\r\n", 'a', 16384, &n), *want = malloc(16386);
	memset(want, 'a', 16384);
	memcpy(want + 16384, "|\n", 2);
	check_stream_n(s, n + 2, &strict_limits, want, 16386);
	free(s);
	free(want);
}

static void test_bulk_limit(void)
{
	static const struct resp_limits small = {.authenticated = true, .proto_max_bulk_len = 5};
	static const char error[] = "Protocol error: invalid bulk length";
	check_stream_n("*1\r\n$5\r\nabcde\r\n", 15, &small, "abcde|\n", 7);
	check_stream_n("*1\r\n$6\r\n", 8, &small, error, sizeof(error) - 1);
}

static void test_wanted(void)
{
	struct resp_parser p;
	struct buf in;
	buf_init(&in);
	resp_parser_init(&p);
	buf_append_str(&in, "PING\r\n*2\r\n$3\r\nSET\r\n$1000000\r\nabc");
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_COMMAND);
	CHECK_UINT(p.consumed, 6);
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_MORE);
	CHECK_UINT(p.wanted, 1000000 + 2 - 3);
	CHECK_UINT(p.consumed, 6);
	resp_parser_compact(&p, &in);
	CHECK_UINT(p.consumed, 0);
	size_t wanted = p.wanted;
	char *w = buf_reserve(&in, wanted);
	memset(w, 'z', 1000);
	in.len += 1000;
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_MORE);
	CHECK_UINT(p.wanted, wanted - 1000);
	size_t cap = in.cap;
	memset(buf_reserve(&in, p.wanted), 'z', p.wanted);
	in.len += p.wanted;
	CHECK_UINT(in.cap, cap); /* one reservation was enough */
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_COMMAND);
	CHECK_UINT(p.argc, 2);
	CHECK_UINT(p.argv[1].n, 1000000);
	CHECK_UINT(p.wanted, 0);
	CHECK_UINT(p.consumed, in.len);

	/* A small one is not announced. */
	resp_parser_compact(&p, &in);
	buf_append_str(&in, "*1\r\n$32767\r\n");
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_MORE);
	CHECK_UINT(p.wanted, 0);
	resp_parser_deinit(&p);
	buf_deinit(&in);
}

/* A million arguments in pieces: linear, and the list is given back. */
static void test_many_arguments(void)
{
	enum { COUNT = 1000000 };
	struct buf whole, in;
	struct resp_parser p;
	buf_init(&whole);
	buf_init(&in);
	resp_parser_init(&p);
	buf_printf(&whole, "*%d\r\n", COUNT);
	for (int i = 0; i < COUNT; i++) {
		char digits[16];
		int n = snprintf(digits, sizeof(digits), "%d", i);
		buf_printf(&whole, "$%d\r\n%s\r\n", n, digits);
	}
	int64_t start = clock_mono_ms();
	enum resp_result r = PARSE_MORE;
	for (size_t at = 0; at < whole.len; at += 1000) {
		size_t n = whole.len - at < 1000 ? whole.len - at : 1000;
		CHECK_INT(r, PARSE_MORE);
		resp_parser_compact(&p, &in);
		buf_append(&in, whole.data + at, n);
		r = resp_parse(&p, &in, &open_limits);
	}
	CHECKF(clock_mono_ms() - start < 5000, "took %lld ms", (long long)(clock_mono_ms() - start));
	REQUIRE(r == PARSE_COMMAND && p.argc == COUNT);
	bool same = true;
	for (int i = 0; i < COUNT; i++) {
		char digits[16];
		int n = snprintf(digits, sizeof(digits), "%d", i);
		same &= p.argv[i].n == (size_t)n && memcmp(p.argv[i].p, digits, (size_t)n) == 0;
	}
	CHECK(same);
	resp_parser_trim(&p);
	CHECK(p.args.cap == 0);

	resp_parser_compact(&p, &in);
	buf_append_str(&in, "*2\r\n$1\r\na\r\n");
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_MORE);
	resp_parser_trim(&p); /* a command is under way: nothing happens */
	buf_append_str(&in, "$1\r\nb\r\n");
	CHECK_INT(resp_parse(&p, &in, &open_limits), PARSE_COMMAND);
	CHECK_UINT(p.argc, 2);
	resp_parser_deinit(&p);
	buf_deinit(&in);
	buf_deinit(&whole);
}

/* A long header that comes byte by byte is not looked at from its start each time. */
static void test_slow_sender(void)
{
	struct resp_parser p;
	struct buf in;
	int64_t start = clock_mono_ms();
	for (int kind = 0; kind < 2; kind++) {
		buf_init(&in);
		resp_parser_init(&p);
		buf_append_char(&in, kind ? '*' : 'a');
		enum resp_result r = PARSE_MORE;
		int sent = 0;
		for (; r == PARSE_MORE && sent < 70000; sent++) {
			buf_append_char(&in, '1');
			r = resp_parse(&p, &in, &open_limits);
		}
		CHECK_INT(r, PARSE_ERROR);
		CHECK_INT(sent, RESP_INLINE_MAX);
		resp_parser_deinit(&p);
		buf_deinit(&in);
	}
	CHECKF(clock_mono_ms() - start < 2000, "took %lld ms", (long long)(clock_mono_ms() - start));
}

int main(void)
{
	RUN(test_arrays);
	RUN(test_inline);
	RUN(test_errors);
	RUN(test_security);
	RUN(test_too_long);
	RUN(test_unauthenticated);
	RUN(test_bulk_limit);
	RUN(test_wanted);
	RUN(test_many_arguments);
	RUN(test_slow_sender);
	return test_done();
}
