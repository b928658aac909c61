/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of the loader: the process, how far it is, append only files (loader.c); RDB files (loader_rdb.c). */
#ifndef BULKHEAD_PROC_LOADER_H
#define BULKHEAD_PROC_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "proc/process.h"
#include "shm/control.h"

static inline struct persistence_notes *load_notes(void)
{
	return &control_commons->persistence;
}

/* ---- loader.c: how far it is, for INFO and the log ---- */

/* Nothing yet of so many bytes. */
void progress_begin(uint64_t total);

/* `done` of these bytes. */
void progress_show(uint64_t done);

/* key-load-delay, for tests: waits, after the key or command that was the `done`th. */
void progress_delay(uint64_t done);

/* ---- loader_rdb.c. False: a text in `why` ---- */

/* The file `dbfilename` into the store. That there is none is no failure. */
bool load_rdb(struct buf *why);

/*
 * The RDB at the beginning of `fd`, a file of an append only file, into the store, keys that are due as well. `before`: bytes of the files before it.
 * *end: where it ends.
 */
bool load_rdb_base(int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why);

/* Looks through `dbfilename`, whether load_rdb could load it, beside what the store has if it is to stay. `l`: NULL where there is no store. */
bool look_through_rdb(const struct launch *l, struct buf *why);

/* Looks through what load_rdb_base would load, without a store. */
bool look_through_rdb_base(int fd, const char *path, uint64_t *end, struct buf *why);

/* Why data with a database of this number cannot be loaded; NULL: it can. Static memory. */
const char *refuse_database(int64_t db);

#endif
