/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The title of a process (proc/title.h).
 *
 * ps reads the memory where the kernel put the arguments. Where the kernel can be told another place (PR_SET_MM_MAP, which
 * needs no privilege but CONFIG_CHECKPOINT_RESTORE), that is a text on the heap's first page, which every process has a copy of
 * anyway, and the first stack is needed no more. (On shared memory the kernel does not let ps read it.) Else the text is written over the
 * arguments. In both cases what was given there, a password perhaps, is wiped; the environment is copied elsewhere first.
 *
 * With set-proc-title no, all processes keep the name the program was called by, and that of its configuration file.
 *
 * Every process sets its own title. Owns the memory of the arguments.
 */
#include "proc/title.h"

#include <errno.h>
#include <linux/prctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/panic.h"
#include "base/title_template.h"

#define TITLE_MAX 192u

static char *room; /* where the title stands */
static size_t size, used;
static char *plain; /* the title for ever, or NULL */
static char *early; /* TITLE_MAX bytes of the heap's first page */

static void *must(void *p)
{
	if (!p)
		fatal("Out of memory");
	return p;
}

void title_reserve(void)
{
	early = must(calloc(1, TITLE_MAX));
}

/* The environment and its strings to the heap. Returns where the strings ended that followed `end` without a gap. */
static char *move_environment(char *end)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **copy = must(calloc(n + 1, sizeof *copy));
	for (size_t i = 0; i < n; i++) {
		copy[i] = must(strdup(environ[i]));
		if (environ[i] == end)
			end += strlen(end) + 1;
	}
	environ = copy;
	return end;
}

/* Options are left out: a password may be among them. */
static char *plain_title(int argc, char **argv)
{
	bool file = argc > 1 && argv[1][0] != '-';
	char *text;
	if (asprintf(&text, "%s%s%s", argv[0], file ? " " : "", file ? argv[1] : "") < 0)
		fatal("Out of memory");
	return text;
}

static void put(const char *prefix, const char *text)
{
	size_t n = strlen(text), p = strlen(prefix);
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

void title_init(int argc, char **argv)
{
	if (argc < 1)
		return;
	if (!config->set_proc_title)
		plain = plain_title(argc, argv);
	room = argv[0];
	char *end = room;
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(end) + 1;
	end = move_environment(end);
	size = (size_t)(end - room);
	memset(room, 0, size);
	if (plain)
		put("", plain);
	program_invocation_name = program_invocation_short_name = must(strdup("bulkhead-server"));
}

/* Fields 26 to 28 and 45 to 51 of /proc/self/stat, into what PR_SET_MM_MAP wants: it sets all of them or none. */
static bool read_layout(struct prctl_mm_map *m)
{
	char text[2048];
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	char *p = strrchr(text, ')');
	unsigned long long v[52] = {0};
	int field = 3;
	for (p = p ? strtok(p + 1, " ") : NULL; p && field < 52; p = strtok(NULL, " "))
		v[field++] = strtoull(p, NULL, 10);
	*m = (struct prctl_mm_map){.start_code = v[26],
				   .end_code = v[27],
				   .start_stack = v[28],
				   .start_data = v[45],
				   .end_data = v[46],
				   .start_brk = v[47],
				   .arg_start = v[48],
				   .arg_end = v[49],
				   .env_start = v[50],
				   .env_end = v[51],
				   .brk = (uintptr_t)sbrk(0),
				   .exe_fd = (uint32_t)-1};
	return field == 52;
}

bool title_move(void)
{
	struct prctl_mm_map m;
	if (!read_layout(&m))
		return false;
	m.arg_start = (uintptr_t)early;
	m.arg_end = (uintptr_t)early + TITLE_MAX;
	m.env_start = m.env_end = m.arg_end;
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof m, 0))
		return false;
	room = early;
	size = TITLE_MAX;
	used = 0;
	if (plain)
		put("", plain);
	return true;
}

void title_set(const char *text)
{
	if (!plain)
		put("bulkhead: ", text);
}

void title_set_supervisor(const struct config *values)
{
	char text[TITLE_MAX];
	if (!plain && title_expand(values->proc_title_template, "bulkhead: supervisor", values, text, sizeof text))
		put("", text);
}
