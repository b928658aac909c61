/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fixed part of a store: what lies where. README.md in src/shm has the picture and says who guards what.
 */
#ifndef BULKHEAD_SHM_LAYOUT_H
#define BULKHEAD_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/item.h"

#define STORE_MAGIC 0x31304b4c5542ull /* "BULK01" */

/* Every process maps the store here, so that a reference becomes a pointer by adding a constant. */
#define STORE_BASE ((char *)0x200000000000ull)

#define PAGE_BYTES 4096u
#define SLAB_BYTES 65536u
#define EXTENT_BYTES (2u << 20)
#define SLABS_PER_EXTENT (EXTENT_BYTES / SLAB_BYTES)

#define STRIPE_BITS 12u
#define STRIPES (1u << STRIPE_BITS)
#define HINT_GROUPS 64u
#define HEAPS_MAX 64u
#define PINS_MAX 64u
#define CLASSES_MAX 80u

/* A lock word: 0 free; bits 0..23 the owner's slot; the flags below. See lock.h. */
typedef _Atomic uint32_t lock_word;

/* Guard: itself. One cache line, so that neighbours do not disturb each other. */
struct stripe {
	lock_word lock;
	uint32_t nretained;        /* blocks on the retained list */
	_Atomic uint64_t version;  /* odd from the first change until commit or rollback is complete; never goes back */
	ref retained;              /* list of struct retained */
	uint64_t retained_bytes;   /* of the blocks on it, and of its entries */
	_Atomic uint64_t logged;   /* offset of the log behind the last change; 0: none was logged */
	uint64_t reserved[3];      /* watched keys, waiters */
};
_Static_assert(sizeof(struct stripe) == 64, "a cache line");

/* Guard: lock. */
struct heap {
	lock_word lock;
	uint32_t reserved;
	uint64_t used;             /* bytes in blocks handed out, by class size */
	uint64_t meta;             /* of these, bytes of tables, queues, journals: not the dataset */
	uint64_t aside;            /* of those, journals and the like */
	uint64_t reserved2[4];
	ref partial[CLASSES_MAX];  /* slabs with a free block, most recently used first */
};
_Static_assert(sizeof(struct heap) % 64 == 0, "heaps do not share cache lines");

/* Guard: lock; the two bitmaps that follow the head in the layout too. */
struct arena {
	lock_word lock;
	uint32_t reserved;
	uint64_t nextents;         /* extents the object has been grown to, holes included */
	uint64_t free_slabs;       /* backed and not taken */
	uint64_t hint;             /* no free slab below this one */
	uint64_t used;             /* bytes in runs handed out */
	uint64_t meta;
	uint64_t aside;
	uint64_t holes;            /* extents given back to the kernel, or about to be */
	uint64_t punching;         /* first extent + 1 of those being given back | their number << 40; 0: none */
	ref closed;                /* slabs that are being emptied (slab.h); guard: the one process that does it, each change under its heap's lock */
	_Atomic uint64_t full_until; /* monotonic ms: the kernel had no memory, it is not asked again before */
	_Atomic uint64_t wanted;   /* slabs of the run that somebody waits for while there are no such neighbours (store/evict.h); a hint */
	_Atomic uint64_t futile;   /* times the expirer could neither move nor evict anything for who waits */
	_Atomic uint64_t window;   /* first slab + 1 of those being emptied for a run | their number << 40; 0: none. Others are taken first */
	_Atomic uint64_t grower;   /* who grew it last for a large run: activity | slot << 40; while it is in that command nothing is given back */
};

/* A file as it was; ino 0: there was none. */
struct disk_file {
	uint64_t dev, ino, size;
	int64_t mtime_ns;
};

/* What a start would load, as this server knows it: see include/persist/disk.h. Written by the one process that replaces the file. */
struct disk_note {
	struct disk_file file[2];  /* the one in place, and the one before or to come */
	_Atomic uint32_t current;  /* which is which */
	uint32_t reserved;
};
#define DISK_NOTES 3u

enum store_contents {
	CONTENTS_PARTIAL, /* not loaded yet, or half of it: never adopted. What a new store is */
	CONTENTS_WHOLE,
};

struct super {
	uint64_t magic;            /* this and the next two are where they are in every format */
	uint32_t format;
	char build[36];            /* version of the server that made it */
	uint32_t slots;
	uint32_t reserved;
	uint64_t reserve;          /* bytes of address space: the object never grows beyond */
	uint64_t fixed;            /* offset of the first extent */
	uint64_t hash_seed[2];
	uint32_t heaps, databases;
	int64_t created_ms;
	uint64_t off_heaps, off_pins, off_stripes, off_hints, off_dirty, off_taken, off_backed, off_slots, off_slowlog, off_ring;
	uint64_t instance_hash;    /* of the whole text that `instance` has the beginning of */
	char instance[184];        /* directory and port of the server it belongs to */
	char boot_id[40];          /* of the machine's run it was made in */
	_Alignas(64) _Atomic uint64_t epoch; /* from 1; moved by pins, CAS */
	_Alignas(64) struct arena arena;
	_Alignas(64) lock_word map_lock;     /* creating a root */
	lock_word sweep_lock;                /* sweeping retired roots; outermost */
	ref map;                             /* struct db_map; guard: see README */
	ref old_maps, retired_roots;         /* lists; guard: stripe 0 */
	_Atomic uint32_t slot_high;          /* highest slot whose page has memory */
	_Atomic uint32_t log_on;             /* transactions write their effects into the ring; changed under its lock */
	ref functions;                       /* libraries of functions, as a snapshot has them; guard: stripe 0 */
	_Alignas(64) _Atomic uint64_t expirer_until; /* wall ms until which the expirer means to sleep; 0: awake */
	_Atomic uint32_t expirer_wake;       /* futex */
	_Atomic uint32_t sweep_wanted;       /* retained lists or retired roots may be ripe */
	_Atomic uint64_t retained_bytes;     /* of all stripes, a hint: the expirer sets it right once a second */
	_Atomic uint64_t peak;               /* highest use anybody noticed, a hint */
	_Alignas(64) _Atomic uint64_t slow_next; /* id of the slow log's next entry */
	_Atomic uint64_t slow_first;         /* entries that are older are forgotten */
	_Atomic uint32_t slow_backed;        /* places of its ring that have memory, from the first on; grows only */
	_Atomic uint32_t contents;           /* enum store_contents; by the loader, and by the supervisor where there is nothing to load */
	struct disk_note disk[DISK_NOTES];   /* per enum disk_kind */
};
_Static_assert(sizeof(struct super) <= PAGE_BYTES, "one page");

#define SUPER ((struct super *)STORE_BASE)

/* The offsets of the regions, computed at creation from the numbers above and kept in the superblock. */
static inline struct heap *store_heap(uint32_t i)
{
	return (struct heap *)(STORE_BASE + SUPER->off_heaps) + i;
}
static inline struct stripe *store_stripe(uint32_t i)
{
	return (struct stripe *)(STORE_BASE + SUPER->off_stripes) + i;
}

/* A reference as a pointer; for references known to be good (their guard is held). */
static inline void *at(ref r)
{
	return STORE_BASE + r.off;
}
static inline ref ref_of(const void *p)
{
	return (ref){(uint64_t)((const char *)p - STORE_BASE)};
}
static inline bool ref_is_none(ref r)
{
	return r.off == 0;
}

/* First byte behind the grown part of the store, as an offset. Grows only. */
static inline uint64_t store_end(void)
{
	return SUPER->fixed + __atomic_load_n(&SUPER->arena.nextents, __ATOMIC_ACQUIRE) * EXTENT_BYTES;
}

/* Whether no byte of [off, off + n), which lies among the extents, is in a hole. */
static inline bool without_hole(uint64_t off, uint64_t n)
{
	uint64_t e = (off - SUPER->fixed) / EXTENT_BYTES, last = (off + (n ? n - 1 : 0) - SUPER->fixed) / EXTENT_BYTES;
	for (; e <= last; e++)
		if (!(__atomic_load_n((uint64_t *)(STORE_BASE + SUPER->off_backed) + e / 64, __ATOMIC_RELAXED) >> (e % 64) & 1))
			return false;
	return true;
}

/*
 * A reference that may be torn or stale, as a pointer to `n` readable bytes; NULL when they do not lie among the extents, lie in a hole
 * (which becomes one only after every reader has left its command), or it is misaligned. What is there may be anything.
 */
static inline const void *peek(ref r, uint64_t n)
{
	uint64_t end = store_end();
	if (r.off < SUPER->fixed || (r.off & 7) || n > end || r.off > end - n)
		return NULL;
	if (__atomic_load_n(&SUPER->arena.holes, __ATOMIC_RELAXED) && !without_hole(r.off, n))
		return NULL;
	return STORE_BASE + r.off;
}

#endif
