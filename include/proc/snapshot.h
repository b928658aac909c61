/* SPDX-License-Identifier: BSD-2-Clause */
/* What a snapshot process is to do, and how it says how that ended. */
#ifndef BULKHEAD_PROC_SNAPSHOT_H
#define BULKHEAD_PROC_SNAPSHOT_H

#include <stdbool.h>

#include "base/config.h"
#include "proc/saves.h"

struct snapshot_task {
	enum save_purpose purpose;
	struct save_base base;      /* SAVE_BASE */
	char filename[CONFIG_TEXT]; /* SAVE_RDB: dbfilename when it was begun, in what was the directory then */
	bool last;                  /* writers are paused: what has begun before that commits before the snapshot or not at all */
	bool in_front;              /* somebody waits for it: it need not be considerate */
};

/* Its exit status, if it ends by itself. */
enum { SNAPSHOT_DONE = 0, SNAPSHOT_FAILED = 3, /* the log says why; nothing is left behind */ };

/* The temporary file of an RDB, by its process's number. */
#define SNAPSHOT_TEMP "temp-%d.rdb"

#endif
