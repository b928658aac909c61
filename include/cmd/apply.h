/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands without a client: what an append only file holds is carried out as the server did it when it wrote the file.
 *
 * No login, no limits, no statistics, no slow log, no pauses, no replies. Keys that are due stay until a command says otherwise. One process at a time,
 * attached to a store that no client sees; if it dies the load begins anew with an empty one.
 */
#ifndef BULKHEAD_CMD_APPLY_H
#define BULKHEAD_CMD_APPLY_H

#include <stdint.h>

#include "base/str.h"

/* From now on this process applies commands, to database 0 at first. May be called again, for another load. */
void apply_begin(void);

/* A file begins: database 0, as redis-server has it for each file. */
void apply_file(void);

/*
 * Applies one command. NULL: done. Else why it cannot be and the load must stop: no such command, one that has no place in a file, no memory. An error that
 * the command itself answers (WRONGTYPE ...) is a line in the log, as with redis-server, and the load goes on: `errors` counts them.
 * MULTI and EXEC are the reader's business (persist/aof_read.h).
 */
const char *apply_command(int argc, const struct arg *argv);

/* Whether it would be, as far as that can be told before: the words of one in a transaction. */
const char *apply_known(int argc, const struct arg *argv);

/* Commands applied since apply_begin, and those of them that answered with an error. */
struct applied {
	uint64_t commands, errors;
};
struct applied apply_done(void);

#endif
