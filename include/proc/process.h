/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes as the supervisor knows them: its private table, and starting one.
 *
 * The table is memory that no child inherits. A slot is FREE, RUNNING from fork to wait, then FREE again, or SICK until a medic
 * has cleaned up what its process left in the store.
 */
#ifndef BULKHEAD_PROC_PROCESS_H
#define BULKHEAD_PROC_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/control.h"

#define SLOTS_RESERVED 96u /* slots beyond those of clients: the supervisor, helpers, slots that wait for a medic */

/* What a loader is to do. */
enum load_what {
	LOAD_RDB, /* dir/dbfilename */
	LOAD_AOF, /* the append only file */
};

struct snapshot_task;

/* What a new process is told. */
struct launch {
	enum process_kind kind;
	uint32_t slot;
	bool store_open;                   /* worker: it may attach to the store before it has a client */
	uint32_t npatients;                /* medic: slots to recover */
	const uint32_t *patients;          /* memory that this process alone inherits */
	const struct snapshot_task *snapshot; /* snapshot */
	bool whole_store;                  /* medic: all slots of a store that no other process has */
	enum load_what load;               /* loader */
	bool load_beside;                  /* loader: there is data, and clients that wait: first it looks whether all can be loaded */
	bool load_again;                   /* loader: another one has died over it, which may have left anything */
	bool load_keeps, load_merges;      /* loader: what is in the store stays; what the file has too is replaced */
};

/* Each kind's main function, as named in its row; returning is an orderly end. */
typedef void process_main(const struct launch *l);
#define PROCESS(id, name, title, main_fn, maps_store, restart) process_main main_fn;
#include "shm/processes.def"
#undef PROCESS

/* Memory of workers that the supervisor allocates: first thing in the program, and again just before the first fork. */
void worker_prepare(void);
void worker_ready(void);

enum process_state { PROCESS_FREE, PROCESS_RUNNING, PROCESS_SICK };

struct process {
	int32_t pid;
	uint32_t next;    /* in its pid's chain, or of the free slots; 0 ends it */
	uint8_t kind, state;
	bool trusted;     /* its client may ask for what needs a password: none was set when it came, or AUTH succeeded */
	bool scored;      /* it has its own oom_score_adj */
	bool may_attach;  /* it was given the store */
	struct client_addr peer; /* of a worker that has told of its client; see crashers.h */
	bool condemned;   /* killed because a client asked for it: its end is no accident */
};

/* Makes the table for control->slots slots. */
void table_create(void);
struct process *table_at(uint32_t slot);
/* The slot of a running process, 0 if there is none. */
uint32_t table_find(int32_t pid);
/* Takes a free slot for a process of that kind; 0: none is left. */
uint32_t table_take(enum process_kind kind);
/* The fork succeeded. */
void table_started(uint32_t slot, int32_t pid);
/* The process was waited for: its page is folded into the sums and cleared; the slot becomes SICK or FREE. */
void table_ended(uint32_t slot, bool sick);
/* A taken slot without a process, or a SICK one, becomes FREE. */
void table_release(uint32_t slot);
/* Running processes of a kind. */
uint32_t table_count(enum process_kind kind);
/* Calls `each` for every running process. */
void table_each(void (*each)(uint32_t slot, struct process *p));

/* The row's name and title of a kind. */
const char *process_name(enum process_kind kind);
const char *process_title(enum process_kind kind);

/* Forks a process; its slot, or 0: no slot or no process to be had (errno says). `store_open` and patients are from *wish. */
uint32_t launch(const struct launch *wish);

/* The store's descriptor, kept by the supervisor and handed to its children; -1 until launch_store. */
void launch_store(int fd);
int launch_store_fd(void);

#endif
