/* SPDX-License-Identifier: BSD-2-Clause */
/* The subcommands of DEBUG that look at the data or make some, for the table in cmd_debug.c. */
#ifndef BULKHEAD_CMD_CMD_DEBUG_H
#define BULKHEAD_CMD_CMD_DEBUG_H

#include "cmd/cmd.h"

void debug_digest(struct cmd *c);
void debug_digest_value(struct cmd *c);
void debug_fsck(struct cmd *c);
void debug_htstats(struct cmd *c);
void debug_htstats_key(struct cmd *c);
void debug_object(struct cmd *c);
void debug_populate(struct cmd *c);

/* Saves and loads again; loads the append only file (cmd_debug_reload.c). */
void debug_reload(struct cmd *c);
void debug_loadaof(struct cmd *c);

#endif
