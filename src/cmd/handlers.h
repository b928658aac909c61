/* SPDX-License-Identifier: BSD-2-Clause */
/* The prototypes of all handlers, made from the rows of commands.def: a handler without a row does not compile. */
#ifndef BULKHEAD_CMD_HANDLERS_H
#define BULKHEAD_CMD_HANDLERS_H

#include "cmd/cmd.h"
#include "cmd/command.h"

#define COMMAND(id, ...) cmd_handler cmd_##id;
#define CONTAINER(id, ...)
#define SUBCOMMAND(parent, id, ...) cmd_handler cmd_##parent##_##id;
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND

#endif
