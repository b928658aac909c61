/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole reads and writes, flags, and descriptors between processes. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

static void test_full(void)
{
	static char out[300000], in[300000];
	int p[2];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	REQUIRE(pipe(p) == 0);
	pid_t pid = fork(); /* a pipe holds 64 KiB: both sides go round several times */
	if (pid == 0) {
		close(p[0]);
		_exit(io_write_full(p[1], out, sizeof(out)) == 0 ? 0 : 1);
	}
	close(p[1]);
	CHECK_INT(io_read_full(p[0], in, 100), 100);
	CHECK_INT(io_read_full(p[0], in + 100, sizeof(in)), sizeof(in) - 100); /* ends early */
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	CHECK_INT(io_read_full(p[0], in, 10), 0);
	int status = 1;
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
	close(p[0]);
	CHECK_INT(io_read_full(p[0], in, 1), -1);
	CHECK_INT(errno, EBADF);
	CHECK_INT(io_write_full(-1, out, 1), -1);
}

static void test_at_offset(void)
{
	char b[4] = "";
	int fd = memfd_create("test", MFD_CLOEXEC);
	REQUIRE(fd >= 0);
	CHECK_INT(io_pwrite_full(fd, "abcdef", 6, 10), 0);
	CHECK_INT(io_pread_full(fd, b, 3, 12), 0);
	CHECK_MEM(b, 3, "cde", 3);
	CHECK_INT(io_pread_full(fd, b, 3, 14), -1);
	CHECK_INT(errno, EIO);
	CHECK_INT(io_pread_full(fd, b, 0, 100), 0);
	io_close(&fd);
	CHECK_INT(fd, -1);
	errno = ENOENT;
	io_close(&fd);
	CHECK_INT(errno, ENOENT);
}

static void test_flags(void)
{
	int p[2];
	REQUIRE(pipe(p) == 0);
	CHECK_INT(io_set_cloexec(p[0], true), 0);
	CHECK(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	CHECK_INT(io_set_cloexec(p[0], false), 0);
	CHECK(!(fcntl(p[0], F_GETFD) & FD_CLOEXEC));
	CHECK_INT(io_set_nonblock(p[0], true), 0);
	char c;
	CHECK_INT(read(p[0], &c, 1), -1);
	CHECK_INT(errno, EAGAIN);
	CHECK_INT(io_set_nonblock(p[0], false), 0);
	CHECK(!(fcntl(p[0], F_GETFL) & O_NONBLOCK));
	close(p[0]);
	close(p[1]);
	CHECK_INT(io_set_cloexec(p[0], true), -1);
}

static void check_pass(int type)
{
	int s[2], p[2], fd = 99;
	char b[16] = "";
	struct ucred from;
	REQUIRE(socketpair(AF_UNIX, type, 0, s) == 0);
	REQUIRE(pipe(p) == 0);

	CHECK_INT(send_fd(s[0], "hello", 5, p[1], 0), 0);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, NULL, 0), 5);
	CHECK_MEM(b, 5, "hello", 5);
	REQUIRE(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(write(fd, "x", 1), 1); /* it is the pipe */
	CHECK_INT(read(p[0], b, 1), 1);
	close(fd);

	CHECK_INT(send_fd(s[0], "none", 4, -1, 0), 0);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, &from, 0), 4);
	CHECK_INT(fd, -1);
	CHECK_INT(from.pid, 0); /* not asked for */

	CHECK_INT(io_pass_credentials(s[1]), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(send_fd(s[0], "child", 5, p[1], 0) == 0 ? 0 : 1);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, &from, 0), 5);
	CHECK(fd >= 0);
	CHECK_INT(from.pid, pid);
	CHECK_INT(from.uid, getuid());
	close(fd);
	waitpid(pid, NULL, 0);

	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, NULL, MSG_DONTWAIT), -1);
	CHECK_INT(errno, EAGAIN);

	/* A descriptor that nobody asked for is closed. */
	int before = dup(0);
	close(before);
	CHECK_INT(send_fd(s[0], "x", 1, p[1], 0), 0);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), NULL, NULL, 0), 1);
	int after = dup(0);
	CHECK_INT(after, before);
	close(after);

	close(s[0]);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, NULL, 0), 0);
	CHECK_INT(send_fd(s[1], "x", 1, -1, 0), -1); /* and no SIGPIPE */
	CHECK_INT(errno, EPIPE);
	close(s[1]);
	close(p[0]);
	close(p[1]);
}

static void test_pass_stream(void)
{
	check_pass(SOCK_STREAM);
}

static void test_pass_seqpacket(void)
{
	check_pass(SOCK_SEQPACKET);
}

static void test_too_much(void)
{
	int s[2], fd;
	char b[16];
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	int before = dup(0);
	close(before);

	/* A message cut off, and more descriptors than one: refused, nothing left open. */
	CHECK_INT(send_fd(s[0], "twelve bytes", 12, s[0], 0), 0);
	CHECK_INT(recv_fd(s[1], b, 5, &fd, NULL, 0), -1);
	CHECK_INT(errno, EMSGSIZE);
	CHECK_INT(fd, -1);

	union {
		char space[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = {"x", 1};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[3]){0, 1, 2}, 3 * sizeof(int));
	CHECK_INT(sendmsg(s[0], &msg, 0), 1);
	CHECK_INT(recv_fd(s[1], b, sizeof(b), &fd, NULL, 0), -1);
	CHECK_INT(errno, EMSGSIZE);

	int after = dup(0);
	CHECK_INT(after, before);
	close(after);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	RUN(test_full);
	RUN(test_at_offset);
	RUN(test_flags);
	RUN(test_pass_stream);
	RUN(test_pass_seqpacket);
	RUN(test_too_much);
	return test_done();
}
