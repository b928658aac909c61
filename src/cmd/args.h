/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What handlers share: reading arguments, looking up keys, the usual replies, handing over effects.
 */
#ifndef BULKHEAD_CMD_ARGS_H
#define BULKHEAD_CMD_ARGS_H

#include "handlers.h"

/* Takes back the reply and the counts: the handler is run again, or has failed. */
void cmd_start_over(struct cmd *c);

/* ---- replies ---- */

void reply_syntax(struct cmd *c);
void reply_wrong_type(struct cmd *c);
void reply_arity(struct cmd *c);
void reply_not_integer(struct cmd *c);
/* No memory for what the command would do: the error, in place of what was replied so far. Returns CMD_ABORT, to be
 * returned at once. */
#define OOM_ERROR "OOM command not allowed when used memory > 'maxmemory'."
#define NOT_LOGGED_ERROR "MISCONF Errors writing to the AOF file: %s"
#define STRINGS_ONLY "ERR this server holds strings only" /* RESTORE of another type */
#define CANCELLED_ERROR "TIMEOUT The command ran longer than command-timeout and was undone."
enum cmd_result reply_oom(struct cmd *c);

/* The command was cancelled: says so in place of what was replied so far. Returns CMD_ABORT. */
enum cmd_result reply_cancelled(struct cmd *c);

/* -MISCONF: the log cannot be written (ACCESS_NOT_LOGGED). */
enum cmd_result reply_not_logged(struct cmd *c);

/* A string value, whatever its length: CMD_LONG when that must be done under a pin. */
enum cmd_result reply_value(struct cmd *c, const struct view *v);

/* ---- arguments: false after an error reply ---- */

bool want_i64(struct cmd *c, const struct arg *a, int64_t *out);
/* The number of a database that there is. `error`: the whole error for what is no int; NULL: the usual ones. */
bool want_db(struct cmd *c, const struct arg *a, uint32_t *out, const char *error);

/* An expiry of SET, GETEX: n in the unit and from the start its option tells, as an absolute time in ms. */
bool want_due(struct cmd *c, const struct arg *n, bool seconds, bool relative, int64_t *out);

/* ---- the client ---- */

/* Names the client; an empty name takes the name away. NULL, or the error to reply. */
const char *client_set_name(struct session *s, const struct arg *name);

/* Whether this client may do what a parameter with the values no, yes, local (ALLOWED_*) is about. */
bool client_allowed(int32_t when);

/* ---- keys of the session's database ---- */

uint32_t cmd_db(const struct cmd *c);

/* Looks a key up, for a command that reads it: counts a hit or a miss. */
bool find_key(struct cmd *c, const struct arg *key, struct view *out);

/* The same for who looks but does not use it: its access clock stays. */
bool peek_key(struct cmd *c, const struct arg *key, struct view *out);

/* As find_key for a string; after FIND_WRONG_TYPE the error is replied. `quiet`: nothing is counted (INCR, APPEND ...). */
enum find { FIND_NONE, FIND_STRING, FIND_WRONG_TYPE };
enum find find_string(struct cmd *c, const struct arg *key, struct view *out, bool quiet);

/* "string", "list" ... as TYPE says it; "int", "embstr" ... as OBJECT ENCODING does. */
const char *type_name(uint8_t type);
const char *encoding_name(uint8_t encoding);

/* ---- effects in the session's database, each counted as a change ---- */

/* The command as it came. */
void effect_self(struct cmd *c);

/* verb key, verb key n, verb key word */
void effect_verb(struct cmd *c, const char *verb, const struct arg *key);
void effect_verb_i64(struct cmd *c, const char *verb, const struct arg *key, int64_t n);

static inline struct arg arg_of(const char *s)
{
	return (struct arg){s, strlen(s)};
}

#endif
