/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc-title-template (base/title_template.h). Run by the supervisor; nothing shared, no locks, nothing allocated.
 */
#include "base/title_template.h"

#include <stdio.h>
#include <string.h>

static const char *listen_address(const struct config *values, char *out, size_t cap)
{
	int n = (int)strcspn(values->bind, " ");
	if (values->port)
		snprintf(out, cap, "%.*s:%d", n ? n : 1, n ? values->bind : "*", (int)values->port);
	else
		snprintf(out, cap, "unixsocket:%s", values->unixsocket);
	return out;
}

/* What a name stands for, made in `room` if need be; NULL: nothing has that name. */
static const char *meaning(const char *name, size_t n, const char *title, const struct config *values, char *room, size_t cap)
{
	if (str_eq(name, n, "title"))
		return title;
	if (str_eq(name, n, "listen-addr"))
		return listen_address(values, room, cap);
	if (str_eq(name, n, "server-mode"))
		return ""; /* neither a cluster nor a sentinel */
	if (str_eq(name, n, "port")) {
		snprintf(room, cap, "%d", (int)values->port);
		return room;
	}
	if (str_eq(name, n, "tls-port"))
		return "0";
	if (str_eq(name, n, "unixsocket"))
		return values->unixsocket;
	if (str_eq(name, n, "config-file"))
		return values->file;
	return NULL;
}

static void trim(char *text)
{
	size_t n = strlen(text), blank = 0;
	while (n && str_is_space((unsigned char)text[n - 1]))
		text[--n] = 0;
	while (str_is_space((unsigned char)text[blank]))
		blank++;
	memmove(text, text + blank, n - blank + 1);
}

bool title_expand(const char *template, const char *title, const struct config *values, char *out, size_t cap)
{
	char room[CONFIG_TEXT + 32];
	size_t used = 0;
	*out = 0;
	for (const char *p = template; *p;) {
		size_t n = strcspn(p, "{");
		const char *part = p;
		if (n == 0 && p[1] == '{') {
			n = 1;
			p += 2;
		} else if (n == 0) {
			const char *end = strchr(p, '}');
			part = end ? meaning(p + 1, (size_t)(end - p - 1), title, values, room, sizeof room) : NULL;
			if (!part)
				return false;
			n = strlen(part);
			p = end + 1;
		} else {
			p += n;
		}
		if (n > cap - 1 - used)
			n = cap - 1 - used;
		memcpy(out + used, part, n);
		out[used += n] = 0;
	}
	trim(out);
	return *out != 0;
}
