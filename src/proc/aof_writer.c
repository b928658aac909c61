/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AOF writer: copies the log ring to the append only file, and sees to it that it is durable.
 *
 * One per store, while there is a log, and once more to finish one that was switched off. It alone consumes the ring, whose memory it needs as much
 * as any client's: so it writes at once, and only then syncs. It holds no lock but the ring's, for moments.
 *
 *   always    all that has come is written and synced, then who waits for it is told: one sync for all of them
 *   everysec  what comes is written every few ms, and synced once a second by a thread; a sync that takes more than 2 s has the writing wait
 *   no        what comes is written
 *
 * Death at any point: what is in the ring, or was written and not consumed, is written by the next one (aof_parts.c). What was consumed is in the file.
 * A second writer cannot be: the supervisor starts one when the one before is reaped.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aof_writer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/seldom.h"
#include "base/stop.h"
#include "proc/aof.h"
#include "proc/process.h"
#include "proc/signals.h"
#include "shm/channel.h"
#include "shm/region.h"
#include "shm/ring.h"
#include "store/access.h"

#define PIECES 1000           /* of one call, below IOV_MAX */
#define BATCH_BYTES (1u << 20)
#define COLLECT_MS 5          /* what comes within is written together, unless the ring fills */
#define SYNC_EVERY_MS 1000
#define SYNC_SLOW_MS 2000     /* of a sync: then nothing is written until it ends */
#define LOOK_US 200           /* `always`: for the next write, before sleeping */
#define GATHER_US 1000        /* `always`: at most so long for all that are about to write */
#define LOOK_MS 1000          /* never sleeps longer */
#define RETRY_MS 100          /* after a failed write */
#define SAID_EVERY_MS 30000   /* that it still fails */
#define DRAIN_TRIES 5

static SELDOM_USED struct aof_writer writer;

/* ---- telling ---- */

void writer_tell(uint32_t news, int64_t number)
{
	struct aof_news n = {news, writer.order, number};
	char answer[64];
	channel_call(REQUEST_AOF, (const char *)&n, sizeof n, answer, sizeof answer, NULL);
}

void writer_fail(struct aof_writer *w, int why, const char *doing)
{
	static int64_t said_at;
	int64_t now = clock_mono_ms();
	if (!why && w->failed)
		log_warning("The append only file can be written again");
	if (why && (why != w->failed || now - said_at >= SAID_EVERY_MS)) {
		log_warning("%s failed: %s", doing, strerror(why));
		said_at = now;
	}
	if (why != w->failed)
		ring_fail(why);
	w->failed = why;
}

/* ---- copying ---- */

/* The next increment begins at *at, and the writer has not come to it yet. */
static bool to_rotate(const struct aof_writer *w, uint64_t *rotations, uint64_t *at)
{
	*rotations = ring_rotations(at);
	return *rotations != w->rotations;
}

struct batch {
	struct iovec iov[PIECES];
	int n;
	uint64_t bytes;
};

static bool put_batch(struct aof_writer *w, struct batch *b)
{
	if (!b->n || !w->seq)
		return true;
	if (aof_file_append(&w->file, b->iov, b->n)) {
		writer_fail(w, errno, "Writing to the append only file");
		return false;
	}
	b->n = 0;
	return true;
}

static void add_piece(struct batch *b, const struct ring_piece *p)
{
	for (int i = 0; i < 2; i++)
		if (p->n[i])
			b->iov[b->n++] = (struct iovec){(void *)(uintptr_t)p->p[i], p->n[i]};
	b->bytes += p->length;
}

/* All before `pos` and `offset` is in the file, or nobody wants it. */
static void advance(struct aof_writer *w, uint64_t pos, uint64_t offset)
{
	if (w->seq)
		aof_file_mark(&w->file);
	ring_consume(pos);
	w->pos = pos;
	w->offset = offset;
	/* With distrust it goes on for as long as there is no base. */
	if (w->failed && w->listed)
		writer_fail(w, 0, NULL);
}

/* Writes whole transactions, about a MiB, up to `limit`. False: there was nothing, or it failed. */
static bool copy_some(struct aof_writer *w, uint64_t tail, uint64_t limit)
{
	static SELDOM_USED struct batch b;
	struct ring_piece p = {0};
	uint64_t pos = w->pos, whole = pos, offset = w->offset;
	b.n = 0;
	b.bytes = 0;
	while (pos < tail && ring_read(pos, &p) && p.offset < limit) {
		if (b.n > PIECES - 2 && !put_batch(w, &b))
			return false;
		if (b.n > PIECES - 2)
			b.n = 0;
		add_piece(&b, &p);
		pos = p.next;
		if (!p.last)
			continue;
		whole = pos;
		offset = p.offset + p.length;
		if (b.bytes >= BATCH_BYTES)
			break;
	}
	if (whole == w->pos || !put_batch(w, &b))
		return false;
	advance(w, whole, offset);
	return true;
}

/* Writes all that has come by now. Whether there was anything. */
static bool copy_all(struct aof_writer *w)
{
	/* The tail first: what is before it came after no rotation but those seen here. */
	uint64_t tail = atomic_load_explicit(&ring()->tail, memory_order_acquire), rotations, at;
	bool any = false;
	for (;;) {
		bool rotate = to_rotate(w, &rotations, &at);
		if (rotate && w->offset >= at) {
			if (!parts_rotate(w, rotations, at))
				return any;
			continue;
		}
		if (!copy_some(w, tail, rotate ? at : UINT64_MAX))
			return any;
		any = true;
	}
}

/* ---- durability ---- */

static uint32_t told; /* so many waited when the last sync was done */

static void tell_durable(const struct aof_writer *w, uint64_t offset)
{
	if (w->failed || atomic_load_explicit(&ring()->durable, memory_order_relaxed) >= offset)
		return;
	told = atomic_load(&ring()->durable_waiters);
	ring_set_durable(offset);
}

static void durable_up_to(struct aof_writer *w, uint64_t offset)
{
	w->synced = offset;
	tell_durable(w, offset);
}

static void count_sync(int64_t began_us)
{
	struct ring *r = ring();
	atomic_store(&r->aof_fsyncs, atomic_load(&r->aof_fsyncs) + 1);
	atomic_store(&r->aof_last_fsync_us, (uint64_t)(clock_mono_us() - began_us));
}

/* Of an increment that was there before the stream the start, and so `synced` of a new writer, may lie before 0. */
static bool is_behind(uint64_t synced, uint64_t offset)
{
	return (int64_t)(offset - synced) > 0;
}

/* What the thread has done. */
static void hear_thread(struct aof_writer *w, enum sync_state s, uint64_t offset)
{
	if (s != SYNC_RUNS)
		atomic_store(&ring()->aof_syncing, 0);
	if (s == SYNC_FAILED)
		parts_distrust(w, errno);
	else if (s == SYNC_DONE && w->seq && is_behind(w->synced, offset))
		durable_up_to(w, offset);
}

static void sync_now(struct aof_writer *w)
{
	uint64_t offset;
	enum sync_state s = sync_wait(&offset);
	hear_thread(w, s, offset);
	if (!w->seq)
		return;
	if (w->synced == w->offset) {
		/* By a rotation, or by a writer that could not say so any more. */
		tell_durable(w, w->offset);
		return;
	}
	int64_t began = clock_mono_us();
	if (aof_file_sync(&w->file)) {
		parts_distrust(w, errno);
		return;
	}
	count_sync(began);
	durable_up_to(w, w->offset);
}

static int64_t sync_last; /* when the thread was last sent */
static int64_t sync_took; /* by the last sync, ms */

/*
 * From the beginning of a sync to that of the next: what comes right behind the first is durable when the second ends, and that is to be within
 * the second.
 */
static int64_t sync_every(void)
{
	int64_t most = SYNC_EVERY_MS / 2;
	return SYNC_EVERY_MS - 2 * COLLECT_MS - (sync_took < most ? sync_took : most);
}

static void sync_beside(struct aof_writer *w, int64_t now)
{
	uint64_t offset;
	enum sync_state s = sync_look(&offset);
	if (s == SYNC_DONE || s == SYNC_FAILED) {
		count_sync(sync_last * 1000);
		sync_took = now - sync_last;
		hear_thread(w, s, offset);
	}
	if (s == SYNC_RUNS || !w->seq || w->synced == w->offset || now - sync_last < sync_every())
		return;
	sync_last = now;
	atomic_store(&ring()->aof_syncing, 1);
	sync_begin(&w->file, w->offset);
}

/* Whether syncs are to wait for what else writes to the disk. */
static bool spares_disk(void)
{
	return config->no_appendfsync_on_rewrite && atomic_load(&control->persistence.save_since_ms);
}

static void make_durable(struct aof_writer *w, int64_t now)
{
	if (!w->seq || config->appendfsync == FSYNC_NO || spares_disk())
		/* Nothing was promised; `synced` stays, should that change. */
		tell_durable(w, w->offset);
	else if (config->appendfsync == FSYNC_ALWAYS)
		sync_now(w);
	else
		sync_beside(w, now);
}

/* Whether the writing is to wait: what is not durable yet is not to grow without end. */
static bool held_up(int64_t now)
{
	static bool counted;
	bool slow = config->appendfsync == FSYNC_EVERYSEC && sync_age(now) >= SYNC_SLOW_MS;
	if (slow && !counted)
		atomic_store(&ring()->aof_delayed, atomic_load(&ring()->aof_delayed) + 1);
	counted = slow;
	return slow;
}

/* ---- the end ---- */

/* What cannot be written yet may fill the ring, so this is no sleep for more of it. An order ends it. */
static void wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

/* All that is in the ring into the file, and that to the disk. */
static bool finish(struct aof_writer *w)
{
	for (int i = 0; i < DRAIN_TRIES; i++) {
		copy_all(w);
		if (w->offset == atomic_load(&ring()->offset))
			break;
		wait_ms(RETRY_MS);
	}
	bool all = w->offset == atomic_load(&ring()->offset);
	sync_now(w);
	return all && w->listed && w->synced == w->offset && !w->failed;
}

static _Noreturn void drain(struct aof_writer *w)
{
	if (!ring_is_on() && w->offset == atomic_load(&ring()->offset))
		_exit(0);
	bool done = finish(w);
	if (done)
		log_notice("The append only file is complete and synced");
	else
		log_warning("Not all of the data could be brought into the append only file");
	_exit(done ? 0 : AOF_WRITER_KEPT_BACK);
}

/* The log is not wanted any more. What is in the ring still belongs to the file. */
static _Noreturn void switch_off(struct aof_writer *w)
{
	uint32_t base = atomic_load(&control->persistence.aof_base);
	uint64_t rotations, at;
	ring_switch_off();
	if (w->offset != atomic_load(&ring()->offset) || w->seq)
		finish(w);
	if (base)
		writer_tell(AOF_NEWS_BASE_IN, !to_rotate(w, &rotations, &at) && parts_install(w, base == AOF_BASE_RDB));
	ring_drop();
	ring_fail(0);
	w->failed = 0;
	parts_close(w);
	_exit(0);
}

/* ---- what the supervisor wants ---- */

static void take_base(struct aof_writer *w)
{
	uint32_t base = atomic_load(&control->persistence.aof_base);
	uint64_t rotations, at;
	if (base && !to_rotate(w, &rotations, &at))
		writer_tell(AOF_NEWS_BASE_IN, parts_install(w, base == AOF_BASE_RDB));
}

static void take_orders(struct aof_writer *w)
{
	channel_follow_log();
	if (atomic_load(&control->persistence.aof_drain))
		drain(w);
	/* If the log is off already, the one before died while it switched it off: that comes first, whatever is wanted by now. */
	if (!atomic_load(&control->persistence.aof_on) || atomic_load(&control->persistence.aof_order) != w->order || !ring_is_on())
		switch_off(w);
	take_base(w);
}

static void tell_growth(struct aof_writer *w, int64_t now)
{
	static int64_t told_at;
	uint64_t size = w->others + w->file.size, then = atomic_load(&ring()->aof_rewrite_size);
	int64_t percent = config->auto_aof_rewrite_percentage;
	if (!w->listed || !percent || size <= config->auto_aof_rewrite_min_size || now - told_at < RETRY_MS)
		return;
	told_at = now;
	int64_t growth = (int64_t)(size * 100 / (then ? then : 1)) - 100;
	if (growth >= percent && !atomic_load(&control->persistence.aof_rewriting))
		writer_tell(AOF_NEWS_GROWN, growth);
}

/* ---- the loop ---- */

/*
 * `always`: those that were told write again as soon as they have their replies. A sync that waits for most of them serves them all, one that
 * does not about half; so they are waited for, no longer than half a sync takes.
 */
static void gather(const struct ring *r)
{
	int64_t sync = (int64_t)atomic_load(&r->aof_last_fsync_us), most = sync / 2 < GATHER_US ? sync / 2 : GATHER_US;
	int64_t until = clock_mono_us() + most;
	while (atomic_load(&r->durable_waiters) < told / 4 * 3 && clock_mono_us() < until)
		nanosleep(&(struct timespec){0, 20000}, NULL);
}

/* The same for a single one, who comes sooner than this process would have gone to sleep: looks for him for a while, and gives way meanwhile. */
static bool look_for_more(const struct aof_writer *w)
{
	int64_t until = clock_mono_us() + LOOK_US;
	do
		sched_yield();
	while (atomic_load_explicit(&ring()->tail, memory_order_acquire) == w->pos && clock_mono_us() < until);
	return atomic_load_explicit(&ring()->tail, memory_order_acquire) != w->pos;
}

/* What is in the ring has to wait. */
static bool is_stuck(const struct aof_writer *w)
{
	uint64_t rotations, at;
	return w->failed && (atomic_load(&ring()->tail) != w->pos || to_rotate(w, &rotations, &at));
}

static void rest(const struct aof_writer *w, bool wrote, int64_t now)
{
	if (wake_flag) {
		wake_flag = 0; /* there is a new order */
		return;
	}
	int64_t until = LOOK_MS;
	if (is_stuck(w)) {
		wait_ms(RETRY_MS);
		return;
	}
	if (wrote && config->appendfsync == FSYNC_ALWAYS) {
		gather(ring());
		if (!look_for_more(w))
			ring_sleep(w->pos, LOOK_MS, true);
		return;
	}
	if (wrote) {
		ring_sleep(w->pos, COLLECT_MS, false);
		return;
	}
	if (config->appendfsync == FSYNC_EVERYSEC && w->seq && w->synced != w->offset)
		until = sync_age(now) ? SYNC_EVERY_MS / 10 : sync_last + sync_every() - now;
	ring_sleep(w->pos, until < 1 ? 1 : until, true);
}

/* CONFIG RESETSTAT. */
static void follow_reset(void)
{
	static uint32_t epoch;
	uint32_t now = atomic_load_explicit(&control->stats_epoch, memory_order_relaxed);
	if (now != epoch)
		atomic_store(&ring()->aof_delayed, 0);
	epoch = now;
}

static void step(struct aof_writer *w)
{
	int64_t now = clock_mono_ms();
	follow_reset();
	bool waits = held_up(now);
	bool wrote = !waits && copy_all(w);
	if (waits) {
		sync_beside(w, now);
		wait_ms(RETRY_MS);
	} else {
		make_durable(w, now);
	}
	if (wrote) {
		atomic_store(&ring()->aof_size, w->others + w->file.size);
		tell_growth(w, now);
	}
	take_orders(w);
	if (!waits)
		rest(w, wrote, now);
}

void aof_writer_main(const struct launch *l)
{
	struct aof_writer *w = &writer;
	(void)l;
	signals_serve(-1);
	/* A write beyond a limit is an error like any other. */
	signal(SIGXFSZ, SIG_IGN);
	w->order = atomic_load(&control->persistence.aof_order);
	if (!store_attach(launch_store_fd()) || !parts_open(w))
		_exit(AOF_WRITER_REFUSED);
	if (ring_is_on())
		writer_tell(w->listed ? AOF_NEWS_ON : AOF_NEWS_NEEDS_BASE, w->listed ? 0 : w->failed);
	for (;;)
		step(w);
}
