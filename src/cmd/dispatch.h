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

#endif
