/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: the lines typed before, in memory and in a file.
 *
 * Runs in bulkhead-cli. Owns the lines. No locks: each line is appended by one write, so several clients may share the
 * file. A file that has grown too long is replaced by a shorter one when it is read; a death in the middle leaves the
 * old one.
 */
#include "line_edit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/panic.h"

static void remember(struct line_history *h, const char *line)
{
	if (h->n == LINE_HISTORY_MAX) {
		free(h->v[0]);
		memmove(h->v, h->v + 1, (--h->n) * sizeof(*h->v));
	}
	h->v[h->n] = strdup(line);
	if (!h->v[h->n])
		fatal("out of memory");
	h->n++;
}

/* Opens it for its owner alone, also if it was there with other rights. */
static int open_private(const char *path, int flags)
{
	struct stat st;
	int fd = open(path, flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
		fchmod(fd, 0600);
	return fd;
}

static void append_line(int fd, const char *line)
{
	struct buf text;
	buf_init(&text);
	buf_printf(&text, "%s\n", line);
	io_write_full(fd, text.data, text.len); /* a full disk costs the history, not the session */
	buf_deinit(&text);
}

static void shorten(const struct line_history *h)
{
	struct buf name;
	buf_init(&name);
	buf_printf(&name, "%s.%d", h->path, (int)getpid());
	buf_append_char(&name, '\0');
	int fd = open_private(name.data, O_TRUNC);
	if (fd >= 0) {
		for (size_t i = 0; i < h->n; i++)
			append_line(fd, h->v[i]);
		io_close(&fd);
		if (rename(name.data, h->path) != 0)
			unlink(name.data);
	}
	buf_deinit(&name);
}

void line_history_init(struct line_history *h, const char *path)
{
	*h = (struct line_history){.v = calloc(LINE_HISTORY_MAX, sizeof(*h->v)), .path = path ? strdup(path) : NULL};
	if (!h->v || (path && !h->path))
		fatal("out of memory");
	FILE *f = path ? fopen(path, "re") : NULL;
	if (!f)
		return;
	char *line = NULL;
	size_t cap = 0, lines = 0;
	ssize_t n;
	for (; (n = getline(&line, &cap, f)) > 0; lines++) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (line[0])
			remember(h, line);
	}
	free(line);
	fclose(f);
	if (lines > 2 * LINE_HISTORY_MAX)
		shorten(h);
}

void line_history_deinit(struct line_history *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i]);
	free(h->v);
	free(h->path);
}

void line_history_add(struct line_history *h, const char *line)
{
	if (!line[0] || (h->n > 0 && !strcmp(h->v[h->n - 1], line)))
		return;
	remember(h, line);
	int fd = h->path ? open_private(h->path, O_APPEND) : -1;
	if (fd >= 0)
		append_line(fd, line);
	io_close(&fd);
}
