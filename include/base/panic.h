/* SPDX-License-Identifier: BSD-2-Clause */
/* Two ways to end a process. (A client's mistake ends nothing: it is a reply.)
 *
 * fatal: the environment failed (no memory, no file, a system call that cannot fail did). A warning in the log, exit
 * status 1. panic: an invariant is broken. A warning with file and line, then abort(), so that there is a core and
 * whoever watches this process cleans up after it. Neither runs atexit handlers: a process that was forked must not
 * flush what its parent had buffered.
 */
#ifndef BASE_PANIC_H
#define BASE_PANIC_H

_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4), cold));

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* Always checked. Keep the condition cheap and free of effects. */
#define ASSERT(cond)                                                                                                   \
	do {                                                                                                           \
		if (__builtin_expect(!(cond), 0))                                                                      \
			panic_at(__FILE__, __LINE__, "assertion failed: %s", #cond);                                   \
	} while (0)

/* Checked only with -DBULKHEAD_DEBUG; otherwise the condition is compiled but never evaluated. */
#ifdef BULKHEAD_DEBUG
#define DEBUG_ASSERT(cond) ASSERT(cond)
#else
#define DEBUG_ASSERT(cond)                                                                                             \
	do {                                                                                                           \
		if (0)                                                                                                 \
			(void)(cond);                                                                                  \
	} while (0)
#endif

#endif
