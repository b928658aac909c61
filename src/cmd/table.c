/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands, and finding a row by its name.
 *
 * Every process uses it; the rows are constant. The hash over the names is filled once, before main(), and so before
 * the first fork: all processes share its page and no worker spends time on it. Nothing is locked, nothing can be left
 * behind.
 */
#include "cmd/command.h"

#include <stdlib.h>

#include "base/panic.h"
#include "base/seldom.h"
#include "handlers.h"
#include "shm/command_stats.h"

/* The bare words of commands.def. */
enum {
#define X(id, text) id = COMMAND_##id,
	COMMAND_FLAGS(X)
#undef X
};

enum {
#define COMMAND(id, ...) ROW_##id,
#define CONTAINER(id, ...) ROW_##id,
#define SUBCOMMAND(parent, id, ...) ROW_##parent##_##id,
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
	ROWS
};

#define KEYS(first_, last_, step_, text) .first = (first_), .last = (last_), .step = (step_), .keys = (text)
#define ROW(id, text, words, bits)                                                                                     \
	.name = (text), .name_len = sizeof(text) - 1, .arity = (words), .flags = (bits), .number = ROW_##id

static const struct command rows[ROWS] = {
#define COMMAND(id, text, words, bits, ...)                                                                            \
	{ROW(id, text, words, bits), .handler = cmd_##id, .parent = NOT_A_SUBCOMMAND, __VA_ARGS__},
#define CONTAINER(id, text, words, bits, ...) {ROW(id, text, words, bits), .parent = NOT_A_SUBCOMMAND, __VA_ARGS__},
#define SUBCOMMAND(above, id, text, words, bits, ...)                                                                  \
	{ROW(above##_##id, text, words, bits), .handler = cmd_##above##_##id, .parent = ROW_##above, __VA_ARGS__},
#include "commands.def"
#undef COMMAND
#undef CONTAINER
#undef SUBCOMMAND
};

/* Open addressing, at most a quarter full so that most names are found at once; 0: free, else a row's index + 1. */
#define SLOTS 1024u
_Static_assert(ROWS * 4 < SLOTS, "the hash is too full: double SLOTS");
_Static_assert(ROWS <= COMMAND_ROWS_MAX, "each row can be counted");
static uint16_t slots[SLOTS];
static size_t commands;

/* What rename-command has changed; found from slots[] by numbers above ROWS. A name that was never renamed costs nothing but their being there. */
#define RENAMED_MAX 128u
static SELDOM_USED struct renamed {
	char *name; /* lower case; "" for none */
	size_t len;
	uint16_t row;
} renamed[RENAMED_MAX];
static uint32_t nrenamed;

/* Case is dropped the cheap way, which also maps some other bytes together: only a hash. */
static inline uint32_t hash_name(const char *name, size_t n)
{
	uint64_t head = 0, tail = 0;

	if (n >= 8) {
		memcpy(&head, name, 8);
		memcpy(&tail, name + n - 8, 8);
	} else if (n >= 4) {
		uint32_t a, b;
		memcpy(&a, name, 4);
		memcpy(&b, name + n - 4, 4);
		head = (uint64_t)a << 32 | b;
	} else if (n > 0) {
		head = (uint64_t)(unsigned char)name[0] << 16 | (uint64_t)(unsigned char)name[n / 2] << 8 |
		       (unsigned char)name[n - 1];
	}
	head |= UINT64_C(0x2020202020202020);
	tail |= UINT64_C(0x2020202020202020);
	uint64_t h = (head ^ (tail * UINT64_C(0x9e3779b97f4a7c15)) ^ n) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(h >> 40) & (SLOTS - 1);
}

static void fill_slot(const char *name, size_t n, uint16_t value)
{
	uint32_t at = hash_name(name, n);

	while (slots[at] != 0)
		at = (at + 1) % SLOTS;
	slots[at] = value;
	commands++;
}

/* What a row was renamed to; NULL: it was not. */
static struct renamed *renaming_of(uint16_t row)
{
	for (uint32_t i = 0; i < nrenamed; i++)
		if (renamed[i].row == row)
			return &renamed[i];
	return NULL;
}

__attribute__((constructor)) static void fill_slots(void)
{
	memset(slots, 0, sizeof slots);
	commands = 0;
	for (uint16_t i = 0; i < ROWS; i++)
		if (!command_is_sub(&rows[i]) && renaming_of(i) == NULL)
			fill_slot(rows[i].name, rows[i].name_len, (uint16_t)(i + 1));
	for (uint32_t i = 0; i < nrenamed; i++)
		if (renamed[i].len != 0)
			fill_slot(renamed[i].name, renamed[i].len, (uint16_t)(ROWS + 1 + i));
}

/* Whether n bytes are the lower-case word, letters without case. Both are n long. */
static inline bool same_word(const char *p, const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_lower((unsigned char)p[i]) != (unsigned char)word[i])
			return false;
	return true;
}

const struct command *command_find(const char *name, size_t n)
{
	for (uint32_t at = hash_name(name, n); slots[at] != 0; at = (at + 1) % SLOTS) {
		uint32_t i = slots[at] - 1;
		if (__builtin_expect(i >= ROWS, 0)) {
			const struct renamed *r = &renamed[i - ROWS];
			if (r->len == n && same_word(name, r->name, n))
				return &rows[r->row];
			continue;
		}
		const struct command *row = &rows[i];
		if (row->name_len == n && same_word(name, row->name, n))
			return row;
	}
	return NULL;
}

const char *command_rename(const struct arg *old, const struct arg *new)
{
	const struct command *row = command_find(old->p, old->n);

	if (row == NULL)
		return "No such command in rename-command";
	struct renamed *r = renaming_of(row->number);
	if (r == NULL && nrenamed == RENAMED_MAX)
		return "Too many commands are renamed";
	const struct command *other = command_find(new->p, new->n);
	if (new->n != 0 && other != NULL && other != row)
		return "Target command name already exists";
	char *name = malloc(new->n + 1);
	if (name == NULL)
		fatal("Out of memory");
	for (size_t i = 0; i < new->n; i++)
		name[i] = (char)str_lower((unsigned char)new->p[i]);
	if (r == NULL)
		r = &renamed[nrenamed++];
	free(r->name);
	*r = (struct renamed){name, new->n, row->number};
	fill_slots();
	return NULL;
}

bool command_is_callable(const struct command *row)
{
	uint16_t number = command_is_sub(row) ? row->parent : row->number;
	const struct renamed *r = renaming_of(number);

	return r == NULL || r->len != 0;
}

const struct command *command_find_sub(const struct command *container, const char *name, size_t n)
{
	size_t skip = (size_t)container->name_len + 1; /* "config|" */

	for (const struct command *sub = command_first_sub(container); sub != NULL; sub = command_next_sub(sub))
		if (sub->name_len == skip + n && same_word(name, sub->name + skip, n))
			return sub;
	return NULL;
}

/* Rarely asked for, so that the other names need not be in the hash. */
static const struct command *find_original(const char *name, size_t n)
{
	for (const struct command *row = rows; row < rows + ROWS; row++)
		if (!command_is_sub(row) && row->name_len == n && same_word(name, row->name, n))
			return row;
	return NULL;
}

const struct command *command_find_full(const char *name, size_t n)
{
	const char *bar = memchr(name, '|', n);

	if (bar == NULL)
		return find_original(name, n);
	const struct command *container = find_original(name, (size_t)(bar - name));
	return container == NULL ? NULL : command_find_sub(container, bar + 1, n - (size_t)(bar - name) - 1);
}

const struct command *command_next(const struct command *row)
{
	row = row == NULL ? rows : row + 1;
	return row < rows + ROWS ? row : NULL;
}

const struct command *command_at(uint32_t number)
{
	return number < ROWS ? &rows[number] : NULL;
}

const struct command *command_first_sub(const struct command *row)
{
	return command_is_sub(row) ? NULL : command_next_sub(row);
}

const struct command *command_next_sub(const struct command *sub)
{
	const struct command *next = command_next(sub);
	return next != NULL && command_is_sub(next) ? next : NULL;
}

uint32_t command_categories(const struct command *row)
{
	uint32_t acl = row->acl;

	if (row->flags & COMMAND_WRITE)
		acl |= ACL_WRITE;
	/* What a script does, nobody can say from its row. */
	if (row->flags & COMMAND_READONLY && !(acl & ACL_SCRIPTING))
		acl |= ACL_READ;
	if (row->flags & COMMAND_ADMIN)
		acl |= ACL_ADMIN | ACL_DANGEROUS;
	if (row->flags & COMMAND_PUBSUB)
		acl |= ACL_PUBSUB;
	if (row->flags & COMMAND_BLOCKING)
		acl |= ACL_BLOCKING;
	return acl | (row->flags & COMMAND_FAST ? ACL_FAST : ACL_SLOW);
}

size_t command_count(void)
{
	return commands;
}

bool command_key_range(const struct command *row, int argc, int *first, int *last, int *step)
{
	*first = row->first;
	*last = row->last < 0 ? argc + row->last : row->last;
	*step = row->step;
	if (row->first == 0)
		return false;
	if (*last >= argc)
		*last = argc - 1;
	return *first <= *last;
}
