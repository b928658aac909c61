/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress - eight processes write and read the same keys and check that commands are all or nothing
 *
 * usage: stress port [seconds [seed]]
 *
 * What holds at every moment, whoever runs what:
 *   group    keys of a group are written by one MSET and deleted by one DEL: an MGET sees equal values, or none at all
 *   value    every value carries its length and is filled with one letter: nobody sees a torn one, also after COPY
 *   token    of two keys exactly one exists; RENAME moves it to and fro
 *   own      a key that only one process uses is as that process left it
 *   sum      INCR in two databases while SWAPDB swaps them: the sum is the number of INCRs
 *   flush    (second phase) the same groups while FLUSHALL and FLUSHDB empty everything
 *
 * Prints one "ok" or "not ok" line for each; exits 1 on a violation.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PROCESSES = 8,
	GROUPS = 3,
	WIDTH = 8, /* keys of a group */
	LONGEST = 3000,
	PLACE = 0, /* the database of all but the counters */
	LEFT = 8,
	RIGHT = 9, /* the databases that are swapped */
};

enum rule { GROUP, VALUE, TOKEN, OWN, SUM, FLUSH, RULES };
static const char *const rule_name[RULES] = {"group", "value", "token", "own", "sum", "flush"};

/* Written by one process each, read by the parent after its end. */
struct tally {
	uint64_t checks[RULES], failures[RULES], increments;
	char first[RULES][200];
};

static struct tally *tally; /* PROCESSES of them, shared */
static struct tally *mine;
static int fd;
static unsigned seed;
static char buffer[1 << 20];
static size_t filled, taken;

static _Noreturn void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("not ok - stress: ");
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	_exit(2);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned draw(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

static void check(enum rule rule, bool good, const char *format, ...)
{
	va_list args;

	mine->checks[rule]++;
	if (good)
		return;
	va_start(args, format);
	if (mine->failures[rule]++ == 0)
		vsnprintf(mine->first[rule], sizeof(mine->first[rule]), format, args);
	va_end(args);
}

static void connect_to(int port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	filled = taken = 0;
}

/* Makes at least n more bytes available behind taken. */
static void want(size_t n)
{
	while (filled - taken < n) {
		ssize_t got;

		if (taken > 0) {
			memmove(buffer, buffer + taken, filled - taken);
			filled -= taken;
			taken = 0;
		}
		if (n > sizeof(buffer))
			die("a reply of more than %zu bytes", sizeof(buffer));
		got = recv(fd, buffer + filled, sizeof(buffer) - filled, 0);
		if (got <= 0)
			die("the server closed a connection (%s)", got < 0 ? strerror(errno) : "end");
		filled += (size_t)got;
	}
}

/* The next line of a reply without its end, valid until the next call. */
static char *line(void)
{
	static char text[256];
	size_t n = 0;

	for (;;) {
		want(1);
		if (buffer[taken] == '\n') {
			taken++;
			text[n > 0 && text[n - 1] == '\r' ? n - 1 : n] = '\0';
			return text;
		}
		if (n < sizeof(text) - 1)
			text[n++] = buffer[taken];
		taken++;
	}
}

/* A bulk string into out (LONGEST + 64 bytes); its length, or -1 for null. */
static long bulk(char *out)
{
	const char *head = line();
	long n;

	if (head[0] != '$')
		die("a reply that is no bulk string: %s", head);
	n = atol(head + 1);
	if (n < 0)
		return -1;
	if (n > LONGEST + 60)
		die("a value of %ld bytes that nobody wrote", n);
	want((size_t)n + 2);
	memcpy(out, buffer + taken, (size_t)n);
	out[n] = '\0';
	taken += (size_t)n + 2;
	return n;
}

/* Sends a command whose arguments hold no blanks and no zeros: "%s" and the like as in printf, blanks separate. */
static void command(const char *format, ...)
{
	static char text[WIDTH * (LONGEST + 100)], out[2 * sizeof(text)];
	size_t n = 0, sent = 0, words = 1;
	char *word, *save;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (const char *p = text; *p != '\0'; p++)
		words += *p == ' ';
	n = (size_t)sprintf(out, "*%zu\r\n", words);
	for (word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		n += (size_t)sprintf(out + n, "$%zu\r\n%s\r\n", strlen(word), word);
	while (sent < n) {
		ssize_t done = send(fd, out + sent, n - sent, MSG_NOSIGNAL);

		if (done < 0)
			die("send: %s", strerror(errno));
		sent += (size_t)done;
	}
}

/* A value: who wrote it, its length, and one letter as often. */
static void make_value(char *out)
{
	static uint64_t serial;
	size_t length = draw(4) == 0 ? draw(LONGEST) : draw(60);
	int head = sprintf(out, "%d.%lu:%zu:", (int)getpid(), (unsigned long)++serial, length);

	memset(out + head, (int)('a' + draw(26)), length);
	out[(size_t)head + length] = '\0';
}

static bool is_whole(const char *value)
{
	const char *p = strchr(value, ':');
	char *end;
	size_t length;

	if (p == NULL)
		return false;
	length = strtoul(p + 1, &end, 10);
	if (*end != ':' || strlen(end + 1) != length)
		return false;
	for (size_t i = 1; i < length; i++) {
		if (end[1 + i] != end[1])
			return false;
	}
	return true;
}

static void expect_ok(const char *what)
{
	const char *reply = line();

	if (strcmp(reply, "+OK") != 0)
		die("%s: %s", what, reply);
}

static void write_group(unsigned group)
{
	char value[LONGEST + 64], text[WIDTH * (LONGEST + 100)];
	size_t n = 0;

	make_value(value);
	for (unsigned i = 0; i < WIDTH; i++)
		n += (size_t)sprintf(text + n, " g%u:%u %s", group, i, value);
	command("MSET%s", text);
	expect_ok("MSET");
}

static void delete_group(unsigned group)
{
	char text[200];
	size_t n = 0;
	long count;

	for (unsigned i = 0; i < WIDTH; i++)
		n += (size_t)sprintf(text + n, " g%u:%u", group, i);
	command("%s%s", draw(2) ? "DEL" : "UNLINK", text);
	count = atol(line() + 1);
	check(GROUP, count == 0 || count == WIDTH, "DEL of a group of %d found %ld", WIDTH, count);
}

static void read_group(unsigned group, enum rule rule)
{
	char first[LONGEST + 64], value[LONGEST + 64], text[200];
	long length = 0, other;
	size_t n = 0;

	/* In any order: what is atomic does not depend on it. */
	unsigned start = draw(WIDTH);

	for (unsigned i = 0; i < WIDTH; i++)
		n += (size_t)sprintf(text + n, " g%u:%u", group, (i + start) % WIDTH);
	command("MGET%s", text);
	line();
	for (unsigned i = 0; i < WIDTH; i++) {
		other = bulk(value);
		if (i == 0) {
			length = other;
			memcpy(first, value, sizeof(first));
			check(VALUE, other < 0 || is_whole(value), "torn: %.60s", value);
			continue;
		}
		if (other != length || (other >= 0 && memcmp(first, value, (size_t)other) != 0)) {
			check(rule, false, "one MGET saw %.60s and %.60s", length < 0 ? "nothing" : first,
			      other < 0 ? "nothing" : value);
			while (++i < WIDTH)
				bulk(value);
			return;
		}
	}
	check(rule, true, "%s", "");
}

static void copy_value(unsigned group)
{
	char value[LONGEST + 64];

	command("COPY g%u:%u copy:%u REPLACE", group, draw(WIDTH), draw(4));
	line();
	command("GET copy:%u", draw(4));
	if (bulk(value) >= 0)
		check(VALUE, is_whole(value), "torn copy: %.60s", value);
}

static void move_token(void)
{
	char a[LONGEST + 64], b[LONGEST + 64];
	bool to_b = draw(2);

	command("RENAME token:%c token:%c", to_b ? 'a' : 'b', to_b ? 'b' : 'a');
	line();
	command("MGET token:a token:b");
	line();
	long left = bulk(a), right = bulk(b);
	check(TOKEN, (left < 0) != (right < 0), "%s", left < 0 ? "neither key exists" : "both keys exist");
}

static void use_own(void)
{
	char value[LONGEST + 64], back[2 * LONGEST];
	int me = (int)(mine - tally);

	make_value(value);
	command("SET own:%d %s", me, value);
	expect_ok("SET");
	command("APPEND own:%d %s", me, "tail");
	line();
	command("GETDEL own:%d", me);
	strcat(value, "tail");
	check(OWN, bulk(back) == (long)strlen(value) && strcmp(back, value) == 0,
	      "a value is not as it was written: %.60s", back);
	command("SET brief:%d %.*s PX 2", me, 20, value);
	expect_ok("SET");
	command("GET brief:%d", me);
	if (bulk(back) >= 0)
		check(OWN, strncmp(back, value, 20) == 0, "a value is not as it was written: %.60s", back);
}

static void count(void)
{
	command("SELECT %d", draw(2) ? LEFT : RIGHT);
	expect_ok("SELECT");
	for (unsigned i = draw(5) + 1; i > 0; i--) {
		command("INCR counter");
		if (line()[0] != ':')
			die("INCR failed");
		mine->increments++;
		if (draw(4) == 0) {
			command("SWAPDB %d %d", LEFT, RIGHT);
			expect_ok("SWAPDB");
		}
	}
	command("SELECT %d", PLACE);
	expect_ok("SELECT");
}

static void work(int number, int port, double until, bool flushing)
{
	mine = &tally[number];
	seed = seed * 31 + (unsigned)number * 7919 + flushing;
	connect_to(port);
	while (now() < until) {
		unsigned group = draw(GROUPS), what = draw(100);

		if (flushing && number == 0 && what < 10) {
			command(what < 5 ? "FLUSHALL" : "FLUSHDB");
			expect_ok("FLUSHALL");
		} else if (what < 25) {
			write_group(group);
		} else if (what < 60) {
			read_group(group, flushing ? FLUSH : GROUP);
		} else if (what < 65) {
			delete_group(group);
		} else if (what < 75) {
			copy_value(group);
		} else if (flushing) {
			read_group(group, FLUSH);
		} else if (what < 85) {
			move_token();
		} else if (what < 93) {
			use_own();
		} else {
			count();
		}
	}
	close(fd);
}

/* All processes at once until the given moment; a process that dies is a failure. */
static void phase(int port, double until, bool flushing)
{
	pid_t pid[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		fflush(stdout);
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork: %s", strerror(errno));
		if (pid[i] == 0) {
			work(i, port, until, flushing);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		if (waitpid(pid[i], &status, 0) != pid[i] || status != 0)
			tally[i].failures[OWN]++;
	}
}

static uint64_t counter(int database)
{
	char value[LONGEST + 64];

	command("SELECT %d", database);
	expect_ok("SELECT");
	command("GET counter");
	return bulk(value) < 0 ? 0 : strtoull(value, NULL, 10);
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 6379, failed = 0;
	double seconds = argc > 2 ? atof(argv[2]) : 10, start;
	uint64_t increments = 0, sum;

	seed = argc > 3 ? (unsigned)atoi(argv[3]) : (unsigned)time(NULL);
	printf("# stress: port %d, %g s, seed %u\n", port, seconds, seed);
	tally = mmap(NULL, PROCESSES * sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	mine = tally;
	connect_to(port);
	command("FLUSHALL");
	expect_ok("FLUSHALL");
	command("SET token:a here");
	expect_ok("SET");
	start = now();
	phase(port, start + seconds * 0.7, false);
	for (int i = 0; i < PROCESSES; i++)
		increments += tally[i].increments;
	sum = counter(LEFT) + counter(RIGHT);
	check(SUM, sum == increments, "%lu increments, the counters say %lu", (unsigned long)increments,
	      (unsigned long)sum);
	tally->checks[SUM] += increments;
	phase(port, start + seconds, true);
	for (int rule = 0; rule < RULES; rule++) {
		uint64_t checks = 0, failures = 0;
		const char *first = "";

		for (int i = 0; i < PROCESSES; i++) {
			checks += tally[i].checks[rule];
			failures += tally[i].failures[rule];
			if (tally[i].first[rule][0] != '\0')
				first = tally[i].first[rule];
		}
		if (failures > 0)
			printf("not ok - stress %s: %lu of %lu checks failed: %s\n", rule_name[rule],
			       (unsigned long)failures, (unsigned long)checks, first);
		else
			printf("ok - stress %s: %lu checks\n", rule_name[rule], (unsigned long)checks);
		failed |= failures > 0 || checks == 0;
	}
	return failed;
}
