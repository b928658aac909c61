/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets (proc/listen.h).
 *
 * The supervisor opens and closes; spare workers inherit the descriptors and an epoll on them. Why one shared, edge-triggered
 * epoll: with a level-triggered one each connection wakes a second worker for nothing, and an epoll of its own in each
 * worker (EPOLLEXCLUSIVE) costs its making and its end for every client. Death: a spare worker killed between being woken
 * and accepting has taken the wake-up along; the supervisor, which reaps it, calls listen_accepted for every socket.
 */
#include "proc/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/descriptors.h"
#include "proc/handover.h"
#include "proc/start.h"

#define LISTENERS 18
#define BIND_TRIES 300 /* three seconds */
#define BIND_WAIT_NS 10000000

static struct {
	int fd;
	int family;
} listeners[LISTENERS];
static int count;
static int epoll = -1;

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof value);
}

static void keepalive(int fd, long seconds)
{
	int idle = (int)seconds, interval = idle / 3 ? idle / 3 : 1;
	set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
	if (seconds <= 0)
		return;
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static void add(int fd, int family)
{
	fd = descriptor_move(fd, FD_LISTEN);
	listeners[count].fd = fd;
	listeners[count].family = family;
	count++;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		fatal("Cannot watch a listening socket: %s", strerror(errno));
}

/* A socket file whose server is gone is removed. What is no socket, or still answers, is not ours to remove. */
static void remove_stale(const struct sockaddr *name)
{
	const struct sockaddr_un *a = (const struct sockaddr_un *)name;
	struct stat st;
	if (lstat(a->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, name, sizeof *a) && errno == ECONNREFUSED)
		unlink(a->sun_path);
	io_close(&fd);
}

/*
 * Which call failed, for the log; errno says why. NULL: it listens. Processes of a server that was killed listen a
 * moment longer than it; that is not to be the reason why the next one does not start.
 */
static const char *try_listen(int fd, const struct sockaddr *a, socklen_t n)
{
	for (int tries = 0;; tries++) {
		if (a->sa_family == AF_UNIX)
			remove_stale(a);
		if (bind(fd, a, n) == 0)
			break;
		if (errno != EADDRINUSE || tries == BIND_TRIES)
			return "bind";
		nanosleep(&(struct timespec){0, BIND_WAIT_NS}, NULL);
	}
	if (listen(fd, (int)config->tcp_backlog))
		return "listen";
	return NULL;
}

/* A socket that a binary before this one bound: what is queued on it stays. */
static const char *again(int fd)
{
	return listen(fd, (int)config->tcp_backlog) ? "listen" : NULL;
}

static bool parse_address(const char *text, struct sockaddr_storage *out, socklen_t *n)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	memset(out, 0, sizeof *out);
	if (strchr(text, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)config->port);
		*n = sizeof *v6;
		return strcmp(text, "::*") == 0 || inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)config->port);
	*n = sizeof *v4;
	if (strcmp(text, "localhost") == 0)
		text = "127.0.0.1";
	return strcmp(text, "*") == 0 || inet_pton(AF_INET, text, &v4->sin_addr) == 1;
}

/* Errors of a machine that lacks this family of addresses: no reason not to start. */
static bool is_unsupported(int e)
{
	return e == ENOPROTOOPT || e == EPROTONOSUPPORT || e == ESOCKTNOSUPPORT || e == EPFNOSUPPORT || e == EAFNOSUPPORT;
}

static bool open_tcp(const char *text, bool optional)
{
	struct sockaddr_storage a;
	socklen_t n;
	const char *failed = "socket";
	int fd = -1;
	if (!parse_address(text, &a, &n)) {
		log_warning("Warning: Could not create server TCP listening socket %s:%d: Name or service not known", text,
			    (int)config->port);
		return false;
	}
	bool there = (fd = handover_take_listener((struct sockaddr *)&a, n)) >= 0;
	if (!there)
		fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (a.ss_family == AF_INET6)
			set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		keepalive(fd, config->tcp_keepalive);
		failed = there ? again(fd) : try_listen(fd, (struct sockaddr *)&a, n);
	}
	if (failed) {
		int why = errno;
		log_warning("Warning: Could not create server TCP listening socket %s:%d: %s: %s", text, (int)config->port,
			    failed, strerror(why));
		io_close(&fd);
		return (why == EADDRNOTAVAIL && optional) || is_unsupported(why);
	}
	add(fd, a.ss_family);
	return true;
}

static bool open_all_tcp(void)
{
	char words[CONFIG_TEXT], *save, *word;
	strcpy(words, config->bind);
	for (word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		bool optional = *word == '-';
		if (!open_tcp(word + optional, optional)) {
			log_warning("Failed listening on port %d (TCP), aborting.", (int)config->port);
			return false;
		}
	}
	return true;
}

static bool open_unix(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, config->unixsocket, sizeof a.sun_path - 1); /* the parameter is no longer */
	const char *failed = "socket";
	int fd = handover_take_listener((struct sockaddr *)&a, sizeof a);
	if (fd >= 0) {
		failed = again(fd);
	} else if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0) {
		/* With the mask set around bind there is no moment at which others may connect. */
		mode_t before = config->unixsocketperm ? umask((mode_t)(0777 & ~config->unixsocketperm)) : 0;
		failed = try_listen(fd, (struct sockaddr *)&a, sizeof a);
		if (config->unixsocketperm)
			umask(before);
	}
	if (failed) {
		log_warning("Failed opening Unix socket: %s: %s", failed, strerror(errno));
		io_close(&fd);
		return false;
	}
	add(fd, AF_UNIX);
	return true;
}

bool listen_open(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fatal("epoll_create1: %s", strerror(errno));
	epoll = descriptor_move(epoll, FD_LISTEN);
	if (config->port && !open_all_tcp())
		return false;
	if (*config->unixsocket && !open_unix())
		return false;
	if (count == 0)
		log_warning("Configured to not listen anywhere, exiting.");
	return count > 0;
}

void listen_close(void)
{
	for (int i = 0; i < count; i++) {
		/* Ends the wait of spare workers too; what the kernel has queued is refused. */
		close(listeners[i].fd);
		if (listeners[i].family == AF_UNIX) {
			log_notice("Removing the unix socket file.");
			if (unlinkat(instance_folder(), config->unixsocket, 0) && errno != ENOENT)
				log_warning("Error removing the unix socket file: %s", strerror(errno));
		}
	}
	count = 0;
	io_close(&epoll);
}

void listen_keepalive(long seconds)
{
	for (int i = 0; i < count; i++)
		if (listeners[i].family != AF_UNIX)
			keepalive(listeners[i].fd, seconds);
}

int listen_epoll(void)
{
	return epoll;
}

void listen_accepted(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
	epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ev);
}

void listen_each(void (*each)(int fd))
{
	for (int i = 0; i < count; i++)
		each(listeners[i].fd);
}
