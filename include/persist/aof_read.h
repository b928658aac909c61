/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading append only files: the text of one file, and a directory of them by its manifest.
 *
 * A file is commands as RESP arrays of bulk strings, and annotations, lines that begin with '#'. It may begin with an RDB. What stands between
 * MULTI and EXEC counts as a whole or not at all. Nothing here knows what a command means but MULTI and EXEC: each one, and each RDB,
 * is handed to the sink.
 *
 * Run by the loader, by bulkhead-check-aof and by tests: private memory, files, no locks. What a death leaves of the files is said at each
 * function that writes to one.
 */
#ifndef BULKHEAD_PERSIST_AOF_READ_H
#define BULKHEAD_PERSIST_AOF_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Where what was read goes. Each function may be NULL but `command` and `rdb`. */
struct aof_sink {
	void *arg;

	/* Before the first byte: how many there are in all files, the RDB parts included. */
	void (*begin)(void *arg, uint64_t total);

	/* A file's turn: its name without folders. */
	void (*file)(void *arg, const char *name);

	/* So many bytes of all files have been dealt with. About once per MiB; what an RDB part adds on its way is rdb's own to tell. */
	void (*progress)(void *arg, uint64_t done);

	/*
	 * One command, in the order of the file; those of a transaction when its EXEC has been read. The words are valid during the call. NULL:
	 * done; else why the load must stop ("unknown command 'X'"), a text that lasts until the next call.
	 */
	const char *(*command)(void *arg, int argc, const struct arg *argv);

	/* Whether a command may stand in a file: asked as those of a transaction are read, for they are handed over later or never. As `command` answers. */
	const char *(*known)(void *arg, int argc, const struct arg *argv);

	/*
	 * The file on `fd`, which is at offset 0, begins with an RDB: load that, and say in *end where it ends. The descriptor may be left at any
	 * offset. `before`: bytes of all files that were dealt with before this one. False: a text in `why` with the offset. Keys that are due are loaded as
	 * well: a command further on may say otherwise.
	 */
	bool (*rdb)(void *arg, int fd, const char *path, uint64_t before, uint64_t *end, struct buf *why);
};

/* ---- one file ---- */

enum aof_end {
	AOF_WHOLE,   /* read to its end */
	AOF_TORN,    /* it ends within a command, an annotation or a transaction, or with nothing but zeros */
	AOF_BROKEN,  /* what stands at `at` is no command */
	AOF_REFUSED, /* the sink did not take what stands at `at` */
	AOF_IO,      /* it could not be read */
};

struct aof_result {
	enum aof_end end;
	uint64_t at;       /* offset of what is wrong */
	uint64_t good;     /* up to here it is whole: every command, every transaction */
	uint64_t commands; /* handed to the sink */
	uint64_t follows;  /* AOF_BROKEN: offset of a whole command behind it, which would be lost if the file was cut there; 0: none */
	char why[512];     /* in words, without the offset; empty when whole */
};

/*
 * Reads the file on `fd` from offset `from` on, where a command begins, to its end. `before`: bytes of all files that were dealt with before this one.
 * `annotation`, if not NULL, is called with each one, without its line's end, and the offset of its line; false: stop before it, with end AOF_WHOLE.
 */
void aof_read(int fd, uint64_t from, uint64_t before, const struct aof_sink *sink,
	      bool (*annotation)(void *arg, const char *text, size_t n, uint64_t at), struct aof_result *out);

/* Whether the file begins as an RDB does. */
bool aof_begins_with_rdb(int fd);

/* ---- a server's files ---- */

enum aof_load {
	AOF_LOAD_OK,     /* all of it */
	AOF_LOAD_EMPTY,  /* there are files, and nothing in them */
	AOF_LOAD_ABSENT, /* there are none */
	AOF_LOAD_FAILED, /* *why says what, in which file and where: the server must not start */
};

/*
 * Loads what appenddirname and appendfilename name, below the working directory: the files of the manifest, base first, then the increments in
 * order. A torn tail of the last file is cut off if aof-load-truncated says so. A single file of Redis 6 or older is first moved into the directory.
 * What it does is told to the log, and so are warnings (a tail that was cut); *why is for the caller to log.
 *
 * Writes: the move is directory, manifest, rename, each made durable; a start that finds them half done goes on with it. A tail is cut when all
 * that stands before it has been taken.
 */
enum aof_load aof_load(const struct aof_sink *sink, struct buf *why);

/* Whether there are any such files; also true where that cannot be told. Changes nothing. */
bool aof_is_there(void);

#endif
