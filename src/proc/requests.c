/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of other processes (proc/requests.h, shm/channel.h).
 *
 * The supervisor alone. Nothing in a request is believed: the pid is the kernel's word, the slot must be that pid's in
 * the private table, and what needs a password needs a process that the table says has given it. Requests lie in memory
 * that children do not inherit. Answers never wait: who does not listen goes without.
 */
#include "proc/requests.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/aof.h"
#include "proc/crashers.h"
#include "proc/kills.h"
#include "proc/listen.h"
#include "proc/loads.h"
#include "proc/oom.h"
#include "proc/pauses.h"
#include "proc/process.h"
#include "proc/reap.h"
#include "proc/saves.h"
#include "proc/shutdown.h"
#include "proc/spares.h"
#include "proc/stopped.h"
#include "proc/title.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/region.h"

#define BATCH 32
#define PAIRS_MAX 512 /* twice the parameters: with more, one is there twice */

static void answer(struct channel_request *r, const char *text)
{
	channel_answer(r, text, strlen(text), -1);
}

/* Splits the text, each piece ended by a NUL (the last one may lack it). Returns how many, at most `cap`. */
static size_t split(const struct channel_request *r, struct arg *out, size_t cap)
{
	size_t n = 0;
	for (size_t at = 0; at < r->n && n < cap;) {
		size_t len = strlen(r->text + at);
		out[n++] = (struct arg){r->text + at, len};
		at += len + 1;
	}
	return n;
}

/* ---- AUTH ---- */

static void serve_auth(struct channel_request *r, struct process *p)
{
	const char *user = r->text, *end = r->text + r->n;
	const char *nul = memchr(user, 0, r->n);
	const char *password = nul ? nul + 1 : end;
	/* Both are always compared, so that the time tells nothing. */
	bool right = config_password_is(password, (size_t)(end - password));
	bool known = str_eq(user, (size_t)((nul ? nul : end) - user), "default");
	if (!known || (config->password_set && !right)) {
		answer(r, "WRONGPASS invalid username-password pair or user is disabled.");
		return;
	}
	p->trusted = p->may_attach = true;
	channel_answer(r, "+OK", 3, launch_store_fd());
}

/* ---- CONFIG ---- */

static void wake_worker(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->kind == PROC_WORKER)
		kill(p->pid, SIGURG);
}

static bool scores_differ(const struct config *a, const struct config *b)
{
	return a->oom_score_adj != b->oom_score_adj ||
	       memcmp(a->oom_score_adj_values, b->oom_score_adj_values, sizeof a->oom_score_adj_values) != 0;
}

static const char *move_folder(const struct config *before, struct config *after)
{
	if (strcmp(before->dir, after->dir) == 0)
		return NULL;
	if (chdir(after->dir) || !getcwd(after->dir, sizeof after->dir))
		return strerror(errno);
	return NULL;
}

static void move_back(const struct config *before, const struct config *after)
{
	if (strcmp(before->dir, after->dir) != 0 && chdir(before->dir))
		log_warning("Cannot go back to %s: %s", before->dir, strerror(errno));
}

static const char *move_addresses(const struct config *before, const struct config *after, const char **blamed)
{
	bool port = before->port != after->port;
	if (!port && strcmp(before->bind, after->bind) == 0)
		return NULL;
	*blamed = port ? "port" : "bind";
	if (listen_rebind(after, spares_renew)) {
		if (port)
			log_notice("Listening on port %d. Shared memory keeps its name, '%s': a start finds the data by the port of this one's start",
				   (int)after->port, control->store_name);
		return NULL;
	}
	return port ? "Unable to listen on this port. Check server logs." : "Failed to bind to specified addresses.";
}

/* What a change asks for beyond the value itself. What can fail comes first, and what was done before it failed is undone. */
static const char *apply(const struct config *before, struct config *after, const char **blamed)
{
	static char text[128];
	const char *why;
	uint32_t most = control->slots - SLOTS_RESERVED;
	*blamed = "maxclients";
	if (after->maxclients > (int64_t)most) {
		snprintf(text, sizeof text, "The operating system is not able to handle the specified number of clients, try with %u", most);
		return text;
	}
	*blamed = "oom-score-adj";
	if (scores_differ(before, after) && !oom_set(after))
		return "Failed to set current oom_score_adj. Check server logs.";
	*blamed = "dir";
	why = move_folder(before, after);
	bool moved = !why, logs = before->appendonly != after->appendonly;
	if (!why && logs) {
		*blamed = "appendonly";
		why = aof_change(after->appendonly);
	}
	if (!why && (why = move_addresses(before, after, blamed)) != NULL && logs)
		aof_change(before->appendonly);
	if (why) {
		if (moved)
			move_back(before, after);
		if (scores_differ(before, after))
			oom_set(before);
		return why;
	}
	if (before->tcp_keepalive != after->tcp_keepalive)
		listen_keepalive(after->tcp_keepalive);
	if (strcmp(before->dir, after->dir) != 0)
		log_notice("The directory is %s. The data in shared memory stays that of this one's start: a start in another directory discards it",
			   after->dir);
	title_set_supervisor(after);
	return NULL;
}

/* From a unix socket or over the loopback, by what the process has told before it could read from its client. */
static bool is_local(const struct process *p)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	if (p->peer.family == AF_INET)
		return p->peer.ip[0] == 127;
	if (p->peer.family == AF_INET6)
		return memcmp(p->peer.ip, loopback6, sizeof loopback6) == 0;
	return p->peer.family == AF_UNIX;
}

static void serve_config_set(struct channel_request *r, const struct process *p)
{
	struct arg pairs[PAIRS_MAX];
	char err[512];
	size_t n = split(r, pairs, PAIRS_MAX);
	if (n == 0 || n % 2) {
		answer(r, "ERR wrong number of arguments for 'config|set' command");
		return;
	}
	crashers_hear(); /* where it comes from */
	bool locked = config->password_set;
	bool appendonly = config->appendonly;
	int64_t timeout = config->timeout;
	if (!config_set(pairs, n, is_local(p), apply, err, sizeof err)) {
		answer(r, err);
		return;
	}
	/* Spare workers that have the store, or lack it, are replaced; those that get a client first see to it themselves. */
	if (locked != config->password_set)
		spares_distrust();
	saves_judge();
	if (timeout != config->timeout)
		table_each(wake_worker);
	if (!config->appendonly && appendonly && aof_answers_later(r))
		return;
	answer(r, "+OK");
}

static void serve_secret(struct channel_request *r)
{
	static char *text;
	size_t n;
	const char *secret = config_secret(&(struct arg){r->text, r->n}, &n);
	if (!secret) {
		answer(r, "ERR no such secret");
		return;
	}
	if (!text)
		text = config_secret_memory(1024);
	text[0] = '+';
	memcpy(text + 1, secret, n);
	channel_answer(r, text, n + 1, -1);
}

static void serve_rewrite(struct channel_request *r)
{
	char text[256];
	if (!*config->file) {
		answer(r, "ERR The server is running without a config file");
		return;
	}
	if (!config_rewrite(str_eq(r->text, r->n, "all"))) {
		snprintf(text, sizeof text, "ERR Rewriting config file: %s", strerror(errno));
		log_warning("CONFIG REWRITE failed: %s", strerror(errno));
		answer(r, text);
		return;
	}
	log_notice("CONFIG REWRITE executed with success.");
	answer(r, "+OK");
}

static void serve_resetstat(struct channel_request *r)
{
	/* The pages are their owners': what they show so far is taken off the sum instead. */
	uint64_t counts[COUNTERS];
	counts_read(counts);
	for (int c = 0; c < COUNTERS; c++)
		if (c != COUNTER_WRITE_COMMANDS)
			atomic_fetch_add_explicit(&control->taken_off[c], counts[c], memory_order_release);
	command_stats_reset();
	saves_reset_count();
	aof_reset_count();
	answer(r, "+OK");
}

/* ---- SHUTDOWN ---- */

static void serve_shutdown(struct channel_request *r)
{
	struct arg words[8];
	size_t n = split(r, words, 8);
	static const struct {
		const char *word;
		uint32_t bit;
	} known[] = {{"nosave", STOP_NOSAVE}, {"save", STOP_SAVE}, {"now", STOP_NOW}, {"force", STOP_FORCE}};
	uint32_t words_said = 0;
	bool abort_it = false, warm = false, other = n == 8;
	for (size_t i = 0; i < n; i++) {
		uint32_t bit = 0;
		for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
			bit |= arg_ieq(&words[i], known[k].word) ? known[k].bit : 0;
		bool is_abort = arg_ieq(&words[i], "abort"), is_warm = arg_ieq(&words[i], "warm");
		words_said |= bit;
		abort_it |= is_abort;
		warm |= is_warm;
		other |= !bit && !is_abort && !is_warm;
	}
	if (other || (words_said & STOP_SAVE && words_said & STOP_NOSAVE) || (abort_it && (words_said || warm))) {
		answer(r, "ERR syntax error");
		return;
	}
	if (abort_it) {
		answer(r, shutdown_abort() ? "+OK" : "ERR No shutdown in progress.");
		return;
	}
	log_warning("User requested shutdown...");
	if (warm && !store_has_name(launch_store_fd())) {
		answer(r, "ERR The data's shared memory has no name, so it cannot outlive the server");
		return;
	}
	shutdown_ask(warm ? SHUTDOWN_WARM : SHUTDOWN_ALL, words_said, r);
}

/* ---- waiting for a lock ---- */

static void hear_waiting(const struct channel_request *r)
{
	uint32_t slot;
	if (r->n != sizeof slot)
		return;
	memcpy(&slot, r->text, sizeof slot);
	stopped_waiting_for(slot, clock_mono_ms());
}

static void serve(struct channel_request *r)
{
	struct process *p = table_at(r->slot < control->slots ? r->slot : 0);
	if (r->slot == 0 || p->state != PROCESS_RUNNING || p->pid != r->pid) {
		answer(r, "ERR unknown process");
		return;
	}
	if (r->what != REQUEST_AUTH && r->what != REQUEST_LOG && !p->trusted) {
		answer(r, "NOAUTH Authentication required.");
		return;
	}
	switch (r->what) {
	case REQUEST_AUTH:
		serve_auth(r, p);
		return;
	case REQUEST_CONFIG_SET:
		serve_config_set(r, p);
		return;
	case REQUEST_CONFIG_GET_SECRET:
		serve_secret(r);
		return;
	case REQUEST_CONFIG_REWRITE:
		serve_rewrite(r);
		return;
	case REQUEST_CONFIG_RESETSTAT:
		serve_resetstat(r);
		return;
	case REQUEST_SHUTDOWN:
		serve_shutdown(r);
		return;
	case REQUEST_REAP:
		reap_hide_dying();
		answer(r, "+OK");
		return;
	case REQUEST_KILL:
		kills_begin(r);
		return;
	case REQUEST_LOG:
		channel_answer(r, "+OK", 3, log_fd());
		return;
	case REQUEST_PAUSE:
		pauses_begin(r);
		return;
	case REQUEST_UNPAUSE:
		pauses_end(r);
		return;
	case REQUEST_LOAD:
		loads_serve(r);
		return;
	case REQUEST_SAVE:
		saves_serve(r);
		return;
	case REQUEST_AOF:
		if (p->kind == PROC_AOF_WRITER)
			aof_serve_news(r);
		answer(r, "+OK");
		return;
	case REQUEST_REWRITE_AOF:
		aof_serve_rewrite(r);
		return;
	case REQUEST_WAITING:
		hear_waiting(r);
		return;
	}
	answer(r, "ERR unknown request");
}

void requests_serve(void)
{
	struct channel_request r;
	for (int i = 0; i < BATCH && channel_take(&r); i++)
		serve(&r);
}
