/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arena: extents of 2 MiB, grown in the holes of those that were given back or at the end of the object, handed out as slabs of 64 KiB.
 */
#ifndef BULKHEAD_SHM_ARENA_H
#define BULKHEAD_SHM_ARENA_H

#include "shm/layout.h"

#define SLAB_NONE UINT64_MAX
#define RESERVE_SLABS (2 * SLABS_PER_EXTENT) /* kept back so that a full store can still delete and recover */

/*
 * Takes `n` neighbouring slabs as part of the caller's leaf operation: takes the arena lock (released by leaf_end). Grows the
 * object when needed; the last two extents are only given to `urgent` callers (journals, sweeping). Returns the number of the
 * first slab, SLAB_NONE when the memory limit or the machine's memory is reached, or the command is cancelled (not `urgent`).
 */
uint64_t arena_take(uint64_t n, bool urgent);

/* Gives `n` slabs back, as part of the caller's leaf operation. */
void arena_give(uint64_t first, uint64_t n);

/* Sets or clears the bits of [first, first + n). Under the arena lock, or to undo a leaf operation. */
void arena_mark(uint64_t first, uint64_t n, bool taken);

/* Whether slab `i` is taken (or not backed). Arena lock, or for checks on a quiet store. */
bool arena_is_taken(uint64_t i);
bool arena_is_backed(uint64_t i);

/* Keeps `n` slabs from being taken while there are others, by one process at a time; n 0: none any more. Nobody waits, nothing is lost by a death but time. */
void arena_set_window(uint64_t first, uint64_t n);

/* For checks: whether the extents noted as being given back are out of use. */
bool arena_punching_is_sound(void);

/*
 * The expirer's housekeeping, no lock held, one process at a time: keeps spare slabs beyond the reserve, gives empty extents beyond
 * four back to the kernel once all readers have left. Waits a few ms at most, then goes on at the next call; what a dead
 * expirer had begun its successor finishes. Cheap when there is nothing to do.
 */
void arena_keep_house(void);

/*
 * Notes which other processes are in a command now (whoever is not, will see in its next one what this process has seen or done so far); then, whether all of
 * these have left it: looks for about 4 ms.
 */
void arena_note_readers(void);
bool arena_readers_left(void);

/*
 * Has the kernel gather what is new into huge pages (region_look is enough, no lock is taken). May take seconds on a busy machine, in which not
 * even SIGKILL ends the caller: nobody else should be waiting for it.
 */
void arena_gather(void);

static inline uint64_t slab_off(uint64_t i)
{
	return SUPER->fixed + i * SLAB_BYTES;
}
static inline uint64_t slab_index(uint64_t off)
{
	return (off - SUPER->fixed) / SLAB_BYTES;
}

/* Memory of the machine the store takes: fixed part in use and backed extents, bytes. */
uint64_t arena_committed(void);

/* Whether the store may not grow any more, by maxmemory. */
bool arena_is_limited(void);

/* Free slabs that anybody may take, those kept back not among them, as of about now. */
uint64_t arena_spare(void);

/* Bytes of the slabs in use, as of about now. */
uint64_t arena_taken(void);

#endif
