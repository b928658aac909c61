/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log ring: the one stream of effects that AOF and replication are made of.
 *
 * The stream is RESP; its offset counts the bytes a replica would see. In the ring a piece of it is a frame: a header of 16 bytes and the
 * bytes, or, from RING_INLINE_MAX on, a reference to a block that holds them. Positions count bytes of the ring itself, from 0,
 * and never go back. The frames of a transaction appear at once, with the store that moves the tail; the last of them is marked.
 *
 * While SUPER->log_on is 0 nothing is written, and it costs a load for each effect. There is one consumer whose
 * position holds back the room, the AOF writer.
 */
#ifndef BULKHEAD_SHM_RING_H
#define BULKHEAD_SHM_RING_H

#include "shm/layout.h"
#include "shm/pin.h"

#define RING_BYTES (4u << 20)        /* a power of two */
#define RING_INLINE_MAX (64u << 10)  /* longer pieces are blocks of their own */
#define RING_REFERENCED_MAX (64ull << 20) /* bytes in such blocks beyond which writers wait for the consumer */
#define RING_NO_DB UINT32_MAX

/* One page in the store, before the ring's bytes. */
struct ring {
	/* Guard: lock. Read without it where it says _Atomic. */
	lock_word lock;
	uint32_t db;                      /* selected at the tail; RING_NO_DB: the next record begins with SELECT */
	_Atomic uint32_t backed;          /* the ring has memory */
	uint64_t referenced_in;           /* bytes in blocks ever put in; guard: lock */
	_Atomic uint64_t cut;             /* a transaction of a lower epoch does not commit any more, it runs again; only grows */
	_Atomic uint64_t tail;            /* position behind the last frame */
	_Atomic uint64_t offset;          /* of the stream, at the tail */
	_Atomic uint64_t rotate_at;       /* offset at which the AOF's next increment begins */
	_Atomic uint64_t rotations;       /* how many there have been; moved after rotate_at */
	/* Written by the consumer, and by who recovers it. */
	_Alignas(64) _Atomic uint64_t consumed; /* position; changed as a leaf operation when blocks go with it */
	_Atomic uint64_t referenced_out;  /* bytes in blocks ever consumed; with `consumed` */
	_Atomic uint64_t durable;         /* offset up to which the stream is known to survive the machine */
	_Atomic uint32_t durable_moved;   /* futex: moves with `durable`, `failed`, and the end of the log */
	_Atomic uint32_t durable_waiters; /* a hint: one that died is taken off when the store is adopted */
	_Atomic uint32_t room_moved;      /* futex: moves with `consumed`, `failed`, and the end of the log */
	_Atomic uint32_t room_waiters;    /* a hint, likewise */
	_Atomic uint32_t failed;          /* errno for which the log cannot be written; 0: it can */
	/* For the consumer's sleep. */
	_Alignas(64) _Atomic uint32_t asleep; /* 1: a commit wakes it; 2: one that fills half the ring does */
	_Atomic uint32_t wake;            /* futex */
	/* The AOF writer's figures, for INFO: written by it alone. */
	_Alignas(64) _Atomic uint64_t aof_start;  /* offset at which the increment begins: file size = offset - aof_start */
	_Atomic uint64_t aof_base_size, aof_rewrite_size, aof_size; /* bytes: base; all files after the last rewrite; all files now */
	_Atomic uint64_t aof_fsyncs, aof_delayed, aof_last_fsync_us;
	_Atomic uint64_t aof_current;     /* which of the two tells where the writer is; the other one is changed before it counts */
	struct aof_place {
		uint64_t seq;             /* number of the increment; 0: what comes is dropped until a base gives a beginning */
		uint64_t start;           /* as aof_start */
		uint64_t rotations;       /* those that it has seen */
	} aof_place[2];
	_Atomic uint64_t aof_syncing;     /* 1: beside the writing */
};
_Static_assert(sizeof(struct ring) <= PAGE_BYTES, "one page");

static inline struct ring *ring(void)
{
	return (struct ring *)(STORE_BASE + SUPER->off_ring);
}

/* Whether effects are to be handed over. */
static inline bool ring_is_on(void)
{
	return __builtin_expect(atomic_load_explicit(&SUPER->log_on, memory_order_acquire) != 0, 0);
}

/* ---- the transaction's side ---- */

/*
 * Room for `n` bytes of an effect on database `db` in the running transaction's record; the caller fills it before it does anything else.
 * NULL: no memory, and the transaction is to be rolled back. The log is on.
 */
char *ring_log(uint32_t db, uint64_t n);

/* The effects of this transaction, of which there are some, need not happen together: keys that fell due. */
void ring_apart(void);

enum ring_verdict {
	RING_COMMITTED,
	RING_CANCELLED, /* the transaction had been cancelled */
	RING_CUT,       /* it began before a cut of the log, or the log was switched off: it must run again */
	RING_FULL,      /* no room: it must wait (ring_wait_room) and run again */
};

/*
 * Commits the transaction of `self` together with the effects in its journal: state and log in one step. Takes and releases the ring's lock.
 * Unless it is committed nothing has happened.
 */
enum ring_verdict ring_commit(uint64_t epoch);

/* The stream's offset behind the record that ring_commit has just committed. */
uint64_t ring_committed_at(void);

/* Medic: repeats what a dead process had committed and not yet appended; frees the lock. May be repeated. */
void ring_recover(uint32_t id);

/* Whether a transaction has a good chance of room, and the log can be written. */
bool ring_has_room(void);

/*
 * Waits until it has, or the command is cancelled. Holds nothing. 0, or the errno for which the log cannot be written. A process that is to end
 * waits on: its client's command is half done, and the consumer ends after it.
 */
int ring_wait_room(void);

/* ---- durability ---- */

/* Waits until the stream is durable up to `offset`, or the log is off. False: it cannot be written. No lock or transaction may be held. */
bool ring_wait_durable(uint64_t offset);

/* ---- snapshots ---- */

/*
 * As pin_take, and a cut of the log: what the pin shows is exactly what the stream up to *offset has made. With `rotate` the stream
 * begins anew there (SELECT), and the AOF's next increment is to begin at that offset. Log off: as pin_take, *offset 0.
 */
struct pin ring_pin(bool rotate, uint64_t *offset);

/* ---- the consumer's side: the AOF writer, under a slot of its own ---- */

/* Gives the ring its memory. False: there is none. */
bool ring_back(void);

/*
 * Switches the log on. From the moment it returns every commit is in the stream, and none of before is; the stream begins with SELECT. *offset
 * is where. (To have all that was before too, take a snapshot with ring_pin afterwards.) If it is on already nothing changes.
 */
bool ring_switch_on(uint64_t *offset);

/* Switches it off: later commits are not in the stream. What is in the ring stays there for the consumer. */
void ring_switch_off(void);

/* Drops what is in the ring, with its blocks: consumed as it is. The log is off, or the stream's file is given up for a new base. */
void ring_drop(void);

struct ring_piece {
	uint64_t offset, length; /* of the stream */
	const char *p[2];        /* the bytes, in two parts where the ring turns over (n[1] may be 0) */
	uint64_t n[2];
	uint64_t next;           /* position of the next frame */
	bool last;               /* the last one of its transaction: what is written up to here is whole */
};

/* The frame at `pos`; false: there is none yet. Valid until it is consumed. */
bool ring_read(uint64_t pos, struct ring_piece *out);

/* Where the consumer is to go on: the beginning of a frame, for one before it may have died between two of a transaction. *offset: of the stream there. */
uint64_t ring_consumed(uint64_t *offset);

/* All before `pos` is written: its room, and its blocks, are given back. `pos` is a beginning of a transaction. */
void ring_consume(uint64_t pos);

void ring_set_durable(uint64_t offset);

/* errno: the log cannot be written, writers are told; 0: it can again. */
void ring_fail(int why);

/* Rotations so far, and where the last one was. */
uint64_t ring_rotations(uint64_t *at);

/*
 * Sleeps until there is something at `pos`, or ring_wake, or `ms` have passed. `at_once` false: only until the ring is half full (for who
 * collects what comes for some ms).
 */
void ring_sleep(uint64_t pos, int64_t ms, bool at_once);
void ring_wake(void);

/* Bytes of the ring and its blocks: not part of the dataset, nor of what maxmemory counts. */
uint64_t ring_memory(void);

#endif
