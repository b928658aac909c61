/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DEBUG RELOAD: the data is saved and loaded again. DEBUG LOADAOF: it is loaded from the append only file.
 *
 * Runs in workers, which do none of it: the supervisor has a snapshot written, or the log's writer writes what it has, and a loader is started.
 * From the first step to the last all other clients are refused, so nothing is written between the save and the load, and nobody sees half the
 * data. Owns nothing. A death in the middle: the supervisor lets the others go on, or brings to an end what has begun.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "base/stop.h"
#include "cmd_debug.h"
#include "shm/channel.h"
#include "shm/ring.h"
#include "store/access.h"

#define WAIT_MS 10000 /* for commands under way, which may be long ones */
#define TOO_LONG "ERR others do not come to the end of their commands"

/* NULL: granted. Else the error, static memory. */
static const char *ask(enum request what, const char *text, size_t n)
{
	static char reply[512];
	long got = channel_call(what, text, n, reply, sizeof reply - 1, NULL);

	if (got <= 0)
		return "ERR the server is stopping";
	reply[got] = 0;
	return *reply == '+' ? NULL : reply;
}

static const char *ask_words(enum request what, const char *text)
{
	return ask(what, text, strlen(text));
}

/* The others go on. Returns the error, static memory. */
static const char *release(const char *why)
{
	static char kept[512];

	snprintf(kept, sizeof kept, "%s", why);
	ask_words(REQUEST_LOAD, "release");
	return kept;
}

struct wish {
	bool save, flush, merge;
};

static const char *reload(const struct wish *w)
{
	char text[32];
	const char *why = ask_words(REQUEST_LOAD, "hold");

	if (why != NULL)
		return why;
	/* What others have begun to write is in what is saved. */
	if (!store_wait_for_others(WAIT_MS))
		return release(TOO_LONG);
	if (w->save && (why = ask_words(REQUEST_SAVE, "save")) != NULL)
		return release(why);
	size_t n = (size_t)snprintf(text, sizeof text, "rdb%c%s%c%s", 0, w->flush ? "flush" : "", 0, w->merge ? "merge" : "");
	return ask(REQUEST_LOAD, text, n);
}

void debug_reload(struct cmd *c)
{
	struct wish w = {.save = true, .flush = true};

	for (int i = 2; i < c->argc; i++) {
		if (arg_ieq(&c->argv[i], "merge")) {
			w.merge = true;
		} else if (arg_ieq(&c->argv[i], "noflush")) {
			w.flush = false;
		} else if (arg_ieq(&c->argv[i], "nosave")) {
			w.save = false;
		} else {
			reply_error(c->out, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
			return;
		}
	}
	const char *why = reload(&w);
	if (why != NULL)
		reply_error(c->out, why);
	else
		reply_ok(c->out);
}

/* ---- LOADAOF ---- */

/* What has been logged is in the file. NULL, or the error. */
static const char *log_is_written(void)
{
	struct timespec ms = {.tv_nsec = 1000000};

	while (ring_is_on() && atomic_load(&ring()->consumed) != atomic_load(&ring()->tail)) {
		if (atomic_load(&ring()->failed))
			return "ERR the append only file cannot be written";
		if (stop_requested() || cancel_requested())
			return "ERR the append only file is not written yet";
		nanosleep(&ms, NULL);
	}
	return NULL;
}

void debug_loadaof(struct cmd *c)
{
	const char *why = ask_words(REQUEST_LOAD, "hold");

	if (why == NULL) {
		why = store_wait_for_others(WAIT_MS) ? log_is_written() : TOO_LONG;
		why = why != NULL ? release(why) : ask_words(REQUEST_LOAD, "aof");
	}
	if (why != NULL)
		reply_error(c->out, why);
	else
		reply_ok(c->out);
}
