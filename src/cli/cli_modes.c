/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: what it does instead of running commands: --stat, --scan, --latency, --pipe.
 *
 * Runs in bulkhead-cli. Owns nothing, no locks. Printed in the columns of redis-cli, which programs read.
 */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

static int give_up(const struct cli_conn *c)
{
	fprintf(stderr, "Error: %s\n", c->error);
	return 1;
}

static int refused(struct reply_node *r)
{
	fprintf(stderr, "ERROR: %s\n", r->type == REPLY_ERROR ? r->str : "not the reply that was expected");
	reply_node_deinit(r);
	return 1;
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* ---- --stat ---- */

static const char *info_text(const char *info, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = info; (at = strstr(at, name)); at += n)
		if ((at == info || at[-1] == '\n') && at[n] == ':')
			return at + n + 1;
	return NULL;
}

static long long info_number(const char *info, const char *name)
{
	const char *at = info_text(info, name);
	return at ? strtoll(at, NULL, 10) : 0;
}

static long long keys_of_all(const char *info)
{
	long long sum = 0;
	for (const char *at = info; (at = strstr(at, ":keys=")); at += 6)
		sum += strtoll(at + 6, NULL, 10);
	return sum;
}

static void human_size(char out[32], double v)
{
	static const char units[] = "BKMGTP";
	size_t u = 0;
	for (; v >= 1024 && units[u + 1]; u++)
		v /= 1024;
	snprintf(out, 32, u == 0 ? "%.0f%c" : "%.2f%c", v, units[u]);
}

/* *requests: of the line before, -1 for the first. */
static void print_stat(const char *info, long long *requests)
{
	char mem[32], load[64];
	const char *child = info_number(info, "rdb_bgsave_in_progress")    ? "SAVE"
			    : info_number(info, "aof_rewrite_in_progress") ? "AOF"
			    : info_number(info, "loading")                 ? "LOAD"
									   : "";
	long long total = info_number(info, "total_commands_processed");
	human_size(mem, (double)info_number(info, "used_memory"));
	snprintf(load, sizeof(load), "%lld (+%lld)", total, *requests < 0 ? 0 : total - *requests);
	*requests = total;
	printf("%-11lld%-9s%-8lld%-8lld%-20s%-12lld%s\n", keys_of_all(info), mem,
	       info_number(info, "connected_clients"), info_number(info, "blocked_clients"), load,
	       info_number(info, "total_connections_received"), child);
	fflush(stdout);
}

static int run_stat(struct cli_conn *c)
{
	const struct cli_options *o = c->options;
	long long requests = -1;
	struct arg argv[1] = {cli_text("INFO")};

	for (long line = 0; o->repeat < 0 || line < o->repeat; line++) {
		struct reply_node r;
		if (!cli_ensure_connected(c)) {
			if (line == 0)
				return 1;
		} else if (!cli_ask(c, &r, 1, argv)) {
			give_up(c); /* the next line may come from a server that was restarted */
		} else {
			if (r.type != REPLY_STRING && r.type != REPLY_VERBATIM)
				return refused(&r);
			if (line % 20 == 0)
				printf("------- data ------ --------------------- load -------------------- - child -\n"
				       "%-11s%-9s%-8s%-8s%-20s%-21s\n",
				       "keys", "mem", "clients", "blocked", "requests", "connections");
			print_stat(r.str, &requests);
			reply_node_deinit(&r);
		}
		usleep((useconds_t)(o->interval_given ? o->interval_us : 1000000));
	}
	return 0;
}

/* ---- --scan ---- */

static void print_key(const struct cli_options *o, const struct reply_node *key)
{
	struct buf line;
	buf_init(&line);
	if (o->output == OUTPUT_TTY)
		str_repr(&line, key->str, key->n);
	else
		buf_append(&line, key->str, key->n);
	buf_append_char(&line, '\n');
	fwrite(line.data, 1, line.len, stdout);
	buf_deinit(&line);
}

/* A cursor and names: the server may be any, or none. */
static bool is_page_of_keys(const struct reply_node *r)
{
	if (r->type != REPLY_ARRAY || r->n != 2 || r->elem[0].type != REPLY_STRING || r->elem[1].type != REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < r->elem[1].n; i++)
		if (r->elem[1].elem[i].type != REPLY_STRING)
			return false;
	return true;
}

static int run_scan(struct cli_conn *c)
{
	const struct cli_options *o = c->options;
	char cursor[32] = "0";

	if (!cli_connect(c))
		return 1;
	do {
		struct arg argv[4] = {cli_text("SCAN"), cli_text(cursor), cli_text("MATCH"), o->pattern};
		struct reply_node r;
		if (!cli_ask(c, &r, o->pattern.p ? 4 : 2, argv))
			return give_up(c);
		if (!is_page_of_keys(&r))
			return refused(&r);
		snprintf(cursor, sizeof(cursor), "%s", r.elem[0].str);
		for (size_t i = 0; i < r.elem[1].n; i++)
			print_key(o, &r.elem[1].elem[i]);
		fflush(stdout);
		reply_node_deinit(&r);
		if (o->interval_us > 0)
			usleep((useconds_t)o->interval_us);
	} while (strcmp(cursor, "0"));
	return 0;
}

/* ---- --latency ---- */

struct samples {
	long long min, max, sum, n;
};

static void print_latency(const struct cli_options *o, const struct samples *s)
{
	double average = (double)s->sum / (double)s->n;
	if (o->output == OUTPUT_TTY)
		printf("\x1b[0G\x1b[2Kmin: %lld, max: %lld, avg: %.2f (%lld samples)", s->min, s->max, average, s->n);
	else if (o->output == OUTPUT_CSV)
		printf("%lld,%lld,%.2f,%lld\n", s->min, s->max, average, s->n);
	else if (o->output == OUTPUT_RAW)
		printf("%lld %lld %.2f %lld\n", s->min, s->max, average, s->n);
	else
		printf("{\"min\": %lld, \"max\": %lld, \"avg\": %.2f, \"count\": %lld}\n", s->min, s->max, average,
		       s->n);
	fflush(stdout);
}

static int run_latency(struct cli_conn *c)
{
	const struct cli_options *o = c->options;
	struct samples s = {0};
	struct arg argv[1] = {cli_text("PING")};

	if (!cli_connect(c))
		return 1;
	int64_t end = now_us() + (o->interval_given && o->interval_us > 0 ? o->interval_us : 1000000);
	for (;;) {
		struct reply_node r;
		int64_t before = now_us();
		if (!cli_ask(c, &r, 1, argv))
			return give_up(c);
		if (r.type == REPLY_ERROR)
			return refused(&r);
		reply_node_deinit(&r);
		long long took = (now_us() - before) / 1000;
		s.min = s.n == 0 || took < s.min ? took : s.min;
		s.max = took > s.max ? took : s.max;
		s.sum += took;
		s.n++;
		if (o->output == OUTPUT_TTY)
			print_latency(o, &s);
		else if (now_us() >= end)
			break;
		usleep(10000);
	}
	print_latency(o, &s);
	return 0;
}

/* ---- --pipe ---- */

struct piping {
	struct buf out;
	size_t sent; /* of out */
	bool all_read;
	char end_mark[33]; /* what ECHO gives back behind the last reply */
	long long errors, replies;
	bool done;
};

static void pipe_read_stdin(struct piping *p)
{
	p->out.len = p->sent = 0;
	ssize_t n = read(STDIN_FILENO, buf_reserve(&p->out, 65536), 65536);
	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		p->out.len = (size_t)n;
		return;
	}
	unsigned char noise[16];
	ssize_t got = getrandom(noise, sizeof(noise), 0);
	for (size_t i = 0; i < sizeof(noise); i++)
		snprintf(p->end_mark + 2 * i, 3, "%02x",
			 got == sizeof(noise) ? noise[i] : (unsigned)getpid() >> i & 255);
	/* The empty lines end an inline command that was cut off. */
	buf_printf(&p->out, "\r\n*2\r\n$4\r\nECHO\r\n$32\r\n%s\r\n", p->end_mark);
	p->all_read = true;
}

static void pipe_count(struct piping *p, struct reply_node *r)
{
	if (p->all_read && r->type == REPLY_STRING && str_eq(r->str, r->n, p->end_mark)) {
		p->done = true;
	} else if (r->type != REPLY_PUSH && r->type != REPLY_ATTRIBUTE) {
		p->replies++;
		if (r->type == REPLY_ERROR) {
			p->errors++;
			fprintf(stderr, "%s\n", r->str);
		}
	}
	reply_node_deinit(r);
}

/* Takes what has arrived. False: the connection is gone. */
static bool pipe_receive(struct cli_conn *c, struct piping *p)
{
	struct reply_node r;
	enum reply_parse_result got;
	ssize_t n = recv(c->fd, buf_reserve(&c->in, 65536), 65536, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		snprintf(c->error, sizeof(c->error), "%s", n == 0 ? "Server closed the connection" : strerror(errno));
		return false;
	}
	c->in.len += (size_t)n;
	while ((got = reply_parse(&c->parser, &c->in, &r)) == REPLY_DONE)
		pipe_count(p, &r);
	if (got == REPLY_BROKEN)
		snprintf(c->error, sizeof(c->error), "%s", c->parser.error);
	else if (c->parser.depth == 0)
		reply_parser_compact(&c->parser, &c->in);
	return got != REPLY_BROKEN;
}

static bool pipe_send(struct cli_conn *c, struct piping *p)
{
	ssize_t n = send(c->fd, p->out.data + p->sent, p->out.len - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* Why the server hung up may be there to read. */
		p->sent = p->out.len;
		return errno == EPIPE || errno == ECONNRESET;
	}
	if (n > 0)
		p->sent += (size_t)n;
	return true;
}

static int run_pipe(struct cli_conn *c)
{
	struct piping p = {0};
	bool told = false;
	int status = 1;

	if (!cli_connect(c))
		return 1;
	while (!p.done) {
		if (p.sent == p.out.len && !p.all_read)
			pipe_read_stdin(&p);
		bool more = p.sent < p.out.len;
		struct pollfd fd = {.fd = c->fd, .events = (short)(POLLIN | (more ? POLLOUT : 0))};
		if (!more && !told) {
			puts("Everything is sent; replies are still to come.");
			fflush(stdout);
			told = true;
		}
		int n = poll(&fd, 1, c->options->pipe_timeout > 0 ? (int)c->options->pipe_timeout * 1000 : -1);
		if (n == 0) {
			fprintf(stderr, "No replies for %ld seconds: giving up.\n", c->options->pipe_timeout);
			goto out;
		}
		if ((fd.revents & ~POLLOUT && !pipe_receive(c, &p)) || (fd.revents & POLLOUT && !pipe_send(c, &p))) {
			give_up(c);
			goto out;
		}
	}
	status = p.errors > 0;
out:
	printf("errors: %lld, replies: %lld\n", p.errors, p.replies);
	buf_deinit(&p.out);
	return status;
}

int cli_run_mode(struct cli_conn *c)
{
	switch (c->options->mode) {
	case MODE_STAT:
		return run_stat(c);
	case MODE_SCAN:
		return run_scan(c);
	case MODE_LATENCY:
		return run_latency(c);
	default:
		return run_pipe(c);
	}
}
