/* SPDX-License-Identifier: BSD-2-Clause */
/* Help for people, made from the rows. */
#ifndef BULKHEAD_CMD_HELP_H
#define BULKHEAD_CMD_HELP_H

#include "args.h"

/* Replies what `CONTAINER HELP` says: the subcommands of the row's container. */
void help_subcommands(struct cmd *c);

#endif
