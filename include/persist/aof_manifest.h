/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manifest of an append only file: which files it is made of, in which order they are read. The format is that of redis-server 7.0.
 *
 *   file appendonly.aof.2.base.rdb seq 2 type b
 *   file appendonly.aof.1.incr.aof seq 1 type h
 *   file appendonly.aof.2.incr.aof seq 2 type i
 *
 * At most one base (b), increments (i) in the order in which they continue it, and history (h): files that are no longer needed and may be
 * there still. All lie in one directory, the manifest's. It is replaced as a whole, by renaming, so it is always one or the other.
 */
#ifndef BULKHEAD_PERSIST_AOF_MANIFEST_H
#define BULKHEAD_PERSIST_AOF_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define AOF_NAME_MAX 256u /* a file's name and its NUL: what file systems take */

enum aof_type { AOF_BASE = 'b', AOF_HISTORY = 'h', AOF_INCR = 'i' };

struct aof_part {
	char name[AOF_NAME_MAX]; /* no path */
	int64_t seq;
	enum aof_type type;
};

/* Start with {0}. The parts are owned: aof_manifest_deinit. Out of memory is fatal. */
struct aof_manifest {
	struct aof_part *parts; /* of each type in their order */
	size_t n, cap;
	int64_t base_seq, incr_seq; /* of the last ones named; 0: none yet */
};

void aof_manifest_deinit(struct aof_manifest *m);
void aof_manifest_copy(struct aof_manifest *to, const struct aof_manifest *from); /* `to` is {0} */

/* ---- text ---- */

struct aof_manifest_error {
	unsigned line;  /* 0: no line is to blame */
	char text[128]; /* of that line, its beginning */
	const char *why;
};

/* Adds what the n bytes say to *m, which is {0}. False: *error says why, *m is of no use but to be given back. */
bool aof_manifest_parse(struct aof_manifest *m, const char *text, size_t n, struct aof_manifest_error *error);

/* Appends the text, as redis-server writes it: base, history, increments. */
void aof_manifest_print(const struct aof_manifest *m, struct buf *out);

/* ---- the file; `dir` is the descriptor of its directory ---- */

enum aof_found {
	AOF_FOUND,
	AOF_ABSENT, /* there is no manifest, or no directory (dir -1) */
	AOF_BAD,    /* what it says is wrong: *error */
	AOF_FAILED, /* it cannot be read: errno */
};
enum aof_found aof_manifest_read(struct aof_manifest *m, int dir, const char *name, struct aof_manifest_error *error);

/*
 * Puts it in the place of the one there is: a temporary file, fsync, rename, fsync of the directory. -1 with errno: after a failure before the rename
 * the old one stands; in any case one or the other does.
 */
int aof_manifest_write(const struct aof_manifest *m, int dir, const char *name);

/* The same in two steps: the temporary file, whose name goes to `temp`, and its renaming, which may also return 1: in place, but not synced (errno). */
int aof_manifest_stage(const struct aof_manifest *m, int dir, const char *name, char temp[AOF_NAME_MAX]);
int aof_manifest_commit(int dir, const char *temp, const char *name);

/* Opens (and with `make`, makes) the directory of the files, below the current one. -1 with errno. */
int aof_dir_open(const char *dirname, bool make);

/* ---- names; `filename` is the parameter appendfilename. -1 with ENAMETOOLONG. ---- */

int aof_manifest_name(char out[AOF_NAME_MAX], const char *filename);
int aof_base_name(char out[AOF_NAME_MAX], const char *filename, int64_t seq, bool rdb);
int aof_incr_name(char out[AOF_NAME_MAX], const char *filename, int64_t seq);

/* ---- looking at it ---- */

/* The part after `after` (NULL: the first one) of the type; NULL: no more. */
const struct aof_part *aof_manifest_next(const struct aof_manifest *m, enum aof_type type, const struct aof_part *after);
const struct aof_part *aof_manifest_base(const struct aof_manifest *m);      /* NULL: none */
const struct aof_part *aof_manifest_last_incr(const struct aof_manifest *m); /* NULL: none */
const struct aof_part *aof_manifest_incr(const struct aof_manifest *m, int64_t seq); /* NULL: none */

/* ---- changing it ---- */

/* Names the next base; the one there was becomes history. NULL with errno: the name would be too long. */
const struct aof_part *aof_manifest_new_base(struct aof_manifest *m, const char *filename, bool rdb);

/* The number of the next increment, `after` the one that is written to: no file of the manifest has its name, history neither. */
int64_t aof_manifest_next_seq(const struct aof_manifest *m, const char *filename, int64_t after);

/* Names the next increment; or that of a number, which is above incr_seq. */
const struct aof_part *aof_manifest_new_incr(struct aof_manifest *m, const char *filename);
const struct aof_part *aof_manifest_add_incr(struct aof_manifest *m, const char *filename, int64_t seq);

/* A base by a name of its own: the single file of Redis 6 that was moved into the directory. */
const struct aof_part *aof_manifest_adopt_base(struct aof_manifest *m, const char *name, int64_t seq);

/* All increments but the last `keep` become history. */
void aof_manifest_retire_incrs(struct aof_manifest *m, size_t keep);

/* Forgets the parts of a type: history once its files are gone. */
void aof_manifest_forget(struct aof_manifest *m, enum aof_type type);

/*
 * There is no manifest in `dir`: bases and increments that are there all the same get other names, with a line in the log each, so that new ones do not
 * write over them. False: one could not be renamed; the log says why.
 */
bool aof_set_aside(int dir, const char *filename);

#endif
