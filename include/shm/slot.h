/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process's page in the store: everything the medic needs to finish or undo what it was doing.
 *
 * Written by the process that holds the slot, after its death by the medic; read by others only in `activity` and `state`.
 * Order of writing matters everywhere here: a description is complete before the word that makes it count.
 */
#ifndef BULKHEAD_SHM_SLOT_H
#define BULKHEAD_SHM_SLOT_H

#include "shm/layout.h"

enum txn_state { TXN_IDLE, TXN_RUNNING, TXN_COMMITTED, TXN_CANCELLED, TXN_ROLLED_BACK };

#define LEAF_ENTRIES 28u
#define LEAF_RUN (1ull << 63) /* entry is a run of slabs just taken: first slab in `off`, their number in `old` */
#define LEAF_RUN_GIVEN (1ull << 62) /* with LEAF_RUN: the run was just given back */
#define HELD_MAX 48u

struct leaf_entry {
	uint64_t off; /* of the 64-bit word */
	uint64_t old; /* its content before */
};

/*
 * The effects of the running transaction, whose text is in the journal. The second part is noted under the ring's lock, before the commit:
 * what is needed to put the record into the ring again, and it comes out the same.
 */
struct slot_log {
	uint32_t first_db, last_db;
	uint32_t db;               /* selected before it; noted with the second part */
	uint32_t apart;            /* they belong together only by chance: no MULTI around them */
	uint64_t room, bytes;      /* of the effects' frames in the ring; of the stream */
	uint64_t referenced;       /* bytes in blocks of their own */
	uint64_t at, offset;       /* of the ring's tail, and of the stream, before the record */
	uint64_t referenced_in;    /* the ring's count before it */
};

struct slot {
	_Atomic uint64_t activity;         /* odd during a command: it may follow references */
	_Atomic uint64_t state;            /* enum txn_state; also changed by who cancels it (CAS from RUNNING) */
	_Atomic uint32_t nheld;            /* stripes named in held[]: held, about to be, or just released */
	_Atomic uint32_t held_all;         /* more than fit: look at every stripe */
	_Atomic uint64_t outer;            /* offset of the sweep lock when named, else 0 */
	_Atomic uint64_t leaf_locks[3];    /* offsets of leaf locks named, outermost first; 0: none */
	_Atomic uint32_t nleaf;            /* valid entries of leaf[] */
	uint32_t effects;                  /* of the running transaction, described in `log`; 0: there is no record */
	_Alignas(64) uint64_t jlen;        /* bytes of journal records in the newest segment */
	ref seg;                           /* newest journal segment from the heap; none: journal[] */
	uint16_t held[HELD_MAX];
	struct leaf_entry leaf[LEAF_ENTRIES];
	struct slot_log log;
	_Alignas(64) char journal[];       /* up to the end of the page */
};
#define SLOT_JOURNAL_BYTES (PAGE_BYTES - offsetof(struct slot, journal))
_Static_assert(offsetof(struct slot, journal) <= 1024, "most of the page is journal");

static inline struct slot *store_slot(uint32_t i)
{
	return (struct slot *)(STORE_BASE + SUPER->off_slots + (uint64_t)i * PAGE_BYTES);
}

/* The slot of this process; NULL before store_attach. */
extern struct slot *self;
extern uint32_t self_id;

/* Marks the beginning and the end of a command: between them references may be followed. */
static inline void activity_enter(void)
{
	uint64_t a = atomic_load_explicit(&self->activity, memory_order_relaxed);
	atomic_store_explicit(&self->activity, a + 1, memory_order_release);
	/* Who waits for readers to leave issues membarrier(), so no fence is paid for here. */
	atomic_signal_fence(memory_order_seq_cst);
}
static inline void activity_leave(void)
{
	uint64_t a = atomic_load_explicit(&self->activity, memory_order_relaxed);
	atomic_store_explicit(&self->activity, a + 1, memory_order_release);
}
/* The same for what may be called within a command or outside: true when it was outside, and activity_leave is due. */
static inline bool activity_join(void)
{
	if (atomic_load_explicit(&self->activity, memory_order_relaxed) & 1)
		return false;
	activity_enter();
	return true;
}

#endif
