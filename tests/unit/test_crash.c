/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report of a crash: the store is out of reach, the line comes, and the signal is what ends the process, however
 * it came to it.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/panic.h"
#include "proc/signals.h"

static char report[8192];

static int wild_reference(void *arg)
{
	volatile int *volatile p = arg;
	*p = 1;
	return 0;
}

static int wild_store(void *arg)
{
	(void)arg;
	*(volatile int *)(STORE_BASE + SUPER->fixed + SUPER->reserve - 8) = 1;
	return 0;
}

__attribute__((noinline)) static int deeper(volatile char *above)
{
	volatile char here[4096];
	here[0] = above[0];
	return here[0] ? 0 : deeper(here) + here[0];
}
static int stack_overflow(void *arg)
{
	(void)arg;
	volatile char c = 0;
	return deeper(&c);
}

static int inside_malloc(void *arg)
{
	(void)arg;
	/* Freed twice: the library notices, and says so by SIGABRT. */
	char *volatile p = malloc(24);
	free(p);
	free(p);
	return 0;
}

static int broken_invariant(void *arg)
{
	(void)arg;
	panic("test of %s", "panic");
}

static int divided_by_zero(void *arg)
{
	volatile int one = 17;
	return one / *(volatile int *)arg;
}

static struct {
	int (*fn)(void *arg);
	void *arg;
	int out;
} act;

static int crash(void *arg)
{
	(void)arg;
	dup2(act.out, STDERR_FILENO);
	my_page->client.id = 7;
	my_page->client.peer = (struct client_addr){AF_INET6, 4711, {0x20, 1, 0xd, 0xb8, [15] = 1}};
	strcpy(my_page->client.cmd, "config|get");
	signals_init();
	return act.fn(act.arg);
}

/* Runs `fn` in a child; what it says is in `report`. Returns how it ended. */
static int crash_by(int (*fn)(void *arg), void *arg)
{
	int p[2];
	CHECK_INT(pipe(p), 0);
	act.fn = fn, act.arg = arg, act.out = p[1];
	int end = reap_child(fork_as(3, crash, NULL));
	close(p[1]);
	ssize_t n = read(p[0], report, sizeof report - 1);
	report[n > 0 ? n : 0] = 0;
	close(p[0]);
	uint32_t three = 3;
	recover_slots(&three, 1);
	return end;
}

static void check_report(int end, int sig)
{
	char want[64];
	CHECK_INT(end, 1000 + sig);
	snprintf(want, sizeof want, "crashed by signal: %d, si_code: ", sig);
	CHECKF(strstr(report, want) != NULL, "%s: %s", want, report);
	CHECKF(strstr(report, "While serving client id=7 addr=[2001:db8::1]:4711, command config|get\n") != NULL,
	       "%s", report);
	CHECKF(strstr(report, "Addresses in the program: 0x") != NULL, "%s", report);
	CHECK_FSCK();
}

static void test_kinds(void)
{
	static int zero;
	check_report(crash_by(wild_reference, (void *)8), SIGSEGV);
	CHECK(strstr(report, "address: 0x8\n") != NULL);
	check_report(crash_by(wild_store, NULL), SIGBUS);
#if defined(__x86_64__)
	check_report(crash_by(divided_by_zero, &zero), SIGFPE);
#else
	(void)divided_by_zero, (void)zero;
#endif
	check_report(crash_by(broken_invariant, NULL), SIGABRT);
	CHECK(strstr(report, "test of panic") != NULL);
}

static void test_stack_overflow(void)
{
#ifndef __SANITIZE_ADDRESS__
	check_report(crash_by(stack_overflow, NULL), SIGSEGV);
#else
	(void)stack_overflow;
#endif
}

static void test_inside_malloc(void)
{
#ifndef __SANITIZE_ADDRESS__
	check_report(crash_by(inside_malloc, NULL), SIGABRT);
#else
	(void)inside_malloc;
#endif
}

/*
 * While its report is being written, a crashed process has no store any more: the report goes into a pipe that is
 * full.
 */
static int quiet_crash(void *arg)
{
	(void)arg;
	char junk[4096] = {0};
	fcntl(act.out, F_SETFL, O_NONBLOCK);
	while (write(act.out, junk, sizeof junk) > 0)
		;
	fcntl(act.out, F_SETFL, 0);
	wild_reference((void *)8);
	return 0;
}

static bool maps_store(pid_t pid)
{
	char path[64], line[256];
	bool found = false;
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		found |= strncmp(line, "200000000000-", 13) == 0;
	if (f)
		fclose(f);
	return found;
}

static void test_unmapped(void)
{
	int p[2];
	CHECK_INT(pipe(p), 0);
	act.fn = quiet_crash, act.arg = NULL, act.out = p[1];
	pid_t child = fork_as(3, crash, NULL);
	CHECK(maps_store(child));
	for (int i = 0; i < 500 && maps_store(child); i++)
		usleep(10000);
	CHECK(!maps_store(child));
	CHECK_INT(waitpid(child, NULL, WNOHANG), 0);
	close(p[1]);
	while (read(p[0], report, sizeof report) > 0)
		;
	CHECK_INT(reap_child(child), 1000 + SIGSEGV);
	close(p[0]);
}

int main(void)
{
	fixture_open(16);
	do_set(0, "a", "b");
	RUN(test_kinds);
	RUN(test_stack_overflow);
	RUN(test_inside_malloc);
	RUN(test_unmapped);
	return test_done();
}
