/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyspace as command handlers see it: keys of a database, read and written inside one `struct access`.
 *
 * A command runs in one of three modes, chosen by the dispatcher, and the same handler serves all of them:
 *   ACCESS_READ    no lock. Whatever is read may be torn; the dispatcher checks the stripes' versions afterwards and runs
 *                  the handler again when they moved. So a handler must not act outside its reply, and every function here
 *                  is safe on torn data.
 *   ACCESS_PINNED  no lock, and a consistent, unchanging view of the whole store as of the pin's epoch (long reads).
 *   ACCESS_WRITE   all stripes of the command's keys are locked; changes are journalled and take effect together.
 * Keys are named by their position in argv; the access hashes a key once.
 *
 * An expired key is absent in every mode. In ACCESS_WRITE it is also removed on sight, with its effect (DEL).
 *
 * In a command that is cancelled (base/stop.h) every key is absent and every change fails as if there were no memory: the handler ends soon,
 * and whatever it did and replied is undone.
 */
#ifndef BULKHEAD_STORE_KEYSPACE_H
#define BULKHEAD_STORE_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/item.h"
#include "base/buf.h"
#include "base/str.h"

enum access_mode { ACCESS_READ, ACCESS_PINNED, ACCESS_WRITE };

struct access; /* one per running command, owned by the dispatcher */

/* A key's content: pointers into the store, valid until the access ends or the key is changed. */
struct view {
	const char *value; /* string payload */
	size_t len;        /* its bytes */
	int64_t due;       /* wall ms at which the key expires; DUE_NONE: never */
	uint8_t type;      /* TYPE_STRING ... */
	uint8_t encoding;  /* ENC_INT, ENC_EMBSTR, ENC_RAW */
	ref item;          /* for the keyspace's own use */
};
#define DUE_NONE INT64_MIN

/* Milliseconds of the wall clock, the same for all of one command. */
int64_t access_now(const struct access *a);

/* Whether a key that is given this expiry is to be deleted instead: it has passed, and no file is being loaded. */
bool access_already_due(const struct access *a, int64_t due);

/* The database the access works on; access_use_db switches it (COPY ... DB n). */
uint32_t access_db(const struct access *a);

/*
 * Looks up `key` in database `db`. False: absent (or expired). Counts nothing. In ACCESS_WRITE the key's stripe must be among
 * the locked ones (it is, for every key the command's row names).
 */
bool key_find(struct access *a, uint32_t db, const struct arg *key, struct view *out);

/* The same for who looks at the key but does not use it (OBJECT, TYPE ...): its access clock stays as it is. */
bool key_peek(struct access *a, uint32_t db, const struct arg *key, struct view *out);

/* Looks a key up for nothing but its access clock, which is surely refreshed: TOUCH. Not in ACCESS_WRITE. False: absent. */
bool key_touch(struct access *a, uint32_t db, const struct arg *key);

/*
 * What the access clock says of what was found; clock.h says what it means under which policy. Seconds since it was last used, where the policy
 * is not LFU; how often it is used, 0 to 255, where it is; the bare word.
 */
uint32_t key_idle_seconds(const struct access *a, const struct view *v);
uint8_t key_freq(const struct access *a, const struct view *v);
uint32_t key_clock(const struct view *v);

/* What was looked up so far is one use of the key; the change that follows is another, as redis-server counts it (GETSET). */
void access_uses_again(struct access *a);

/*
 * ACCESS_WRITE: sets the access clock of a key, as RESTORE and files have it: `idle` seconds, `freq` 0 to 255, each -1 where it is not told. Of
 * the two the policy in force takes what it can use; without it the clock stays as the change of the key has made it.
 */
void key_set_clock(struct access *a, uint32_t db, const struct arg *key, int64_t idle, int freq);

/*
 * In ACCESS_READ: true when copying `n` bytes of a value must not be done in this mode; the handler returns CMD_LONG and is
 * run again in ACCESS_PINNED. Never true in the other modes.
 */
bool access_is_long(const struct access *a, size_t n);

/* ACCESS_READ: true while what was read so far is known to be untorn; long copies ask before each further 64 KiB. */
bool access_still_valid(const struct access *a);

/* Bytes that a key takes in all: its block, its places in the index and in the due queue. Safe on torn data. */
uint64_t key_memory(const struct view *v);

/* ---- changes: ACCESS_WRITE only. false: no memory; the handler answers with reply_oom() and returns CMD_ABORT ---- */

/*
 * Sets `key` to a string. The encoding is as Redis's SET chooses it when `encoding` is ENC_AUTO. `due` replaces the expiry
 * (DUE_NONE: none). `value` may point into the store (COPY).
 */
bool key_set_string(struct access *a, uint32_t db, const struct arg *key, const char *value, size_t len, uint8_t encoding,
		    int64_t due);

/* As key_set_string with room for growth, for APPEND: `extra` appended to the present value; keeps the expiry. The key exists. */
bool key_append(struct access *a, uint32_t db, const struct arg *key, const struct view *now, const char *extra, size_t n);

/*
 * Changing parts of a string value, which may be large: SETRANGE, SETBIT, BITFIELD. key_patch makes the value `len` bytes long (not less
 * than it has; what is new is zero), its encoding ENC_RAW, and keeps the expiry; an absent key (`now` NULL) is made. Then patch_write
 * overwrites any parts of it, `n` bytes in all, more or less: where nobody can see the block but by version it is changed where it is, and
 * costs what is written; else it is copied once, with room for growth. Other changes of the key end the patch.
 */
struct patch {
	char *value;   /* as it is now; read it at will */
	uint64_t undo; /* so many bytes of it were there before, and go into the journal before they change */
	uint32_t stripe;
};
bool key_patch(struct access *a, uint32_t db, const struct arg *key, const struct view *now, uint64_t len, uint64_t n, struct patch *out);
bool patch_write(struct patch *p, uint64_t offset, const void *bytes, uint64_t n);

/*
 * A string value made where it will lie (BITOP): key_make gives `len` bytes to be filled, and key_made makes them what the key holds,
 * ENC_RAW and without an expiry. Until then the key, and what was found of it, is as it was.
 */
char *key_make(struct access *a, const struct arg *key, uint64_t len, ref *block);
bool key_made(struct access *a, uint32_t db, const struct arg *key, ref block);

/* Changes only the expiry of a key that exists. */
bool key_set_due(struct access *a, uint32_t db, const struct arg *key, int64_t due);

/* Removes a key. False: it was absent. *oom is set (and nothing removed) when the journal had no memory. */
bool key_delete(struct access *a, uint32_t db, const struct arg *key, bool *oom);

/* The same for a key that is to go whatever it is: one that is due counts as there, and its removal has no effect of its own. */
bool key_drop(struct access *a, uint32_t db, const struct arg *key, bool *oom);

/* Gives `to` in `to_db` the content of `from`, with its expiry; `to` must be absent. The value is copied. */
bool key_copy(struct access *a, uint32_t from_db, const struct arg *from, uint32_t to_db, const struct arg *to);

/* Moves a key with all it has to another database, where it must be absent. Its block stays where it is unless somebody has a pin on it. */
bool key_move(struct access *a, uint32_t from_db, const struct arg *key, uint32_t to_db);

/*
 * The effect of a write for the log: a command in its deterministic form (relative expiry as PXAT, INCRBYFLOAT as SET ...),
 * handed over in the order it happened. Every handler that changes something calls it at least once; the debug build panics
 * where one did not. `argv` is copied. While nobody reads the log this costs a test of one word.
 */
void effect(struct access *a, uint32_t db, int argc, const struct arg *argv);
/* What has changed is how a value is kept, which nobody else needs to hear of. */
void effect_none(struct access *a);
/* The same from NUL-terminated words and slices: effect_words(a, db, "SET", key->p, key->n, ...): see effect.h helpers. */
void effect_key(struct access *a, uint32_t db, const char *verb, const struct arg *key);

/* ---- whole databases ---- */

/* Number of keys, keys with an expiry, and the mean time to live in ms of a sample. Without locks, exact for own writes. */
struct db_stats {
	uint64_t keys, expires;
	int64_t avg_ttl;
	uint64_t index_bytes, due_bytes; /* of the tables, of the due queues */
};
void db_stats(uint32_t db, struct db_stats *out);

/* ACCESS_WRITE on all stripes: empties a database (or all: db == DB_ALL). The old keys are swept afterwards. */
bool db_flush(struct access *a, uint32_t db);
#define DB_ALL UINT32_MAX

/* ACCESS_WRITE on all stripes: exchanges two databases. */
bool db_swap(struct access *a, uint32_t x, uint32_t y);

/*
 * After commit, outside every access: frees what flushes retired, until nothing is left to free. Cancelled, or told to end, it leaves the rest
 * to the expirer.
 */
void db_sweep_retired(void);

/*
 * ACCESS_PINNED: calls `each` for every key of `db` that lives at the pin, in the order of the index. `each` returns false to
 * stop. No lock is held during `each`.
 */
typedef bool key_visitor(void *arg, const char *key, size_t klen, const struct view *v);
void db_walk(struct access *a, uint32_t db, key_visitor *each, void *arg);

/*
 * SCAN: visits keys from position `cursor` on until at least `count` index entries have been looked at, returns the next
 * cursor, 0 at the end. A key that exists from the first call to the last is visited at least once, whatever grows or shrinks
 * meanwhile. Own locking: called without an access mode (ACCESS_READ with no keys). `each` runs on private copies.
 */
uint64_t db_scan(struct access *a, uint32_t db, uint64_t cursor, uint64_t count, key_visitor *each, void *arg);

/* A random key of the database, copied to `out` (cap >= 512 MB is never needed: *len tells; false: empty). */
bool db_random_key(struct access *a, uint32_t db, struct buf *out);

#endif
