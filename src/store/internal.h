/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of src/store share.
 */
#ifndef BULKHEAD_STORE_INTERNAL_H
#define BULKHEAD_STORE_INTERNAL_H

#include "shm/lock.h"
#include "shm/pin.h"
#include "shm/slot.h"
#include "shm/txn.h"
#include "store/access.h"
#include "clock.h"
#include "index.h"

#define ACCESS_INLINE_KEYS 16u
#define LONG_VALUE (1u << 20) /* what is longer is read under a pin, and copied in pieces of this size */

struct stale_clock {
	ref item;
	uint32_t stripe;
	uint32_t clock; /* what it is to be */
};

/* One running command. Private memory; one per process. */
struct access {
	const struct plan *plan;
	int64_t now;               /* wall ms */
	enum access_mode mode;
	bool locked;               /* ACCESS_READ under the locks: nothing can be torn */
	bool no_touch;             /* access_touches(false); outlives the command, as does */
	bool loads;                /* access_loads(true) */
	bool touched;              /* ACCESS_WRITE: looking keys up has refreshed their clocks */
	bool effects;              /* an effect was handed over */
	bool no_memory;            /* a change failed half-way where the body cannot know: it must not commit */
	uint32_t cursor;           /* where in plan->keys the next key is expected */
	uint32_t nstripes;
	struct key_hash *hashes;   /* per key of the plan */
	uint16_t *stripes;         /* ascending, no duplicates */
	uint64_t *versions;        /* per stripe, ACCESS_READ */
	struct pin pin;            /* ACCESS_PINNED */
	uint32_t nclocks;
	struct stale_clock *clocks; /* access clocks to refresh; room for one per key */
	struct stale_clock inline_clocks[ACCESS_INLINE_KEYS];
	struct key_hash inline_hashes[ACCESS_INLINE_KEYS];
	uint16_t inline_stripes[ACCESS_INLINE_KEYS];
	uint64_t inline_versions[ACCESS_INLINE_KEYS];
};

/* The root of database `db` now, or NULL (none yet, or torn). Safe without locks. */
struct root *db_root(uint32_t db);

/* The same, made when there is none. A stripe must be held. NULL: no memory. */
struct root *db_root_make(uint32_t db);

/*
 * The root of database `db` as of a pin, or NULL. Takes stripe 0 for a moment. A transaction that began below the pin may still be making the
 * first root: a caller that gets NULL waits for the stripes it cares about (stripe_await) and asks again.
 */
struct root *db_root_at(struct pin p, uint32_t db);

/* Waits for whoever holds the stripe now, or until the command is cancelled. */
static inline void stripe_await(uint32_t stripe)
{
	if (lock_owner(&store_stripe(stripe)->lock) == 0)
		return;
	if (stripe_lock(stripe))
		stripe_unlock(stripe);
}

/* The hash of a key: from the plan when it is one of its keys. */
struct key_hash access_hash(struct access *a, const struct arg *key);
struct key_hash key_hash_of(const char *key, size_t n);

/* Physical lookup in a bin; cell NULL: not there. Regardless of expiry. */
struct spot {
	struct root *root;
	struct bin *bin;
	struct key_hash hash;
	uint64_t *cell;
	ref item;
	struct parts parts;
};
bool spot_find(struct access *a, uint32_t db, const struct arg *key, struct spot *s);

/* The same for a change: when the key is absent, with the bin it goes to, in a root made for it. False: no memory. */
bool spot_prepare(struct access *a, uint32_t db, const struct arg *key, struct spot *s);

/*
 * Makes a block, which holds a whole item, what the key has: in place of what `s` found, or as a new key. Its due time is followed in the
 * bin. False: no memory.
 */
bool spot_publish(struct spot *s, ref block, int64_t due);

/* Removes what `s` found: cell, item, expiry count. Stripe held by a transaction. False: no memory. */
bool spot_remove(struct spot *s);

/* Copies n bytes, or fills with zeros where `from` is NULL. False: the command was cancelled meanwhile, and what was copied is worth nothing. */
bool value_copy(char *to, const char *from, uint64_t n);

static inline bool is_due(int64_t due, int64_t now)
{
	return due != INT64_MIN && due <= now;
}

/* Whether a key with this expiry is gone for the command. */
static inline bool is_gone(const struct access *a, int64_t due)
{
	return is_due(due, a->now) && !a->loads;
}

/* The encoding Redis would choose for a string that was just set. */
uint8_t encoding_of(const char *value, size_t len);

/* Flags of an item of this key. */
static inline uint8_t item_flags(const struct arg *key, int64_t due)
{
	return (uint8_t)((due == DUE_NONE ? 0 : ITEM_DUE) | (key->n > 0xffff ? ITEM_LONG_KEY : 0));
}

/* Commits when all was done, else rolls back. Whether it has committed. */
static inline bool txn_end(bool done)
{
	if (done)
		return txn_commit();
	txn_rollback();
	return false;
}

#define GIVE_WAY_NS 200000u

/*
 * For who works for long: lets others have the core now and then, so that on few cores nobody waits for the end of a time slice. Nothing is
 * held. *since is 0 at first.
 */
void give_way(uint64_t *since);

/* db_sweep_retired with the sweep lock held. */
void db_sweep_locked(void);

/* A db_map's last valid entry, checked: roots beyond are none. */
const struct db_map *map_now(void);

/* The access clock of what is put in the place of what `s` found, or is new. */
uint32_t clock_next(const struct access *a, const struct spot *s);

/* The access clock of an item, which may be torn. */
static inline uint32_t clock_read(ref item)
{
	const struct item *i = at(item);
	return (uint32_t)(__atomic_load_n(&i->born_clock, __ATOMIC_RELAXED) >> CLOCK_SHIFT);
}

/* Sets the access clock of an item. Its stripe is held, which is all it takes: no version moves, nothing is journalled. */
static inline void clock_set(ref item, uint32_t clock)
{
	struct item *i = at(item);
	uint64_t born = i->born_clock & ((1ull << CLOCK_SHIFT) - 1);
	__atomic_store_n(&i->born_clock, born | (uint64_t)clock << CLOCK_SHIFT, __ATOMIC_RELAXED);
}

/*
 * Pieces of a check (fsck.c), each for what one stripe guards: a bin of a root (of a database, else retired), its
 * retained list.
 */
struct check;
bool fsck_bin(struct check *c, const struct root *root, uint32_t stripe, bool live);
bool fsck_retained(struct check *c, uint32_t stripe);
/* Stripes all held: waits until nobody has anything under way any more. False: somebody still has after `ms`. */
bool fsck_wait_for_rest(int64_t ms, char *why, size_t cap);

/* Debug builds: installs the check that every change was touched. */
void verify_install(void);

#endif
