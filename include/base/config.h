/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: rows in params.def, values in one plain struct that every process can read.
 *
 * The supervisor reads it at the start, then moves it into the control region and alone changes it there. Secrets are not in
 * it: they stay in pages of the supervisor that the kernel empties in every child.
 */
#ifndef BULKHEAD_BASE_CONFIG_H
#define BULKHEAD_BASE_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define CONFIG_TEXT 1024u /* longest text value and its NUL, bytes */
#define PARAM_MUTABLE 1u

#define CONFIG_NUMBER_BOOL(field) bool field;
#define CONFIG_NUMBER_INT(field) int64_t field;
#define CONFIG_NUMBER_OCTAL(field) int64_t field;
#define CONFIG_NUMBER_MEMORY(field) uint64_t field;
#define CONFIG_NUMBER_ENUM(field) int32_t field;
#define CONFIG_NUMBER_TEXT(field)
#define CONFIG_NUMBER_WORDS(field)
#define CONFIG_NUMBER_SECRET(field)
#define CONFIG_NUMBER_ONLY(field)

#define CONFIG_STRING_BOOL(field)
#define CONFIG_STRING_INT(field)
#define CONFIG_STRING_OCTAL(field)
#define CONFIG_STRING_MEMORY(field)
#define CONFIG_STRING_ENUM(field)
#define CONFIG_STRING_TEXT(field) char field[CONFIG_TEXT];
#define CONFIG_STRING_WORDS(field) char field[CONFIG_TEXT];
#define CONFIG_STRING_SECRET(field)
#define CONFIG_STRING_ONLY(field)

/* Each number is changed by one store; a text may be read half-changed, so read texts through config_get. */
struct config {
	_Atomic uint64_t generation; /* moves with every CONFIG SET; odd while values change */
	bool password_set; /* a client must AUTH before it is the default user */
	bool chosen;       /* there was a file or an option */
#define PARAM(name, TYPE, field, def, min, max, flags) CONFIG_NUMBER_##TYPE(field)
#include "base/params.def"
#undef PARAM
#define PARAM(name, TYPE, field, def, min, max, flags) CONFIG_STRING_##TYPE(field)
#include "base/params.def"
#undef PARAM
	char file[CONFIG_TEXT];       /* absolute path of the file read, "" if none */
	char executable[CONFIG_TEXT]; /* absolute path of this program, for INFO */
};

/* Values of the ENUM parameters. */
enum { POLICY_NOEVICTION };
enum { DEBUG_COMMAND_NO, DEBUG_COMMAND_YES, DEBUG_COMMAND_LOCAL };
enum { SUPERVISED_UPSTART, SUPERVISED_SYSTEMD, SUPERVISED_AUTO, SUPERVISED_NO };
enum { OOM_ADJ_NO, OOM_ADJ_YES, OOM_ADJ_RELATIVE, OOM_ADJ_ABSOLUTE };

/* The configuration as this process sees it; never NULL once config_load has returned. */
extern const struct config *config;

/*
 * Reads the defaults, the configuration file and the options of the command line (redis-server's syntax). Supervisor, first thing.
 * -v and -h are answered here and end the process with 0, a mistake ends it with 1: file, line and reason on standard error.
 */
void config_load(int argc, char **argv);

/*
 * Moves the values to `where`, which config_set writes to from now on, and which is readable at `view` in this process and its
 * children: config points there. Supervisor, once.
 */
void config_place(struct config *where, const struct config *view);

/* Moves the generation although nothing has changed, so that who follows it looks around. Supervisor only. */
void config_touch(void);

/*
 * CONFIG SET: `pairs` are n names and values in turns (n even), all set or none. `apply` is called with the values as they would be, before
 * any has changed; it does what must be done and may refuse (return an error text without code, and name the parameter to blame).
 * On failure false, and `err` is the whole error as Redis words it, cut to `cap` bytes. Supervisor only.
 */
typedef const char *config_apply(const struct config *before, struct config *after, const char **blamed);
bool config_set(const struct arg *pairs, size_t n, config_apply *apply, char *err, size_t cap);

/*
 * CONFIG GET: calls `each` once for every parameter whose name matches one of n glob patterns (letters without case). The
 * value is as Redis prints it; NULL for a secret that is set (ask the supervisor, REQUEST_CONFIG_GET_SECRET). Any process.
 */
typedef void config_visitor(void *arg, const char *name, const char *value);
void config_get(const struct arg *patterns, size_t n, config_visitor *each, void *arg);

/* Whether p is the password of the default user, in a time that depends only on the lengths. Supervisor only. */
bool config_password_is(const char *p, size_t n);

/* The password ("" if none), for CONFIG GET of an authenticated client. Supervisor only. */
const char *config_password(size_t *n);

/* Going into the background: all secret memory is to survive the next fork. Undone by a second call with false. */
void config_secrets_follow(bool on);

/* Memory of the supervisor that a child finds zeroed: for texts that may hold secrets. Fatal when there is none. */
void *config_secret_memory(size_t n);

#endif
