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
#define PARAM_PROTECTED 2u
#define PARAM_HIDDEN 4u
#define PARAM_ALWAYS 8u
#define PARAM_EMPTY 16u

/* client-output-buffer-limit of one class of clients: bytes at once, bytes for so many seconds; 0: no limit. */
struct client_limit {
	uint64_t hard, soft;
	int64_t seconds;
};
enum { CLIENT_CLASS_NORMAL, CLIENT_CLASS_REPLICA, CLIENT_CLASS_PUBSUB, CLIENT_CLASSES };

/* latency-tracking-info-percentiles. */
#define QUANTILES_MAX 16u
struct quantiles {
	uint32_t n;
	double at[QUANTILES_MAX];
};

/* save: a snapshot when `changes` were made in so many seconds. */
#define SAVE_POINTS_MAX 16u
struct save_points {
	uint32_t n;
	struct save_point {
		int64_t seconds;
		int32_t changes;
	} at[SAVE_POINTS_MAX];
};

#define CONFIG_NUMBER_BOOL(field) bool field;
#define CONFIG_NUMBER_INT(field) int64_t field;
#define CONFIG_NUMBER_OCTAL(field) int64_t field;
#define CONFIG_NUMBER_MEMORY(field) uint64_t field;
#define CONFIG_NUMBER_PERCENT(field) int64_t field;
#define CONFIG_NUMBER_ENUM(field) int32_t field;
#define CONFIG_NUMBER_BITS(field) uint32_t field;
#define CONFIG_NUMBER_EVENTS(field) uint32_t field;
#define CONFIG_NUMBER_LIMITS(field) struct client_limit field[CLIENT_CLASSES];
#define CONFIG_NUMBER_SCORES(field) int32_t field[3];
#define CONFIG_NUMBER_QUANTILES(field) struct quantiles field;
#define CONFIG_NUMBER_POINTS(field) struct save_points field;
#define CONFIG_NUMBER_TEXT(field)
#define CONFIG_NUMBER_WORDS(field)
#define CONFIG_NUMBER_SECRET(field) bool field##_set;
#define CONFIG_NUMBER_ALIAS(field)

#define CONFIG_STRING_BOOL(field)
#define CONFIG_STRING_INT(field)
#define CONFIG_STRING_OCTAL(field)
#define CONFIG_STRING_MEMORY(field)
#define CONFIG_STRING_PERCENT(field)
#define CONFIG_STRING_ENUM(field)
#define CONFIG_STRING_BITS(field)
#define CONFIG_STRING_EVENTS(field)
#define CONFIG_STRING_LIMITS(field)
#define CONFIG_STRING_SCORES(field)
#define CONFIG_STRING_QUANTILES(field)
#define CONFIG_STRING_POINTS(field)
#define CONFIG_STRING_TEXT(field) char field[CONFIG_TEXT];
#define CONFIG_STRING_WORDS(field) char field[CONFIG_TEXT];
#define CONFIG_STRING_SECRET(field)
#define CONFIG_STRING_ALIAS(field)

/*
 * A number or a bool is changed by one store. What is larger may be read half-changed: texts, lists and limits are to be read
 * through config_get, or where half of each does no harm. password_set (of requirepass): a client must AUTH before it is the
 * default user.
 */
struct config {
	_Atomic uint64_t generation; /* moves with every CONFIG SET; odd while values change */
	bool chosen;                 /* there was a file or an option */
#define PARAM(name, TYPE, field, def, min, max, flags) CONFIG_NUMBER_##TYPE(field)
#include "base/params.def"
#define PARAM(name, TYPE, field, def, min, max, flags) CONFIG_STRING_##TYPE(field)
#include "base/params.def"
	char file[CONFIG_TEXT];       /* absolute path of the file read, "" if none */
	char executable[CONFIG_TEXT]; /* absolute path of this program, for INFO */
};

/* Values of the ENUM parameters. */
enum {
	POLICY_VOLATILE_LRU,
	POLICY_VOLATILE_LFU,
	POLICY_VOLATILE_RANDOM,
	POLICY_VOLATILE_TTL,
	POLICY_ALLKEYS_LRU,
	POLICY_ALLKEYS_LFU,
	POLICY_ALLKEYS_RANDOM,
	POLICY_NOEVICTION
};
enum { ALLOWED_NO, ALLOWED_YES, ALLOWED_LOCAL }; /* enable-...-command, enable-protected-configs */
enum { SUPERVISED_UPSTART, SUPERVISED_SYSTEMD, SUPERVISED_AUTO, SUPERVISED_NO };
enum { OOM_ADJ_NO, OOM_ADJ_RELATIVE, OOM_ADJ_ABSOLUTE };
enum { FSYNC_EVERYSEC, FSYNC_ALWAYS, FSYNC_NO }; /* appendfsync */

enum { SANITIZE_NO, SANITIZE_ALL, SANITIZE_CLIENTS }; /* sanitize-dump-payload */

/* Bits of shutdown-on-sigterm and -sigint; none: the default. */
enum { STOP_SAVE = 1, STOP_NOSAVE = 2, STOP_NOW = 4, STOP_FORCE = 8 };

/* Bits of notify-keyspace-events, in the order in which they are shown. EVENT_ALL is what 'A' stands for. */
enum {
	EVENT_GENERIC = 1 << 0,
	EVENT_STRING = 1 << 1,
	EVENT_LIST = 1 << 2,
	EVENT_SET = 1 << 3,
	EVENT_HASH = 1 << 4,
	EVENT_ZSET = 1 << 5,
	EVENT_EXPIRED = 1 << 6,
	EVENT_EVICTED = 1 << 7,
	EVENT_STREAM = 1 << 8,
	EVENT_MODULE = 1 << 9,
	EVENT_NEW = 1 << 10,
	EVENT_KEYSPACE = 1 << 11,
	EVENT_KEYEVENT = 1 << 12,
	EVENT_KEY_MISS = 1 << 13,
	EVENT_ALL = EVENT_NEW - 1
};

/* The configuration as this process sees it; never NULL once config_load has returned. */
extern const struct config *config;

/*
 * Reads the defaults, the configuration file and the options of the command line (redis-server's syntax). Supervisor, first thing.
 * -v and -h are answered here and end the process with 0, a mistake ends it with 1: file, line and reason on standard error.
 * False: it was only asked whether it can be read (--store-format). `rename` is called for each rename-command with the old name and the new one ("": none); it returns NULL, or why not.
 */
typedef const char *config_renamer(const struct arg *old, const struct arg *new);
bool config_load(int argc, char **argv, config_renamer *rename);

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
 * `local`: whoever asks is on this machine. On failure false, and `err` is the whole error as Redis words it, cut to `cap` bytes.
 * Supervisor only.
 */
typedef const char *config_apply(const struct config *before, struct config *after, const char **blamed);
bool config_set(const struct arg *pairs, size_t n, bool local, config_apply *apply, char *err, size_t cap);

/*
 * CONFIG GET: calls `each` once for every parameter whose name matches one of n glob patterns (letters without case). The
 * value is as Redis prints it; NULL for a secret that is set (ask the supervisor, REQUEST_CONFIG_GET_SECRET). Any process.
 */
typedef void config_visitor(void *arg, const char *name, const char *value);
void config_get(const struct arg *patterns, size_t n, config_visitor *each, void *arg);

/*
 * CONFIG REWRITE: the file is to say what is configured now. `all`: defaults too. There must be a file (config->file). False: errno says why,
 * and the file is as it was. Supervisor only.
 */
bool config_rewrite(bool all);

/* Whether p is the password of the default user, in a time that depends only on the lengths. Supervisor only. */
bool config_password_is(const char *p, size_t n);

/* The password ("" if none). Supervisor only. */
const char *config_password(size_t *n);

/* The value of any SECRET, for CONFIG GET of an authenticated client; NULL: no parameter of that name is one. Supervisor only. */
const char *config_secret(const struct arg *name, size_t *n);

/* Going into the background: all secret memory is to survive the next fork. Undone by a second call with false. */
void config_secrets_follow(bool on);

/* Memory of the supervisor that a child finds zeroed: for texts that may hold secrets. Fatal when there is none. */
void *config_secret_memory(size_t n);

#endif
