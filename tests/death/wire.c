/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection, one command at a time. A broken one is no error here: the caller knows what it may mean. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

static int fd = -1;
static bool timed_out;
static char out[2 << 20], in[2 << 20];
static size_t out_len, filled, taken;
static int words;
static char head[24];

int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void wire_close(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
}

bool wire_timed_out(void)
{
	return timed_out;
}

bool wire_connect(int port)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct timeval t = {.tv_sec = HANG_S};
	int one = 1;
	wire_close();
	timed_out = false;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	from.sin_addr.s_addr = htonl(0x7f000000u | (1 + draw(0xfffffe)));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return true;
	wire_close();
	return false;
}

/* ---- sending ---- */

void word(const void *data, size_t n)
{
	if (words++ == 0)
		out_len = sizeof head; /* the number of words goes before them */
	out_len += (size_t)sprintf(out + out_len, "$%zu\r\n", n);
	memcpy(out + out_len, data, n);
	memcpy(out + out_len + n, "\r\n", 2);
	out_len += n + 2;
}

static bool send_all(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			timed_out = errno == EAGAIN;
			return false;
		}
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* ---- receiving ---- */

static bool want(size_t n)
{
	while (filled - taken < n) {
		if (taken + n > sizeof in)
			return false;
		ssize_t k = recv(fd, in + filled, sizeof in - filled, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			timed_out = k < 0 && errno == EAGAIN;
			return false;
		}
		filled += (size_t)k;
	}
	return true;
}

static bool line(char **at)
{
	for (size_t n = 0;; n++) {
		if (!want(n + 2))
			return false;
		if (memcmp(in + taken + n, "\r\n", 2) == 0) {
			in[taken + n] = 0;
			*at = in + taken;
			taken += n + 2;
			return true;
		}
	}
}

/* A string of any length, or a number. */
static bool bulk(struct element *e)
{
	char *text;
	if (!line(&text))
		return false;
	e->n = strtol(text + 1, NULL, 10);
	e->data = NULL;
	if (text[0] == ':' || e->n < 0)
		return true;
	if (!want((size_t)e->n + 2))
		return false;
	e->data = in + taken;
	e->data[e->n] = 0;
	taken += (size_t)e->n + 2;
	return true;
}

static bool receive(struct reply *r)
{
	struct element e;
	if (!want(1))
		return false;
	r->type = in[taken];
	if (r->type == '$') {
		if (!bulk(&e))
			return false;
		r->n = e.n;
		r->data = e.data;
		return true;
	}
	if (!line(&r->data))
		return false;
	r->n = strtol(++r->data, NULL, 10);
	if (r->type != '*')
		return true;
	for (long i = 0; i < r->n; i++)
		if (i >= ACCOUNTS || !bulk(&r->at[i]))
			return false;
	return true;
}

bool send_words(struct reply *r)
{
	int n = snprintf(head, sizeof head, "*%d\r\n", words);
	char *start = out + sizeof head - n;
	memcpy(start, head, (size_t)n);
	words = 0;
	filled = taken = 0;
	if (fd >= 0 && send_all(start, (size_t)(out + out_len - start)) && receive(r))
		return true;
	wire_close();
	return false;
}

bool send_lines(const char *lines, size_t n, unsigned commands, struct reply *r, unsigned *errors)
{
	filled = taken = 0;
	*errors = 0;
	bool ok = fd >= 0 && send_all(lines, n);
	for (; ok && commands > 0; commands--) {
		ok = receive(r);
		*errors += ok && r->type == '-';
	}
	if (!ok)
		wire_close();
	return ok;
}

bool ask(struct reply *r, const char *format, ...)
{
	char text[COMMAND_MAX], *rest = text;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *w; (w = strsep(&rest, " "));)
		word(w, strlen(w));
	return send_words(r);
}
