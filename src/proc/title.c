/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The title of a process (proc/title.h): the memory where the kernel put the arguments and the environment, which is
 * what ps reads. The environment is copied elsewhere first. Overwriting the arguments also removes a password given there.
 */
#include "proc/title.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *room;
static size_t size, used;

void title_init(int argc, char **argv)
{
	if (argc < 1)
		return;
	char *end = argv[0];
	for (int i = 0; i < argc && argv[i] == end; i++)
		end = argv[i] + strlen(argv[i]) + 1;
	for (char **e = environ; *e; e++) {
		if (*e != end)
			break;
		end = *e + strlen(*e) + 1;
		char *copy = strdup(*e);
		if (!copy)
			break;
		*e = copy;
	}
	room = argv[0];
	size = (size_t)(end - room);
	memset(room, 0, size);
	used = 0;
}

void title_set(const char *text)
{
	static const char prefix[] = "bulkhead: ";
	size_t n = strlen(text), p = sizeof prefix - 1;
	if (size <= p)
		return;
	if (n > size - p - 1)
		n = size - p - 1;
	memcpy(room, prefix, p);
	memcpy(room + p, text, n);
	if (p + n < used)
		memset(room + p + n, 0, used - p - n);
	used = p + n;
}
