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

struct listener {
	int fd;
	int family;
};
static struct listener listeners[LISTENERS];
static int count;
static int epoll = -1;

/* Sockets being opened. */
struct opening {
	const struct config *want;
	bool again;            /* there are sockets already: none is waited for, and those that will do are kept */
	bool silenced;         /* these do not listen: who is kept listens again at once, in the order of bind, as at a start */
	bool kept[LISTENERS];
	struct listener made[LISTENERS]; /* beyond FD_PRIVATE: there may be no room for old and new ones below */
	int n;
	int why;               /* errno of the failure */
};

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

static void watch(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		fatal("Cannot watch a listening socket: %s", strerror(errno));
}

static void add(int fd, int family)
{
	fd = descriptor_move(fd, FD_LISTEN);
	listeners[count++] = (struct listener){fd, family};
	watch(fd);
}

/* The number of the socket bound to that address; -1: none is. */
static int find_bound(const struct sockaddr *a, socklen_t n)
{
	for (int i = 0; i < count; i++) {
		struct sockaddr_storage bound = {0};
		socklen_t len = sizeof bound;
		if (listeners[i].family == a->sa_family && a->sa_family != AF_UNIX &&
		    getsockname(listeners[i].fd, (struct sockaddr *)&bound, &len) == 0 && memcmp(a, &bound, n) == 0)
			return i;
	}
	return -1;
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
static const char *try_listen(int fd, const struct sockaddr *a, socklen_t n, bool patient)
{
	for (int tries = 0;; tries++) {
		if (a->sa_family == AF_UNIX)
			remove_stale(a);
		if (bind(fd, a, n) == 0)
			break;
		if (errno != EADDRINUSE || !patient || tries == BIND_TRIES)
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

static bool parse_address(const char *text, int64_t port, struct sockaddr_storage *out, socklen_t *n)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	memset(out, 0, sizeof *out);
	if (strchr(text, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*n = sizeof *v6;
		return strcmp(text, "::*") == 0 || inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
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

/* What a connection inherits. Which call failed, errno says why; NULL: none. */
static const char *set_options(int fd, int family, const struct config *want)
{
	uint32_t mark = (uint32_t)want->socket_mark_id;
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	keepalive(fd, want->tcp_keepalive);
	return mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) ? "setsockopt" : NULL;
}

static bool cannot(struct opening *o, const char *text, const char *failed, int why)
{
	o->why = why;
	log_warning("Warning: Could not create server TCP listening socket %s:%d: %s%s%s", text, (int)o->want->port, failed ? failed : "",
		    failed ? ": " : "", failed ? strerror(why) : "Name or service not known");
	return false;
}

static bool open_tcp(struct opening *o, const char *text, bool optional)
{
	struct sockaddr_storage a;
	socklen_t n;
	const char *failed = "socket";
	if (!parse_address(text, o->want->port, &a, &n))
		return cannot(o, text, NULL, 0);
	int old = o->again ? find_bound((struct sockaddr *)&a, n) : -1;
	if (old >= 0 && o->kept[old])
		return cannot(o, text, "bind", EADDRINUSE);
	if (old >= 0 && o->silenced && (failed = again(listeners[old].fd)) != NULL)
		return cannot(o, text, failed, errno);
	if (old >= 0) {
		o->kept[old] = true;
		return true;
	}
	int fd = o->again ? -1 : handover_take_listener((struct sockaddr *)&a, n);
	bool there = fd >= 0;
	if (!there)
		fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		failed = set_options(fd, a.ss_family, o->want);
	if (fd >= 0 && !failed)
		failed = there ? again(fd) : try_listen(fd, (struct sockaddr *)&a, n, !o->again);
	if (failed) {
		int why = errno;
		cannot(o, text, failed, why);
		io_close(&fd);
		return (why == EADDRNOTAVAIL && optional) || is_unsupported(why);
	}
	o->made[o->n++] = (struct listener){descriptor_move(fd, FD_PRIVATE), a.ss_family};
	return true;
}

/* All or nothing of what port and bind say. */
static bool open_all_tcp(struct opening *o)
{
	char words[CONFIG_TEXT], *save, *word;
	strcpy(words, o->want->bind);
	if (o->want->port == 0)
		return true;
	for (word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		bool optional = *word == '-';
		if (open_tcp(o, word + optional, optional))
			continue;
		while (o->n > 0)
			close(o->made[--o->n].fd);
		memset(o->kept, 0, sizeof o->kept);
		return false;
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
		failed = try_listen(fd, (struct sockaddr *)&a, sizeof a, true);
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
	struct opening o = {.want = config};
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fatal("epoll_create1: %s", strerror(errno));
	epoll = descriptor_move(epoll, FD_LISTEN);
	if (!open_all_tcp(&o)) {
		log_warning("Failed listening on port %d (TCP), aborting.", (int)config->port);
		return false;
	}
	for (int i = 0; i < o.n; i++)
		add(o.made[i].fd, o.made[i].family);
	if (*config->unixsocket && !open_unix())
		return false;
	if (count == 0)
		log_warning("Configured to not listen anywhere, exiting.");
	return count > 0;
}

/* ---- other addresses ---- */

/*
 * Sockets that are not to be kept listen no more, or again. That stays true for all who have them; they remain bound, so that nobody else
 * can have the address meanwhile.
 */
static void silence(const struct opening *o, bool on)
{
	for (int i = 0; i < count; i++) {
		if (listeners[i].family == AF_UNIX || o->kept[i])
			continue;
		if (on)
			shutdown(listeners[i].fd, SHUT_RDWR);
		else if (listen(listeners[i].fd, (int)config->tcp_backlog))
			log_warning("Cannot listen again: %s", strerror(errno));
		else
			listen_accepted(listeners[i].fd);
	}
}

static void exchange(struct opening *o, int fresh)
{
	int kept = 0;
	silence(o, true);
	for (int i = 0; i < count; i++) {
		if (listeners[i].family == AF_UNIX || o->kept[i])
			listeners[kept++] = listeners[i];
		else
			close(listeners[i].fd);
	}
	count = kept;
	close(epoll);
	epoll = descriptor_move(fresh, FD_LISTEN);
	for (int i = 0; i < count; i++)
		watch(listeners[i].fd);
	for (int i = 0; i < o->n; i++)
		add(o->made[i].fd, o->made[i].family);
}

/* Whether some of ours may be what the address is in use by: "*" and one address of it exclude each other. */
static bool in_our_way(const struct opening *o)
{
	return o->why == EADDRINUSE && o->want->port == config->port;
}

bool listen_rebind(const struct config *want, void (*before)(void))
{
	struct opening o = {.want = want, .again = true}, none = o;
	int fresh = epoll_create1(EPOLL_CLOEXEC);
	if (fresh < 0)
		return false;
	bool good = open_all_tcp(&o);
	if (!good && in_our_way(&o)) {
		silence(&none, true);
		o.silenced = true;
		good = open_all_tcp(&o);
		if (!good)
			silence(&none, false);
	}
	if (!good) {
		close(fresh);
		return false;
	}
	before();
	exchange(&o, fresh);
	return true;
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
