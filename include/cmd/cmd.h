/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a command handler gets and gives.
 *
 * The dispatcher has checked arity, authentication and memory, hashed and (for writes) locked the keys the row names, and
 * does statistics, commit and retries afterwards. A handler reads its arguments, uses the keyspace, writes one reply.
 * It may be run several times for one request (a torn read, a late lock), so it changes nothing but its reply, the keyspace
 * and, for commands without keys, its session.
 */
#ifndef BULKHEAD_CMD_CMD_H
#define BULKHEAD_CMD_CMD_H

#include "cmd/session.h"
#include "store/keyspace.h"
#include "wire/reply.h"

enum cmd_result {
	CMD_DONE,  /* reply written; changes (if any) are to be committed */
	CMD_ABORT, /* reply written; changes are to be rolled back */
	CMD_LONG,  /* too long to read here: run again in ACCESS_PINNED */
};

struct cmd {
	struct session *session;
	const struct command *row;
	struct access *access;
	struct reply *out;
	int argc;
	const struct arg *argv;
};

typedef enum cmd_result cmd_handler(struct cmd *c);

#endif
