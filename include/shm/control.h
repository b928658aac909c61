/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control region: what processes know of each other without touching a store.
 *
 * Shared memory without a name, made by the supervisor before its first fork and inherited by every child; it goes with the last
 * process. Four parts:
 *
 *   head    configuration (no secrets), what RESETSTAT took off     written by the supervisor alone
 *   slots   a page per process slot                                  written by the process that holds the slot; by the
 *                                                                    supervisor while nobody does
 *   commons words that every process writes                          everybody
 *   figures the same, larger and seldom needed (shm/figures.h)       everybody
 *
 * The supervisor sees all of it writable. A child sees all of it through a read-only mapping of a read-only descriptor, and
 * has windows that it can write: its own slot's page, the commons, the figures. So the kernel, not good manners, keeps a client
 * from another's page. A reader takes each word once and believes nothing it did not check. What the supervisor must trust
 * (pid, kind, state) is its private copy, not these pages.
 *
 * Death: the supervisor clears the page of a dead process when it reaps, but for the counters, with which the slot's next one goes
 * on; a half-written page is only information for CLIENT LIST and INFO.
 */
#ifndef BULKHEAD_SHM_CONTROL_H
#define BULKHEAD_SHM_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "shm/command_stats.h"
#include "shm/persistence.h"

#define CONTROL_SLOT_SIZE 4096u
#define CONTROL_NAME_MAX 256u /* longest client name kept, bytes */
#define CONTROL_ADDR_MAX 112u /* "[v6]:port" or a unix path, cut */

enum process_kind {
#define PROCESS(id, name, title, main_fn, maps_store, restart) PROC_##id,
#include "shm/processes.def"
#undef PROCESS
	PROC_KINDS
};

/* Counters of the processes of a slot; INFO shows their sums over all slots, less `taken_off`. */
enum counter {
#define COUNTER(id, field) COUNTER_##id,
#include "shm/counters.def"
#undef COUNTER
	COUNTERS
};

/* An end of a connection as the kernel gave it; text is made of it by whoever wants to read it. */
struct client_addr {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: none */
	uint16_t port;   /* host byte order */
	uint8_t ip[16];  /* network byte order, 4 or 16 bytes of it */
};

/* What CLIENT LIST shows. Fixed-size and plain: written by the owner, read by others without a lock under `seq`. */
struct client_info {
	uint64_t id;               /* 0: no client (spare worker or helper) */
	int64_t created_ms;        /* wall clock, ms */
	int64_t last_ms;           /* wall clock of the last command, ms */
	uint32_t db;
	uint32_t resp;             /* 2 or 3 */
	uint32_t flags;            /* CLIENT_FLAG_* */
	int32_t fd;
	uint64_t qbuf, qbuf_free, argv_mem, obl, omem, tot_mem; /* bytes */
	struct client_addr peer, local;
	char user[64];
	char cmd[64];              /* last command, "set" or "config|get" */
	char name[CONTROL_NAME_MAX];
	char lib_name[64];
	char lib_ver[64];
	/* Empty on the page: client_info_read fills them in the copy, from peer and local. */
	char addr[CONTROL_ADDR_MAX];
	char laddr[CONTROL_ADDR_MAX];
};
#define CLIENT_FLAG_UNIX 1u
#define CLIENT_FLAG_CLOSING 2u
#define CLIENT_FLAG_NO_EVICT 4u
#define CLIENT_FLAG_NO_TOUCH 8u
#define CLIENT_FLAG_WRITING 16u /* replies wait for the client to take them */
#define CLIENT_FLAG_BLOCKED 32u /* not on the page: client_info_read tells it of a client that waits */

enum retire {
	RETIRE_NOT,
	RETIRE_IDLE,   /* end, if there is no client yet */
	RETIRE_REFUSE, /* end, and refuse a client that has just come */
};

struct control_slot {
	_Atomic uint32_t seq;      /* odd while the owner changes `client` */
	_Atomic uint32_t kind;     /* enum process_kind, for INFO; by the supervisor */
	_Atomic int32_t pid;       /* 0: nobody holds the slot, or who does is sure to die; by the supervisor, and at first by itself */
	_Atomic uint32_t busy;     /* 1: a worker with a client; 0: a spare one */
	_Atomic uint32_t retire;   /* enum retire, by the supervisor to a spare worker */
	_Atomic uint32_t was_sent; /* 1: it dies of a signal that another process sent; by its crash handler */
	_Atomic uint32_t held_up;  /* moves when a command takes longer than such commands do: for its owner */
	_Atomic uint32_t waiting;  /* 1: a worker whose client's command waits for the end of a pause, and is to be woken by SIGURG */
	_Atomic uint64_t counters[COUNTERS]; /* of all who have held the slot; by its owner */
	struct client_info client;
	struct command_page commands;
};
_Static_assert(sizeof(struct control_slot) <= CONTROL_SLOT_SIZE, "a slot is one page");

/* An address that is refused (proc/crashers.h), in network byte order. */
struct refused {
	_Atomic uint64_t net, host;
	_Atomic int64_t until_ms;              /* monotonic; 0: nobody */
};
#define REFUSED_MAX 64u

struct control {
	uint32_t slots;                        /* slots that exist */
	int32_t supervisor_pid;
	int64_t start_ms;                      /* wall clock */
	_Atomic uint32_t shutting_down;
	_Atomic uint32_t log_opened;           /* times that the log was opened again */
	_Atomic uint32_t nrefused;             /* entries of refused[] with a time */
	_Atomic uint32_t slots_used;           /* no slot at or above this number was ever held: where a search may end */
	_Atomic uint64_t taken_off[COUNTERS];  /* by RESETSTAT, of the sums over all slots */
	_Atomic uint64_t started[PROC_KINDS], died[PROC_KINDS]; /* processes started; ended by a signal or non-zero */
	char run_id[41];
	char store_name[64];                   /* shm object of the main store, for messages */
	char replication_id[41];
	_Atomic uint32_t folds;                /* odd while a page's commands are added to the totals */
	struct refused refused[REFUSED_MAX];
	/* Looked at by everybody all the time, and hardly ever changed. */
	_Alignas(64) _Atomic uint64_t pause;   /* see shm/pause.h */
	_Atomic uint32_t stats_epoch;          /* moved by CONFIG RESETSTAT; see shm/command_stats.h */
	struct persistence persistence;        /* shm/persistence.h */
	struct config config;
};

/* Words that every process writes: nothing may depend on their being right. */
struct control_commons {
	_Atomic uint64_t next_client_id;       /* a worker takes the next one when it accepts */
	_Atomic uint32_t paused;               /* PAUSED_* bits, set by DEBUG */
	_Atomic uint64_t over_limit_since;     /* monotonic us since when the store is over maxmemory and could not be helped; 0: it is not */
	_Atomic uint32_t rest_ms;              /* a client's rest before its buffers shrink: REST_*, or ms + 1; set by DEBUG */
	struct persistence_notes persistence;  /* shm/persistence.h */
};
#define PAUSED_EXPIRY 1u  /* the expirer deletes nothing that is due; nobody sees such a key for that */
#define PAUSED_CRON 2u    /* nor does it free what flushes and pins have left */
#define PAUSED_BUFFERS 4u /* the buffers of resting clients stay as they are */
#define PAUSED_SUMS 8u    /* the checksums of RESTORE's payloads are not looked at */
#define REST_DEFAULT 0u
#define REST_NEVER UINT32_MAX

/* What processes are told of data that is being loaded: nothing is to expire or be evicted meanwhile. */
#define control_is_loading() (atomic_load_explicit(&control->persistence.trouble, memory_order_acquire) & TROUBLE_LOADING)

/* The region as this process sees it; set before any fork, never NULL afterwards. Read-only in a child. */
extern struct control *control;
extern struct control_commons *control_commons;
/* This process's slot number and page. Slot 0 is the supervisor's. */
extern uint32_t my_slot;
extern struct control_slot *my_page;

/* Makes the region with `slots` pages, moves the configuration into it. Fatal when there is no memory. Supervisor only, once. */
void control_create(uint32_t slots);

/* Page of a slot, 0 <= slot < control->slots. Writable in the supervisor only. */
struct control_slot *control_page(uint32_t slot);

/*
 * In a child: takes `slot` as its own. One system call. Afterwards the caller drops the supervisor's descriptors (base/
 * descriptors.h), among them the one by which all of the region could be written.
 */
void control_enter(uint32_t slot);

static inline void count_add(enum counter c, uint64_t n)
{
	atomic_store_explicit(&my_page->counters[c],
			      atomic_load_explicit(&my_page->counters[c], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* The same for what holds a command up: a wait, a retry, memory that had to be found first. */
static inline void count_held_up(enum counter c)
{
	count_add(c, 1);
	atomic_store_explicit(&my_page->held_up, atomic_load_explicit(&my_page->held_up, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Sums of the counters over all processes, those that have ended too, since the last RESETSTAT. None is ever less than before. */
void counts_read(uint64_t out[COUNTERS]);

/* How many clients wait for the end of a pause. */
uint64_t clients_waiting(void);

/* Changes of my_page->client stand between these two. */
void client_info_begin(void);
void client_info_end(void);

/*
 * Copies the client info of a slot consistently, with addr and laddr as text; false when the slot has no client. After a
 * bounded number of tries against a page that never comes to rest (its owner died in the middle) it gives what is there.
 */
bool client_info_read(uint32_t slot, struct client_info *out, int32_t *pid);

/* The same of a process that is gone or about to go, whatever its pid shows. Supervisor, before the page is cleared. */
bool client_info_last(uint32_t slot, struct client_info *out);

/* "ip:port", "[ip6]:port", or "path:0" for a unix socket. Returns the length. */
size_t client_addr_text(const struct client_addr *a, char out[CONTROL_ADDR_MAX]);

#endif
