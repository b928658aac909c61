/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: a line on the terminal, one row of it, scrolled sideways when it is too long.
 *
 * Runs in bulkhead-cli. Owns nothing, no locks. The row is written whole and at once, so that it does not flicker.
 * Widths are from a table of ours: the C library's needs a locale, which small machines have not.
 */
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "line_edit.h"

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t line_before(const char *s, size_t at)
{
	if (at > 0)
		at--;
	for (int i = 0; i < 3 && at > 0 && is_continuation(s[at]); i++)
		at--;
	return at;
}

size_t line_after(const char *s, size_t n, size_t at)
{
	if (at < n)
		at++;
	for (int i = 0; i < 3 && at < n && is_continuation(s[at]); i++)
		at++;
	return at;
}

static uint32_t decode(const char *s, size_t n)
{
	unsigned char c = (unsigned char)s[0];
	uint32_t v = n == 2 ? c & 0x1f : n == 3 ? c & 0x0f : n == 4 ? c & 0x07 : c;
	for (size_t i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)s[i] & 0x3f);
	return v;
}

/* Columns of the character of n bytes. What is no character of its own is shown as one sign. */
static size_t width_of(const char *s, size_t n)
{
	static const struct {
		uint32_t first, last;
		size_t width;
	} odd[] = {
	    {0x300, 0x36f, 0},   {0x200b, 0x200f, 0}, {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},
	    {0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},
	    {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
	};
	uint32_t c = decode(s, n);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (c >= odd[i].first && c <= odd[i].last)
			return odd[i].width;
	return 1;
}

static size_t width_between(const char *s, size_t from, size_t to)
{
	size_t width = 0;
	for (size_t next; from < to; from = next) {
		next = line_after(s, to, from);
		width += width_of(s + from, next - from);
	}
	return width;
}

/* Appends characters until `room` columns are full; control bytes as a question mark. Returns the columns left. */
static size_t append_columns(struct buf *out, const char *s, size_t n, size_t room)
{
	for (size_t at = 0, next; at < n; at = next) {
		next = line_after(s, n, at);
		size_t width = width_of(s + at, next - at);
		if (width > room)
			return 0;
		if ((unsigned char)s[at] < ' ' || s[at] == 127)
			buf_append_char(out, '?');
		else
			buf_append(out, s + at, next - at);
		room -= width;
	}
	return room;
}

static size_t columns(void)
{
	struct winsize w;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

void line_screen_show(const struct line_view *v)
{
	struct buf out;
	size_t all = columns(), prompt_n = strlen(v->prompt), start = 0;
	size_t prompt_width = width_between(v->prompt, 0, prompt_n);
	bool with_prompt = prompt_width + 10 < all;
	size_t used = with_prompt ? prompt_width : 0;
	size_t room = all - used - 1; /* the last column is left free: some terminals wrap in it */

	while (start < v->cursor && width_between(v->text, start, v->cursor) > room)
		start = line_after(v->text, v->n, start);
	buf_init(&out);
	buf_append_char(&out, '\r');
	if (with_prompt)
		buf_append(&out, v->prompt, prompt_n);
	size_t left = append_columns(&out, v->text + start, v->n - start, room);
	if (left > 0 && v->hint_n > 0) {
		buf_append_str(&out, "\x1b[90m");
		append_columns(&out, v->hint, v->hint_n, left);
		buf_append_str(&out, "\x1b[0m");
	}
	size_t column = used + width_between(v->text, start, v->cursor);
	buf_append_str(&out, "\x1b[0K\r");
	if (column > 0)
		buf_printf(&out, "\x1b[%zuC", column);
	io_write_full(STDOUT_FILENO, out.data, out.len);
	buf_deinit(&out);
}
