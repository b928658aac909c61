/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session: one client's connection as the command layer sees it. One per worker process, from accept to close.
 */
#ifndef BULKHEAD_CMD_SESSION_H
#define BULKHEAD_CMD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/reply.h"
#include "wire/resp_parse.h"

struct session {
	struct buf in;              /* bytes received, not yet executed */
	struct resp_parser parser;
	struct reply out;           /* replies not yet sent; out.proto is 2 or 3 */
	uint32_t db;
	bool authenticated;
	bool close_after_flush;     /* QUIT, protocol error */
	bool store_mapped;
	int fd;
	/* Sends `out` and empties it; false: the client is gone. Called between commands, never under a lock or pin. */
	bool (*flush)(struct session *s);
};

/* Prepares the session of this process; the client's addresses are in my_page->client. */
void session_init(struct session *s, int fd, bool (*flush)(struct session *));

/*
 * Executes every complete command in s->in, appending replies to s->out; flushes when s->out passes 64 KiB. Returns false when
 * the connection is to be closed (after a last flush by the caller).
 */
bool session_run(struct session *s);

void session_deinit(struct session *s);

#endif
