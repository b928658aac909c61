/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls with their loops (base/io.h).
 *
 * Runs in every process. Owns nothing but, briefly, a descriptor just received. No locks. A process that dies between
 * receiving a descriptor and using it leaves nothing behind: the kernel closes it.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

ssize_t io_read_full(int fd, void *p, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = read(fd, (char *)p + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int io_write_full(int fd, const void *p, size_t n)
{
	const char *r = p;
	while (n > 0) {
		ssize_t put = write(fd, r, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		r += put;
		n -= (size_t)put;
	}
	return 0;
}

int io_pread_full(int fd, void *p, size_t n, off_t at)
{
	char *w = p;
	while (n > 0) {
		ssize_t got = pread(fd, w, n, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				errno = EIO;
			return -1;
		}
		w += got;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *p, size_t n, off_t at)
{
	const char *r = p;
	while (n > 0) {
		ssize_t put = pwrite(fd, r, n, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		r += put;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
	int old = fcntl(fd, get);
	if (old < 0)
		return -1;
	int wanted = on ? old | flag : old & ~flag;
	return wanted == old || fcntl(fd, set, wanted) >= 0 ? 0 : -1;
}

int io_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int io_set_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int io_sync_dir(int fd)
{
	return fsync(fd) && errno != EINVAL && errno != EBADF ? -1 : 0;
}

void io_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd); /* not again on EINTR: Linux has closed it */
	*fd = -1;
	errno = saved;
}

int io_pass_credentials(int sock)
{
	return setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
}

int send_parts_fd(int sock, const struct iovec *parts, size_t nparts, int fd, int flags)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = nparts};
	size_t n = 0;

	for (size_t i = 0; i < nparts; i++)
		n += parts[i].iov_len;
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	ssize_t put;
	do
		put = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put >= 0 && (size_t)put != n) {
		errno = EMSGSIZE;
		return -1;
	}
	return put < 0 ? -1 : 0;
}

int send_fd(int sock, const void *p, size_t n, int fd, int flags)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	return send_parts_fd(sock, &part, 1, fd, flags);
}

/* Sorts out the ancillary data: the first descriptor to *fd, others closed. Returns whether there were others. */
static bool take_control(struct msghdr *msg, int *fd, struct ucred *from)
{
	bool surplus = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS && from)
			memcpy(from, CMSG_DATA(c), sizeof(*from));
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int got;
			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd < 0) {
				*fd = got;
			} else {
				close(got);
				surplus = true;
			}
		}
	}
	return surplus;
}

ssize_t recv_fd(int sock, void *p, size_t n, int *fd, struct ucred *from, int flags)
{
	union {
		char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = p, .iov_len = n};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	int came = -1;
	ssize_t got;

	if (fd)
		*fd = -1;
	if (from)
		memset(from, 0, sizeof(*from));
	do
		got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;

	bool surplus = take_control(&msg, &came, from);
	if (surplus || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		io_close(&came);
		errno = EMSGSIZE;
		return -1;
	}
	if (fd)
		*fd = came;
	else
		io_close(&came);
	return got;
}
