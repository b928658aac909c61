/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The expirer: deletes keys as they fall due, in order of time; sweeps what pins retained and flushes retired; keeps spare memory. Run by the
 * expirer process alone.
 *
 * Owns nothing shared but the word it sleeps on. All changes are small transactions, so it may die anywhere and be started again.
 */
#include "store/expirer.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "shm/arena.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/events.h"
#include "shm/pause.h"
#include "shm/ring.h"
#include "shm/wake.h"
#include "store/compact.h"
#include "store/evict.h"
#include "due.h"
#include "internal.h"

#define DUE_PER_TXN 32u
#define RETAINED_PER_TXN 128u
#define READ_TRIES 16
#define ANY_EXPIRY (PAUSED_EXPIRY | PAUSED_CRON)
#define LET_OTHERS_NS 500000u
#define LOOK_MS 1000 /* never sleeps longer; then looks at every stripe, whatever the hints say */

static struct access expirer_access; /* for effects */

/* Whether DEBUG has switched that off. Asked under a stripe's lock: who has switched it off and had the stripe since was heard. */
static bool paused(uint32_t what)
{
	return (atomic_load(&control_commons->paused) & what) != 0;
}

static bool nothing_expires(void)
{
	return paused(ANY_EXPIRY) || pause_mode() != PAUSE_NONE || control_is_loading();
}

/* ---- due keys ---- */

/* Deletes the key of cell `c` if it is due at `now`. False: no memory. */
static bool delete_if_due(struct root *root, uint32_t db, struct key_hash h, uint64_t *c, int64_t now, int64_t *next)
{
	struct spot s = {.root = root, .bin = &root->bins[h.stripe], .hash = h, .cell = c, .item = cell_ref(*c)};
	if (!item_read(s.item, &s.parts) || s.parts.due == INT64_MIN)
		return true;
	if (s.parts.due > now) {
		*next = s.parts.due < *next ? s.parts.due : *next;
		return true;
	}
	struct arg key = {s.parts.key, s.parts.klen};
	effect_key(&expirer_access, db, config->lazyfree_lazy_expire ? "UNLINK" : "DEL", &key);
	if (!spot_remove(&s))
		return false;
	count_add(COUNTER_EXPIRED, 1);
	return true;
}

/*
 * Takes the first entry off the queue; deletes what is due under its tag, and puts an entry back for the earliest of that tag that is not.
 * A removal may move cells, so the table is looked through from the start after each.
 */
static bool take_first(struct root *root, uint32_t db, uint32_t stripe, int64_t now)
{
	struct bin *b = &root->bins[stripe];
	struct key_hash h = {stripe, (uint32_t)due_first(b) & TAG_MASK};
	int64_t next = INT64_MAX;
	if (!due_pop(stripe, b))
		return false;
	for (uint32_t before = b->count + 1; before != b->count;) {
		uint64_t *c, *end = (uint64_t *)at(b->table) + (uint64_t)b->nbuckets * CELLS;
		before = b->count;
		next = INT64_MAX;
		for (c = b->nbuckets ? at(b->table) : end; c < end && b->count == before; c++)
			if (*c && cell_tag(*c) == h.tag && !delete_if_due(root, db, h, c, now, &next))
				return false;
	}
	return next == INT64_MAX || due_insert(stripe, b, h.tag, next);
}

static bool first_is_due(const struct bin *b, int64_t now)
{
	return b->ndue > 0 && due_time(due_first(b)) <= now;
}

/* One transaction's worth of due keys of a stripe. False: no memory for the journal, or a pause; try again later. */
static bool expire_some(uint32_t stripe, int64_t now, bool *more)
{
	uint16_t s = (uint16_t)stripe;
	uint32_t n = 0;
	*more = false;
	if (ring_is_on() && !ring_has_room())
		return false;
	activity_enter();
	txn_begin(&s, 1);
	expirer_access.no_memory = false;
	/* Asked within the transaction: whoever pauses cancels those that have begun before. */
	bool ok = !nothing_expires();
	for (uint32_t db = 0; ok && db < SUPER->databases; db++) {
		struct root *root = db_root(db);
		while (ok && root && n < DUE_PER_TXN && first_is_due(&root->bins[stripe], now))
			ok = take_first(root, db, stripe, now), n++;
	}
	ok = ok && !expirer_access.no_memory;
	if (ok && n)
		ring_apart();
	ok = txn_end(ok);
	activity_leave();
	*more = n == DUE_PER_TXN;
	return ok;
}

static int64_t first_due(uint32_t stripe)
{
	int64_t first = INT64_MAX;
	for (uint32_t db = 0; db < SUPER->databases; db++) {
		const struct root *root = db_root(db);
		const struct bin *b = root ? &root->bins[stripe] : NULL;
		if (!b || __atomic_load_n(&b->ndue, __ATOMIC_RELAXED) == 0)
			continue;
		ref q = {__atomic_load_n(&b->due.off, __ATOMIC_RELAXED)};
		const uint64_t *w = peek(q, 8);
		int64_t t = w ? due_time(__atomic_load_n(w, __ATOMIC_RELAXED)) : 0;
		first = t < first ? t : first;
	}
	return first;
}

/* The earliest entry of a stripe over all databases, wall ms; INT64_MAX: none. By version, else when its writer has finished. */
static int64_t stripe_due(uint32_t stripe)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t v = version_read(stripe);
		if (v & 1) {
			sched_yield();
			continue;
		}
		int64_t first = first_due(stripe);
		if (version_same(stripe, v))
			return first;
	}
	stripe_lock(stripe);
	int64_t first = first_due(stripe);
	stripe_unlock(stripe);
	return first;
}

/*
 * To give way is not enough here: the kernel lets who has slept for long go on for milliseconds all the same. So this process sleeps for as short as can be,
 * and who waits for the core has it.
 */
static void let_others(uint64_t *since)
{
	uint64_t now = clock_mono_ns();
	if (now - *since < LET_OTHERS_NS)
		return;
	nanosleep(&(struct timespec){0, 1000}, NULL);
	*since = clock_mono_ns();
}

/* Deletes what is due in a group of stripes and sets its hint anew. */
static void expire_group(uint32_t g)
{
	const uint32_t per = STRIPES / HINT_GROUPS;
	static uint64_t since;
	/* Cleared first: who inserts from here on lowers it again, who inserted before is seen below. */
	atomic_store(hint_word(g), UINT64_MAX);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in hint_lower */
	for (uint32_t s = g * per; s < (g + 1) * per; s++) {
		int64_t due, now = clock_wall_ms();
		bool more = true, ok = true;
		activity_enter();
		due = stripe_due(s);
		activity_leave();
		while (due <= now && more && ok && !stop_requested()) {
			ok = expire_some(s, now, &more);
			let_others(&since);
		}
		if (due <= now) {
			activity_enter();
			due = ok ? stripe_due(s) : now + 100;
			activity_leave();
		}
		if (due != INT64_MAX)
			hint_lower(s, due);
		let_others(&since);
	}
}

/* ---- retained items ---- */

/*
 * Frees what no pin needs any more of a piece of the list, at most so many; the last ones take the places of those before. False: no memory now. What an item
 * says of its birth is not looked at where no pin is old enough for any.
 */
static bool sweep_piece(uint32_t stripe, struct retained *p, uint32_t most, uint32_t *freed)
{
	struct stripe *s = store_stripe(stripe);
	bool all = pin_none_below(p->died), begun = false;
	for (uint32_t i = p->n; i > 0 && *freed < most; i--) {
		ref block = p->block[i - 1];
		if (!all && pin_needs(item_born(at(block)), p->died))
			continue;
		if (!begun && (!txn_touch(stripe, &p->n, sizeof p->n) || !txn_touch(stripe, &s->nretained, sizeof s->nretained) ||
			       !txn_touch(stripe, &s->retained_bytes, sizeof s->retained_bytes)))
			return false;
		begun = true;
		if ((i < p->n && !txn_touch(stripe, &p->block[i - 1], sizeof(ref))) || !txn_free(block, BLOCK_DATA))
			return false;
		s->retained_bytes -= retained_bytes(block);
		s->nretained--;
		p->block[i - 1] = p->block[--p->n];
		++*freed;
	}
	return true;
}

/* The same of a stripe's list, so much at a time. Pieces that are empty go. */
static bool sweep_list(uint32_t stripe, bool *more)
{
	uint32_t freed = 0;
	for (ref *link = &store_stripe(stripe)->retained; !ref_is_none(*link) && freed < RETAINED_PER_TXN;) {
		ref r = *link;
		struct retained *p = at(r);
		if (!sweep_piece(stripe, p, RETAINED_PER_TXN, &freed))
			return false;
		if (p->n > 0) {
			link = &p->next;
			continue;
		}
		if (!txn_touch(stripe, link, sizeof *link) || !txn_free(r, BLOCK_META))
			return false;
		*link = p->next;
	}
	*more = freed > 0;
	return true;
}

static bool sweep_stripe(uint32_t stripe)
{
	uint16_t s = (uint16_t)stripe;
	bool more = true, ok = true;
	while (more && ok) {
		activity_enter();
		txn_begin(&s, 1);
		/* The bit goes when the list is seen empty, not when it becomes so: that may still be rolled back. */
		if (ref_is_none(store_stripe(stripe)->retained)) {
			atomic_fetch_and(dirty_word(stripe), ~(1ull << (stripe % 64)));
			more = false;
		} else {
			ok = sweep_list(stripe, &more);
		}
		ok = txn_end(ok);
		activity_leave();
	}
	return ok;
}

static void sweep_retained(void)
{
	for (uint32_t w = 0; w < STRIPES; w += 64)
		for (uint64_t m = atomic_load(dirty_word(w)); m && !stop_requested(); m &= m - 1)
			sweep_stripe(w + (uint32_t)__builtin_ctzll(m));
}

/* What the hint should say. Words that others change meanwhile; it is set again before long. */
static void count_retained(void)
{
	uint64_t sum = 0;
	for (uint32_t w = 0; w < STRIPES; w += 64)
		for (uint64_t m = atomic_load(dirty_word(w)); m; m &= m - 1)
			sum += __atomic_load_n(&store_stripe(w + (uint32_t)__builtin_ctzll(m))->retained_bytes, __ATOMIC_RELAXED);
	atomic_store(&SUPER->retained_bytes, sum);
}

static bool anything_retained(void)
{
	uint64_t any = SUPER->retired_roots.off | SUPER->old_maps.off;
	for (uint32_t w = 0; w < STRIPES; w += 64)
		any |= atomic_load(dirty_word(w));
	return any != 0;
}

void expirer_sweep(void)
{
	if (!atomic_load(&SUPER->sweep_wanted))
		return;
	atomic_store(&SUPER->sweep_wanted, 0);
	sweep_retained();
	if (sweep_try()) {
		db_sweep_locked();
		sweep_unlock();
	}
	count_retained();
	if (anything_retained())
		atomic_store(&SUPER->sweep_wanted, 1);
}

/* ---- the loop ---- */

static int64_t earliest_hint(void)
{
	uint64_t first = UINT64_MAX;
	for (uint32_t g = 0; g < HINT_GROUPS; g++) {
		uint64_t h = atomic_load(hint_word(g));
		first = h < first ? h : first;
	}
	return first > INT64_MAX ? INT64_MAX : (int64_t)first;
}

static void sleep_for(int64_t ms, uint32_t seen)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	syscall(SYS_futex, &SUPER->expirer_wake, FUTEX_WAIT, seen, &t, NULL, 0);
}

/* How long nothing may expire, ms: as long as it takes, or to the end of a CLIENT PAUSE, of which an early one is told by a signal. */
static int64_t nothing_for(void)
{
	uint64_t word = atomic_load(&control->pause);
	int64_t left = 0;
	if (paused(ANY_EXPIRY))
		return INT64_MAX;
	if (word)
		pause_mode_of(word, &left);
	return left > 0 ? left : 0;
}

static void sleep_until(int64_t when)
{
	uint32_t seen = atomic_load(&SUPER->expirer_wake);
	atomic_store(&SUPER->expirer_until, (uint64_t)when);
	/* Said before the last look: who lowers a hint after it sees that we sleep, and wakes us. */
	int64_t pause = nothing_for(), now = clock_wall_ms();
	int64_t first = pause == 0 ? earliest_hint() : pause < INT64_MAX - now ? now + pause : INT64_MAX;
	when = first < when ? first : when;
	if (when > now)
		sleep_for(when - now, seen);
	atomic_store(&SUPER->expirer_until, 0);
}

void expirer_run(void)
{
	struct store_memory memory;
	int64_t look = 0;
	compact_recover();
	/* One that died may have taken this down and swept nothing. */
	atomic_store(&SUPER->sweep_wanted, 1);
	while (!stop_requested()) {
		channel_follow_log();
		int64_t start = clock_mono_ns(), now = clock_wall_ms();
		bool all = now >= look || look > now + LOOK_MS;
		for (uint32_t g = 0; g < HINT_GROUPS && !stop_requested() && !nothing_expires(); g++)
			if (all || atomic_load(hint_word(g)) <= (uint64_t)now)
				expire_group(g);
		if (all)
			look = now + LOOK_MS;
		int64_t took = clock_mono_ns() - start;
		count_add(COUNTER_EXPIRE_US, (uint64_t)took / 1000);
		event_took(EVENT_EXPIRE_CYCLE, (uint64_t)took);
		if (!paused(PAUSED_CRON))
			expirer_sweep();
		arena_keep_house();
		store_memory(&memory); /* for its peak */
		bool more = evict_headroom();
		sleep_until(more ? clock_wall_ms() : look);
	}
}
