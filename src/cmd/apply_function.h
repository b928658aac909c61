/* SPDX-License-Identifier: BSD-2-Clause */
/* Libraries of functions in an append only file (apply_function.c), for apply.c. */
#ifndef BULKHEAD_CMD_APPLY_FUNCTION_H
#define BULKHEAD_CMD_APPLY_FUNCTION_H

#include <stdbool.h>

#include "base/str.h"

/* Whether the command is one of those that load, delete and flush libraries. */
bool apply_is_function(int argc, const struct arg *argv);

/* Carries it out on the libraries that are kept. NULL: done. Else why the load must stop. */
const char *apply_function(int argc, const struct arg *argv);

#endif
