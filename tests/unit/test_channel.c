/* SPDX-License-Identifier: BSD-2-Clause */
/* The channel to the supervisor: answers, and senders of nonsense. */
#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "shm/channel.h"

static int ask_fd; /* the children's end: the lowest number that was free */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool take(struct channel_request *r)
{
	for (int i = 0; i < 2000; i++) {
		if (channel_take(r))
			return true;
		usleep(1000);
	}
	return false;
}

static void test_answer(void)
{
	struct channel_request r;
	pid_t pid = fork();
	if (pid == 0) {
		char answer[10];
		int fd;
		long n = channel_call(REQUEST_AUTH, "a\0b", 3, answer, sizeof answer, &fd);
		_exit(n == 3 && memcmp(answer, "+OK", 3) == 0 && fd >= 0 ? 0 : 1);
	}
	REQUIRE(take(&r));
	CHECK_INT(r.what, REQUEST_AUTH);
	CHECK_INT(r.pid, pid);
	CHECK_INT(r.n, 3);
	CHECK(memcmp(r.text, "a\0b", 4) == 0);
	channel_answer(&r, "+OK", 3, STDIN_FILENO);
	int status = 1;
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
}

static void test_nonsense_ends(void)
{
	pid_t pids[2];
	for (int i = 0; i < 2; i++)
		if ((pids[i] = fork()) == 0)
			for (double end = now() + 10; now() < end;)
				send(ask_fd, "x", 1, 0);
	/* However fast they send, each call comes back. */
	for (double end = now() + 1; now() < end;) {
		struct channel_request r;
		CHECK(!channel_take(&r));
	}
	for (int i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	/* What is still queued: one call takes a few. */
	for (int i = 0; i < 1000; i++) {
		struct channel_request r;
		CHECK(!channel_take(&r));
	}
}

/* A connection with much to send to a peer that does not read, whose closing is to wait for that. */
static int lingering_socket(void)
{
	static char data[65536];
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (struct sockaddr *)&a, n) || listen(l, 1) || getsockname(l, (struct sockaddr *)&a, &n) ||
	    connect(c, (struct sockaddr *)&a, n))
		_exit(1);
	int s = accept(l, NULL, NULL);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 30}, sizeof(struct linger));
	while (send(s, data, sizeof data, MSG_DONTWAIT) > 0)
		;
	return s;
}

static void test_foreign_socket(void)
{
	int told[2];
	char byte;
	REQUIRE(pipe(told) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		uint32_t head[2] = {REQUEST_AUTH, 1};
		int s = lingering_socket();
		send_fd(ask_fd, head, sizeof head, s, 0);
		close(s);
		if (write(told[1], "x", 1) == 1)
			sleep(60);
		_exit(0);
	}
	REQUIRE(read(told[0], &byte, 1) == 1);
	struct channel_request r;
	double start = now();
	if (channel_take(&r))
		channel_answer(&r, "x", 1, -1);
	CHECK(now() - start < 15);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	ask_fd = dup(STDOUT_FILENO);
	close(ask_fd);
	channel_create();
	RUN(test_answer);
	RUN(test_nonsense_ends);
	RUN(test_foreign_socket);
	return test_done();
}
