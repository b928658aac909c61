/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the words of one request to its reply.
 */
#ifndef BULKHEAD_CMD_DISPATCH_H
#define BULKHEAD_CMD_DISPATCH_H

#include "cmd/command.h"

/*
 * Executes one command: appends exactly one reply to s->out. Returns its row, or NULL if there is no such command or it
 * may not run. `last`: nothing was received beyond it.
 */
const struct command *dispatch(struct session *s, int argc, const struct arg *argv, bool last);

/*
 * A command has nothing open in the store, and nothing of its reply is written: waits while all commands are paused, or with `writes` those that
 * write. The replies to those before it are sent. False: the client is gone, or the server stops; the command goes no further.
 */
bool dispatch_wait_for_pause(struct cmd *c, bool writes);

#endif
