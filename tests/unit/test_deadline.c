/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer of command-timeout: who is cancelled and when, who is not, what it costs who has nothing to do. */
#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/deadline.h"

static struct config values;

static bool timer_runs(void)
{
	struct itimerval t;
	getitimer(ITIMER_REAL, &t);
	return t.it_value.tv_sec != 0 || t.it_value.tv_usec != 0;
}

/* Works until cancelled, for `ms` at most. Returns how long. */
static int64_t work(int64_t ms)
{
	int64_t start = clock_mono_ms(), now = start;
	while (!cancel_requested() && now - start < ms)
		now = clock_mono_ms();
	return now - start;
}

static void test_off(void)
{
	values.command_timeout = 0;
	deadline_begin();
	CHECK(!timer_runs());
	CHECK_INT(deadline_command, 0);
	deadline_end();
}

static void test_cancels(void)
{
	values.command_timeout = 50;
	for (int i = 0; i < 3; i++) {
		deadline_begin();
		CHECK(timer_runs());
		CHECK(work(10000) >= 45);
		CHECK(cancel_requested());
		deadline_end();
		CHECK(!cancel_requested());
	}
	/* Nothing to do: a tick, and then none. */
	for (int i = 0; i < 1000 && timer_runs(); i++)
		usleep(1000);
	CHECK(!timer_runs());
	CHECK(!cancel_requested());
}

static void test_short_ones(void)
{
	int64_t start = clock_mono_ms();
	bool never = true;
	values.command_timeout = 30;
	while (clock_mono_ms() - start < 300) {
		deadline_begin();
		never = never && !cancel_requested();
		deadline_end();
	}
	CHECK(never);
}

static void test_settled(void)
{
	values.command_timeout = 20;
	deadline_begin();
	deadline_settle();
	work(100);
	CHECK(!cancel_requested());
	deadline_end();
	/* Switched off while one runs. */
	deadline_begin();
	values.command_timeout = 0;
	work(100);
	CHECK(!cancel_requested());
	deadline_end();
}

/* In a child: 0, or the signal that ended it. The parent stops it for `stop_ms` shortly after it began. */
static int in_child(void (*body)(void), int stop_ms)
{
	int status;
	pid_t p = fork();
	if (p == 0) {
		body();
		_exit(0);
	}
	if (stop_ms) {
		usleep(20000);
		kill(p, SIGSTOP);
		usleep((useconds_t)stop_ms * 1000);
		kill(p, SIGCONT);
	}
	waitpid(p, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* What a process did not see is not counted: stopped for longer than it may run, it has used up a step. */
static void run_for_a_while(void)
{
	deadline_begin();
	if (work(100) < 100)
		_exit(1);
}

static void test_stood_still(void)
{
	values.command_timeout = 500;
	CHECK_INT(in_child(run_for_a_while, 1000), 0);
}

static void never_look(void)
{
	deadline_begin();
	for (;;)
		;
}

static void test_no_reaction(void)
{
	values.command_timeout = 20;
	CHECK_INT(in_child(never_look, 0), SIGKILL);
}

int main(void)
{
	struct sigaction a = {.sa_handler = deadline_tick, .sa_flags = SA_RESTART};
	config = &values;
	sigaction(SIGALRM, &a, NULL);
	RUN(test_off);
	RUN(test_cancels);
	RUN(test_short_ones);
	RUN(test_settled);
	RUN(test_stood_still);
	RUN(test_no_reaction);
	return test_done();
}
