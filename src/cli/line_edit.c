/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: the line editor. Keys as in a shell:
 *
 *   left right ^B ^F, home end ^A ^E, ^left ^right M-b M-f   move
 *   backspace ^H, delete ^D, ^W M-backspace, M-d, ^U, ^K      erase; what the last four took comes back with ^Y
 *   up down ^P ^N, ^R                                         earlier lines; search among them
 *   tab                                                       complete; again: the next way
 *   ^L ^T ^C ^D ^Z                                            clear, transpose, drop the line, end, suspend
 *
 * Runs in bulkhead-cli. Owns what was erased; the terminal's mode is line_keys.c's. No locks.
 */
#include "line_edit.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"

struct editor {
	const char *prompt;
	struct line_history *history;
	const struct line_help *help;
	struct buf *text;
	size_t cursor;
	size_t place;      /* in the history; history->n: the new line */
	struct buf fresh;  /* the new line, while an old one is shown */
	bool last_was_tab; /* then these are the ways to complete */
	struct buf ways;   /* each ended by a NUL */
	size_t way;
};

/* What was erased; it outlives a line. */
static struct buf killed;

bool line_edit_possible(void)
{
	const char *term = getenv("TERM");
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && term[0] && strcmp(term, "dumb");
}

/* ---- the text ---- */

static void show(struct editor *e, bool hints)
{
	if (hints && line_key_pending())
		return; /* more was typed: it is shown once */
	struct buf hint;
	buf_init(&hint);
	if (hints && e->cursor == e->text->len && e->help)
		e->help->hint(e->help->context, e->text->data, e->text->len, &hint);
	struct line_view v = {e->prompt, e->text->data, e->text->len, e->cursor, hint.data, hint.len};
	line_screen_show(&v);
	buf_deinit(&hint);
}

static void beep(void)
{
	io_write_full(STDOUT_FILENO, "\a", 1);
}

static void insert(struct editor *e, const char *s, size_t n)
{
	buf_reserve(e->text, n);
	memmove(e->text->data + e->cursor + n, e->text->data + e->cursor, e->text->len - e->cursor);
	if (n > 0)
		memcpy(e->text->data + e->cursor, s, n);
	e->text->len += n;
	e->cursor += n;
}

static void erase(struct editor *e, size_t from, size_t to, bool keep)
{
	if (from == to)
		return;
	if (keep) {
		killed.len = 0;
		buf_append(&killed, e->text->data + from, to - from);
	}
	memmove(e->text->data + from, e->text->data + to, e->text->len - to);
	e->text->len -= to - from;
	e->cursor = from;
}

static void replace(struct editor *e, const char *s, size_t n)
{
	e->text->len = 0;
	buf_append(e->text, s, n);
	e->cursor = n;
}

static size_t word_left(const struct editor *e)
{
	size_t at = e->cursor;
	while (at > 0 && str_is_space((unsigned char)e->text->data[at - 1]))
		at--;
	while (at > 0 && !str_is_space((unsigned char)e->text->data[at - 1]))
		at--;
	return at;
}

static size_t word_right(const struct editor *e)
{
	size_t at = e->cursor;
	while (at < e->text->len && str_is_space((unsigned char)e->text->data[at]))
		at++;
	while (at < e->text->len && !str_is_space((unsigned char)e->text->data[at]))
		at++;
	return at;
}

/* Exchanges the two characters around the cursor. */
static void transpose(struct editor *e)
{
	if (e->cursor == 0 || e->text->len == 0)
		return;
	if (e->cursor == e->text->len)
		e->cursor = line_before(e->text->data, e->cursor);
	size_t from = line_before(e->text->data, e->cursor), to = line_after(e->text->data, e->text->len, e->cursor);
	struct buf swapped;
	buf_init(&swapped);
	buf_append(&swapped, e->text->data + e->cursor, to - e->cursor);
	buf_append(&swapped, e->text->data + from, e->cursor - from);
	if (swapped.len == to - from)
		memcpy(e->text->data + from, swapped.data, swapped.len);
	buf_deinit(&swapped);
	e->cursor = to;
}

/* ---- earlier lines ---- */

static void go_to_line(struct editor *e, size_t place)
{
	if (e->place == e->history->n) {
		e->fresh.len = 0;
		buf_append(&e->fresh, e->text->data, e->text->len);
	}
	e->place = place;
	if (place == e->history->n)
		replace(e, e->fresh.data, e->fresh.len);
	else
		replace(e, e->history->v[place], strlen(e->history->v[place]));
}

/* The newest line at `place` or before that contains the words; history->n: none. */
static size_t find_line(const struct line_history *h, size_t place, const struct buf *words)
{
	for (size_t i = place + 1; i-- > 0;)
		if (i < h->n && memmem(h->v[i], strlen(h->v[i]), words->data, words->len))
			return i;
	return h->n;
}

/* ^R. Returns the key that ended it, for the caller to act upon, or KEY_NONE. */
static int search(struct editor *e)
{
	struct buf words, prompt, before;
	size_t found = e->history->n;
	const char *own_prompt = e->prompt;
	int key;

	buf_init(&words);
	buf_init(&prompt);
	buf_init(&before);
	buf_append(&before, e->text->data, e->text->len);
	for (;;) {
		prompt.len = 0;
		buf_printf(&prompt, "(search '%.*s') ", (int)words.len, words.data ? words.data : "");
		buf_append_char(&prompt, '\0');
		e->prompt = prompt.data;
		show(e, false);
		key = line_key_read();
		size_t from = e->history->n;
		if (key == CONTROL('r') && found < e->history->n && found > 0)
			from = found - 1;
		else if (key == 127 || key == '\b')
			words.len = line_before(words.data, words.len);
		else if (key >= ' ' && key < 256)
			buf_append_char(&words, (char)key);
		else if (key != CONTROL('r'))
			break;
		size_t place = words.len > 0 ? find_line(e->history, from, &words) : e->history->n;
		if (place == e->history->n) {
			beep();
			continue;
		}
		found = e->place = place;
		replace(e, e->history->v[place], strlen(e->history->v[place]));
	}
	e->prompt = own_prompt;
	if (key == CONTROL('c') || key == CONTROL('g')) {
		replace(e, before.data, before.len);
		e->place = e->history->n;
		key = KEY_NONE;
	}
	buf_deinit(&words);
	buf_deinit(&prompt);
	buf_deinit(&before);
	return key;
}

/* ---- completion ---- */

static void take_way(void *to, const char *text, size_t n)
{
	struct buf *ways = to;
	buf_append(ways, text, n);
	buf_append_char(ways, '\0');
}

/* The first way, then the others in turn, then what was typed. */
static void complete(struct editor *e)
{
	if (!e->last_was_tab) {
		e->ways.len = e->way = 0;
		if (e->cursor == e->text->len && e->help)
			e->help->complete(e->help->context, e->text->data, e->text->len, take_way, &e->ways);
		if (e->ways.len == 0) {
			beep();
			return;
		}
		take_way(&e->ways, e->text->data, e->text->len);
		e->last_was_tab = true;
	}
	size_t n = strlen(e->ways.data + e->way);
	replace(e, e->ways.data + e->way, n);
	e->way += n + 1;
	if (e->way >= e->ways.len)
		e->way = 0;
}

/* ---- what keys do ---- */

static void suspend(struct editor *e)
{
	line_raw_leave();
	raise(SIGTSTP);
	line_raw_enter();
	show(e, true);
}

static void move_key(struct editor *e, int key)
{
	struct buf *t = e->text;
	switch (key) {
	case CONTROL('b'):
	case KEY_LEFT:
		e->cursor = line_before(t->data, e->cursor);
		break;
	case CONTROL('f'):
	case KEY_RIGHT:
		e->cursor = line_after(t->data, t->len, e->cursor);
		break;
	case CONTROL('a'):
	case KEY_HOME:
		e->cursor = 0;
		break;
	case CONTROL('e'):
	case KEY_END:
		e->cursor = t->len;
		break;
	case KEY_WORD_LEFT:
		e->cursor = word_left(e);
		break;
	case KEY_WORD_RIGHT:
		e->cursor = word_right(e);
		break;
	case CONTROL('p'):
	case KEY_UP:
		if (e->place > 0)
			go_to_line(e, e->place - 1);
		break;
	case CONTROL('n'):
	case KEY_DOWN:
		if (e->place < e->history->n)
			go_to_line(e, e->place + 1);
		break;
	}
}

static void edit_key(struct editor *e, int key)
{
	struct buf *t = e->text;
	switch (key) {
	case 127:
	case CONTROL('h'):
		erase(e, line_before(t->data, e->cursor), e->cursor, false);
		break;
	case CONTROL('d'):
	case KEY_DELETE:
		erase(e, e->cursor, line_after(t->data, t->len, e->cursor), false);
		break;
	case CONTROL('w'):
	case KEY_ERASE_WORD:
		erase(e, word_left(e), e->cursor, true);
		break;
	case KEY_ERASE_NEXT_WORD:
		erase(e, e->cursor, word_right(e), true);
		break;
	case CONTROL('u'):
		erase(e, 0, e->cursor, true);
		break;
	case CONTROL('k'):
		erase(e, e->cursor, t->len, true);
		break;
	case CONTROL('y'):
		insert(e, killed.data, killed.len);
		break;
	case CONTROL('t'):
		transpose(e);
		break;
	case CONTROL('l'):
		io_write_full(STDOUT_FILENO, "\x1b[H\x1b[2J", 7);
		break;
	case CONTROL('z'):
		suspend(e);
		break;
	default:
		if (key >= ' ' && key < 256 && key != 127)
			insert(e, &(char){(char)key}, 1);
		else
			move_key(e, key);
	}
}

static enum line_result edit(struct editor *e)
{
	show(e, true);
	for (;;) {
		int key = line_key_read();
		if (key == CONTROL('r'))
			key = search(e);
		if (key == KEY_GONE)
			return LINE_END;
		if (key == '\r' || key == '\n')
			return LINE_DONE;
		if (key == CONTROL('c'))
			return e->text->len > 0 ? LINE_DROPPED : LINE_END;
		if (key == CONTROL('d') && e->text->len == 0)
			return LINE_END;
		if (key == '\t') {
			complete(e);
		} else {
			e->last_was_tab = false;
			edit_key(e, key);
		}
		show(e, true);
	}
}

enum line_result line_edit(const char *prompt, struct line_history *history, const struct line_help *help,
			   struct buf *out)
{
	struct editor e = {.prompt = prompt, .history = history, .help = help, .text = out, .place = history->n};
	out->len = 0;
	buf_reserve(out, 1);
	if (!line_raw_enter())
		return LINE_END;
	enum line_result r = edit(&e);
	e.cursor = out->len;
	show(&e, false); /* without the hint */
	line_raw_leave();
	io_write_full(STDOUT_FILENO, r == LINE_DROPPED ? "^C\n" : "\n", r == LINE_DROPPED ? 3 : 1);
	buf_deinit(&e.fresh);
	buf_deinit(&e.ways);
	*buf_reserve(out, 1) = '\0';
	return r;
}
