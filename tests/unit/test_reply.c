/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies as bytes. Forms are those of redis-server 7.0.15 (DEBUG PROTOCOL and ordinary commands, RESP2 and RESP3). */
#include "test.h"

#include <math.h>

#include "wire/reply.h"

static struct reply r;

static void expect(const char *want, size_t n, const char *where)
{
	test_check_mem(where, r.out.data, r.out.len, want, n);
	buf_clear(&r.out);
}
#define EXPECT(want) expect(want, sizeof(want) - 1, TEST_HERE)

static void test_simple(void)
{
	reply_init(&r);
	CHECK_INT(r.proto, 2);
	reply_ok(&r);
	reply_status(&r, "QUEUED");
	reply_raw(&r, ":9\r\n", 4);
	EXPECT("+OK\r\n+QUEUED\r\n:9\r\n");
	reply_bulk(&r, "ab\r\n\0c", 6);
	reply_bulk(&r, NULL, 0);
	reply_bulk_str(&r, "hello");
	reply_bulk_i64(&r, -12);
	reply_bulkf(&r, "%d-%s", 5, "x");
	reply_bulkf(&r, "%s", "");
	EXPECT("$6\r\nab\r\n\0c\r\n$0\r\n\r\n$5\r\nhello\r\n$3\r\n-12\r\n$3\r\n5-x\r\n$0\r\n\r\n");
	reply_deinit(&r);
}

static void test_numbers(void)
{
	static const int64_t values[] = {0,     1,  9,  10,  11,  99,   100,       101,       999,      1000,
					 12345, -1, -9, -10, -99, -100, INT64_MAX, INT64_MIN, 1u << 31, 1000000007};
	char want[64];
	reply_init(&r);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		reply_i64(&r, values[i]);
		int n = snprintf(want, sizeof(want), ":%lld\r\n", (long long)values[i]);
		expect(want, (size_t)n, TEST_HERE);
	}
	for (size_t len = 0; len < 1200; len++) {
		static char p[1200], whole[1300];
		memset(p, 'x', len);
		reply_bulk(&r, p, len);
		int n = snprintf(whole, sizeof(whole), "$%zu\r\n%.*s\r\n", len, (int)len, p);
		expect(whole, (size_t)n, TEST_HERE);
	}
	reply_deinit(&r);
}

static void test_errors(void)
{
	reply_init(&r);
	reply_error(&r, "ERR no such key");
	reply_errorf(&r, "ERR unknown command '%s'", "a\r\nb");
	reply_error(&r, "ERR ends\r\n");
	reply_error_n(&r, "ERR cut here", 7);
	EXPECT("-ERR no such key\r\n-ERR unknown command 'a  b'\r\n-ERR ends\r\n-ERR cut\r\n");
	CHECK_UINT(r.errors, 4);
	reply_deinit(&r);
}

static void emit_all(void)
{
	reply_null(&r);
	reply_null_array(&r);
	reply_array(&r, 3);
	reply_map(&r, 60);
	reply_set(&r, 2);
	reply_push(&r, 2);
	reply_double(&r, 3.141);
	reply_double(&r, INFINITY);
	reply_double(&r, -INFINITY);
	reply_long_double(&r, 0.1L);
	reply_bool(&r, true);
	reply_bool(&r, false);
	reply_verbatim(&r, "txt", "This is a verbatim\nstring", 25);
	reply_verbatim(&r, "txt", "", 0);
	reply_bignum(&r, "1234567999999999999999999999999999999", 37);
}

static void test_protocols(void)
{
	reply_init(&r);
	emit_all();
	EXPECT("$-1\r\n*-1\r\n*3\r\n*120\r\n*2\r\n*2\r\n$5\r\n3.141\r\n$3\r\ninf\r\n$4\r\n-inf\r\n$3\r\n0.1\r\n:1\r\n:"
	       "0\r\n"
	       "$25\r\nThis is a verbatim\nstring\r\n$0\r\n\r\n$37\r\n1234567999999999999999999999999999999\r\n");
	r.proto = 3;
	emit_all();
	reply_attribute(&r, 1);
	EXPECT(
	    "_\r\n_\r\n*3\r\n%60\r\n~2\r\n>2\r\n,3.141\r\n,inf\r\n,-inf\r\n,0.1\r\n#t\r\n#f\r\n"
	    "=29\r\ntxt:This is a verbatim\nstring\r\n=4\r\ntxt:\r\n(1234567999999999999999999999999999999\r\n|1\r\n");
	reply_deinit(&r);
}

static void test_room(void)
{
	reply_init(&r);
	memcpy(reply_bulk_room(&r, 3), "abc", 3);
	reply_bulk_room(&r, 0);
	EXPECT("$3\r\nabc\r\n$0\r\n\r\n");
	memset(reply_bulk_room(&r, 1000000), 'x', 1000000);
	CHECK_UINT(r.out.len, 1 + 7 + 2 + 1000000 + 2);
	CHECK_MEM(r.out.data + r.out.len - 3, 3, "x\r\n", 3);
	reply_deinit(&r);
}

static void test_deferred(void)
{
	reply_init(&r);
	reply_ok(&r);
	size_t outer = reply_defer(&r);
	reply_i64(&r, 1);
	size_t inner = reply_defer(&r);
	for (int i = 0; i < 100; i++)
		reply_i64(&r, 7);
	reply_defer_set(&r, inner, 100);
	size_t empty = reply_defer(&r);
	reply_defer_map(&r, empty, 0);
	reply_defer_array(&r, outer, 3);
	char want[600] = "+OK\r\n*3\r\n:1\r\n*100\r\n";
	for (int i = 0; i < 100; i++)
		strcat(want, ":7\r\n");
	strcat(want, "*0\r\n");
	expect(want, strlen(want), TEST_HERE);

	reply_defer_map(&r, reply_defer(&r), 2);
	r.proto = 3;
	reply_defer_map(&r, reply_defer(&r), 2);
	reply_defer_set(&r, reply_defer(&r), 2);
	reply_defer_push(&r, reply_defer(&r), 2);
	EXPECT("*4\r\n%2\r\n~2\r\n>2\r\n");

	reply_ok(&r);
	size_t before = r.out.len;
	reply_bulk_str(&r, "not this");
	reply_rewind(&r, before);
	EXPECT("+OK\r\n");
	reply_deinit(&r);
}

int main(void)
{
	RUN(test_simple);
	RUN(test_numbers);
	RUN(test_errors);
	RUN(test_protocols);
	RUN(test_room);
	RUN(test_deferred);
	return test_done();
}
