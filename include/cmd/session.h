/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session: one client's connection as the command layer sees it. One per worker process, from accept to close.
 *
 * The worker's loop:
 *
 *     session_init(&s, fd, flush, wait);
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

/* CLIENT REPLY. Bits, for a SKIP may come in the middle of OFF. */
enum unheard {
	UNHEARD_ALL = 1,  /* OFF: no replies until ON */
	UNHEARD_THIS = 2, /* SKIP has been the command before */
	UNHEARD_NEXT = 4, /* SKIP is the command that runs */
};

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
	/*
	 * Waits while all commands are paused, or with `writes` those that write (shm/pause.h). False: the client is gone, or the server
	 * stops. Called between commands, with `out` empty.
	 */
	bool (*wait)(struct session *s, bool writes);
	uint8_t unheard;             /* CLIENT REPLY: enum unheard */

	/* The user has changed, or is one no longer: AUTH, HELLO, RESET. May be NULL. */
	void (*user_changed)(const struct session *s);

	const struct arg *argv;      /* words of the command that runs; argc of them */
	size_t argc;
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
void session_init(struct session *s, int fd, bool (*flush)(struct session *), bool (*wait)(struct session *, bool writes));

/*
 * Executes every complete command in s->in, appending replies to s->out; flushes when s->out passes 64 KiB. What is
 * left of s->in is moved to its front. Returns false when the connection is to be closed (after a last flush by the
 * caller).
 */
bool session_run(struct session *s);

void session_deinit(struct session *s);

/* A command is over, whose reply begins at `start`: drops the reply if the client does not want it. Only with s->unheard. */
void session_hush(struct session *s, size_t start);

/* The connection is as it was when it began: user, database, protocol, name; replies come, reads count. */
void session_reset(struct session *s);

/* Sets or clears CLIENT_FLAG_* bits of this process's page. */
void session_flag(uint32_t flag, bool on);

/* Bytes that its buffers take, for maxmemory-clients. */
uint64_t session_memory(const struct session *s);

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
