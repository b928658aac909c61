/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log ring, the side of those who write (shm/ring.h). Run by workers, the expirer and snapshots; ring_recover by the medic.
 *
 * Owns the record of the running transaction (in its slot and journal) and, under the ring's lock, the ring's tail. The lock is taken
 * with all stripes of the transaction held, and nothing after it. A record is the effects as the journal has them: the ring gets copies
 * of the short ones and the blocks of the long ones, from then on its own. Death under the lock: before the commit nothing has happened; after it
 * the medic finds the tail where the slot says it was, and puts the record in again from the same notes, byte for byte; behind the
 * move of the tail all is done. Who waits for room or durability holds nothing.
 */
#include "shm/ring.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/panic.h"
#include "base/stop.h"
#include "journal.h"
#include "ring_frame.h"
#include "shm/lock.h"
#include "shm/txn.h"

#define INLINE_SUM (64u << 10)  /* of a transaction; further effects go into blocks, so that a record always fits into the ring */
#define CHUNK_BYTES (1u << 20)  /* such a block, for many short effects */
#define WAIT_MS 100
#define LOOK_NS 500000u /* for what is to become durable; longer than a fast disk takes */
#define IN_VAIN 16

/* ---- the record of the running transaction ---- */

/* The block that the next short effects go into. */
static struct {
	char *p;
	uint64_t *used, room;
} chunk;

static void begin_record(struct slot *s, uint32_t db)
{
	s->log = (struct slot_log){.first_db = db, .last_db = db};
	chunk.p = NULL;
}

static char *in_chunk(uint64_t n)
{
	char *p = chunk.p + *chunk.used;
	*chunk.used += n;
	self->log.bytes += n;
	return p;
}

/* A block of its own for a long effect, or one that others may follow into. */
static char *in_block(uint64_t n)
{
	uint64_t size = n > RING_INLINE_MAX ? n : CHUNK_BYTES;
	ref r = txn_alloc_urgent(size, BLOCK_ASIDE);
	uint64_t *used = ref_is_none(r) ? NULL : journal_effect_block(r, 0);
	if (!used)
		return NULL;
	chunk.p = at(r);
	chunk.used = used;
	chunk.room = size;
	self->log.room += FRAME_HEAD + FRAME_BLOCK;
	self->log.referenced += heap_block_size(r);
	return in_chunk(n);
}

static char *piece(uint64_t n)
{
	struct slot_log *log = &self->log;
	if (chunk.p && n <= chunk.room - *chunk.used)
		return in_chunk(n);
	if (chunk.p || n > RING_INLINE_MAX || log->room + frame_room(n) > INLINE_SUM)
		return in_block(n);
	log->room += frame_room(n);
	log->bytes += n;
	return journal_effect(n);
}

char *ring_log(uint32_t db, uint64_t n)
{
	char text[SELECT_MAX];
	struct slot *s = self;
	if (s->effects == 0) {
		begin_record(s, db);
	} else if (db != s->log.last_db) {
		uint64_t len = select_text(db, text);
		char *p = piece(len);
		if (!p)
			return NULL;
		memcpy(p, text, len);
		s->log.last_db = db;
	}
	s->effects++;
	return piece(n);
}

void ring_apart(void)
{
	self->log.apart = 1;
}

/* ---- the record in the ring ---- */

static const char multi[] = "*1\r\n$5\r\nMULTI\r\n", exec[] = "*1\r\n$4\r\nEXEC\r\n";

/* What stands around the effects. */
struct frame_texts {
	char head[sizeof multi + SELECT_MAX];
	uint64_t nhead, nexec;
};

static void texts_of(const struct slot *s, struct frame_texts *t)
{
	const struct slot_log *log = &s->log;
	bool together = s->effects > 1 && !log->apart;
	/* SELECT goes first, as MULTI belongs to the database of what follows it. */
	t->nhead = log->first_db != log->db ? select_text(log->first_db, t->head) : 0;
	if (together) {
		memcpy(t->head + t->nhead, multi, sizeof multi - 1);
		t->nhead += sizeof multi - 1;
	}
	t->nexec = together ? sizeof exec - 1 : 0;
}

static uint64_t room_of(const struct slot_log *log, const struct frame_texts *t)
{
	return log->room + (t->nhead ? frame_room(t->nhead) : 0) + (t->nexec ? frame_room(t->nexec) : 0);
}

/* Where the next frame ends: they are put in from the last one to the first, as the journal is read. */
struct cursor {
	uint64_t pos, offset;
	uint32_t flags;
};

static void put_frame(struct cursor *c, const char *bytes, ref block, uint64_t n)
{
	struct frame f = {.n = (uint32_t)(bytes ? n : FRAME_BLOCK), .flags = c->flags | (bytes ? 0 : FRAME_IS_BLOCK)};
	struct frame_block b = {block, n};
	c->pos -= bytes ? frame_room(n) : FRAME_HEAD + FRAME_BLOCK;
	c->offset -= n;
	c->flags = 0;
	f.offset = c->offset;
	*(struct frame *)ring_at(c->pos) = f;
	ring_put(c->pos + FRAME_HEAD, bytes ? bytes : (const char *)&b, f.n);
}

static void put_effect(void *arg, const struct journal_effect *e)
{
	if (e->n)
		put_frame(arg, e->bytes, e->block, e->n);
}

/* Puts the record of `s` where its notes say. Repeated, it writes the same. The ring's lock is held. */
static void append(struct slot *s)
{
	struct ring *r = ring();
	struct frame_texts t;
	texts_of(s, &t);
	uint64_t end = s->log.at + room_of(&s->log, &t), offset = s->log.offset + t.nhead + s->log.bytes + t.nexec;
	struct cursor c = {end, offset, FRAME_LAST};
	if (t.nexec)
		put_frame(&c, exec, REF_NONE, t.nexec);
	journal_each_effect(s, put_effect, &c);
	if (t.nhead)
		put_frame(&c, t.head, REF_NONE, t.nhead);
	DEBUG_ASSERT(c.pos == s->log.at && c.offset == s->log.offset);
	r->db = s->log.last_db;
	r->referenced_in = s->log.referenced_in + s->log.referenced;
	atomic_store_explicit(&r->offset, offset, memory_order_relaxed);
	atomic_store_explicit(&r->tail, end, memory_order_release);
}

/* Notes where the record will be. False: there is no room. */
static bool note_place(struct ring *r, struct slot *s)
{
	struct slot_log *log = &s->log;
	struct frame_texts t;
	log->at = atomic_load_explicit(&r->tail, memory_order_relaxed);
	log->offset = atomic_load_explicit(&r->offset, memory_order_relaxed);
	log->db = r->db;
	log->referenced_in = r->referenced_in;
	texts_of(s, &t);
	/* Those that began before there was much in blocks do not all come in. Of the room one frame may be taken back: a consumer that dies over it. */
	return ring_referenced() <= RING_REFERENCED_MAX &&
	       room_of(log, &t) + FRAME_HEAD + FRAME_BLOCK <= RING_BYTES - (log->at - atomic_load_explicit(&r->consumed, memory_order_acquire));
}

static enum ring_verdict commit_locked(struct ring *r, struct slot *s, uint64_t epoch)
{
	uint64_t running = TXN_RUNNING;
	/* Switched off meanwhile: run again, its blocks would be nobody's. */
	if (!atomic_load_explicit(&SUPER->log_on, memory_order_relaxed) || epoch < atomic_load_explicit(&r->cut, memory_order_relaxed))
		return RING_CUT;
	if (!note_place(r, s))
		return RING_FULL;
	if (!atomic_compare_exchange_strong(&s->state, &running, TXN_COMMITTED))
		return RING_CANCELLED;
	append(s);
	return RING_COMMITTED;
}

static bool sleeps(struct ring *r)
{
	uint32_t how = atomic_load_explicit(&r->asleep, memory_order_relaxed);
	return how == SLEEPS_TILL_ANY || (how == SLEEPS_TILL_HALF && ring_fill() > RING_BYTES / 2);
}

enum ring_verdict ring_commit(uint64_t epoch)
{
	struct ring *r = ring();
	lock_take(&r->lock, self_id);
	enum ring_verdict v = commit_locked(r, self, epoch);
	lock_release(&r->lock);
#ifndef __x86_64__
	atomic_thread_fence(memory_order_seq_cst); /* the tail before the look at who sleeps; there, the release is a full fence */
#endif
	if (__builtin_expect(sleeps(r), 0))
		ring_wake();
	return v;
}

uint64_t ring_committed_at(void)
{
	struct frame_texts t;
	if (!self->effects)
		return 0;
	texts_of(self, &t);
	return self->log.offset + t.nhead + self->log.bytes + t.nexec;
}

void ring_recover(uint32_t id)
{
	struct ring *r = ring();
	struct slot *s = store_slot(id);
	if (lock_owner(&r->lock) == id && atomic_load(&s->state) == TXN_COMMITTED && s->effects &&
	    atomic_load(&r->tail) == s->log.at)
		append(s);
	lock_break(&r->lock, id);
	ring_wake();
}

/* ---- waiting ---- */

/* Sleeps until the word moves, for WAIT_MS at most. */
static void sleep_on(_Atomic uint32_t *word, uint32_t seen)
{
	struct timespec t = {0, WAIT_MS * 1000000L};
	syscall(SYS_futex, word, FUTEX_WAIT, seen, &t, NULL, 0);
}

static bool has_room(void)
{
	return ring_fill() <= RING_BYTES / 4 * 3 && ring_referenced() <= RING_REFERENCED_MAX;
}

bool ring_has_room(void)
{
	return has_room() && atomic_load_explicit(&ring()->failed, memory_order_relaxed) == 0;
}

int ring_wait_room(void)
{
	struct ring *r = ring();
	for (;;) {
		uint32_t seen = atomic_load(&r->room_moved), failed = atomic_load(&r->failed);
		if (failed)
			return (int)failed;
		if (!ring_is_on() || has_room() || cancel_requested())
			return 0;
		ring_wake();
		atomic_fetch_add(&r->room_waiters, 1);
		sleep_on(&r->room_moved, seen);
		atomic_fetch_sub(&r->room_waiters, 1);
	}
}

static bool is_durable(struct ring *r, uint64_t offset)
{
	return atomic_load_explicit(&r->durable, memory_order_acquire) >= offset || !ring_is_on();
}

/*
 * A fast disk takes less time than going to sleep and being woken: who waits alone looks again for a while, and gives way to whoever wants the
 * core. Who has looked in vain sleeps at once the next times.
 */
static bool look_for_durable(struct ring *r, uint64_t offset)
{
	static int patience = 1;
	if (patience < 1) {
		patience++;
		return false;
	}
	for (uint64_t start = clock_mono_ns(); clock_mono_ns() - start < LOOK_NS;) {
		sched_yield();
		if (is_durable(r, offset))
			return true;
	}
	patience = -IN_VAIN;
	return false;
}

static bool sleep_till_durable(struct ring *r, uint64_t offset)
{
	for (;;) {
		uint32_t seen = atomic_load(&r->durable_moved);
		if (is_durable(r, offset))
			return true;
		if (atomic_load(&r->failed))
			return false;
		sleep_on(&r->durable_moved, seen);
	}
}

bool ring_wait_durable(uint64_t offset)
{
	struct ring *r = ring();
	if (is_durable(r, offset))
		return true;
	bool alone = atomic_fetch_add(&r->durable_waiters, 1) == 0;
	bool durable = (alone && look_for_durable(r, offset)) || sleep_till_durable(r, offset);
	atomic_fetch_sub(&r->durable_waiters, 1);
	return durable;
}

/* ---- snapshots ---- */

struct pin ring_pin(bool rotate, uint64_t *offset)
{
	struct ring *r = ring();
	struct pin p = pin_claim();
	*offset = 0;
	if (pin_is_none(p))
		return p;
	lock_take(&r->lock, self_id);
	pin_advance(&p);
	if (atomic_load(&SUPER->log_on)) {
		atomic_store(&r->cut, p.epoch + 1);
		*offset = atomic_load(&r->offset);
	}
	if (rotate && atomic_load(&SUPER->log_on)) {
		r->db = RING_NO_DB;
		atomic_store(&r->rotate_at, *offset);
		atomic_fetch_add(&r->rotations, 1);
	}
	lock_release(&r->lock);
	ring_wake();
	return p;
}
