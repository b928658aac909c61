/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channel to the supervisor (shm/channel.h).
 *
 * Every process asks; the supervisor takes and answers. Owns three descriptors: both ends of the request socket, and of
 * the pipe for notices. No locks. A caller that dies has its answer thrown away by the kernel; a request cut short by
 * its sender's death was never sent, because a datagram goes in one piece.
 */
#include "shm/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "base/deadline.h"
#include "base/descriptors.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "shm/control.h"

#define DROPPED_MAX 32 /* malformed requests, before the caller looks at other things */

struct head {
	uint32_t what, slot;
};

static int ask_fd = -1;    /* the children's end */
static int take_fd = -1;   /* the supervisor's */
static int notice_fd = -1; /* children's end of a pipe */
static int heard_fd = -1;  /* the supervisor's */
static char *incoming;     /* the request being served: in memory that children do not see, for it may be a password */

void channel_create(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		fatal("Cannot create the channel to the supervisor: %s", strerror(errno));
	ask_fd = pair[0];
	take_fd = descriptor_move(pair[1], FD_PRIVATE);
	/* A worker with a client keeps no copy: it could tell lies about others, or fill it. */
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		fatal("Cannot create a pipe: %s", strerror(errno));
	heard_fd = descriptor_move(ends[0], FD_PRIVATE);
	notice_fd = descriptor_move(ends[1], FD_LISTEN);
	if (io_pass_credentials(take_fd) || io_set_nonblock(take_fd, true))
		fatal("Cannot set up the channel to the supervisor: %s", strerror(errno));
	incoming = config_secret_memory(sizeof(struct head) + CHANNEL_TEXT_MAX + 1);
}

int channel_request_fd(void)
{
	return take_fd;
}

int channel_notice_fd(void)
{
	return heard_fd;
}

/* Sends the request with the far end of the answer's socket attached. */
static bool ask(enum request what, const char *text, size_t n, int far)
{
	struct head head = {.what = what, .slot = my_slot};
	struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)text, n}};
	return send_parts_fd(ask_fd, parts, 2, far, 0) == 0;
}

long channel_call(enum request what, const char *text, size_t n, char *answer, size_t cap, int *fd_out)
{
	int pair[2];
	if (fd_out)
		*fd_out = -1;
	if (n > CHANNEL_TEXT_MAX) {
		static const char too_long[] = "ERR the request is too long";
		size_t len = sizeof too_long - 1 < cap ? sizeof too_long - 1 : cap;
		memcpy(answer, too_long, len);
		return (long)len;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -1;
	deadline_settle();
	bool asked = ask(what, text, n, pair[1]);
	close(pair[1]);
	ssize_t got = asked ? recv_fd(pair[0], answer, cap, fd_out, NULL, 0) : -1;
	close(pair[0]);
	return got > 0 ? got : -1;
}

void channel_tell_waiting(uint32_t slot)
{
	struct {
		struct head head;
		uint32_t slot;
	} note = {{.what = REQUEST_WAITING, .slot = my_slot}, slot};
	/* When the queue is full, another waiter, or the next time, will do. */
	if (ask_fd >= 0)
		send(ask_fd, &note, sizeof note, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static uint32_t log_seen; /* control->log_opened, as of the log this process writes to */

void channel_follow_log(void)
{
	uint32_t now = atomic_load_explicit(&control->log_opened, memory_order_acquire);
	char answer[64];
	int fd;
	if (now == log_seen)
		return;
	log_seen = now;
	if (channel_call(REQUEST_LOG, NULL, 0, answer, sizeof answer, &fd) > 0 && fd >= 0)
		log_take(fd);
}

void channel_log_reopened(void)
{
	log_seen = atomic_fetch_add_explicit(&control->log_opened, 1, memory_order_release) + 1;
}

void channel_notify(const struct client_addr *peer)
{
	struct channel_notice n = {my_slot, getpid(), *peer};
	/* In one piece; a full pipe is news enough. */
	while (write(notice_fd, &n, sizeof n) < 0 && errno == EINTR)
		;
}

bool channel_take_notice(struct channel_notice *out)
{
	ssize_t n;
	do
		n = read(heard_fd, out, sizeof *out);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof *out;
}

/*
 * Answers go to local sockets only. Closing any other may wait for its peer (SO_LINGER) as long as a hostile sender
 * likes, so that is undone first. What travels inside a local socket is not seen here: a sandbox must not allow to set
 * the option.
 */
static bool may_be_answered(int fd)
{
	int domain = 0;
	socklen_t n = sizeof domain;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && domain == AF_UNIX)
		return true;
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	return false;
}

bool channel_take(struct channel_request *out)
{
	/* A sender of nonsense must not keep the supervisor from everything else. */
	for (int i = 0; i < DROPPED_MAX; i++) {
		int fd;
		struct ucred from;
		ssize_t got = recv_fd(take_fd, incoming, sizeof(struct head) + CHANNEL_TEXT_MAX, &fd, &from, MSG_DONTWAIT);
		if (got < 0 && errno != EMSGSIZE)
			return false;
		struct head head = {0};
		if (got >= (ssize_t)sizeof head)
			memcpy(&head, incoming, sizeof head);
		bool to_be_answered = head.what != REQUEST_WAITING;
		if (got < (ssize_t)sizeof head || (fd >= 0) != to_be_answered || from.pid <= 0 || (to_be_answered && !may_be_answered(fd))) {
			io_close(&fd);
			continue;
		}
		*out = (struct channel_request){.what = (enum request)head.what,
						.slot = head.slot,
						.pid = from.pid,
						.reply_fd = fd,
						.n = (size_t)got - sizeof head,
						.text = incoming + sizeof head};
		out->text[out->n] = 0;
		return true;
	}
	return false;
}

void channel_answer(struct channel_request *r, const char *text, size_t n, int fd)
{
	send_fd(r->reply_fd, text, n, fd, MSG_DONTWAIT);
	io_close(&r->reply_fd);
}
