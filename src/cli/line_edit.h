/* SPDX-License-Identifier: BSD-2-Clause */
/* A line typed at a terminal: editing, history, completion, hints. UTF-8. Knows nothing of commands. */
#ifndef CLI_LINE_EDIT_H
#define CLI_LINE_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"

/* ---- line_history.c ---- */

#define LINE_HISTORY_MAX 1000

struct line_history {
	char **v; /* the oldest first */
	size_t n;
	char *path; /* NULL: kept in memory alone */
};

/* Reads the file, if there is one. path (copied) may be NULL. */
void line_history_init(struct line_history *h, const char *path);
void line_history_deinit(struct line_history *h);

/* Adds the line to the memory, and to the file, which only its owner may read. The same line twice counts once. */
void line_history_add(struct line_history *h, const char *line);

/* ---- line_screen.c ---- */

struct line_view {
	const char *prompt;
	const char *text;
	size_t n, cursor; /* bytes */
	const char *hint; /* shown behind the text, in grey */
	size_t hint_n;
};

/* Shows it in the terminal's current row: the part around the cursor, if all is too long. */
void line_screen_show(const struct line_view *v);

/* Where the character before (after) the byte `at` begins (ends). */
size_t line_before(const char *s, size_t at);
size_t line_after(const char *s, size_t n, size_t at);

/* ---- line_keys.c ---- */

/* Bytes, the control characters among them, are keys of their own value. */
#define CONTROL(c) ((c)&31)

enum {
	KEY_LEFT = 256,
	KEY_RIGHT,
	KEY_UP,
	KEY_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_DELETE,
	KEY_WORD_LEFT,
	KEY_WORD_RIGHT,
	KEY_ERASE_WORD,
	KEY_ERASE_NEXT_WORD,
	KEY_NONE,
	KEY_GONE,
};

/* The terminal's raw mode, and its own again. False: there is no terminal. */
bool line_raw_enter(void);
void line_raw_leave(void);

/* The next key; KEY_NONE: one that means nothing to us, KEY_GONE: there will be no more. */
int line_key_read(void);

/* Whether more keys have been read from the terminal than were asked for. */
bool line_key_pending(void);

/* ---- line_edit.c ---- */

struct line_help {
	void *context;
	/* Appends what might follow the line. */
	void (*hint)(void *context, const char *line, size_t n, struct buf *out);
	/* Calls take for each whole line that this one could become. */
	void (*complete)(void *context, const char *line, size_t n, void (*take)(void *to, const char *text, size_t n),
			 void *to);
};

enum line_result {
	LINE_DONE,
	LINE_DROPPED, /* Ctrl-C: the line is not wanted */
	LINE_END,     /* Ctrl-D, or Ctrl-C on an empty line, or the terminal is gone */
};

/* Whether standard input and output are a terminal that can be drawn on. */
bool line_edit_possible(void);

/* Reads a line into `out` (emptied first), a NUL behind it that out->len does not count. The terminal is in raw mode
 * meanwhile, and as before afterwards. */
enum line_result line_edit(const char *prompt, struct line_history *history, const struct line_help *help,
			   struct buf *out);

#endif
