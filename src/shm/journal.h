/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo journal of a slot: a stack of records. Used by txn.c alone.
 */
#ifndef BULKHEAD_SHM_JOURNAL_H
#define BULKHEAD_SHM_JOURNAL_H

#include "shm/heap.h"
#include "shm/slot.h"

enum journal_kind { JOURNAL_UNDO = 1, JOURNAL_ALLOC, JOURNAL_FREE, JOURNAL_EFFECT, JOURNAL_EFFECT_BLOCK };

#define JOURNAL_BLOCK_RECORD 24u /* bytes of an ALLOC or FREE record */

/* Makes sure that a record of `n` bytes fits, adding a segment if it must. False: no memory. No leaf operation may be open. */
bool journal_room(uint64_t n);

/* Appends the present content of [p, p + n). False: no memory, nothing appended. */
bool journal_undo(const void *p, uint64_t n);

/* Appends ALLOC or FREE as a word of the open leaf operation; journal_room was asked before. */
void journal_block_leaf(enum journal_kind kind, ref block, enum block_kind block_kind);

/* The same on its own. False: no memory. */
bool journal_block(enum journal_kind kind, ref block, enum block_kind block_kind);

/* Appends `n` bytes of effects, to be filled by the caller. NULL: no memory. */
char *journal_effect(uint64_t n);

/* Appends a block that holds effects: so many bytes of it as *used says, which the caller may raise. NULL: no memory. */
uint64_t *journal_effect_block(ref block, uint64_t used);

/* Visits the effects, the last one first: bytes, or a block. */
struct journal_effect {
	const char *bytes; /* NULL: a block */
	ref block;
	uint64_t n;
};
void journal_each_effect(struct slot *s, void (*each)(void *arg, const struct journal_effect *e), void *arg);

/* Writes the old bytes of all UNDO records back, newest first. Leaves the journal as it is; may be repeated. */
void journal_undo_all(struct slot *s);

/* Pops every record; frees the blocks of those of kind `which`; frees the segments. */
void journal_pop_all(struct slot *s, enum journal_kind which);

/* Visits the UNDO records' ranges. */
void journal_each_undo(struct slot *s, void (*each)(void *arg, const void *p, uint64_t n), void *arg);

#endif
