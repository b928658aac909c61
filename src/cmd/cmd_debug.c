/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DEBUG, where enable-debug-command allows it: which subcommands there are, and those that need no data.
 *
 * Runs in workers. SLEEP sleeps without holding anything, so it holds up nobody else; the supervisor writes the configuration
 * file. What DEBUG switches for all processes are words of the commons, which they look at whenever they act; one that dies
 * after writing its word has switched, and leaves nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/stop.h"
#include "cmd_debug.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/wake.h"
#include "store/access.h"

#define SLEEP_PIECE_NS 100000000

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

/* ---- replies ---- */

/* As it comes, the code included. Not counted among the errors, which it only plays. */
static void debug_error(struct cmd *c)
{
	const struct arg *text = &c->argv[2];

	reply_raw(c->out, "-", 1);
	size_t at = c->out->out.len;
	reply_raw(c->out, text->p, text->n);
	for (char *p = c->out->out.data + at; p < c->out->out.data + c->out->out.len; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	reply_literal(c->out, "\r\n");
}

static void reply_three(struct cmd *c, void (*header)(struct reply *, size_t))
{
	header(c->out, 3);
	for (int i = 0; i < 3; i++)
		reply_i64(c->out, i);
}

static void reply_a_map(struct cmd *c)
{
	reply_map(c->out, 3);
	for (int i = 0; i < 3; i++) {
		reply_i64(c->out, i);
		reply_bool(c->out, i == 1);
	}
}

static void reply_an_attribute(struct cmd *c)
{
	if (c->out->proto > 2) {
		reply_attribute(c->out, 1);
		reply_bulk_str(c->out, "key-popularity");
		reply_array(c->out, 2);
		reply_bulk_str(c->out, "key:123");
		reply_i64(c->out, 90);
	}
	reply_bulk_str(c->out, "Some real reply following the attribute");
}

static void reply_a_push(struct cmd *c)
{
	if (c->out->proto < 3) {
		reply_error(c->out, "ERR RESP2 is not supported by this command");
		return;
	}
	reply_push(c->out, 2);
	reply_bulk_str(c->out, "server-cpu-usage");
	reply_i64(c->out, 42);
	reply_bulk_str(c->out, "Some real reply following the push reply");
}

/* One reply of each type, for those who write clients. */
static void debug_protocol(struct cmd *c)
{
	static const char verbatim[] = "This is a verbatim\nstring", big[] = "1234567999999999999999999999999999999";
	const struct arg *type = &c->argv[2];

	if (arg_ieq(type, "string"))
		reply_bulk_str(c->out, "Hello World");
	else if (arg_ieq(type, "integer"))
		reply_i64(c->out, 12345);
	else if (arg_ieq(type, "double"))
		reply_double(c->out, 3.141);
	else if (arg_ieq(type, "bignum"))
		reply_bignum(c->out, big, sizeof big - 1);
	else if (arg_ieq(type, "null"))
		reply_null(c->out);
	else if (arg_ieq(type, "array"))
		reply_three(c, reply_array);
	else if (arg_ieq(type, "set"))
		reply_three(c, reply_set);
	else if (arg_ieq(type, "map"))
		reply_a_map(c);
	else if (arg_ieq(type, "attrib"))
		reply_an_attribute(c);
	else if (arg_ieq(type, "push"))
		reply_a_push(c);
	else if (arg_ieq(type, "verbatim"))
		reply_verbatim(c->out, "txt", verbatim, sizeof verbatim - 1);
	else if (arg_ieq(type, "true"))
		reply_bool(c->out, true);
	else if (arg_ieq(type, "false"))
		reply_bool(c->out, false);
	else
		reply_error(c->out, "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|"
				    "null|array|set|map|attrib|push|verbatim|true|false");
}

static void debug_stringmatch(struct cmd *c)
{
	reply_i64(c->out, glob_match(c->argv[2].p, c->argv[2].n, c->argv[3].p, c->argv[3].n, false));
}

static void debug_log(struct cmd *c)
{
	log_warning("DEBUG LOG: %.*s", c->argv[2].n < LOG_MESSAGE_MAX ? (int)c->argv[2].n : LOG_MESSAGE_MAX, c->argv[2].p);
	reply_ok(c->out);
}

/* ---- switches for all processes ---- */

/* As atoi reads it: what is no number is 0. */
static bool is_on(const struct arg *a)
{
	char text[16];

	snprintf(text, sizeof text, "%.*s", a->n < sizeof text ? (int)a->n : (int)sizeof text - 1, a->p);
	return atoi(text) != 0;
}

static void switch_bit(uint32_t bit, bool on)
{
	if (on)
		atomic_fetch_or(&control_commons->paused, bit);
	else
		atomic_fetch_and(&control_commons->paused, ~bit);
}

static int nothing(struct access *a, void *arg)
{
	(void)a;
	cmd_start_over(arg);
	return CMD_DONE;
}

/*
 * Pauses a part of the expirer's work, or lets it go on. It asks under the lock of each stripe: who has had every stripe since the
 * switch knows that it has heard.
 */
static void switch_expirer(struct cmd *c, uint32_t bit, bool pause)
{
	struct plan plan = {.kind = PLAN_WRITE_ALL, .unlogged = true, .db = cmd_db(c), .now = c->session->now};

	switch_bit(bit, pause);
	if (!pause) {
		wake_expirer();
	} else if (access_run(&plan, nothing, c) != CMD_DONE) {
		reply_cancelled(c);
		return;
	}
	reply_ok(c->out);
}

static void debug_set_active_expire(struct cmd *c)
{
	switch_expirer(c, PAUSED_EXPIRY, !is_on(&c->argv[2]));
}

static void debug_pause_cron(struct cmd *c)
{
	switch_expirer(c, PAUSED_CRON, is_on(&c->argv[2]));
}

static void unknown(struct cmd *c)
{
	reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
		     c->argv[1].n < 128 ? (int)c->argv[1].n : 128, c->argv[1].p);
}

static void debug_replybuffer(struct cmd *c)
{
	const struct arg *what = &c->argv[2], *value = &c->argv[3];
	int64_t ms;

	if (arg_ieq(what, "RESIZING")) {
		switch_bit(PAUSED_BUFFERS, !is_on(value));
	} else if (!arg_ieq(what, "PEAK-RESET-TIME")) {
		unknown(c);
		return;
	} else if (arg_ieq(value, "NEVER")) {
		atomic_store(&control_commons->rest_ms, REST_NEVER);
	} else if (arg_ieq(value, "RESET")) {
		atomic_store(&control_commons->rest_ms, REST_DEFAULT);
	} else if (want_i64(c, value, &ms)) {
		atomic_store(&control_commons->rest_ms, (uint32_t)(ms < 0 ? 1 : ms < INT32_MAX ? ms + 1 : INT32_MAX));
	} else {
		return;
	}
	reply_ok(c->out);
}

static void debug_set_skip_sums(struct cmd *c)
{
	switch_bit(PAUSED_SUMS, is_on(&c->argv[2]));
	reply_ok(c->out);
}

/* ---- the configuration file ---- */

static void debug_config_rewrite(struct cmd *c)
{
	static const char prefix[] = "ERR Rewriting config file: ";
	char answer[256];

	/* Redis hands the name of no file to the kernel, which says this. */
	if (config->file[0] == 0) {
		reply_errorf(c->out, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", strerror(EFAULT));
		return;
	}
	long n = channel_call(REQUEST_CONFIG_REWRITE, "all", 3, answer, sizeof answer - 1, NULL);
	answer[n < 0 ? 0 : n] = 0;
	if (n < 0)
		reply_error(c->out, "ERR the server is shutting down");
	else if (answer[0] == '+')
		reply_ok(c->out);
	else if (strncmp(answer, prefix, sizeof prefix - 1) == 0)
		reply_errorf(c->out, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", answer + sizeof prefix - 1);
	else
		reply_error(c->out, answer);
}

/* ---- dying ---- */

static void debug_segfault(struct cmd *c)
{
	volatile int *volatile nowhere = NULL;

	(void)c;
	*nowhere = 0;
}

static void debug_panic(struct cmd *c)
{
	(void)c;
	panic("DEBUG PANIC was called");
}

/* ---- */

static void debug_help(struct cmd *c);

/* No rows in commands.def for these: Redis has none for them either, so COMMAND shows none. */
static const struct {
	const char *name;
	int least, most; /* words, DEBUG and the name included */
	void (*run)(struct cmd *c);
	const char *usage, *help;
} subcommands[] = {
    {"CONFIG-REWRITE-FORCE-ALL", 2, 2, debug_config_rewrite, "CONFIG-REWRITE-FORCE-ALL",
     "As CONFIG REWRITE, but also what has its default."},
    {"DIGEST", 2, 2, debug_digest, "DIGEST", "A sum over the data of all databases."},
    {"DIGEST-VALUE", 2, INT32_MAX, debug_digest_value, "DIGEST-VALUE [key ...]", "A sum over the value of each key."},
    {"ERROR", 3, 3, debug_error, "ERROR text", "The text as an error reply."},
    {"FSCK", 2, 2, debug_fsck, "FSCK", "Checks the whole store; writers wait meanwhile."},
    {"HTSTATS", 3, 3, debug_htstats, "HTSTATS db", "How the tables of a database are filled."},
    {"HTSTATS-KEY", 3, 3, debug_htstats_key, "HTSTATS-KEY key", "The same for the table that a value is kept in."},
    {"LOADAOF", 2, 2, debug_loadaof, "LOADAOF", "Loads the append only file in place of the data; all others wait."},
    {"LOG", 3, 3, debug_log, "LOG message", "Writes a line to the log."},
    {"OBJECT", 3, 3, debug_object, "OBJECT key", "How the value of a key is kept."},
    {"PANIC", 2, INT32_MAX, debug_panic, "PANIC", "Has this client's process find an invariant broken."},
    {"PAUSE-CRON", 3, 3, debug_pause_cron, "PAUSE-CRON 0|1",
     "1: what is due or left behind is not freed beside the clients' work."},
    {"POPULATE", 3, 5, debug_populate, "POPULATE count [prefix] [size]",
     "Makes so many keys, <prefix>:<number>, that are not there yet."},
    {"PROTOCOL", 3, 3, debug_protocol, "PROTOCOL type",
     "A reply of a type: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim, true, false."},
    {"RELOAD", 2, INT32_MAX, debug_reload, "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
     "Saves the data and loads it again. MERGE: what is in memory too is replaced; NOFLUSH: what is in memory stays; NOSAVE: the file that is there is loaded."},
    {"REPLYBUFFER", 4, 4, debug_replybuffer, "REPLYBUFFER PEAK-RESET-TIME NEVER|RESET|ms, REPLYBUFFER RESIZING 0|1",
     "How long a client rests before its buffers shrink, and whether they do."},
    {"SEGFAULT", 2, INT32_MAX, debug_segfault, "SEGFAULT", "Has this client's process die of a bad reference."},
    {"SET-ACTIVE-EXPIRE", 3, 3, debug_set_active_expire, "SET-ACTIVE-EXPIRE 0|1",
     "0: keys that are due are deleted only when somebody asks for them."},
    {"SET-SKIP-CHECKSUM-VALIDATION", 3, 3, debug_set_skip_sums, "SET-SKIP-CHECKSUM-VALIDATION 0|1",
     "1: RESTORE does not look at the checksums of payloads."},
    {"SLEEP", 3, 3, debug_sleep, "SLEEP seconds", "Sleeps before it answers; nobody else notices."},
    {"STRINGMATCH-LEN", 4, 4, debug_stringmatch, "STRINGMATCH-LEN pattern text",
     "1 if the text matches the pattern, as KEYS understands it."},
    {"HELP", 2, 2, debug_help, "HELP", "The subcommands of DEBUG."},
};
#define SUBCOMMANDS (sizeof subcommands / sizeof subcommands[0])

static void debug_help(struct cmd *c)
{
	char line[256];

	reply_array(c->out, 1 + 2 * SUBCOMMANDS);
	reply_status(c->out, "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		reply_status(c->out, subcommands[i].usage);
		snprintf(line, sizeof line, "    %s", subcommands[i].help);
		reply_status(c->out, line);
	}
}

enum cmd_result cmd_debug(struct cmd *c)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (c->argc < subcommands[i].least || c->argc > subcommands[i].most)
			continue;
		if (arg_ieq(&c->argv[1], subcommands[i].name)) {
			subcommands[i].run(c);
			return CMD_DONE;
		}
	}
	unknown(c);
	return CMD_DONE;
}
