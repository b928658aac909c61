/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * torture - kills processes of a server under load, and proves that nothing was lost, half-written, leaked or held up
 *
 * usage: torture [--server PATH | --port N] [option ...] [-- argument of the server ...]
 *
 *     --server PATH      the server to start and torture; without it the one on --port, of which only the processes are hit
 *     --clients N        8
 *     --kills N          ends after so many (default 500)
 *     --rate N           kills or stops in a second (50)
 *     --seconds N        ends after so long, whatever was killed (0: no limit)
 *     --supervisor N     kills the supervisor N times instead, and starts the server again each time
 *     --stop             stops workers for a moment instead, some of them until lock-timeout ends them
 *     --limit N          longest operation of a client whose worker was not hit, ms (100)
 *     --seed N
 *
 * What is killed: workers, spare ones, the expirer, medics at work, by SIGKILL, SIGSEGV and SIGABRT. A client whose connection breaks does not
 * know whether its last command was executed; all else it knows exactly (client.c). At the end nothing may be left: no client, no
 * block of memory, nothing that DEBUG FSCK finds, no line of a panic in the server's log.
 *
 * Exits 0; 1 after a violation; 77 when the server has not what is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

#define START_NS (60 * 1000000000ll)
#define CANNOT 77
#define LEFT_OVER 65536 /* bytes that may be accounted to processes in other ways than before */

struct torture *torture;
struct options options = {.clients = 8, .kills = 500, .rate = 50, .limit_ms = 100, .lock_timeout_ms = 300};
static char dir[64];
static pid_t clients[CLIENTS_MAX], watcher;
static struct durations restarts;
static struct tally total;

static void end_server(void)
{
	char path[96];
	if (!options.server || !supervisor)
		return;
	kill(supervisor, SIGTERM);
	bool ended = false;
	for (int i = 0; i < 2000 && !ended; i++) {
		ended = waitpid(supervisor, NULL, WNOHANG) != 0;
		usleep(ended ? 0 : 10000);
	}
	if (!ended) {
		printf("# the server does not stop\n");
		total.violations++;
		kill(supervisor, SIGKILL);
		waitpid(supervisor, NULL, 0);
	}
	supervisor = 0;
	if (total.violations) {
		printf("# the server's log: %s/log\n", dir);
		return;
	}
	snprintf(path, sizeof path, "%s/log", dir);
	unlink(path);
	rmdir(dir);
}

static _Noreturn void give_up(int status, const char *why)
{
	printf("torture: %s\n", why);
	total.violations += status == 1;
	end_server();
	exit(status);
}

/* ---- the server ---- */

static void exec_server(void)
{
	char port[16], log[96], *args[64] = {(char *)options.server, "--port", port, "--dir", dir, "--save", "",
					     "--enable-debug-command", "yes"};
	int n = 9;
	snprintf(port, sizeof port, "%d", options.port);
	snprintf(log, sizeof log, "%s/log", dir);
	for (char **more = options.server_args; *more && n < 63; more++)
		args[n++] = *more;
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), in = open("/dev/null", O_RDONLY);
	dup2(in, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	close(fd);
	close(in);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execv(options.server, args);
	_exit(127);
}

/* Returns ns from here to the first PONG, or -1: it ended. */
static int64_t start_server(void)
{
	struct reply r;
	int64_t began = now_ns();
	fflush(stdout);
	supervisor = fork();
	if (supervisor == 0)
		exec_server();
	while (now_ns() - began < START_NS) {
		if (wire_connect(options.port) && ask(&r, "PING") && r.type == '+')
			return now_ns() - began;
		if (waitpid(supervisor, NULL, WNOHANG) == supervisor) {
			supervisor = 0;
			return -1;
		}
		usleep(300);
	}
	return -1;
}

static void first_start(void)
{
	snprintf(dir, sizeof dir, "/tmp/torture.XXXXXX");
	if (!mkdtemp(dir))
		give_up(1, "no directory");
	for (int i = 0; i < 8; i++) {
		options.port = 10000 + (int)draw(20000);
		/* Nobody can reserve a port. */
		if (!wire_connect(options.port) && start_server() >= 0)
			break;
	}
	if (!supervisor)
		give_up(1, "the server does not start");
	const char *ledger = getenv("BULKHEAD_LEDGER");
	char path[512];
	snprintf(path, sizeof path, "%s/servers", ledger ? ledger : "");
	FILE *f = ledger ? fopen(path, "a") : NULL;
	if (f) {
		fprintf(f, "%d %d torture\n", options.port, supervisor);
		fclose(f);
	}
}

static bool reach(void)
{
	for (int i = 0; i < 5000; i++) {
		if (wire_connect(options.port))
			return true;
		usleep(1000);
	}
	return false;
}

/* A field of INFO, or -1. */
static long field(const char *name)
{
	struct reply r;
	char line[64];
	snprintf(line, sizeof line, "\n%s:", name);
	if (!ask(&r, "INFO everything") || r.type != '$')
		return -1;
	char *at = strstr(r.data, line);
	return at ? atol(at + strlen(line)) : -1;
}

static bool has_parameter(const char *name)
{
	struct reply r;
	return ask(&r, "CONFIG GET %s", name) && r.type == '*' && r.n == 2;
}

static void prepare(void)
{
	struct reply r;
	if (!reach() || !ask(&r, "FLUSHALL") || r.type != '+')
		give_up(1, "no connection to the server");
	if (!supervisor)
		supervisor = (pid_t)field("process_id");
	if (options.supervisor && !options.server)
		give_up(1, "--supervisor needs --server");
	if (options.supervisor && !has_parameter("warm-restart"))
		give_up(CANNOT, "this server has no warm restart");
	/* A server that can cancel commands also ends a holder that is stopped. */
	options.for_ever = options.stop && has_parameter("command-timeout");
	if (options.stop && !options.for_ever)
		printf("# this server does not end stopped lock holders: each is continued\n");
	if (options.for_ever && (!ask(&r, "CONFIG SET lock-timeout %d", options.lock_timeout_ms) || r.type != '+'))
		give_up(1, "lock-timeout cannot be set");
	if (!client_prepare())
		give_up(1, "the connection broke");
}

/* ---- under load ---- */

static pid_t fork_body(void (*body)(void))
{
	fflush(stdout);
	pid_t p = fork();
	if (p)
		return p;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	body();
	_exit(0);
}

static unsigned next_client;
static void client_body(void)
{
	client_run(next_client);
}

static void start_clients(void)
{
	wire_close();
	watcher = fork_body(watch_machine);
	for (next_client = 0; next_client < (unsigned)options.clients; next_client++)
		clients[next_client] = fork_body(client_body);
}

static void join_clients(void)
{
	atomic_store(&torture->stop, 1);
	for (int i = 0; i < options.clients; i++) {
		waitpid(clients[i], NULL, 0);
		if (!torture->tally[i].finished && !torture->tally[i].violations)
			violation("client %d did not come to its end", i);
	}
	kill(watcher, SIGKILL);
	waitpid(watcher, NULL, 0);
}

static void sleep_until(int64_t at)
{
	struct timespec t = {at / 1000000000, at % 1000000000};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static bool any_client_failed(void)
{
	for (int i = 0; i < options.clients; i++)
		if (torture->tally[i].violations > 100)
			return true;
	return false;
}

static void harm_processes(void)
{
	int64_t began = now_ns(), at = began, step = (int64_t)(1e9 / options.rate);
	int64_t end = options.seconds > 0 ? began + (int64_t)(options.seconds * 1e9) : INT64_MAX;
	while ((options.stop ? harm_stops : harm_kills) < options.kills && now_ns() < end && !any_client_failed()) {
		at += step;
		if (at < now_ns())
			at = now_ns();
		sleep_until(at);
		harm_continue(false);
		if (options.stop)
			harm_stop();
		else
			harm_kill();
	}
	harm_continue(true);
	sleep_until(now_ns() + 100000000);
}

static void kill_supervisors(void)
{
	for (uint64_t i = 0; i < options.supervisor && !any_client_failed(); i++) {
		sleep_until(now_ns() + 200000000 + 1000000 * (int64_t)draw(400));
		kill(supervisor, SIGKILL);
		waitpid(supervisor, NULL, 0);
		int64_t took = start_server();
		if (took < 0) {
			violation("the server did not start after death %llu", (unsigned long long)i + 1);
			return;
		}
		durations_add(&restarts, took);
		wire_close();
	}
	sleep_until(now_ns() + 200000000);
}

/* ---- what must hold at the end ---- */

static void check_fsck(void)
{
	struct reply r;
	if (!ask(&r, "DEBUG FSCK"))
		violation("the connection broke at DEBUG FSCK");
	else if (r.type == '-' && strstr(r.data, "unknown subcommand"))
		printf("# this server has no DEBUG FSCK: not checked\n");
	else if (r.type == '-')
		violation("DEBUG FSCK: %s", r.data);
}

static void check_alone(void)
{
	struct reply r;
	long n = 0;
	for (int i = 0; i < 100 && n != 1; i++) {
		n = 0;
		if (!ask(&r, "CLIENT LIST") || r.type != '$')
			break;
		for (char *at = r.data; (at = strstr(at, "id=")); at += 3)
			n += at == r.data || at[-1] == '\n';
		usleep(10000);
	}
	if (n != 1)
		violation("CLIENT LIST counts %ld clients", n);
}

static void check_memory(long before)
{
	struct reply r;
	long after = -1;
	if (!ask(&r, "FLUSHALL") || r.type != '+')
		violation("FLUSHALL failed");
	for (int i = 0; i < 500; i++) {
		after = field("used_memory_dataset");
		if (after >= 0 && after <= before)
			break;
		usleep(10000);
	}
	printf("  %-28s %8ld, %ld before\n", "bytes after FLUSHALL", after, before);
	if (after < 0 || after > before + LEFT_OVER)
		violation("%ld bytes after FLUSHALL, %ld before", after, before);
}

static void check_log(void)
{
	char path[96], line[2048];
	snprintf(path, sizeof path, "%s/log", dir);
	FILE *f = options.server ? fopen(path, "r") : NULL;
	while (f && fgets(line, sizeof line, f))
		if (strstr(line, "panic at") || strstr(line, "Sanitizer"))
			violation("in the log: %.200s", line);
	if (f)
		fclose(f);
}

static void check_end(long memory_before)
{
	if (!reach()) {
		violation("no connection at the end");
		return;
	}
	client_check_shared();
	check_alone();
	check_fsck();
	check_memory(memory_before);
	check_fsck();
	check_log();
}

/* ---- the table ---- */

static void print_durations(const char *what, const struct durations *d)
{
	if (d->n)
		printf("  %-28s %8llu  p50 %.2f  p99 %.2f  max %.2f ms\n", what, (unsigned long long)d->n, durations_ms(d, 0.5),
		       durations_ms(d, 0.99), (double)d->max_ns / 1e6);
}

static void add_up(void)
{
	for (int i = 0; i < options.clients; i++) {
		struct tally *t = &torture->tally[i];
		durations_sum(&total.ops, &t->ops);
		durations_sum(&total.recoveries, &t->recoveries);
		total.breaks += t->breaks;
		total.refused += t->refused;
		total.excused += t->excused;
		if (t->violations && !total.violations)
			memcpy(total.first, t->first, sizeof total.first);
		total.violations += t->violations;
	}
}

static void print_table(double seconds)
{
	int64_t still = 0;
	uint64_t n = atomic_load(&torture->nstalls);
	for (uint64_t i = n > STALLS ? n - STALLS : 0; i < n; i++)
		if (torture->stalls[i % STALLS].to - torture->stalls[i % STALLS].from > still)
			still = torture->stalls[i % STALLS].to - torture->stalls[i % STALLS].from;
	printf("  %-28s %8.1f\n", "seconds", seconds);
	if (harm_stops)
		printf("  %-28s %8llu\n", "stops", (unsigned long long)harm_stops);
	printf("  %-28s %8llu\n", "kills", (unsigned long long)harm_kills);
	harm_print();
	print_durations("operations", &total.ops);
	print_durations("broken to connected again", &total.recoveries);
	print_durations("killed to all healed", &healed);
	print_durations("restarts, to the first PONG", &restarts);
	printf("  %-28s %8llu\n", "connections refused", (unsigned long long)total.refused);
	printf("  %-28s %8llu  longest pause of the machine %.0f ms\n", "slow, but excused", (unsigned long long)total.excused,
	       (double)still / 1e6);
	printf("  %-28s %8llu\n", "violations", (unsigned long long)total.violations);
	if (total.violations)
		printf("  first: %s\n", total.first);
}

/* ---- arguments ---- */

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: torture [--server PATH | --port N] [--clients N] [--kills N] [--rate N] [--seconds N]\n"
			"               [--supervisor N] [--stop] [--limit MS] [--seed N] [-- argument of the server ...]\n");
	exit(2);
}

static void take_arguments(int argc, char **argv)
{
	static const struct option known[] = {
	    {"server", 1, NULL, 's'}, {"port", 1, NULL, 'p'},	    {"clients", 1, NULL, 'c'}, {"kills", 1, NULL, 'k'},
	    {"rate", 1, NULL, 'r'},   {"seconds", 1, NULL, 't'},    {"supervisor", 1, NULL, 'S'}, {"stop", 0, NULL, 'T'},
	    {"limit", 1, NULL, 'l'},  {"seed", 1, NULL, 'e'},	    {NULL, 0, NULL, 0},
	};
	options.seed = (unsigned)time(NULL) ^ (unsigned)getpid();
	for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (o) {
		case 's': options.server = optarg; break;
		case 'p': options.port = atoi(optarg); break;
		case 'c': options.clients = atoi(optarg); break;
		case 'k': options.kills = strtoull(optarg, NULL, 10); break;
		case 'r': options.rate = atof(optarg); break;
		case 't': options.seconds = atof(optarg); break;
		case 'S': options.supervisor = strtoull(optarg, NULL, 10); break;
		case 'T': options.stop = true; break;
		case 'l': options.limit_ms = atoi(optarg); break;
		case 'e': options.seed = (unsigned)strtoul(optarg, NULL, 10); break;
		default: usage();
		}
	}
	options.server_args = argv + optind;
	if ((!options.server && !options.port) || options.clients < 1 || options.clients > CLIENTS_MAX || !(options.rate > 0))
		usage();
}

int main(int argc, char **argv)
{
	take_arguments(argc, argv);
	printf("# torture: %d clients, seed %u\n", options.clients, options.seed);
	torture = mmap(NULL, sizeof *torture, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (torture == MAP_FAILED)
		give_up(1, "out of memory");
	mine = &total;
	signal(SIGPIPE, SIG_IGN);
	if (options.server)
		first_start();
	struct reply r;
	if (!reach() || !ask(&r, "FLUSHALL"))
		give_up(1, "no connection to the server");
	long memory_before = field("used_memory_dataset");
	prepare();
	int64_t began = now_ns();
	start_clients();
	if (options.supervisor)
		kill_supervisors();
	else
		harm_processes();
	join_clients();
	double seconds = (double)(now_ns() - began) / 1e9;
	check_end(memory_before);
	add_up();
	print_table(seconds);
	wire_close();
	end_server();
	return total.violations != 0;
}
