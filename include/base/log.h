/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: lines in the form that Redis writes and that scripts look for:
 *
 *     PID:ROLE dd Mon yyyy hh:mm:ss.mmm C message
 *
 * ROLE is M for the supervisor and C for every other process; C is one of . - * # for debug, verbose, notice,
 * warning. A line leaves in one write(), so lines of different processes never mix (files are opened O_APPEND).
 * Control bytes in a message are written as ?, so no client can forge a line. Before log_open() lines go to
 * standard error. Safe after fork(): nothing is buffered.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_DEBUG = 0,
	LOG_LEVEL_VERBOSE,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_WARNING,
};

/* Longest message; what is beyond is cut. */
#define LOG_MESSAGE_MAX 4096

/* Sends the log to a file ("" or NULL: standard output), lines below `level` suppressed. The name is copied and made
 * absolute, so a later chdir() does not move the log. If the file cannot be opened returns false with errno set, and
 * the log stays where it was. */
bool log_open(const char *file, enum log_level level);

/* Also sends every line to syslog as `ident`, `facility` being one of <syslog.h>'s (LOG_LOCAL0 ...). Opens the
 * connection at once, so it works in a process that may open no socket later. */
void log_open_syslog(const char *ident, int facility);

/* Opens the file again by its name (after logrotate moved it). On failure the old one stays in use and false comes
 * back with errno set. The descriptor keeps its number, but only in the calling process: children forked before
 * write to the old file until they are given the new one (log_take). Nothing to do for standard output. */
bool log_reopen(void);

/* Goes on with `fd`, another process's log_fd, which is closed: the number stays that of log_fd. */
void log_take(int fd);

/* Whether the log is a file, which can be opened again. */
bool log_is_file(void);

void log_set_role(char role);
void log_set_level(enum log_level level);
/* From now on the level is what stands there, in memory that processes share: who changes it has changed it for all. */
void log_follow_level(const int32_t *level);
enum log_level log_get_level(void);

/* The descriptor that lines are written to, for a sandbox that closes all others; the one for syslog, or -1, is the
 * C library's own. */
int log_fd(void);

/* Writes one line, whatever the level set: the macros below have checked it. errno is kept. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For signal handlers: no lock, no allocation, no formatting. A warning line with the text; time zone as of the last
 * ordinary line. errno is kept. */
void log_signal_safe(const char *text);

extern const int32_t *log_threshold; /* written by log_open, log_set_level and log_follow_level only */

#define log_at(level, ...)                                                                                             \
	do {                                                                                                           \
		if ((int32_t)(level) >= *log_threshold)                                                                         \
			log_write((level), __VA_ARGS__);                                                               \
	} while (0)

#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_at(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)

#endif
