/* SPDX-License-Identifier: BSD-2-Clause */
/* The base of an append only file as commands (aof-use-rdb-preamble no), by the writer of persist/rdb_write.h. */
#ifndef BULKHEAD_PERSIST_AOF_TEXT_H
#define BULKHEAD_PERSIST_AOF_TEXT_H

#include "persist/rdb_write.h"

/* SELECT; a key with its value and due time; a library of functions. */
void aof_text_select(struct rdb_writer *w, uint32_t db);
void aof_text_key(struct rdb_writer *w, const char *key, size_t n, const struct view *v);
void aof_text_function(struct rdb_writer *w, const void *code, size_t n);

#endif
