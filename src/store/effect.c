/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Effects: what a write did, as a command, for the log. Run by workers and the expirer inside their transactions.
 *
 * While nobody reads the log an effect costs one flag; the flag lets the debug build prove that no change went without one. Else it
 * becomes RESP in the transaction's record (shm/ring.h), which is part of the transaction: it dies and is rolled back with it.
 */
#include "base/num.h"
#include "shm/ring.h"
#include "internal.h"

/* "$5\r\n", or "*5\r\n". Returns its end. */
static char *put_count(char *to, char kind, uint64_t n)
{
	char digits[21];
	size_t len = format_u64(digits, n);
	*to++ = kind;
	memcpy(to, digits, len);
	to += len;
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static uint64_t count_bytes(uint64_t n)
{
	uint64_t digits = 1;
	for (; n >= 10; n /= 10)
		digits++;
	return digits + 3;
}

static uint64_t command_bytes(int argc, const struct arg *argv)
{
	uint64_t n = count_bytes((uint64_t)argc);
	for (int i = 0; i < argc; i++)
		n += count_bytes(argv[i].n) + argv[i].n + 2;
	return n;
}

/* False: cancelled. */
static bool put_command(char *to, int argc, const struct arg *argv)
{
	to = put_count(to, '*', (uint64_t)argc);
	for (int i = 0; i < argc; i++) {
		to = put_count(to, '$', argv[i].n);
		if (argv[i].n && !value_copy(to, argv[i].p, argv[i].n))
			return false;
		to += argv[i].n;
		*to++ = '\r';
		*to++ = '\n';
	}
	return true;
}

void effect(struct access *a, uint32_t db, int argc, const struct arg *argv)
{
	a->effects = true;
	if (!ring_is_on() || a->loads)
		return;
	char *to = ring_log(db, command_bytes(argc, argv));
	if (!to || !put_command(to, argc, argv))
		a->no_memory = true;
}

void effect_none(struct access *a)
{
	a->effects = true;
}

void effect_key(struct access *a, uint32_t db, const char *verb, const struct arg *key)
{
	struct arg argv[2] = {{verb, strlen(verb)}, *key};
	effect(a, db, 2, argv);
}
