/* SPDX-License-Identifier: BSD-2-Clause */
/* A tiny harness for unit tests; output is TAP. A test program:
 *
 *     #include "test.h"
 *     static void test_adding(void) { CHECK_INT(1 + 1, 2); }
 *     int main(void) { RUN(test_adding); return test_done(); }
 *
 * A test is one TAP line. A failed check is reported as a comment and the test goes on; REQUIRE ends the test.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	int run, failed, checks_failed;
	jmp_buf out;
} test_state;

__attribute__((unused, format(printf, 3, 4))) static bool test_check(bool ok, const char *where, const char *fmt, ...)
{
	if (ok)
		return true;
	if (++test_state.checks_failed > 20)
		return false; /* enough to see what is wrong */
	va_list ap;
	va_start(ap, fmt);
	printf("# %s: ", where);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	return false;
}

__attribute__((unused)) static bool test_check_mem(const char *where, const void *got, size_t gn, const void *want,
						   size_t wn)
{
	if (gn == wn && (gn == 0 || memcmp(got, want, gn) == 0))
		return true;
	return test_check(false, where, "got %zu bytes '%.*s', want %zu '%.*s'", gn, (int)gn,
			  gn ? (const char *)got : "", wn, (int)wn, wn ? (const char *)want : "");
}

#define TEST_STR2(x) #x
#define TEST_STR(x) TEST_STR2(x)
#define TEST_HERE __FILE__ ":" TEST_STR(__LINE__)

#define CHECK(cond) test_check((cond), TEST_HERE, "failed: %s", #cond)
#define CHECKF(cond, ...) test_check((cond), TEST_HERE, __VA_ARGS__)
#define CHECK_INT(got, want)                                                                                           \
	do {                                                                                                           \
		long long got_ = (long long)(got), want_ = (long long)(want);                                          \
		test_check(got_ == want_, TEST_HERE, "%s is %lld, want %lld", #got, got_, want_);                      \
	} while (0)
#define CHECK_UINT(got, want)                                                                                          \
	do {                                                                                                           \
		unsigned long long got_ = (unsigned long long)(got), want_ = (unsigned long long)(want);               \
		test_check(got_ == want_, TEST_HERE, "%s is %llu, want %llu", #got, got_, want_);                      \
	} while (0)
#define CHECK_STR(got, want)                                                                                           \
	do {                                                                                                           \
		const char *got_ = (got), *want_ = (want);                                                             \
		test_check(strcmp(got_, want_) == 0, TEST_HERE, "%s is '%s', want '%s'", #got, got_, want_);           \
	} while (0)
#define CHECK_MEM(got, gn, want, wn) test_check_mem(TEST_HERE, (got), (gn), (want), (wn))
#define REQUIRE(cond)                                                                                                  \
	do {                                                                                                           \
		if (!CHECK(cond))                                                                                      \
			longjmp(test_state.out, 1);                                                                    \
	} while (0)

/* Runs a function of no arguments as one test. */
#define RUN(fn) test_run(#fn, fn)
__attribute__((unused)) static void test_run(const char *name, void (*fn)(void))
{
	test_state.checks_failed = 0;
	test_state.run++;
	if (setjmp(test_state.out) == 0)
		fn();
	bool ok = test_state.checks_failed == 0;
	test_state.failed += !ok;
	if (test_state.checks_failed > 20)
		printf("# ... %d failed checks in all\n", test_state.checks_failed);
	printf("%s %d - %s\n", ok ? "ok" : "not ok", test_state.run, name);
	fflush(stdout);
}

/* Prints the plan; returns the exit status. */
__attribute__((unused)) static int test_done(void)
{
	printf("1..%d\n", test_state.run);
	return test_state.failed ? 1 : 0;
}

#endif
