/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe - what one client of a server feels, measured in an open loop
 *
 * Sends one command at each scheduled moment (1,000 a second for 20 s by default) over one connection, whether or not
 * earlier replies have come, and measures each latency from the scheduled moment. A server that stands still for 50 ms
 * is thus seen by all 50 requests that fell due meanwhile, not by one (no coordinated omission).
 *
 * One process, one thread, one ppoll that ends at the next scheduled moment or when a reply comes. The kernel's timer
 * slack (50 us) is set to 1 ns, so that it does not end up in the figures.
 *
 * With -f it measures a disk instead: how long fdatasync takes after each of some hundred small writes to a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
/* How long after the last request replies are still waited for. */
#define DRAIN_NS (10 * NS_PER_S)
/* What stands for {} in a command, and the step from one number to the next: a prime, so that all come in turn. */
#define DIGITS "000000000000"
#define LEAP 7919u
#define SYNCS 300

struct options {
	const char *host, *port, *path, *command;
	const char *file;
	long rate, seconds, range;
	bool terse;
};

/* What is known of the reply that is being received. */
struct reader {
	char line[64];
	size_t line_len;
	int64_t bulk_left; /* bytes of a bulk string and its CRLF still to come */
	int64_t depth[8];  /* elements still to come on each level of an array */
	int level;
	uint64_t errors;
};

static _Noreturn void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "probe: ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("%s: path too long", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static int connect_tcp(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *a;
	int fd = -1, one = 1, error = getaddrinfo(host, port, &hints, &found);

	if (error != 0)
		die("%s: %s", host, gai_strerror(error));
	for (a = found; a != NULL; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	if (fd < 0)
		die("%s:%s: %s", host, port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* One element is complete: is the whole reply? */
static bool element_done(struct reader *r)
{
	while (r->level > 0) {
		if (--r->depth[r->level - 1] > 0)
			return false;
		r->level--;
	}
	return true;
}

/* A header line is complete. Returns whether the whole reply is. */
static bool line_done(struct reader *r)
{
	int64_t count;

	r->line[r->line_len < sizeof(r->line) ? r->line_len : sizeof(r->line) - 1] = '\0';
	r->line_len = 0;
	count = strtoll(r->line + 1, NULL, 10);
	switch (r->line[0]) {
	case '$':
	case '=':
		if (count < 0)
			return element_done(r);
		r->bulk_left = count + 2;
		return false;
	case '*':
	case '~':
	case '%':
		if (r->line[0] == '%')
			count *= 2;
		if (count <= 0)
			return element_done(r);
		if (r->level == (int)(sizeof(r->depth) / sizeof(r->depth[0])))
			die("reply nested too deep");
		r->depth[r->level++] = count;
		return false;
	case '-':
		if (r->errors++ == 0)
			fprintf(stderr, "probe: first error: %s\n", r->line);
		return element_done(r);
	case '+':
	case ':':
	case '_':
	case ',':
	case '#':
		return element_done(r);
	default:
		die("not a reply: %.40s", r->line);
	}
}

/* Consumes received bytes; returns how many replies they complete. */
static uint64_t consume(struct reader *r, const char *data, size_t len)
{
	uint64_t replies = 0;
	size_t i = 0;

	while (i < len) {
		if (r->bulk_left > 0) {
			size_t n = len - i < (size_t)r->bulk_left ? len - i : (size_t)r->bulk_left;

			i += n;
			r->bulk_left -= (int64_t)n;
			if (r->bulk_left == 0)
				replies += element_done(r);
			continue;
		}
		if (data[i] == '\n')
			replies += line_done(r);
		else if (data[i] != '\r') {
			if (r->line_len < sizeof(r->line))
				r->line[r->line_len] = data[i];
			r->line_len++;
		}
		i++;
	}
	return replies;
}

/* The command with digits in place of the first {}. The caller frees it. */
static char *with_digits(const char *command)
{
	const char *at = strstr(command, "{}");
	char *out;

	if (asprintf(&out, "%.*s%s%s", at ? (int)(at - command) : (int)strlen(command), command, at ? DIGITS : "", at ? at + 2 : "") < 0)
		die("no memory");
	return out;
}

/* The words of a command line as one RESP array. The caller frees it. */
static char *encode(const char *command, size_t *len)
{
	size_t room = strlen(command) * 16 + 64, used;
	char *out = malloc(room), *copy = strdup(command), *word, *save;
	int words = 0;

	if (out == NULL || copy == NULL)
		die("no memory");
	for (word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		words++;
	if (words == 0)
		die("empty command");
	used = (size_t)sprintf(out, "*%d\r\n", words);
	memcpy(copy, command, strlen(command) + 1);
	for (word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		used += (size_t)sprintf(out + used, "$%zu\r\n%s\r\n", strlen(word), word);
	free(copy);
	*len = used;
	return out;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct options *o, int64_t *latency, uint64_t sent, uint64_t received, uint64_t errors)
{
	static const double quantile[] = {0.5, 0.99, 0.999, 1};
	double us[4] = {0};

	qsort(latency, received, sizeof(*latency), by_size);
	for (int i = 0; received > 0 && i < 4; i++) {
		uint64_t rank = (uint64_t)(quantile[i] * (double)received);

		us[i] = (double)latency[rank < received ? rank : received - 1] / 1000;
	}
	if (o->terse)
		printf("%.0f %.0f %.0f %.0f %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", us[0], us[1], us[2], us[3], sent,
		       received, errors);
	else
		printf("p50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us; sent %" PRIu64 ", received %" PRIu64
		       ", errors %" PRIu64 "\n",
		       us[0], us[1], us[2], us[3], sent, received, errors);
}

/* The scheduled moment of request n. */
static int64_t due(const struct options *o, int64_t start, uint64_t n)
{
	return start + (int64_t)(n * (uint64_t)NS_PER_S / (uint64_t)o->rate);
}

/* Writes a number over the digits. */
static void put_number(char *digits, uint64_t number)
{
	for (size_t i = sizeof(DIGITS) - 1; i-- > 0; number /= 10)
		digits[i] = (char)('0' + number % 10);
}

/* Runs the schedule; latency has room for total entries. Returns the number of replies. */
static uint64_t measure(int fd, const struct options *o, int64_t *latency, uint64_t total, struct reader *r,
			uint64_t *sent)
{
	uint64_t received = 0;
	size_t len, part = 0;
	char *command = with_digits(o->command), *request = encode(command, &len), *digits = NULL;
	char buffer[65536];
	int64_t start;

	if (strstr(o->command, "{}") != NULL)
		digits = strstr(request, DIGITS);
	free(command);

	start = now_ns() + NS_PER_S / 100;
	*sent = 0;
	while (received < total) {
		int64_t now = now_ns(), wait;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct timespec ts;
		ssize_t n;

		if (*sent < total && now >= due(o, start, *sent)) {
			if (digits != NULL && part == 0)
				put_number(digits, *sent * LEAP % (uint64_t)o->range);
			n = send(fd, request + part, len - part, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n > 0) {
				part += (size_t)n;
				if (part == len) {
					part = 0;
					++*sent;
				}
			} else if (errno == EAGAIN) {
				p.events |= POLLOUT; /* the server does not read; the clock of the request goes on */
			} else if (errno != EINTR) {
				die("send: %s", strerror(errno));
			}
		}
		wait = due(o, start, *sent) - now + (*sent == total ? DRAIN_NS : 0);
		if (*sent == total && wait <= 0)
			break;
		if (p.events & POLLOUT)
			wait = NS_PER_S / 100;
		ts = (struct timespec){.tv_sec = wait > 0 ? wait / NS_PER_S : 0,
				       .tv_nsec = wait > 0 ? wait % NS_PER_S : 0};
		if (ppoll(&p, 1, &ts, NULL) < 0 && errno != EINTR)
			die("ppoll: %s", strerror(errno));
		if (!(p.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n == 0)
			die("the server closed the connection after %" PRIu64 " replies", received);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("recv: %s", strerror(errno));
		now = now_ns();
		for (uint64_t done = n > 0 ? consume(r, buffer, (size_t)n) : 0; done > 0; done--, received++) {
			if (received >= *sent)
				die("more replies than requests");
			latency[received] = now - due(o, start, received);
		}
	}
	free(request);
	return received;
}

/* Prints the median and the longest of some hundred syncs, in us. The file is removed. */
static void measure_disk(const char *file)
{
	static int64_t took[SYNCS];
	char bytes[512] = {0};
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		die("%s: %s", file, strerror(errno));
	unlink(file);
	for (int i = 0; i < SYNCS; i++) {
		if (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
			die("write: %s", strerror(errno));
		int64_t began = now_ns();
		if (fdatasync(fd) != 0)
			die("fdatasync: %s", strerror(errno));
		took[i] = now_ns() - began;
	}
	close(fd);
	qsort(took, SYNCS, sizeof(took[0]), by_size);
	printf("%" PRId64 " %" PRId64 "\n", took[SYNCS / 2] / 1000, took[SYNCS - 1] / 1000);
}

static _Noreturn void usage(int status)
{
	fputs("usage: probe [-h host] [-p port | -s socket] [-r requests a second] [-d seconds] [-k key]\n"
	      "             [-c command] [-n numbers] [-t]\n"
	      "       probe -f file\n"
	      "Measures the latency of one client from the scheduled moment of each request (GET of the key, 1,000 a\n"
	      "second, for 20 s). In a command {} is a number of 12 digits below -n (1,000,000), another one each time.\n"
	      "-f: median and maximum of fdatasync after small writes to that file, us. -t prints only: p50 p99 p99.9 max (us) sent received errors.\n",
	      status == 0 ? stdout : stderr);
	exit(status);
}

static long positive(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end != '\0' || value <= 0 || value > 100000000)
		die("not a number from 1 to 100000000: %s", text);
	return value;
}

int main(int argc, char **argv)
{
	struct options o = {.host = "127.0.0.1", .port = "6379", .command = "GET probe", .rate = 1000, .seconds = 20, .range = 1000000};
	struct reader reader = {0};
	uint64_t total, sent = 0, received;
	int64_t *latency;
	int option, fd;
	char *get;

	while ((option = getopt(argc, argv, "h:p:s:r:d:k:c:n:f:t")) != -1) {
		switch (option) {
		case 'h':
			o.host = optarg;
			break;
		case 'p':
			o.port = optarg;
			break;
		case 's':
			o.path = optarg;
			break;
		case 'r':
			o.rate = positive(optarg);
			break;
		case 'd':
			o.seconds = positive(optarg);
			break;
		case 'k':
			if (asprintf(&get, "GET %s", optarg) < 0)
				die("no memory");
			o.command = get;
			break;
		case 'c':
			o.command = optarg;
			break;
		case 'n':
			o.range = positive(optarg);
			break;
		case 'f':
			o.file = optarg;
			break;
		case 't':
			o.terse = true;
			break;
		default:
			usage(2);
		}
	}
	if (optind != argc)
		usage(2);
	if (o.file != NULL) {
		measure_disk(o.file);
		return 0;
	}
	total = (uint64_t)o.rate * (uint64_t)o.seconds;
	latency = calloc(total, sizeof(*latency));
	if (latency == NULL)
		die("no memory");
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	fd = o.path != NULL ? connect_unix(o.path) : connect_tcp(o.host, o.port);
	received = measure(fd, &o, latency, total, &reader, &sent);
	report(&o, latency, sent, received, reader.errors);
	free(latency);
	return received == sent && reader.errors == 0 ? 0 : 1;
}
