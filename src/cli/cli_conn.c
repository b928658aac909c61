/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: the connection to the server.
 *
 * Runs in bulkhead-cli. Owns one socket, and the password in memory. No locks. A numeric address needs no resolver, so
 * that a statically linked binary works where the C library's shared parts are missing.
 */
#include "cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#define READ_SIZE 16384

volatile sig_atomic_t cli_interrupted;

void cli_conn_init(struct cli_conn *c, const struct cli_options *o)
{
	memset(c, 0, sizeof(*c));
	c->options = o;
	c->fd = -1;
	c->db = o->db;
	c->proto = o->proto;
	c->user = o->user ? strdup(o->user) : NULL;
	c->password = o->password ? strdup(o->password) : NULL;
	buf_init(&c->in);
	reply_parser_init(&c->parser);
}

void cli_conn_close(struct cli_conn *c)
{
	io_close(&c->fd);
	buf_deinit(&c->in);
	reply_parser_deinit(&c->parser);
	reply_parser_init(&c->parser);
}

void cli_conn_deinit(struct cli_conn *c)
{
	cli_conn_close(c);
	reply_parser_deinit(&c->parser);
	free(c->user);
	free(c->password);
}

static bool failed(struct cli_conn *c, const char *what)
{
	snprintf(c->error, sizeof(c->error), "%s", what);
	cli_conn_close(c);
	return false;
}

static bool open_socket(struct cli_conn *c, const struct sockaddr *address, socklen_t n)
{
	c->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return false;
	if (address->sa_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(c->fd, address, n) == 0)
		return true;
	io_close(&c->fd);
	return false;
}

static bool open_unix(struct cli_conn *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(c->options->socket) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(a.sun_path, c->options->socket);
	return open_socket(c, (struct sockaddr *)&a, sizeof(a));
}

/* Returns 0, or a code for gai_strerror, or EAI_SYSTEM for errno. */
static int open_tcp(struct cli_conn *c)
{
	in_port_t port = htons((in_port_t)c->options->port);
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
	if (inet_pton(AF_INET, c->options->host, &v4.sin_addr) == 1)
		return open_socket(c, (struct sockaddr *)&v4, sizeof(v4)) ? 0 : EAI_SYSTEM;
	if (inet_pton(AF_INET6, c->options->host, &v6.sin6_addr) == 1)
		return open_socket(c, (struct sockaddr *)&v6, sizeof(v6)) ? 0 : EAI_SYSTEM;

	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char service[21];
	format_i64(service, c->options->port);
	int rc = getaddrinfo(c->options->host, service, &hints, &list);
	if (rc != 0)
		return rc;
	for (struct addrinfo *a = list; a && c->fd < 0; a = a->ai_next)
		open_socket(c, a->ai_addr, a->ai_addrlen);
	int saved = errno;
	freeaddrinfo(list);
	errno = saved;
	return c->fd >= 0 ? 0 : EAI_SYSTEM;
}

/* Runs a command whose good outcome is of no interest; says on standard error if there is another, unless label is
 * NULL. */
static bool prepare(struct cli_conn *c, const char *label, size_t argc, const struct arg *argv)
{
	struct reply_node r;
	if (!cli_ask(c, &r, argc, argv)) {
		fprintf(stderr, "Error: %s\n", c->error);
		return false;
	}
	if (r.type == REPLY_ERROR && label)
		fprintf(stderr, "%s failed: %s\n", label, r.str);
	reply_node_deinit(&r);
	return true;
}

static bool prepare_session(struct cli_conn *c)
{
	char number[21], label[64];

	if (c->password) {
		struct arg argv[3] = {cli_text("AUTH"), cli_text(c->user ? c->user : c->password),
				      cli_text(c->password)};
		if (!prepare(c, "AUTH", c->user ? 3 : 2, argv))
			return false;
	}
	if (c->db != 0) {
		format_i64(number, c->db);
		snprintf(label, sizeof(label), "SELECT %s", number);
		if (!prepare(c, label, 2, (struct arg[2]){cli_text("SELECT"), cli_text(number)}))
			return false;
	}
	if (c->proto != 0) {
		format_i64(number, c->proto);
		snprintf(label, sizeof(label), "HELLO %s", number);
		if (!prepare(c, c->options->proto_default ? NULL : label, 2,
			     (struct arg[2]){cli_text("HELLO"), cli_text(number)}))
			return false;
	}
	return true;
}

bool cli_connect(struct cli_conn *c)
{
	const struct cli_options *o = c->options;
	cli_conn_close(c);
	c->in_multi = false;
	if (o->socket) {
		if (!open_unix(c)) {
			fprintf(stderr, "Could not connect to Redis at %s: %s\n", o->socket, strerror(errno));
			return false;
		}
	} else {
		int rc = open_tcp(c);
		if (rc != 0) {
			fprintf(stderr, "Could not connect to Redis at %s:%d: %s\n", o->host, o->port,
				rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
			return false;
		}
	}
	return prepare_session(c);
}

bool cli_conn_is_gone(struct cli_conn *c)
{
	char byte;
	ssize_t n = c->fd >= 0 ? recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

bool cli_ensure_connected(struct cli_conn *c)
{
	return !cli_conn_is_gone(c) || cli_connect(c);
}

bool cli_send(struct cli_conn *c, size_t argc, const struct arg *argv)
{
	struct buf out;
	buf_init(&out);
	buf_printf(&out, "*%zu\r\n", argc);
	for (size_t i = 0; i < argc; i++) {
		buf_printf(&out, "$%zu\r\n", argv[i].n);
		buf_append(&out, argv[i].p, argv[i].n);
		buf_append(&out, "\r\n", 2);
	}
	bool ok = true;
	for (size_t at = 0; ok && at < out.len;) {
		ssize_t n = send(c->fd, out.data + at, out.len - at, MSG_NOSIGNAL);
		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			ok = false;
	}
	buf_deinit(&out);
	/* A server that refuses us says why before it hangs up: then there is something to read. */
	if (!ok && errno != EPIPE && errno != ECONNRESET)
		return failed(c, strerror(errno));
	return true;
}

/* Waits for something to read. False: interrupted. SIGINT comes either before the look at the flag or within ppoll. */
static bool wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	sigset_t interrupt, before;
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &before);
	int n;
	do
		n = cli_interrupted ? 0 : ppoll(&p, 1, NULL, &before);
	while (n < 0 && errno == EINTR && !cli_interrupted);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return !cli_interrupted;
}

bool cli_receive(struct cli_conn *c, struct reply_node *out, bool *closed)
{
	if (closed)
		*closed = false;
	for (;;) {
		switch (reply_parse(&c->parser, &c->in, out)) {
		case REPLY_DONE:
			reply_parser_compact(&c->parser, &c->in);
			return true;
		case REPLY_BROKEN:
			return failed(c, c->parser.error);
		case REPLY_MORE:
			break;
		}
		/* What is announced may never come: the buffer grows with what has. */
		size_t room = c->parser.wanted < c->in.len ? c->parser.wanted : c->in.len;
		if (room < READ_SIZE)
			room = READ_SIZE;
		/* A signal that comes before the call must not be lost in it. */
		if (!wait_readable(c->fd))
			return failed(c, "");
		ssize_t n = recv(c->fd, buf_reserve(&c->in, room), room, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return failed(c, strerror(errno));
		if (n == 0) {
			if (closed)
				*closed = c->in.len == 0;
			return failed(c, "Server closed the connection");
		}
		c->in.len += (size_t)n;
	}
}

bool cli_ask(struct cli_conn *c, struct reply_node *out, size_t argc, const struct arg *argv)
{
	if (!cli_send(c, argc, argv))
		return false;
	while (cli_receive(c, out, NULL)) {
		if (out->type != REPLY_PUSH && out->type != REPLY_ATTRIBUTE)
			return true;
		reply_node_deinit(out);
	}
	return false;
}
