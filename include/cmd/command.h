/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands: a row of src/cmd/commands.def each, constant data, the same in every process.
 */
#ifndef BULKHEAD_CMD_COMMAND_H
#define BULKHEAD_CMD_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cmd/cmd.h"

/* Flags, in the order COMMAND INFO shows them. */
#define COMMAND_FLAGS(X)                                                                                               \
	X(WRITE, "write")                                                                                              \
	X(READONLY, "readonly")                                                                                        \
	X(DENYOOM, "denyoom")                                                                                          \
	X(ADMIN, "admin")                                                                                              \
	X(PUBSUB, "pubsub")                                                                                            \
	X(NOSCRIPT, "noscript")                                                                                        \
	X(BLOCKING, "blocking")                                                                                        \
	X(LOADING, "loading")                                                                                          \
	X(STALE, "stale")                                                                                              \
	X(SKIP_MONITOR, "skip_monitor")                                                                                \
	X(SKIP_SLOWLOG, "skip_slowlog")                                                                                \
	X(ASKING, "asking")                                                                                            \
	X(FAST, "fast")                                                                                                \
	X(NO_AUTH, "no_auth")                                                                                          \
	X(NO_MANDATORY_KEYS, "no_mandatory_keys")                                                                      \
	X(NO_ASYNC_LOADING, "no_async_loading")                                                                        \
	X(NO_MULTI, "no_multi")                                                                                        \
	X(MOVABLEKEYS, "movablekeys")                                                                                  \
	X(ALLOW_BUSY, "allow_busy")                                                                                    \
	/* Ours, not shown. */                                                                                         \
	X(ALL_STRIPES, NULL) /* changes whole databases: runs with every stripe locked */                              \
	X(MAY_REPLICATE, NULL) /* no write, but others are told of it: waits when writes are paused */                  \
	X(PROTECTED, NULL)   /* enable-debug-command, enable-module-command say who may call it */                     \
	X(LONG_READ, NULL)   /* looks at whole databases: runs under a pin from the start */                           \
	X(SHORT, NULL)       /* takes as long as a fast one, though Redis does not call it so: see cmd/stats.h */

/* ACL categories, in the order COMMAND INFO shows them. */
#define COMMAND_CATEGORIES(X)                                                                                          \
	X(KEYSPACE, "@keyspace")                                                                                       \
	X(READ, "@read")                                                                                               \
	X(WRITE, "@write")                                                                                             \
	X(SET, "@set")                                                                                                 \
	X(SORTEDSET, "@sortedset")                                                                                     \
	X(LIST, "@list")                                                                                               \
	X(HASH, "@hash")                                                                                               \
	X(STRING, "@string")                                                                                           \
	X(BITMAP, "@bitmap")                                                                                           \
	X(HYPERLOGLOG, "@hyperloglog")                                                                                 \
	X(GEO, "@geo")                                                                                                 \
	X(STREAM, "@stream")                                                                                           \
	X(PUBSUB, "@pubsub")                                                                                           \
	X(ADMIN, "@admin")                                                                                             \
	X(FAST, "@fast")                                                                                               \
	X(SLOW, "@slow")                                                                                               \
	X(BLOCKING, "@blocking")                                                                                       \
	X(DANGEROUS, "@dangerous")                                                                                     \
	X(CONNECTION, "@connection")                                                                                   \
	X(TRANSACTION, "@transaction")                                                                                 \
	X(SCRIPTING, "@scripting")

enum command_flag_bit {
#define X(id, text) COMMAND_BIT_##id,
	COMMAND_FLAGS(X)
#undef X
};
enum command_flag {
#define X(id, text) COMMAND_##id = 1 << COMMAND_BIT_##id,
	COMMAND_FLAGS(X)
#undef X
};
enum command_category_bit {
#define X(id, text) ACL_BIT_##id,
	COMMAND_CATEGORIES(X)
#undef X
};
enum command_category {
#define X(id, text) ACL_##id = 1 << ACL_BIT_##id,
	COMMAND_CATEGORIES(X)
#undef X
};

/* What every call looks at comes first; the rest is for COMMAND and HELP. */
struct command {
	const char *name; /* lower case; "config|get" for a subcommand */
	uint16_t name_len;
	int16_t arity;             /* words, the name included; negative: at least so many */
	uint32_t flags;            /* enum command_flag */
	int16_t first, last, step; /* positions of the keys; last < 0 counts from the end; first 0: no keys */
	uint16_t parent;           /* its container's index in the table, or NOT_A_SUBCOMMAND */
	uint16_t number;           /* its own index, below COMMAND_ROWS_MAX */
	cmd_handler *handler;      /* NULL: a container, always called with a subcommand */
	uint32_t acl;              /* categories that do not follow from the flags; see command_categories */
	const char *keys;          /* key specifications, in the notation of commands.def */
	const char *tips;          /* words, or NULL */
	const char *group, *since, *complexity, *summary;
	const char *arguments; /* in the notation of commands.def, or NULL */
	const char *history;   /* lines "version text", or NULL */
	const char *doc_flags, *deprecated_since, *replaced_by;
};
#define NOT_A_SUBCOMMAND UINT16_MAX

/* The command of that name, letters without case; NULL: there is none. No subcommands. */
const struct command *command_find(const char *name, size_t n);

/*
 * rename-command: from now on the command of the name `old` is found by `new` alone, "" for by none. NULL, or why not, as Redis says it. Before
 * the first fork. The row, and so what COMMAND and statistics call it, stays.
 */
const char *command_rename(const struct arg *old, const struct arg *new);

/* The subcommand of a container; NULL: there is none. */
const struct command *command_find_sub(const struct command *container, const char *name, size_t n);

/* By the name COMMAND INFO knows it: "get", "config|get", also of one that was renamed. */
const struct command *command_find_full(const char *name, size_t n);

/* Every row, a container followed by its subcommands. Start with NULL; NULL at the end. */
const struct command *command_next(const struct command *row);

/* The row of that number; NULL: there is none. */
const struct command *command_at(uint32_t number);

/* The first subcommand of a row, and the one after a subcommand; NULL: no more. */
const struct command *command_first_sub(const struct command *row);
const struct command *command_next_sub(const struct command *sub);

static inline bool command_is_sub(const struct command *row)
{
	return row->parent != NOT_A_SUBCOMMAND;
}

/* All ACL categories of a row, those that follow from its flags included. */
uint32_t command_categories(const struct command *row);

/* Whether it can be called, by whatever name. */
bool command_is_callable(const struct command *row);

/* Number of commands that can be called, subcommands not counted. */
size_t command_count(void);

static inline bool command_arity_ok(const struct command *row, int argc)
{
	return row->arity >= 0 ? argc == row->arity : argc >= -row->arity;
}

/*
 * The positions of the keys in a call of argc words: first, then each `step`-th up to and including last. False: none.
 * What is missing in a call that the handler will refuse is left out.
 */
bool command_key_range(const struct command *row, int argc, int *first, int *last, int *step);

#endif
