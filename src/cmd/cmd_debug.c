/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DEBUG, where enable-debug-command allows it: SLEEP, OBJECT, FSCK, and ways to die.
 *
 * Runs in workers. SLEEP sleeps without holding anything, so it holds up nobody else; FSCK keeps writers waiting, not
 * readers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "args.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/deadline.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/stop.h"
#include "shm/control.h"
#include "shm/layout.h"
#include "store/access.h"
#include "store/fsck.h"

#define SLEEP_PIECE_NS 100000000

static bool local_client(void)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	const struct client_addr *a = &my_page->client.peer;

	if (a->family == AF_INET)
		return a->ip[0] == 127;
	return a->family != AF_INET6 || memcmp(a->ip, loopback6, sizeof loopback6) == 0;
}

static bool allowed(void)
{
	return config->enable_debug_command == ALLOWED_YES ||
	       (config->enable_debug_command == ALLOWED_LOCAL && local_client());
}

/* ---- SLEEP ---- */

static void sleep_seconds(double seconds)
{
	/* Whatever is no sensible time is none; 1e9 s is for ever. */
	if (!(seconds > 0))
		return;
	int64_t until = clock_mono_ns() + (int64_t)((seconds < 1e9 ? seconds : 1e9) * 1e9);
	/* In pieces: a signal that comes just before the call does not cut it short. */
	for (int64_t now = clock_mono_ns(); now < until && !stop_requested() && !cancel_requested(); now = clock_mono_ns()) {
		struct timespec piece = clock_timespec(until - now < SLEEP_PIECE_NS ? until : now + SLEEP_PIECE_NS);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &piece, NULL);
	}
}

static void debug_sleep(struct cmd *c)
{
	char text[64];

	/* As strtod reads it: what is no number is 0. */
	snprintf(text, sizeof text, "%.*s", c->argv[2].n < sizeof text ? (int)c->argv[2].n : (int)sizeof text - 1,
		 c->argv[2].p);
	sleep_seconds(strtod(text, NULL));
	if (cancel_requested())
		reply_cancelled(c);
	else
		reply_ok(c->out);
}

/* ---- OBJECT ---- */

#define RDB_NUMBER_MAX 11u /* longest text that may be a number there */

/* What a string takes in an RDB file, uncompressed. Short numbers are numbers there, however they are kept here. */
static size_t serialized_length(const struct view *v)
{
	int64_t n;

	if (v->len <= RDB_NUMBER_MAX && parse_i64(v->value, v->len, &n)) {
		if (n >= INT8_MIN && n <= INT8_MAX)
			return 2;
		if (n >= INT16_MIN && n <= INT16_MAX)
			return 3;
		if (n >= INT32_MIN && n <= INT32_MAX)
			return 5;
	}
	return v->len + (v->len < 64 ? 1 : v->len < 16384 ? 2 : v->len <= UINT32_MAX ? 5 : 9);
}

/* The access clock of an item: seconds, 24 bits of them. */
static uint32_t clock_of_item(ref item)
{
	const struct item *i = peek(item, sizeof *i);
	return i == NULL ? 0 : (uint32_t)(__atomic_load_n(&i->born_clock, __ATOMIC_RELAXED) >> 40);
}

static int describe_object(struct access *a, void *arg)
{
	static const char *const encodings[] = {[ENC_INT] = "int", [ENC_EMBSTR] = "embstr", [ENC_RAW] = "raw"};
	struct cmd *c = arg;
	struct view v;
	char line[160];

	cmd_start_over(c);
	if (!key_find(a, cmd_db(c), &c->argv[2], &v)) {
		reply_error(c->out, "ERR no such key");
		return CMD_DONE;
	}
	uint32_t clock = clock_of_item(v.item), idle = ((uint32_t)(access_now(a) / 1000) - clock) & 0xffffff;
	snprintf(line, sizeof line,
		 "Value at:0x%llx refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%u",
		 (unsigned long long)v.item.off,
		 v.encoding < sizeof encodings / sizeof encodings[0] && encodings[v.encoding] ? encodings[v.encoding]
											      : "unknown",
		 serialized_length(&v), clock, idle);
	reply_status(c->out, line);
	return CMD_DONE;
}

static void debug_object(struct cmd *c)
{
	const struct arg *key = &c->argv[2];
	struct plan plan = {.kind = PLAN_READ, .db = cmd_db(c), .now = c->session->now, .nkeys = 1, .keys = &key};

	int result = access_run(&plan, describe_object, c);
	if (result == ACCESS_CANCELLED)
		reply_cancelled(c);
	else if (result < 0)
		reply_oom(c);
}

/* ---- FSCK ---- */

static int fsck_body(struct access *a, void *arg)
{
	struct cmd *c = arg;
	char why[256];

	(void)a;
	cmd_start_over(c);
	/* The locks were waited for under command-timeout; the check itself takes the time it takes, and looks at no flag. */
	deadline_settle();
	if (store_fsck_beside(why, sizeof why))
		reply_ok(c->out);
	else
		reply_errorf(c->out, "ERR The store is damaged: %s", why);
	return CMD_DONE;
}

static void debug_fsck(struct cmd *c)
{
	struct plan plan = {.kind = PLAN_WRITE_ALL, .db = cmd_db(c), .now = c->session->now};

	int result = access_run(&plan, fsck_body, c);
	if (result == ACCESS_CANCELLED)
		reply_cancelled(c);
	else if (result < 0)
		reply_oom(c);
}

/* ---- dying ---- */

static void debug_segfault(void)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 0;
}

/* ---- */

static void debug_help(struct cmd *c)
{
	static const char *const lines[] = {
	    "SLEEP seconds", "    Sleeps before it answers; nobody else notices.",
	    "OBJECT key",    "    How the value of a key is kept.",
	    "FSCK",          "    Checks the whole store; writers wait meanwhile.",
	    "SEGFAULT",      "    Has this client's process die of a bad reference.",
	    "PANIC",         "    Has this client's process find an invariant broken.",
	    "HELP",          "    The subcommands of DEBUG.",
	};

	reply_array(c->out, sizeof lines / sizeof lines[0]);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		reply_status(c->out, lines[i]);
}

/* No rows for these: Redis has none for them either, so COMMAND shows none. */
enum cmd_result cmd_debug(struct cmd *c)
{
	const struct arg *what = &c->argv[1];

	if (!allowed())
		reply_error(
		    c->out,
		    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can "
		    "run it from a local connection, otherwise you need to set this option in the configuration "
		    "file, and then restart the server.");
	else if (c->argc == 3 && arg_ieq(what, "sleep"))
		debug_sleep(c);
	else if (c->argc == 3 && arg_ieq(what, "object"))
		debug_object(c);
	else if (c->argc == 2 && arg_ieq(what, "fsck"))
		debug_fsck(c);
	else if (c->argc == 2 && arg_ieq(what, "segfault"))
		debug_segfault();
	else if (c->argc == 2 && arg_ieq(what, "panic"))
		panic("DEBUG PANIC was called");
	else if (c->argc == 2 && arg_ieq(what, "help"))
		debug_help(c);
	else
		reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
			     what->n < 128 ? (int)what->n : 128, what->p);
	return CMD_DONE;
}
