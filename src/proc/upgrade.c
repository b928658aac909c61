/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replacing the binary (proc/upgrade.h).
 *
 * The supervisor alone. It is the same process before and after, so whoever watches it sees no death, and the lock on the store is held all the
 * time. The listening sockets stay open, so clients that come meanwhile wait in their queues.
 *
 * Death during it: as any death of the supervisor; the next start adopts the store.
 */
#include "proc/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/seldom.h"
#include "base/version.h"
#include "proc/handover.h"
#include "proc/listen.h"
#include "proc/loads.h"
#include "proc/notify.h"
#include "proc/oom.h"
#include "proc/start.h"
#include "shm/control.h"

#define ASK_MS 5000

static char **arguments; /* as given, a NULL at the end; in memory that children do not see: a password may be among them */
static SELDOM_USED char folder[4096];
static bool from_stdin;

void upgrade_keep_arguments(int argc, char **argv)
{
	size_t bytes = ((size_t)argc + 1) * sizeof *argv;
	for (int i = 0; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	arguments = config_secret_memory(bytes);
	char *text = (char *)(arguments + argc + 1);
	for (int i = 0; i < argc; i++) {
		arguments[i] = text;
		text = stpcpy(text, argv[i]) + 1;
	}
	/* As config_load reads them: in the place of the file, or at the end. */
	from_stdin = argc > 1 && (strcmp(argv[1], "-") == 0 || strcmp(argv[argc - 1], "-") == 0);
	if (!getcwd(folder, sizeof folder))
		folder[0] = 0;
}

/* The store's name holds the port of the start, and the store itself whose it is. */
static int64_t first_port;
static char *first_instance;

/* The password at the start, in memory that children do not see. */
static char *first_password;
static size_t first_length;

void upgrade_keep_password(void)
{
	first_port = config->port;
	first_instance = strdup(instance_text());
	const char *password = config_password(&first_length);
	first_password = config_secret_memory(first_length + 1);
	memcpy(first_password, password, first_length);
}

/* The next binary reads the configuration again: it would serve without a password, or with the old one. */
static bool password_changed(void)
{
	size_t n;
	const char *password = config_password(&n);
	return n != first_length || memcmp(password, first_password, n) != 0;
}

/* ---- may it be done? ---- */

/* Starts the binary as it will be started, but asking; its words come from `out`. Returns the error. */
static int spawn_asking(pid_t *pid, int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none;
	int n = 0;
	while (arguments[n])
		n++;
	char **argv = calloc((size_t)n + 2, sizeof *argv);
	if (!argv)
		return ENOMEM;
	argv[0] = (char[]){"bulkhead-server"};
	argv[1] = (char[]){"--store-format"};
	for (int i = 1; i < n; i++)
		argv[i + 1] = arguments[i];
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	if (*folder)
		posix_spawn_file_actions_addchdir_np(&files, folder);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&how, &none);
	int e = posix_spawn(pid, config->executable, &files, &how, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	free(argv);
	return e;
}

/* All that comes until the other side ends or nothing comes for long. */
static size_t read_answer(int from, char *answer, size_t cap)
{
	size_t len = 0;
	while (len < cap - 1) {
		struct pollfd p = {.fd = from, .events = POLLIN};
		ssize_t n = poll(&p, 1, ASK_MS) == 1 ? read(from, answer + len, cap - 1 - len) : 0;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	answer[len] = 0;
	return len;
}

/*
 * The format is said by itself, before the configuration is read; then this line, or what is wrong with the configuration, and a status that is not 0.
 * A build that reads no configuration for it says its format alone.
 */
#define STORE_LINE "store: "

void upgrade_answer(void)
{
	int64_t maxclients = config->maxclients;
	uint32_t slots = limits_check(&maxclients);
	printf(STORE_LINE "%" PRIu32 " %" PRId64 " %s\n", slots, config->databases, instance_text());
	exit(0);
}

/* Why not; NULL: the store that the next server wants is this one. */
static const char *other_store(const char *wanted)
{
	static SELDOM_USED char why[2 * CONFIG_TEXT * 2 + 256];
	uint32_t slots;
	int64_t databases;
	int at = 0;
	if (sscanf(wanted, "%" SCNu32 " %" SCNd64 " %n", &slots, &databases, &at) != 2)
		return "it says something strange about the data it wants";
	if (slots <= control->slots && databases == config->databases && strcmp(wanted + at, first_instance) == 0)
		return NULL;
	snprintf(why, sizeof why,
		 "the data is that of the server of %s, with %" PRId64 " databases and room for %" PRIu32
		 " processes; by the configuration as it is now the next one is that of %s, and wants %" PRId64 " and %" PRIu32,
		 first_instance, config->databases, control->slots, wanted + at, databases, slots);
	return why;
}

/* What the binary has to say beyond its format. Ends lines. */
static const char *objection_in(char *rest, int status)
{
	char *store = strstr(rest, STORE_LINE);
	if (status == 0 && store) {
		store += sizeof STORE_LINE - 1;
		store[strcspn(store, "\n")] = 0;
		return other_store(store);
	}
	for (char *c = rest; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	return status == 0 ? NULL : *rest ? rest : "its check of the configuration did not end";
}

/* Asks the binary for its store's format, `answer`, and for what it has against the configuration, `objection`, both in a buffer that is
 * overwritten by the next call. False when it says nothing in time, with the error if there is one in errno. */
static bool ask(char **answer, const char **objection)
{
	static SELDOM_USED char text[3 * CONFIG_TEXT];
	int ends[2], status = 0;
	pid_t pid;
	if (pipe2(ends, O_CLOEXEC))
		return false;
	int e = spawn_asking(&pid, ends[1]);
	io_close(&ends[1]);
	size_t n = 0;
	if (e == 0) {
		n = read_answer(ends[0], text, sizeof text);
		siginfo_t over = {0};
		for (int tries = 0; tries < 100 && waitid(P_PID, (id_t)pid, &over, WEXITED | WNOHANG | WNOWAIT) == 0 && !over.si_pid; tries++)
			usleep(10000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	io_close(&ends[0]);
	char *end = text + strcspn(text, "\n"), *rest = end + strspn(end, "\n");
	*end = 0;
	*answer = text;
	*objection = objection_in(rest, status);
	errno = e;
	return n > 0;
}

bool upgrade_possible(void)
{
	char *answer;
	const char *objection;
	if (loads_under_way()) {
		log_warning("Not upgrading: data is still being loaded");
		return false;
	}
	if (from_stdin) {
		log_warning("Not upgrading: the configuration was read from standard input and cannot be read again");
		return false;
	}
	if (password_changed()) {
		log_warning("Not upgrading: requirepass was changed by CONFIG SET, which the next binary would not know of");
		return false;
	}
	if (config->port != first_port) {
		log_warning("Not upgrading: port was changed by CONFIG SET, and the data is that of the server on port %d", (int)first_port);
		return false;
	}
	if (!*config->executable) {
		log_warning("Not upgrading: without /proc it is not known which binary this is");
		return false;
	}
	if (!ask(&answer, &objection)) {
		log_warning("Not upgrading: %s does not say which format of store it works on%s%s", config->executable,
			    errno ? ": " : "", errno ? strerror(errno) : "");
		return false;
	}
	const char *theirs = strstr(answer, "format "), *ours = strstr(BULKHEAD_STORE_BUILD, "format ");
	if (theirs && strcmp(theirs, ours) == 0) {
		if (objection)
			log_warning("Not upgrading: %s", objection);
		return !objection;
	}
	log_warning("Not upgrading: %s is Bulkhead %s; the data in memory is of Bulkhead %s", config->executable, answer,
		    BULKHEAD_STORE_BUILD);
	return false;
}

/* ---- doing it ---- */

static char *list_end; /* of the text being made */

static void hand_over(int fd)
{
	list_end += sprintf(list_end, " %d", fd);
	fcntl(fd, F_SETFD, 0);
}

static void keep_back(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void upgrade_execute(int store)
{
	/* Asked again: the last clients may have changed the configuration, or its file. */
	if (!upgrade_possible())
		return;
	char list[HANDOVER_MAX * 12];
	list_end = list + sprintf(list, "%d", (int)getpid());
	hand_over(store);
	listen_each(hand_over);
	setenv(HANDOVER_VARIABLE, list, 1);
	notify_hand_over();
	oom_restore();
	char *here = getcwd(NULL, 0);
	if (*folder && chdir(folder))
		log_warning("Cannot go back to %s: %s", folder, strerror(errno));
	log_notice("Executing %s", config->executable);
	execv(config->executable, arguments);
	log_warning("Not upgraded: %s: %s", config->executable, strerror(errno));
	if (here && chdir(here))
		log_warning("Cannot go back to %s: %s", here, strerror(errno));
	free(here);
	unsetenv(HANDOVER_VARIABLE);
	notify_keep_back();
	oom_set(config);
	keep_back(store);
	listen_each(keep_back);
}
