/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as text. Expected values were taken from redis-server 7.0.15 (INCRBY, INCRBYFLOAT, ZADD, CONFIG SET). */
#include "test.h"

#include <limits.h>
#include <math.h>

#include "base/num.h"

static void test_parse_i64(void)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {
	    {"0", true, 0},
	    {"7", true, 7},
	    {"-1", true, -1},
	    {"10", true, 10},
	    {"999999999999999999", true, 999999999999999999},
	    {"9223372036854775807", true, INT64_MAX},
	    {"-9223372036854775808", true, INT64_MIN},
	    {"9223372036854775808", false, 0},
	    {"-9223372036854775809", false, 0},
	    {"9999999999999999999", false, 0},
	    {"99999999999999999999", false, 0},
	    {"18446744073709551616", false, 0},
	    {"", false, 0},
	    {"-", false, 0},
	    {"-0", false, 0},
	    {"00", false, 0},
	    {"01", false, 0},
	    {"-01", false, 0},
	    {"+1", false, 0},
	    {" 1", false, 0},
	    {"1 ", false, 0},
	    {"--1", false, 0},
	    {"1a", false, 0},
	    {"a", false, 0},
	    {"1.0", false, 0},
	    {"0x1", false, 0},
	    {"/", false, 0},
	    {":", false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = 12345;
		bool ok = parse_i64(cases[i].text, strlen(cases[i].text), &v);
		CHECKF(ok == cases[i].ok, "'%s' is %s", cases[i].text, ok ? "taken" : "refused");
		CHECK_INT(v, cases[i].ok ? cases[i].value : 12345);
	}
	int64_t v;
	CHECK(parse_i64("123", 2, &v) && v == 12); /* counted, not NUL-terminated */
	CHECK(!parse_i64("1\0", 2, &v));
}

static void test_parse_u64(void)
{
	uint64_t v = 5;
	CHECK(parse_u64("0", 1, &v) && v == 0);
	CHECK(parse_u64("18446744073709551615", 20, &v) && v == UINT64_MAX);
	v = 5;
	CHECK(!parse_u64("18446744073709551616", 20, &v));
	CHECK(!parse_u64("99999999999999999999", 20, &v));
	CHECK(!parse_u64("100000000000000000000", 21, &v));
	CHECK(!parse_u64("", 0, &v));
	CHECK(!parse_u64("01", 2, &v));
	CHECK(!parse_u64("-1", 2, &v));
	CHECK(!parse_u64("+1", 2, &v));
	CHECK_UINT(v, 5);
}

static void check_format(int64_t v)
{
	char got[21], want[32];
	size_t n = format_i64(got, v);
	snprintf(want, sizeof(want), "%lld", (long long)v);
	CHECK_STR(got, want);
	CHECK_UINT(n, strlen(want));
	int64_t back = 0;
	CHECK(parse_i64(got, n, &back) && back == v);
}

static void test_format_i64(void)
{
	for (int64_t v = -1100; v <= 1100; v++)
		check_format(v);
	int64_t power = 1;
	for (int digits = 0; digits < 18; digits++, power *= 10)
		for (int d = -1; d <= 1; d++) {
			check_format(power + d);
			check_format(-power + d);
		}
	check_format(INT64_MAX);
	check_format(INT64_MIN);
	char out[21];
	CHECK_UINT(format_u64(out, UINT64_MAX), 20);
	CHECK_STR(out, "18446744073709551615");
}

static void test_parse_double(void)
{
	static const char *const good[] = {"0",         "-0",
					   "1",         "+5",
					   ".5",        "5.",
					   "1e3",       "1E-3",
					   "-1.25",     "0x10",
					   "0x1p-1074", "inf",
					   "-inf",      "+inf",
					   "INF",       "infinity",
					   "-Infinity", "9007199254740993",
					   "00012",     "123456789012345678901234567890"};
	static const char *const bad[] = {"",       " 1",  "1 ",  "nan", "NaN", "-nan", "1e", "e1",  "1e999", "-1e999",
					  "1e-400", "1,5", "abc", "1a",  "--1", ".",    "-",  "\t1", "nan(1)"};
	double v;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		v = 42;
		CHECKF(parse_double(good[i], strlen(good[i]), &v), "'%s' is refused", good[i]);
		CHECKF(v == strtod(good[i], NULL), "'%s' is %g", good[i], v);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = 42;
		CHECKF(!parse_double(bad[i], strlen(bad[i]), &v), "'%s' is taken", bad[i]);
		CHECK(v == 42);
	}
	CHECK(!parse_double("1\0", 2, &v));
	CHECK(parse_double("12", 1, &v) && v == 1);
	CHECK(parse_double("-0", 2, &v) && v == 0 && signbit(v));

	static char big[10001]; /* longer than any buffer of its own */
	memset(big, '0', 10000);
	big[9999] = '3';
	CHECK(parse_double(big, 10000, &v) && v == 3);
}

static void test_parse_long_double(void)
{
	long double v = 42;
	CHECK(parse_long_double("1e4932", 6, &v) && v > 1e4931L);
	CHECK(parse_long_double("3.0e3", 5, &v) && v == 3000);
	CHECK(parse_long_double("inf", 3, &v) && isinf(v));
	v = 42;
	CHECK(!parse_long_double("1e5000", 6, &v));
	CHECK(!parse_long_double("1e-4960", 7, &v));
	CHECK(!parse_long_double("nan", 3, &v));
	CHECK(!parse_long_double(" 1", 2, &v));
	CHECK(!parse_long_double("1 ", 2, &v));
	CHECK(!parse_long_double("", 0, &v));
	CHECK(v == 42);

	static char big[6000];
	memset(big, '0', sizeof(big));
	CHECK(parse_long_double(big, 5119, &v) && v == 0);
	CHECK(!parse_long_double(big, 5120, &v));
}

static void test_format_double(void)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
	    {0, "0"},
	    {-0.0, "-0"},
	    {1, "1"},
	    {-17, "-17"},
	    {3.5, "3.5"},
	    {1.1, "1.1000000000000001"},
	    {1e-7, "9.9999999999999995e-08"},
	    {1e15, "1000000000000000"},
	    {9007199254740993.0, "9007199254740992"},
	    {99999999999999990.0, "99999999999999984"},
	    {99999999999999999.0, "1e+17"},
	    {-1e17, "-1e+17"},
	    {1e20, "1e+20"},
	    {123456789012345678.0, "1.2345678901234568e+17"},
	    {0x1p-1074, "4.9406564584124654e-324"},
	    {1.7976931348623157e308, "1.7976931348623157e+308"},
	    {INFINITY, "inf"},
	    {-INFINITY, "-inf"},
	    {NAN, "nan"},
	};
	char out[FORMAT_DOUBLE_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = format_double(out, cases[i].value);
		CHECK_STR(out, cases[i].text);
		CHECK_UINT(n, strlen(out));
	}
	format_double(out, -NAN);
	CHECK_STR(out, "nan");

	/* The path for whole numbers prints what printf prints. */
	uint64_t x = 88172645463325252u;
	for (int i = 0; i < 20000; i++) {
		char want[64];
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		double v = (double)(int64_t)x / (double)(INT64_C(1) << (i % 63));
		if (i & 1)
			v = (double)(int64_t)v;
		format_double(out, v);
		snprintf(want, sizeof(want), "%.17g", v);
		CHECK_STR(out, want);
	}
}

static void test_format_long_double(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"0", "0"},
	    {"-0", "0"},
	    {"1e20", "100000000000000000000"},
	    {"3.5", "3.5"},
	    {"3.000", "3"},
	    {"100", "100"},
	    {"1e-7", "0.0000001"},
	    {"1e-20", "0"},
	    {"-1e-20", "0"},
	    {"1.1", "1.1"},
	    {"0.1", "0.1"},
	    {"-1.5", "-1.5"},
	    {"0x10", "16"},
	    {"5.0e3", "5000"},
	    {"inf", "inf"},
	    {"-inf", "-inf"},
	    {"10.0625", "10.0625"},
	    {"3.0000000000000000000005", "3"},
	};
	char out[FORMAT_LONG_DOUBLE_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long double v = 0;
		CHECK(parse_long_double(cases[i].in, strlen(cases[i].in), &v));
		size_t n = format_long_double(out, sizeof(out), v);
		CHECK_STR(out, cases[i].out);
		CHECK_UINT(n, strlen(out));
	}
	long double big = 0;
	CHECK(parse_long_double("1e4932", 6, &big));
	CHECK_UINT(format_long_double(out, sizeof(out), big), 4933);
	CHECK_UINT(format_long_double(out, 100, big), 0);
	CHECK_UINT(format_long_double(out, 4, 1.5L), 0);
	CHECK_UINT(format_long_double(out, 3, INFINITY), 0);
}

static void test_parse_memory(void)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} cases[] = {
	    {"100", true, 100},
	    {"100b", true, 100},
	    {"1k", true, 1000},
	    {"1kb", true, 1024},
	    {"1K", true, 1000},
	    {"1KB", true, 1024},
	    {"512k", true, 512000},
	    {"1m", true, 1000000},
	    {"100mb", true, 104857600},
	    {"1MB", true, 1048576},
	    {"1g", true, 1000000000},
	    {"1gb", true, 1073741824},
	    {"01", true, 1},
	    {"", true, 0},
	    {"kb", true, 0},
	    {"18446744073709551615", true, UINT64_MAX},
	    {"1t", false, 0},
	    {"-1", false, 0},
	    {"1.5gb", false, 0},
	    {" 1", false, 0},
	    {"1 ", false, 0},
	    {"+1", false, 0},
	    {"1bb", false, 0},
	    {"0x10", false, 0},
	    {"17179869184gb", false, 0},
	    {"18446744073709551616", false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 77;
		bool ok = parse_memory(cases[i].text, strlen(cases[i].text), &v);
		CHECKF(ok == cases[i].ok, "'%s' is %s", cases[i].text, ok ? "taken" : "refused");
		CHECK_UINT(v, cases[i].ok ? cases[i].value : 77);
	}
}

int main(void)
{
	RUN(test_parse_i64);
	RUN(test_parse_u64);
	RUN(test_format_i64);
	RUN(test_parse_double);
	RUN(test_parse_long_double);
	RUN(test_format_double);
	RUN(test_format_long_double);
	RUN(test_parse_memory);
	return test_done();
}
