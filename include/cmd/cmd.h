/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a command handler gets and gives.
 *
 * The dispatcher has checked arity, authentication and memory, hashed and (for writes) locked the keys the row names,
 * and does statistics, commit and retries afterwards. A handler reads its arguments, uses the keyspace, writes one
 * reply. It may be run several times for one request (a torn read, a late lock), so it changes nothing but its reply,
 * the keyspace, the counts below and, for commands that run without an access, its session.
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
	struct access *access; /* NULL: the command has no keys and is neither write nor readonly */
	struct reply *out;
	int argc;
	const struct arg *argv;
	size_t reply_start;     /* where in out->out the reply begins */
	uint64_t errors_before; /* out->errors then */

	/* Zero when a handler starts, counted when it is through. */
	uint32_t hits, misses; /* keys found or not, for INFO */
	uint64_t changes;      /* of keys: rdb_changes_since_last_save */
	bool all_gone;         /* FLUSHALL: a snapshot under way is of no use, and what a start would load is to go */
	bool no_memory;        /* there was none, and that is the reply */
	bool sweep;            /* free what a flush retired before the reply goes out */
};

typedef enum cmd_result cmd_handler(struct cmd *c);

#endif
