/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which words of a call are keys, by the key specifications of its row.
 */
#ifndef BULKHEAD_CMD_KEY_SPECS_H
#define BULKHEAD_CMD_KEY_SPECS_H

#include "cmd/command.h"

/* A key of the call, and what is done to it: words such as RW, access. */
typedef void key_spec_visitor(void *arg, const struct arg *key, struct arg flags);

/*
 * Visits the keys of a call of argc words and returns how many. -1: the call cannot be right; some may have been visited. The row has
 * specifications; where one says that keys cannot be told from the words, none of its are.
 */
int key_specs_find(const struct command *row, int argc, const struct arg *argv, key_spec_visitor *each, void *arg);

#endif
