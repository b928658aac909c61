/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is told about files: `struct persistence` by the supervisor to everybody, part of the control region's head; `struct
 * persistence_notes` by helpers to INFO, part of the commons, information only.
 */
#ifndef BULKHEAD_SHM_PERSISTENCE_H
#define BULKHEAD_SHM_PERSISTENCE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	TROUBLE_LOADING = 1, /* data is being loaded: most commands are refused */
	TROUBLE_SAVE = 2,    /* the last background save failed, and writes are to be refused for it */
};

/* A base that lies ready in the AOF's directory. */
enum { AOF_BASE_NONE, AOF_BASE_RDB, AOF_BASE_TEXT };
#define AOF_BASE_TEMP "temp-rewriteaof.aof" /* its name there */
#define AOF_DIR_MAX 2304u

struct persistence {
	_Atomic uint32_t trouble; /* TROUBLE_* bits; 0 nearly always: one load for each command */
	_Atomic int64_t loading_since_ms; /* wall clock at which the loading that is under way, or was last, began; 0: none was */

	/* Saving: RDB files, and (save_since_ms) bases of append only files too. */
	_Atomic int64_t save_since_ms; /* wall clock at which the snapshot that runs began; 0: none does */
	_Atomic int64_t last_save_s;   /* wall clock of the last save that succeeded, or of the start */
	_Atomic int64_t last_took_s;   /* seconds the last background save took; -1: there was none */
	_Atomic uint64_t saves;        /* SAVE and background saves, since RESETSTAT */
	_Atomic uint64_t changes_saved; /* of the count of changes, as much as is saved */
	_Atomic uint64_t last_kept;    /* bytes kept for the last save's snapshot at most, as it has told */
	_Atomic uint32_t save_failed;  /* the last background save */
	_Atomic uint32_t saving;       /* the snapshot that runs is an RDB's */
	/* The append only file: what its writer is to do. */
	_Atomic uint32_t aof_on;    /* the log is to be written */
	_Atomic uint32_t aof_order; /* moves with it: the writer that has begun before finishes, and the next one does as it says */
	_Atomic uint32_t aof_same;  /* the store holds what the files hold, so the log can go on with them as it is switched on */
	_Atomic uint32_t aof_base;  /* AOF_BASE_*: a base lies ready */
	_Atomic uint32_t aof_drain; /* the server ends: everything to disk, then end */
	/* For INFO. */
	_Atomic uint32_t aof_rewriting, aof_scheduled, aof_rewrite_failed, aof_failures; /* the last one: in a row */
	_Atomic uint64_t aof_rewrites;
	_Atomic int64_t aof_rewrite_began_ms, aof_rewrite_s; /* monotonic; how many seconds the last one took, -1: there was none */
	char aof_dir[AOF_DIR_MAX];  /* where the files are, from the start of the log on */
};

struct persistence_notes {
	/* By the loader. */
	_Atomic uint64_t load_bytes, load_total; /* of the files, how far it is, and in all */
	_Atomic uint64_t load_used_mem;          /* what the server that wrote the file used, as the file has it; 0: it does not say */
	_Atomic uint64_t load_keys, load_expired; /* so far, or in the last loading: keys put in place; left out because they were due */

	/* By the snapshot. */
	_Atomic uint64_t save_keys, save_total; /* keys written so far, or by the last one; keys there were when it began */
	_Atomic uint64_t save_retained;         /* bytes kept for pins while it runs, the most it has seen */
};

#endif
