/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data as the commands that make it (persist/aof_text.h), those that redis-server writes. Run by the snapshot; private memory, no locks.
 */
#include "persist/aof_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void head(struct rdb_writer *w, char kind, uint64_t n)
{
	char text[32];
	rdb_write_raw(w, text, (size_t)snprintf(text, sizeof text, "%c%" PRIu64 "\r\n", kind, n));
}

static void word(struct rdb_writer *w, const void *p, size_t n)
{
	head(w, '$', n);
	rdb_write_raw(w, p, n);
	rdb_write_raw(w, "\r\n", 2);
}

static void number(struct rdb_writer *w, int64_t v)
{
	char text[24];
	word(w, text, (size_t)snprintf(text, sizeof text, "%" PRId64, v));
}

static void begin(struct rdb_writer *w, const char *verb, unsigned words)
{
	head(w, '*', words);
	word(w, verb, strlen(verb));
}

void aof_text_select(struct rdb_writer *w, uint32_t db)
{
	begin(w, "SELECT", 2);
	number(w, db);
}

void aof_text_key(struct rdb_writer *w, const char *key, size_t n, const struct view *v)
{
	begin(w, "SET", 3);
	word(w, key, n);
	word(w, v->value, v->len);
	if (v->due == DUE_NONE)
		return;
	begin(w, "PEXPIREAT", 3);
	word(w, key, n);
	number(w, v->due);
}

void aof_text_function(struct rdb_writer *w, const void *code, size_t n)
{
	begin(w, "FUNCTION", 3);
	word(w, "LOAD", 4);
	word(w, code, n);
}
