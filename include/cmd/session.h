/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session: one client's connection as the command layer sees it. One per worker process, from accept to close.
 *
 * The worker's loop:
 *
 *     session_init(&s, fd, flush);
 *     do {
 *         receive into s.in: room for at least s.parser.wanted bytes if that is not 0
 *     } while (session_run(&s) && flush(&s));
 *     flush(&s);
 *     session_deinit(&s);
 */
#ifndef BULKHEAD_CMD_SESSION_H
#define BULKHEAD_CMD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/reply.h"
#include "wire/resp_parse.h"

struct command;

struct session {
	struct buf in; /* bytes received, not yet executed */
	struct resp_parser parser;
	struct reply out; /* replies not yet sent; out.proto is 2 or 3 */
	uint32_t db;
	bool authenticated;     /* implies that the store is mapped */
	bool close_after_flush; /* QUIT, protocol error */
	bool store_mapped;
	int fd;
	/* Sends `out` and empties it; false: the client is gone. Called between commands, never under a lock or pin. */
	bool (*flush)(struct session *s);

	/* The user has changed, or is one no longer: AUTH, HELLO, RESET. May be NULL. */
	void (*user_changed)(const struct session *s);

	const struct command *shown; /* the command my_page->client.cmd names */
	struct buf name;             /* CLIENT SETNAME, whole; the page has as much as fits */
	int64_t now;                 /* wall clock, ms, as last read */
	int now_uses;                /* commands that may still use it; 0: read it again */
	/* Commands that are timed together: see src/cmd/stats.h. */
	const struct command *timed; /* their row */
	uint32_t run;                /* how many so far; 0: none */
	uint32_t held_up;            /* my_page->held_up, as last looked at */
	int64_t clock_ns;            /* wall clock when the first of them began: `now` in ns */
};

/*
 * Prepares the session of this process. The caller has introduced the client on its page (id, addresses, times); name,
 * database and the figures of that page are the session's from here on.
 */
void session_init(struct session *s, int fd, bool (*flush)(struct session *));

/*
 * Executes every complete command in s->in, appending replies to s->out; flushes when s->out passes 64 KiB. What is
 * left of s->in is moved to its front. Returns false when the connection is to be closed (after a last flush by the
 * caller).
 */
bool session_run(struct session *s);

void session_deinit(struct session *s);

/* Brings my_page->client up to date while the command `row` runs. */
void session_publish(struct session *s, const struct command *row);

/* Whether the client has logged in, or need not. May ask the supervisor: not inside an access. */
bool session_authenticated(struct session *s);

/*
 * Authenticates as `user` through the supervisor and maps its store. NULL: done; else the error to reply, valid until
 * the next call. Not to be called inside an access.
 */
const char *session_auth(struct session *s, const struct arg *user, const struct arg *password);

#endif
