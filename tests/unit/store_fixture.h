/* SPDX-License-Identifier: BSD-2-Clause */
/* A store for unit tests: made without a name, worked on by this process and by children in slots of their own.
 *
 *     fixture_open(16);                 this process holds slot FIXTURE_SELF
 *     do_set(0, "key", "value");        one command each, as the dispatcher would run it
 *     pid_t p = fork_as(3, body, arg);  a child in slot 3; ends with what body returns
 *     CHECK_FSCK();
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/heap.h"
#include "shm/leaf.h"
#include "shm/lock.h"
#include "shm/pin.h"
#include "shm/region.h"
#include "shm/slot.h"
#include "shm/txn.h"
#include "shm/wake.h"
#include "store/access.h"
#include "store/expirer.h"
#include "store/fsck.h"
#include "store/keyspace.h"
#include "store/recover.h"
#include "test.h"

#define FIXTURE_SLOTS 24u
#define FIXTURE_SELF (FIXTURE_SLOTS - 1)

__attribute__((unused)) static int64_t fixture_now = 1700000000000; /* the clock of the commands below, wall ms */

__attribute__((unused)) static void fixture_open(uint32_t databases)
{
	char name[64], *argv[] = {name, NULL};
	snprintf(name, sizeof name, "/bulkhead-unit.%d", (int)getpid());
	config_load(1, argv, NULL);
	control_create(FIXTURE_SLOTS);
	my_slot = FIXTURE_SELF;
	my_page = control_page(my_slot);
	bool adopted;
	struct store_wish wish = {.name = name, .instance = "unit", .slots = FIXTURE_SLOTS, .databases = databases, .fd = -1};
	int fd = store_open(&wish, &adopted);
	store_remove(name);
	if (fd < 0 || !store_attach(fd)) {
		printf("Bail out! no shared memory\n");
		exit(1);
	}
}

/* Makes this process, which opened the fixture, hold another slot. */
__attribute__((unused)) static void become(uint32_t slot)
{
	self_id = slot;
	self = store_slot(slot);
	my_slot = slot;
	my_page = control_page(slot);
}

/* Forks a child that holds `slot`. It dies with this process. */
__attribute__((unused)) static pid_t fork_as(uint32_t slot, int (*body)(void *arg), void *arg)
{
	fflush(stdout);
	pid_t p = fork();
	if (p)
		return p;
	alarm(60);
	control_enter(slot);
	self_id = slot;
	self = store_slot(slot);
	_exit(body(arg));
}

/* Waits for a child; its exit status, or 1000 + the signal that ended it. */
__attribute__((unused)) static int reap_child(pid_t p)
{
	int status;
	if (waitpid(p, &status, 0) != p)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define CHECK_FSCK()                                                                                                   \
    do {                                                                                                               \
        char why_[256];                                                                                                \
        bool ok_ = store_fsck(why_, sizeof why_);                                                                      \
        test_check(ok_, TEST_HERE, "fsck: %s", why_);                                                                  \
    } while (0)

#ifdef BULKHEAD_DEBUG
/* The kernel gives memory so many more times, then refuses; -1: it always gives. */
__attribute__((unused)) static void memory_fails_after(long n)
{
	region_fail_after = n;
	atomic_store(&SUPER->arena.full_until, 0);
}
#endif

/* ---- commands ---- */

enum do_what { DO_SET, DO_GET, DO_DEL, DO_APPEND, DO_DUE, DO_COPY, DO_FLUSH, DO_SWAP, DO_MSET, DO_MGET };

struct doing {
	enum do_what what;
	uint32_t db, db2;
	struct arg key[64], value[64];
	uint32_t nkeys;
	int64_t due;
	struct buf *out;  /* DO_GET: the value; DO_MGET: all of them */
	int64_t out_due;
	uint64_t misses;
	bool found;
};

static int doing_body(struct access *a, void *arg)
{
	struct doing *d = arg;
	struct view v;
	bool oom = false;
	d->misses = 0;
	if (d->what != DO_GET && d->what != DO_MGET)
		effect(a, d->db, 0, NULL);
	switch (d->what) {
	case DO_SET:
	case DO_MSET:
		for (uint32_t i = 0; i < d->nkeys; i++)
			if (!key_set_string(a, d->db, &d->key[i], d->value[i].p, d->value[i].n, ENC_AUTO, d->due))
				return 1;
		return 0;
	case DO_GET:
	case DO_MGET:
		if (d->out)
			buf_clear(d->out);
		for (uint32_t i = 0; i < d->nkeys; i++) {
			d->found = key_find(a, d->db, &d->key[i], &v);
			d->misses += !d->found;
			if (!d->found)
				continue;
			d->out_due = v.due;
			if (access_is_long(a, v.len))
				return 2;
			if (d->out)
				buf_append(d->out, v.value, v.len);
		}
		return 0;
	case DO_DEL:
		d->found = false;
		for (uint32_t i = 0; i < d->nkeys && !oom; i++)
			d->found |= key_delete(a, d->db, &d->key[i], &oom);
		return oom;
	case DO_APPEND:
		d->found = key_find(a, d->db, &d->key[0], &v);
		return !(d->found ? key_append(a, d->db, &d->key[0], &v, d->value[0].p, d->value[0].n)
				  : key_set_string(a, d->db, &d->key[0], d->value[0].p, d->value[0].n, ENC_AUTO, DUE_NONE));
	case DO_DUE:
		d->found = key_find(a, d->db, &d->key[0], &v);
		return d->found && !key_set_due(a, d->db, &d->key[0], d->due);
	case DO_COPY:
		d->found = key_find(a, d->db, &d->key[0], &v) && !key_find(a, d->db2, &d->key[1], &v);
		return d->found && !key_copy(a, d->db, &d->key[0], d->db2, &d->key[1]);
	case DO_FLUSH:
		return !db_flush(a, d->db);
	case DO_SWAP:
		return !db_swap(a, d->db, d->db2);
	}
	return 1;
}

/* Runs it: 0, or not when there was no memory. */
__attribute__((unused)) static int doing_run(struct doing *d)
{
	const struct arg *keys[64];
	for (uint32_t i = 0; i < d->nkeys; i++)
		keys[i] = &d->key[i];
	struct plan p = {.db = d->db, .now = fixture_now, .nkeys = d->nkeys, .keys = keys, .kind = PLAN_WRITE};
	if (d->what == DO_GET || d->what == DO_MGET)
		p.kind = PLAN_READ;
	if (d->what == DO_FLUSH || d->what == DO_SWAP)
		p.kind = PLAN_WRITE_ALL;
	return access_run(&p, doing_body, d);
}

#define ARG(s) ((struct arg){(s), strlen(s)})

__attribute__((unused)) static int do_set_n(uint32_t db, struct arg key, const char *value, size_t n, int64_t due)
{
	struct doing d = {.what = DO_SET, .db = db, .nkeys = 1, .key = {key}, .value = {{value, n}}, .due = due};
	return doing_run(&d);
}
__attribute__((unused)) static int do_set(uint32_t db, const char *key, const char *value)
{
	return do_set_n(db, ARG(key), value, strlen(value), DUE_NONE);
}
/* The value in `out` (may be NULL); false: absent. */
__attribute__((unused)) static bool do_get(uint32_t db, const char *key, struct buf *out)
{
	struct doing d = {.what = DO_GET, .db = db, .nkeys = 1, .key = {ARG(key)}, .out = out};
	int r = doing_run(&d);
	CHECK_INT(r, 0);
	return d.found;
}
__attribute__((unused)) static bool do_is(uint32_t db, const char *key, const char *value)
{
	struct buf b = {0};
	bool found = do_get(db, key, &b), same = value ? found && b.len == strlen(value) && !memcmp(b.data, value, b.len) : !found;
	buf_deinit(&b);
	return same;
}
__attribute__((unused)) static int do_del(uint32_t db, const char *key)
{
	struct doing d = {.what = DO_DEL, .db = db, .nkeys = 1, .key = {ARG(key)}};
	return doing_run(&d) ? -1 : d.found;
}
__attribute__((unused)) static int do_due(uint32_t db, const char *key, int64_t due)
{
	struct doing d = {.what = DO_DUE, .db = db, .nkeys = 1, .key = {ARG(key)}, .due = due};
	return doing_run(&d);
}
__attribute__((unused)) static int do_append(uint32_t db, const char *key, const char *value)
{
	struct doing d = {.what = DO_APPEND, .db = db, .nkeys = 1, .key = {ARG(key)}, .value = {ARG(value)}, .due = DUE_NONE};
	return doing_run(&d);
}
__attribute__((unused)) static int do_copy(uint32_t db, const char *key, uint32_t db2, const char *key2)
{
	struct doing d = {.what = DO_COPY, .db = db, .db2 = db2, .nkeys = 2, .key = {ARG(key), ARG(key2)}};
	return doing_run(&d);
}
__attribute__((unused)) static int do_flush(uint32_t db)
{
	struct doing d = {.what = DO_FLUSH, .db = db};
	return doing_run(&d);
}
__attribute__((unused)) static int do_swap(uint32_t x, uint32_t y)
{
	struct doing d = {.what = DO_SWAP, .db = x, .db2 = y};
	return doing_run(&d);
}

/* A small random generator with the seed in view. */
__attribute__((unused)) static uint64_t dice_state = 88172645463325252ull;
__attribute__((unused)) static uint64_t dice(uint64_t n)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return n ? dice_state % n : dice_state;
}

/* ---- expirer's pieces, run here ---- */

/* Runs the expirer in a child in `slot` for `ms`. */
__attribute__((unused)) static int expirer_body(void *arg)
{
	(void)arg;
	expirer_run();
	return 0;
}
__attribute__((unused)) static pid_t expirer_start(uint32_t slot)
{
	return fork_as(slot, expirer_body, NULL);
}
/* Ends it and puts its slot in order. */
__attribute__((unused)) static void expirer_end(pid_t p, uint32_t slot)
{
	kill(p, SIGKILL);
	reap_child(p);
	recover_slots(&slot, 1);
}

#endif
