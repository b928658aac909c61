/* SPDX-License-Identifier: BSD-2-Clause */
/* Growable buffers, and running out of memory. */
#include "test.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

static void test_append(void)
{
	struct buf b;
	buf_init(&b);
	buf_append(&b, NULL, 0);
	CHECK(b.data == NULL && b.len == 0);
	buf_append(&b, "ab", 2);
	buf_append_str(&b, "cde");
	buf_append_char(&b, 'f');
	buf_printf(&b, "%d-%s", 42, "x");
	CHECK_MEM(b.data, b.len, "abcdef42-x", 10);
	buf_clear(&b);
	CHECK(b.len == 0 && b.cap > 0);
	buf_deinit(&b);
	CHECK(b.data == NULL && b.cap == 0);
	buf_append_str(&b, "again");
	CHECK_MEM(b.data, b.len, "again", 5);
	buf_deinit(&b);
}

static void test_growth(void)
{
	struct buf b;
	int moves = 0;
	size_t cap = 0;
	buf_init(&b);
	for (int i = 0; i < 1000000; i++) {
		buf_append_char(&b, (char)(i % 251));
		moves += b.cap != cap;
		cap = b.cap;
	}
	CHECK_UINT(b.len, 1000000);
	CHECKF(moves < 40, "%d reallocations", moves);
	bool same = true;
	for (int i = 0; i < 1000000; i++)
		same &= b.data[i] == (char)(i % 251);
	CHECK(same);
	buf_deinit(&b);

	buf_reserve(&b, 1 << 20); /* a request out of the blue is met exactly */
	CHECK_UINT(b.cap, 1 << 20);
	buf_deinit(&b);
}

static void test_printf_long(void)
{
	struct buf b;
	static char s[5000];
	buf_init(&b);
	memset(s, 'x', sizeof(s) - 1);
	for (int i = 0; i < 10; i++)
		buf_printf(&b, "%s", s);
	CHECK_UINT(b.len, 49990);
	buf_printf(&b, "%s", "");
	CHECK_UINT(b.len, 49990);
	buf_deinit(&b);
}

static void test_consume_and_trim(void)
{
	struct buf b;
	buf_init(&b);
	buf_consume(&b, 0);
	buf_append_str(&b, "hello world");
	buf_consume(&b, 6);
	CHECK_MEM(b.data, b.len, "world", 5);
	buf_consume(&b, 5);
	CHECK_UINT(b.len, 0);

	buf_reserve(&b, 1 << 20);
	buf_append_str(&b, "kept");
	buf_trim(&b, 4096);
	CHECK_UINT(b.cap, 4096);
	buf_trim(&b, 8192); /* never grows */
	CHECK_UINT(b.cap, 4096);
	buf_trim(&b, 0); /* never below what is in use */
	CHECK_UINT(b.cap, 4);
	CHECK_MEM(b.data, b.len, "kept", 4);
	buf_clear(&b);
	buf_trim(&b, 0);
	CHECK(b.data == NULL && b.cap == 0);
	buf_trim(&b, 100);
	buf_deinit(&b);
}

static void test_out_of_memory(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct buf b;
		buf_init(&b);
		close(STDERR_FILENO); /* the log */
		buf_append_char(&b, 'x');
		buf_reserve(&b, SIZE_MAX - 4);
		_exit(0);
	}
	int status = 0;
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(void)
{
	RUN(test_append);
	RUN(test_growth);
	RUN(test_printf_long);
	RUN(test_consume_and_trim);
	RUN(test_out_of_memory);
	return test_done();
}
