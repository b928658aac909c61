/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: waits as a spare one, takes one connection, serves it, ends.
 *
 * What a client costs is decided here: no event loop, one recv and one send per round, everything that can be inherited
 * from the supervisor or from the listening socket is. Owns its connection and its slot; takes no locks outside commands, writes
 * to its socket outside commands. Death at any point: the supervisor reaps it, a medic sees to the store, the
 * client sees its connection close.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "cmd/session.h"
#include "base/descriptors.h"
#include "proc/crashers.h"
#include "proc/listen.h"
#include "proc/patience.h"
#include "proc/paused.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "proc/title.h"
#include "proc/unsent.h"
#include "shm/channel.h"
#include "shm/ring.h"
#include "store/access.h"

#define FIRST_IN 1200u /* buffers' sizes at first: together the rest of a page that every process writes to */
#define FIRST_OUT 504u
#define FIRST_SPARE 256u
#define ROOM 16384u        /* received at once, when that was too small */
#define LITTLE 512u        /* less room than this is not worth a call */
#define KEEP 65536u        /* buffers larger than this are given back when the client rests */
#define WAIT_MS 100        /* when the machine has no descriptor, no memory for a connection */
#define REST_MS 1000
#define STALL_MS 500       /* when the server stops: a client that reads nothing for so long is left */
#define PART_MS 200        /* and so long are replies on their way waited for */

static struct session session;
static struct buf ahead; /* what came while replies could not be sent */
static bool ended;       /* the client will send no more */
static bool given_up;    /* the server stops, and the client does not read what is left for it */
static bool filled;      /* the last call used all the room it was given */

static struct buf first_in, first_out;
static void *first_spare;

/*
 * The first allocations of the program, so that they lie beside what every process writes to anyway; the last of them is given back, for
 * the parser's first list of words. Each further page of the heap that a worker touches is copied for it.
 */
void worker_prepare(void)
{
	buf_reserve(&first_in, FIRST_IN);
	buf_reserve(&first_out, FIRST_OUT);
	first_spare = malloc(FIRST_SPARE);
}

void worker_ready(void)
{
	free(first_spare);
	first_spare = NULL;
}

/* ---- being spare ---- */

/* A client's connection, or -1: this worker is to end. */
static int wait_for_client(struct sockaddr_storage *peer, socklen_t *n)
{
	for (;;) {
		struct epoll_event ev;
		int ready = epoll_pwait(listen_epoll(), &ev, 1, -1, signals_waiting());
		if (ready == 1) {
			*n = sizeof *peer;
			int fd = accept4(ev.data.fd, (struct sockaddr *)peer, n, SOCK_CLOEXEC);
			int why = errno;
			listen_accepted(ev.data.fd);
			if (fd >= 0)
				return fd;
			if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM)
				poll(NULL, 0, WAIT_MS);
			/* This process's own limit, which it has inherited: the next one may have another. */
			if (why == EMFILE)
				return -1;
		}
		if (stop_requested() || atomic_load_explicit(&my_page->retire, memory_order_acquire))
			return -1;
	}
}

static void keep_address(const struct sockaddr_storage *a, struct client_addr *out)
{
	out->family = a->ss_family;
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
		out->port = ntohs(v4->sin_port);
		memcpy(out->ip, &v4->sin_addr, 4);
	} else if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
		out->port = ntohs(v6->sin6_port);
		memcpy(out->ip, &v6->sin6_addr, 16);
	}
}

/* The client's line in CLIENT LIST begins. */
static void introduce(int fd, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage local;
	socklen_t n = sizeof local;
	struct client_info *c = &my_page->client;
	local.ss_family = peer->ss_family;
	if (peer->ss_family != AF_UNIX)
		getsockname(fd, (struct sockaddr *)&local, &n);
	client_info_begin();
	c->id = atomic_fetch_add_explicit(&control_commons->next_client_id, 1, memory_order_relaxed) + 1;
	c->created_ms = c->last_ms = clock_wall_ms();
	c->resp = 2;
	c->fd = fd;
	c->flags = peer->ss_family == AF_UNIX ? CLIENT_FLAG_UNIX : 0;
	keep_address(peer, &c->peer);
	keep_address(&local, &c->local);
	memcpy(c->user, "default", sizeof "default");
	client_info_end();
	count_add(COUNTER_CONNECTIONS, 1);
}

static void show_title(const struct session *s)
{
	char text[CONTROL_ADDR_MAX + sizeof my_page->client.user + 64] = "worker ", *w = text + 7;
	w += client_addr_text(&my_page->client.peer, w);
	bool known = s->authenticated || !config->password_set;
	w = stpcpy(stpcpy(w, " user="), known ? my_page->client.user : "(none)");
	if (store_attached())
		strcpy(w, " store=main");
	title_set(text);
}

/* ---- may this client be served? ---- */

static bool is_loopback(const struct client_addr *a)
{
	static const uint8_t v6[16] = {[15] = 1};
	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family != AF_INET6 || memcmp(a->ip, v6, sizeof v6) == 0;
}

static void refuse(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	count_add(COUNTER_REJECTED, 1);
}

static const char denied[] =
	"-DENIED Bulkhead is running in protected mode because protected mode is enabled and no password is set for the "
	"default user. In this mode connections are only accepted from the loopback interface. If you want to connect from "
	"external computers to Bulkhead you may adopt one of the following solutions: 1) Just disable protected mode sending the "
	"command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Bulkhead from the same host the "
	"server is running, however MAKE SURE Bulkhead is not publicly accessible from internet if you do so. 2) Alternatively you "
	"can just disable the protected mode by editing the configuration file, and setting the protected mode option to 'no', "
	"and then restarting the server. 3) If you started the server manually just for testing, restart it with the "
	"'--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one "
	"of the above things in order for the server to start accepting connections from the outside.\r\n";

static bool admitted(int fd)
{
	if (atomic_load_explicit(&my_page->retire, memory_order_acquire) == RETIRE_REFUSE) {
		refuse(fd, "-ERR max number of clients reached\r\n");
		return false;
	}
	if (crashers_refused(&my_page->client.peer)) {
		refuse(fd, "-ERR too many processes have crashed for this address, try again in a minute\r\n");
		return false;
	}
	if (config->protected_mode && !config->password_set && !is_loopback(&my_page->client.peer)) {
		refuse(fd, denied);
		return false;
	}
	return true;
}

/* The password that was set when this worker was forked is set no more: the store is to be had for the asking. */
static bool fetch_store(void)
{
	static const char user[] = "default";
	char answer[128];
	int fd;
	long n = channel_call(REQUEST_AUTH, user, sizeof user, answer, sizeof answer, &fd);
	return n > 0 && answer[0] == '+' && fd >= 0 && store_attach(fd);
}

/* ---- sending ---- */

/* Takes what the client sends while it does not read: it may be waiting for us to do so before it reads. */
static bool take_ahead(struct session *s)
{
	if (ahead.len > config->client_query_buffer_limit) {
		log_warning("Closing client that reached max query buffer length: id=%llu",
			    (unsigned long long)my_page->client.id);
		return false;
	}
	ssize_t n = recv(s->fd, buf_reserve(&ahead, KEEP), KEEP, MSG_DONTWAIT);
	if (n > 0)
		ahead.len += (size_t)n;
	else if (n == 0)
		ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		return false;
	return true;
}

/* A client that has taken nothing of `unsent` bytes since `start` is left when it may not have so many, or for so long. */
static bool too_slow(size_t unsent, int64_t start, int64_t *over_since)
{
	int64_t now = clock_mono_ms();
	if (unsent_too_much(unsent, now, over_since)) {
		unsent_log();
		return true;
	}
	if (config->timeout == 0 || now - start <= config->timeout * 1000)
		return false;
	log_verbose("Closing idle client");
	return true;
}

static bool wait_until_writable(struct session *s, size_t unsent, int64_t *over_since)
{
	int64_t start = clock_mono_ms();
	while (!given_up && !too_slow(unsent, start, over_since)) {
		bool last = stop_requested();
		/* Who has not logged in is not heard out: he could fill the machine's memory without a password. */
		bool hear = !ended && !last && (s->authenticated || ahead.len < KEEP);
		struct pollfd p = {.fd = s->fd, .events = (short)(hear ? POLLOUT | POLLIN : POLLOUT)};
		/* Not for ever: the signal to stop may have come just before. */
		int n = poll(&p, 1, last ? STALL_MS : 1000);
		given_up = given_up || (n == 0 && last);
		if (given_up || (n < 0 && errno != EINTR))
			return false;
		if (n <= 0) {
			channel_follow_log();
			continue;
		}
		if (p.revents & POLLERR)
			return false;
		if (hear && (p.revents & (POLLIN | POLLHUP)) && !take_ahead(s))
			return false;
		if (p.revents & POLLOUT)
			return true;
		if (!hear && (p.revents & POLLHUP))
			return false;
	}
	return false;
}

/* For CLIENT LIST: what this client has not taken yet, and what it has sent meanwhile. */
static void show_unsent(const struct session *s, size_t n)
{
	client_info_begin();
	my_page->client.flags = n ? my_page->client.flags | CLIENT_FLAG_WRITING : my_page->client.flags & ~CLIENT_FLAG_WRITING;
	my_page->client.obl = n;
	my_page->client.qbuf = s->in.len + ahead.len;
	my_page->client.tot_mem = session_memory(s) + ahead.cap;
	client_info_end();
}

static bool wait_until_taken(struct session *s, size_t unsent, int64_t *over_since)
{
	show_unsent(s, unsent);
	if (!wait_until_writable(s, unsent, over_since))
		return false;
	show_unsent(s, 0);
	return true;
}

/*
 * appendfsync always: what the replies tell of is on disk before they are sent. While the disk cannot be written, reads go on, but what this
 * client has changed is not acknowledged.
 */
static bool is_kept(void)
{
	struct access_log need = access_take_log();
	if (config->appendfsync != FSYNC_ALWAYS || need.any == 0 || ring_wait_durable(need.any) || need.own == 0 ||
	    ring_wait_durable(need.own))
		return true;
	log_warning("Closing a client whose writes could not be written to the log: id=%llu", (unsigned long long)my_page->client.id);
	return false;
}

static bool flush(struct session *s)
{
	struct buf *out = &s->out.out;
	int64_t over_since = 0;
	if (__builtin_expect(out->len > UNSENT_FREE, 0) && unsent_too_much(out->len, 0, &over_since)) {
		unsent_log();
		return false;
	}
	if (store_attached() && ring_is_on() && !is_kept())
		return false;
	for (size_t at = 0; at < out->len;) {
		ssize_t n = send(s->fd, out->data + at, out->len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN ? !wait_until_taken(s, out->len - at, &over_since) : errno != EINTR)
			return false;
	}
	if (out->len) {
		count_add(COUNTER_NET_OUT, out->len);
		count_add(COUNTER_WRITES, 1);
	}
	buf_clear(out);
	return true;
}

/* ---- receiving ---- */

static int64_t timeout_set; /* seconds, as the socket has it */
static uint64_t config_seen;

/* What CONFIG SET has changed for a connection that is there already. */
static void follow_config(int fd)
{
	uint64_t now = atomic_load_explicit(&config->generation, memory_order_acquire);
	if (now == config_seen)
		return;
	config_seen = now;
	channel_follow_log();
	unsent_follow_config(&session);
	if (config->timeout != timeout_set) {
		struct timeval t = {.tv_sec = config->timeout};
		timeout_set = config->timeout;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	}
}

static void make_room(struct session *s)
{
	size_t room = s->in.cap - s->in.len;
	if (s->parser.wanted > room)
		buf_reserve(&s->in, s->parser.wanted);
	else if (filled || room < LITTLE)
		buf_reserve(&s->in, s->in.cap >= ROOM ? KEEP : ROOM);
}

/* A client that rests holds little memory. */
static void rest(struct session *s)
{
	if (s->in.cap <= KEEP && s->out.out.cap <= KEEP && ahead.cap == 0)
		return;
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	uint32_t said = atomic_load_explicit(&control_commons->rest_ms, memory_order_relaxed);
	int n, ms = said == REST_DEFAULT ? REST_MS : (int)((said - 1) & INT_MAX);
	if (said == REST_NEVER || atomic_load_explicit(&control_commons->paused, memory_order_relaxed) & PAUSED_BUFFERS)
		return;
	/* A last tick of the command's timer is no reason to hold on to the memory. */
	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR && !stop_requested() && !wake_flag);
	if (n != 0)
		return;
	buf_trim(&s->in, ROOM);
	buf_trim(&s->out.out, ROOM);
	buf_trim(&ahead, 0);
	make_room(s);
	if (s->in.len == 0)
		resp_parser_trim(&s->parser);
}

/* The server stops: what has come is executed. Not what comes later, or a client that goes on sending would keep us. */
static bool receive_last(struct session *s)
{
	static int left = -1;
	if (left < 0 && ioctl(s->fd, FIONREAD, &left))
		return false;
	make_room(s);
	size_t room = s->in.cap - s->in.len;
	if ((size_t)left < room)
		room = (size_t)left;
	ssize_t n = room ? recv(s->fd, s->in.data + s->in.len, room, MSG_DONTWAIT) : 0;
	if (n <= 0)
		return false;
	left -= (int)n;
	s->in.len += (size_t)n;
	return true;
}

static bool receive(struct session *s)
{
	if (ahead.len) {
		buf_append(&s->in, ahead.data, ahead.len);
		buf_clear(&ahead);
		return true;
	}
	if (ended)
		return false;
	if (stop_requested())
		return receive_last(s);
	if (s->in.len > config->client_query_buffer_limit) {
		log_warning("Closing client that reached max query buffer length: id=%llu",
			    (unsigned long long)my_page->client.id);
		return false;
	}
	make_room(s);
	for (;;) {
		follow_config(s->fd);
		rest(s);
		size_t room = s->in.cap - s->in.len;
		ssize_t n = patient_recv(s->fd, s->in.data + s->in.len, room);
		if (n > 0) {
			s->in.len += (size_t)n;
			filled = (size_t)n == room;
			count_add(COUNTER_NET_IN, (uint64_t)n);
			count_add(COUNTER_READS, 1);
			/* What was set while we slept holds for what has come now. */
			follow_config(s->fd);
			return true;
		}
		if (n < 0 && errno == EINTR && !stop_requested())
			continue;
		if (n < 0 && errno == EAGAIN)
			log_verbose("Closing idle client");
		else if (n < 0 && errno != EINTR)
			log_verbose("Reading from client: %s", strerror(errno));
		return false;
	}
}

/*
 * The server stops while replies are on their way. To close before what the client still sends was read would have the
 * kernel drop them (a reset): so their arrival is waited for, a moment.
 */
static void part(struct session *s)
{
	int queued = 0;
	if (ioctl(s->fd, TIOCOUTQ, &queued) || queued == 0)
		return;
	shutdown(s->fd, SHUT_WR);
	buf_clear(&s->in);
	for (int i = 0; i < PART_MS && queued > 0; i++) {
		while (recv(s->fd, s->in.data, s->in.cap, MSG_DONTWAIT) > 0)
			;
		poll(NULL, 0, 1);
		if (ioctl(s->fd, TIOCOUTQ, &queued))
			return;
	}
}

static void serve(struct session *s)
{
	while (receive(s)) {
		bool goes_on = session_run(s);
		if (!goes_on && unsent_overrun()) {
			unsent_log();
			return;
		}
		if (!flush(s) || !goes_on)
			return;
	}
}

void worker_main(const struct launch *l)
{
	struct sockaddr_storage peer;
	socklen_t n;
	int store = launch_store_fd();
	title_set("spare worker");
	if (!l->store_open)
		close(store);
	else if (!store_attach(store))
		_exit(2);
	int fd = wait_for_client(&peer, &n);
	if (fd < 0)
		return;
	atomic_store_explicit(&my_page->busy, 1, memory_order_release);
	struct client_addr from = {0};
	keep_address(&peer, &from);
	channel_notify(&from);
	descriptors_drop_listening();
	introduce(fd, &peer);
	if (!admitted(fd))
		return;
	if (!config->password_set && !store_attached() && !fetch_store())
		return;
	signals_serve(fd);
	config_seen = UINT64_MAX;
	session_init(&session, fd, flush, paused_wait);
	session.user_changed = show_title;
	show_title(&session);
	session.in = first_in;
	session.out.out = first_out;
	serve(&session);
	if (stop_requested() && !given_up)
		part(&session);
}
