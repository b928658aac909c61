/* SPDX-License-Identifier: BSD-2-Clause */
/* Death at every instruction.
 *
 * A child runs one operation on a small store, single-stepped. Recovery sees nothing of a dead process but the shared memory, so each
 * content of it that an instruction leaves behind is one death to try: with the child stopped there, a medic recovers its slot, then the
 * store must be in order (fsck: nothing leaked, nothing shared, no lock held), every key must have its old or its new value, all of
 * them the same, and another process must be able to write every key. Then the memory is put back and the child goes on. Some deaths are tried
 * with the medic dying as well, at each of its own steps; some with a second worker dying in the middle of something else; some with a living
 * neighbour that has written meanwhile, and must not lose it; some by a real SIGKILL.
 *
 * The operations are those of the store, and every command that writes, as a worker would run it: a row of commands.def with the flag
 * WRITE that no operation here names fails the test.
 *
 *     test_death            a sample where there are many, under a minute
 *     test_death long       everything up to 2,000 deaths of an operation, a larger sample above; some ten minutes
 *     test_death NAME       one operation, everything
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/user.h>

#include "store_fixture.h"

#include "base/hash.h"
#include "cmd/command.h"
#include "cmd/dispatch.h"
#include "shm/ring.h"
#include "store/bulk.h"
#include "store/compact.h"
#include "store/evict.h"
#include "store/functions.h"
#include "store/index.h"

#define WORKER 1u
#define WORKER2 2u
#define MEDIC 22u
#define MEDIC2 21u
#define CHECKER 20u
#define PINNER 19u
#define DATABASES 3u
#define KEYS_MAX 48u

static bool is_long, at_random;
static uint64_t steps_cap = 12000; /* an operation of more instructions is tried at random moments */
static bool logging; /* the log is on, and must agree with the data after each death */
static unsigned checks_cap = 160, medic_deaths = 3, double_deaths = 12, kills = 8;

/* ---- memory images ---- */

#define WATCH_MAX 4096u
#define IMAGE_BYTES (1ull << 30)
#define LOG_EDGE (4 * PAGE_BYTES) /* so much of the log ring, before and behind the place where it turns over, is used */

/* Images of the whole store: before the operation, at a death of the worker, of the medic after it. */
static char *image0, *image, *image2;
static uint64_t image0_end;
static uint64_t watch[WATCH_MAX]; /* pages an operation changes */
static unsigned nwatch;
static char *watched;             /* their content as last seen */

static char *new_image(void)
{
	char *img = mmap(NULL, IMAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(img, IMAGE_BYTES, MADV_DONTFORK);
	return img;
}

/*
 * All that counts: the fixed part, and slabs up to a good way beyond the last one seen taken. Not only those taken now: one that is being
 * given back must have its content when that is undone.
 */
static void each_piece(void (*f)(char *img, uint64_t off, uint64_t n), char *img)
{
	static uint64_t top;
	uint64_t end = SUPER->arena.nextents * SLABS_PER_EXTENT;
	f(img, 0, SUPER->off_taken + PAGE_BYTES);
	f(img, SUPER->off_backed, PAGE_BYTES);
	f(img, SUPER->off_slots + PAGE_BYTES, (uint64_t)(FIXTURE_SLOTS - 1) * PAGE_BYTES);
	if (logging) {
		f(img, SUPER->off_ring, PAGE_BYTES + LOG_EDGE);
		f(img, SUPER->off_ring + PAGE_BYTES + RING_BYTES - LOG_EDGE, LOG_EDGE);
	}
	for (uint64_t i = top; i < end; i++)
		if (arena_is_backed(i) && arena_is_taken(i))
			top = i + 1;
	for (uint64_t i = 0; i < end && i < top + 20; i++)
		if (arena_is_backed(i))
			f(img, slab_off(i), SLAB_BYTES);
}

static void save_piece(char *img, uint64_t off, uint64_t n)
{
	memcpy(img + off, STORE_BASE + off, n);
}

static void restore_piece(char *img, uint64_t off, uint64_t n)
{
	for (uint64_t o = off; o < off + n; o += PAGE_BYTES)
		if (memcmp(STORE_BASE + o, img + o, PAGE_BYTES))
			memcpy(STORE_BASE + o, img + o, PAGE_BYTES);
}

static void save(char *img)
{
	each_piece(save_piece, img);
}

static void restore(char *img)
{
	/* The bitmaps first: they say which slabs there are. */
	restore_piece(img, 0, SUPER->off_taken + PAGE_BYTES);
	restore_piece(img, SUPER->off_backed, PAGE_BYTES);
	each_piece(restore_piece, img);
}

/* ---- operations ---- */

struct operation {
	const char *name; /* of a command: the words a client sends; of several, after ";", the last one writes */
	void (*prepare)(void);
	void (*run)(void); /* NULL: a command */
	bool sleeps; /* ends when the expirer goes to sleep */
	bool start;  /* however long it is, its first part is stepped through, with a neighbour at every death */
	bool logged; /* with the log on */
};

static char keys[KEYS_MAX][24];
static unsigned nkeys;
static char big[70000];
static struct pin held_pin;

static void key_add(const char *k)
{
	snprintf(keys[nkeys++], sizeof keys[0], "%s", k);
}

/* Adds `n` keys of one stripe, the tags of which lie below `tag_end`. */
static void keys_of_stripe(unsigned n, uint32_t tag_end)
{
	static uint64_t seed;
	for (unsigned found = 0; found < n; seed++) {
		char k[24];
		snprintf(k, sizeof k, "s%llu", (unsigned long long)seed);
		struct key_hash h = hash_split(hash_bytes(k, strlen(k), SUPER->hash_seed));
		if (h.stripe == 77 && h.tag < tag_end)
			key_add(k), found++;
	}
}

static void base(void)
{
	control->config.maxmemory = 0;
	control->config.maxmemory_policy = POLICY_NOEVICTION;
	nkeys = 0;
	key_add("a"), key_add("b"), key_add("c"), key_add("new");
	do_set(0, "a", "value of a");
	do_set(0, "b", "b's");
	do_set_n(0, ARG("c"), "due", 3, fixture_now + 60000);
	do_set(1, "a", "another a");
}

static void op_set_new(void) { do_set(0, "new", "n"); }
static void op_set_root(void) { do_set(2, "new", "n"); }
static void op_set_same(void) { do_set(0, "a", "VALUE OF A"); }
static void op_set_size(void) { do_set(0, "a", "a value of another size altogether, longer"); }
static void op_append(void) { do_append(0, "a", " and more"); }
static void op_append_again(void) { do_append(0, "a", "!"); }
static void op_del(void) { do_del(0, "a"); }
static void op_set_due(void) { do_set_n(0, ARG("new"), "n", 1, fixture_now + 1000); }
static void op_due_earlier(void) { do_due(0, "c", fixture_now + 500); }
static void op_due_later(void) { do_due(0, "c", fixture_now + 500000); }
static void op_persist(void) { do_due(0, "c", DUE_NONE); }
static void op_due_first(void) { do_due(0, "a", fixture_now + 500); }
static void op_flush(void) { do_flush(0); }
static void op_flush_all(void) { do_flush(DB_ALL); }
static void op_swap(void) { do_swap(0, 1); }
static void op_copy(void) { do_copy(0, "c", 1, "new"); }
static void op_get(void) { do_get(0, "a", NULL); }
static void op_expect(void) { store_expect(0, (struct arg[]){ARG("a"), ARG("c"), ARG("none")}, 3); }
static void op_sweep(void) { db_sweep_retired(); }
static void op_pin(void) { pin_release(pin_take()); }
static void op_expirer(void) { expirer_run(); }
static void op_sweep_retained(void) { expirer_sweep(); }
static void op_house(void) { arena_keep_house(); }

static void prep_append(void) { base(); do_append(0, "a", "+"); }
static void prep_none(void) { nkeys = 0; key_add("new"); key_add("a"); }
static void prep_sweep(void) { base(); do_flush(0); do_set(0, "b", "after"); }
static void prep_pin(void)
{
	base();
	become(PINNER);
	held_pin = pin_take();
	become(CHECKER);
}
static void prep_swept_pin(void)
{
	prep_pin();
	do_set(0, "a", "a value that replaces one");
	do_set(0, "b", "2");
	do_del(0, "c");
	do_flush(1);
	do_set(1, "b", "x");
	become(PINNER);
	pin_release(held_pin);
	become(CHECKER);
}
static void prep_unpinned(void)
{
	prep_pin();
	do_set(0, "a", "a value that replaces one");
	do_set(0, "b", "2");
	do_del(0, "c");
	do_set(1, "a", "x");
	become(PINNER);
	pin_release(held_pin);
	become(CHECKER);
}
static void prep_expirer(void)
{
	base();
	/* Of these, c alone is due by the wall clock. */
	int64_t now = clock_wall_ms();
	do_set_n(1, ARG("new"), "stays", 5, now + 3600000);
}
static void prep_growth(void)
{
	base();
	keys_of_stripe(8, 1u << 24);
	for (unsigned i = 4; i < 11; i++)
		do_set(0, keys[i], "v");
}
static void op_table_growth(void) { do_set(0, keys[11], "eighth"); }
static void prep_overflow(void)
{
	base();
	keys_of_stripe(12, 1u << 21);
	keys_of_stripe(1, 1u << 24);
	for (unsigned i = 4; i < 17; i++)
		do_set(0, keys[i], "v");
}
static void op_overflow(void) { do_del(0, keys[4]); }
static void prep_shrink(void)
{
	base();
	keys_of_stripe(36, 1u << 24);
	for (unsigned i = 4; i < 40; i++)
		do_set(0, keys[i], "v");
	for (unsigned i = 22; i < 40; i++)
		do_del(0, keys[i]);
}
static void op_shrink(void)
{
	struct doing d = {.what = DO_DEL, .nkeys = 6};
	for (unsigned i = 0; i < 6; i++)
		d.key[i] = ARG(keys[4 + i]);
	doing_run(&d);
}
static void prep_queue(void)
{
	base();
	keys_of_stripe(12, 1u << 24);
	for (unsigned i = 4; i < 15; i++)
		do_set_n(0, ARG(keys[i]), "v", 1, fixture_now + 100000 - i * 1000);
}
static void op_queue(void) { do_set_n(0, ARG(keys[15]), "v", 1, fixture_now + 1); }
static void prep_journal(void)
{
	base();
	for (unsigned i = 0; i < 20; i++) {
		char k[8];
		snprintf(k, sizeof k, "m%u", i);
		key_add(k);
		do_set_n(0, ARG(keys[4 + i]), big, 1000, DUE_NONE);
	}
}
static void op_journal(void)
{
	static char other[1000];
	struct doing d = {.what = DO_MSET, .nkeys = 20, .due = DUE_NONE};
	memset(other, 'o', sizeof other);
	for (unsigned i = 0; i < 20; i++) {
		d.key[i] = ARG(keys[4 + i]);
		d.value[i] = (struct arg){other, sizeof other};
	}
	doing_run(&d);
}
static void op_mset(void)
{
	struct doing d = {.what = DO_MSET, .nkeys = 4, .due = DUE_NONE};
	for (unsigned i = 0; i < 4; i++) {
		d.key[i] = ARG(keys[i]);
		d.value[i] = (struct arg){big, 5 + i};
	}
	doing_run(&d);
}
static void op_bulk(void)
{
	/* What a loader gathers, and puts in place in one transaction. */
	bulk_begin(true);
	for (unsigned i = 0; i < 4; i++) {
		struct bulk_key k = {.db = 0, .key = ARG(keys[i]), .value = big, .len = 5 + i, .idle = -1, .freq = -1,
				     .due = i == 1 ? fixture_now + 70000 : DUE_NONE};
		bulk_add(&k);
	}
	bulk_flush();
}
static void op_slab(void) { do_set_n(0, ARG("new"), big, 3000, DUE_NONE); }
static void op_run(void) { do_set_n(0, ARG("new"), big, 40000, DUE_NONE); }
static void prep_run(void) { base(); op_run(); }
static void op_run_free(void) { do_del(0, "new"); }
static void prep_arena(void)
{
	base();
	for (unsigned i = 0; SUPER->arena.free_slabs > RESERVE_SLABS && nkeys < KEYS_MAX; i++) {
		char k[8];
		snprintf(k, sizeof k, "r%u", i);
		key_add(k);
		do_set_n(0, ARG(keys[nkeys - 1]), big, 65000, DUE_NONE);
	}
}
static void prep_house(void)
{
	base();
	region_back(SUPER->fixed, 0);
	/* Ten runs of an extent and more, gone again. */
	static char huge[4 << 20];
	for (unsigned i = 0; i < 5; i++) {
		char k[8];
		snprintf(k, sizeof k, "h%u", i);
		do_set_n(0, ARG(k), huge, sizeof huge, DUE_NONE);
	}
	for (unsigned i = 0; i < 5; i++) {
		char k[8];
		snprintf(k, sizeof k, "h%u", i);
		do_del(0, k);
	}
}
static void prep_due_seen(void)
{
	base();
	do_set_n(0, ARG("new"), "gone", 4, fixture_now - 5);
}

/* Of all keys one may go, and it must. */
static void prep_evict(void)
{
	base();
	control->config.maxmemory_policy = POLICY_VOLATILE_TTL;
	control->config.maxmemory = store_counted();
}
static void op_evict(void) { evict_headroom(); }

/* Two slabs, half empty. */
static void prep_thin(void)
{
	base();
	for (unsigned i = 0; i < 4; i++) {
		char k[8];
		snprintf(k, sizeof k, "t%u", i);
		if (i % 2)
			key_add(k);
		do_set_n(0, ARG(k), big, 30000, DUE_NONE);
	}
	do_del(0, "t0");
	do_del(0, "t2");
}
static void op_close(void)
{
	heap_close(1);
	heap_reopen();
}
static void op_compact(void) { compact(1); }

/* The longest free stretch lies behind the last item, so the last slab before it must be emptied for one more neighbour. */
static uint64_t one_more;
static void longest_free(void)
{
	uint64_t n = 0;
	one_more = 1;
	for (uint64_t i = 0; i < SUPER->arena.nextents * SLABS_PER_EXTENT; i++) {
		n = arena_is_taken(i) ? 0 : n + 1;
		one_more = n + 1 > one_more ? n + 1 : one_more;
	}
}
static void prep_run_last(void)
{
	static char long_value[100000];
	prep_thin();
	key_add("t4");
	do_set_n(0, ARG("t4"), long_value, sizeof long_value, DUE_NONE);
	longest_free();
}
static void prep_slab_last(void)
{
	prep_thin();
	for (unsigned i = 4; i < 8; i++) {
		char k[8];
		snprintf(k, sizeof k, "t%u", i);
		key_add(k);
		do_set_n(0, ARG(k), big, 20000, DUE_NONE);
	}
	longest_free();
}
static void op_empty(void) { compact_run(one_more); }
static void prep_closed(void)
{
	prep_thin();
	heap_close(1);
}
static void op_del_closed(void)
{
	struct doing d = {.what = DO_DEL, .nkeys = 2, .key = {ARG("t1"), ARG("t3")}};
	doing_run(&d);
	heap_reopen();
}

/* Effects of every kind: short ones, in blocks with others, in one of their own. */
static int effects_body(struct access *a, void *arg)
{
	struct arg *key = arg;
	if (!key_set_string(a, 0, key, "1", 1, ENC_AUTO, DUE_NONE))
		return 1;
	for (unsigned i = 0; i < 3; i++)
		effect(a, i, 3, (struct arg[]){ARG("SET"), *key, {big, i ? sizeof big : 5}});
	for (unsigned i = 0; i < 2; i++)
		effect(a, i, 3, (struct arg[]){ARG("SET"), *key, {big, 600 * i}});
	return 0;
}
static void op_effects(void)
{
	struct arg key = ARG("new");
	const struct arg *all[] = {&key};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = all};
	access_run(&p, effects_body, &key);
}
static void prep_consume(void) { base(); op_effects(); op_append(); op_effects(); }
static void op_consume(void) { ring_consume(atomic_load(&ring()->tail)); }
static void op_cut(void)
{
	uint64_t offset;
	pin_release(ring_pin(true, &offset));
}

/* Given up, and begun anew. */
static void op_switch_log(void)
{
	uint64_t offset;
	ring_switch_off();
	ring_drop();
	ring_switch_on(&offset);
}

static void prep_functions(void) { base(); functions_add(&ARG("#!lua name=one\n")); }
static void prep_two_functions(void) { prep_functions(); functions_add(&ARG("#!lua name=two\n")); }
static void op_functions_add(void) { functions_add(&ARG("#!lua name=two\n")); }
static void op_functions_clear(void) { functions_clear(); }

static void prep_numbers(void)
{
	base();
	key_add("n"), key_add("due"), key_add("f");
	do_set(0, "n", "99");
	do_set_n(0, ARG("due"), "7", 1, fixture_now + 60000);
	do_set(0, "f", "1.5");
}

static void prep_others(void) { base(); key_add("other"), key_add("third"); }

static void prep_raw(void) { base(); do_append(0, "a", "+"); do_append(0, "c", "+"); do_append(0, "c", "!"); }
/* Longer than a page, in a block with room. */
static void prep_long(void) { base(); do_set_n(0, ARG("new"), big, 6000, DUE_NONE); do_append(0, "new", "+"); }

#define COMMAND(words, prepare) {words, prepare, NULL, false, false, false}
#define LOGGED(words, prepare) {"logged: " words, prepare, NULL, false, false, true}

static const struct operation operations[] = {
	{"first-key-ever", prep_none, op_set_new, false, true, false},
	{"new-key", base, op_set_new, false, false, false},
	{"first-key-of-database", base, op_set_root, false, false, false},
	{"same-size", base, op_set_same, false, false, false},
	{"other-size", base, op_set_size, false, false, false},
	{"append", base, op_append, false, false, false},
	{"append-in-place", prep_append, op_append_again, false, false, false},
	{"delete", base, op_del, false, false, false},
	{"set-with-expiry", base, op_set_due, false, false, false},
	{"expiry-earlier", base, op_due_earlier, false, false, false},
	{"expiry-later", base, op_due_later, false, false, false},
	{"expiry-first", base, op_due_first, false, false, false},
	{"persist", base, op_persist, false, false, false},
	{"due-on-sight", prep_due_seen, op_set_new, false, false, false},
	{"queue-growth", prep_queue, op_queue, false, false, false},
	{"copy", base, op_copy, false, false, false},
	{"mset", base, op_mset, false, false, false},
	{"swap", base, op_swap, false, false, false},
	{"flush", base, op_flush, false, false, false},
	{"flush-all", base, op_flush_all, false, false, false},
	{"flush-under-pin", prep_pin, op_flush, false, false, false},
	{"swap-under-pin", prep_pin, op_swap, false, false, false},
	{"replace-under-pin", prep_pin, op_mset, false, false, false},
	{"delete-under-pin", prep_pin, op_del, false, false, false},
	{"sweep", prep_sweep, op_sweep, false, false, false},
	{"table-growth", prep_growth, op_table_growth, false, false, false},
	{"overflow-moves-back", prep_overflow, op_overflow, false, false, false},
	{"table-shrink", prep_shrink, op_shrink, false, false, false},
	{"long-journal", prep_journal, op_journal, false, false, false},
	{"bulk", base, op_bulk, false, false, false},
	{"slab", base, op_slab, false, false, false},
	{"run", base, op_run, false, false, false},
	{"run-free", prep_run, op_run_free, false, false, false},
	{"arena-growth", prep_arena, op_slab, false, false, false},
	{"read", base, op_get, false, false, false},
	{"expect", base, op_expect, false, false, false},
	{"pin", base, op_pin, false, false, false},
	{"house", prep_house, op_house, false, false, false},
	{"expirer", prep_expirer, op_expirer, true, false, false},
	{"sweep-retained", prep_unpinned, op_sweep_retained, false, false, false},
	{"expirer-sweeps", prep_swept_pin, op_expirer, true, false, false},
	{"functions-first", base, op_functions_add, false, false, false},
	{"functions-more", prep_functions, op_functions_add, false, false, false},
	{"functions-clear", prep_functions, op_functions_clear, false, false, false},
	{"evict", prep_evict, op_evict, false, false, false},
	{"close-slabs", prep_thin, op_close, false, false, false},
	{"compact", prep_thin, op_compact, false, false, false},
	{"empty-run", prep_run_last, op_empty, false, false, false},
	{"empty-slab", prep_slab_last, op_empty, false, false, false},
	{"empty-closed", prep_closed, op_del_closed, false, false, false},
	{"evict-logs", prep_evict, op_evict, false, false, true},
	{"effects-in-blocks", base, op_effects, false, false, true},
	{"log-consumed", prep_consume, op_consume, false, false, true},
	{"log-switched", prep_consume, op_switch_log, false, false, true},
	{"log-cut", base, op_cut, false, false, true},
	{"expirer-logs", prep_expirer, op_expirer, true, false, true},
	LOGGED("SET a n", base),
	LOGGED("SELECT 1; SET a n", base),
	LOGGED("SET new n GET", prep_due_seen),
	LOGGED("MSET a 1 b 22 c 333 new 4444", base),
	LOGGED("COPY a new DB 2", base),
	LOGGED("DEL a b c", base),
	LOGGED("SWAPDB 0 1", base),
	COMMAND("SET new n", base),
	COMMAND("SET a n", base),
	COMMAND("SET c n", base),
	COMMAND("SET new n NX", base),
	COMMAND("SET a n XX", base),
	COMMAND("SET a n GET", base),
	COMMAND("SET new n NX GET", base),
	COMMAND("SET c n KEEPTTL", base),
	COMMAND("SET a n EX 100", base),
	COMMAND("SET c n PX 5000", base),
	COMMAND("SET new n EXAT 1800000000", base),
	COMMAND("SET c n PXAT 1800000000000 XX GET", base),
	COMMAND("SELECT 2; SET new n", base),
	COMMAND("SELECT 1; SET a n", base),
	COMMAND("GETDEL a", base),
	COMMAND("GETDEL c", base),
	COMMAND("GETEX a EX 100", base),
	COMMAND("GETEX c PX 5000", base),
	COMMAND("GETEX a EXAT 1800000000", base),
	COMMAND("GETEX c PXAT 1800000000000", base),
	COMMAND("GETEX c PERSIST", base),
	COMMAND("GETEX a PXAT 1", base),
	COMMAND("MSET a 1 b 22 c 333 new 4444", base),
	COMMAND("MSET new 1 new 22 a 1 a 333", base),
	COMMAND("MSETNX new 1 other 22 third 333", prep_others),
	COMMAND("SETNX new n", base),
	COMMAND("SETEX new 100 n", base),
	COMMAND("PSETEX a 5000 n", base),
	COMMAND("GETSET c n", base),
	COMMAND("SETRANGE new 3 n", base),
	COMMAND("SETRANGE a 1 AL", base),
	COMMAND("SETRANGE a 12 n", base),
	COMMAND("SETRANGE a 200 n", base),
	COMMAND("SETRANGE c 1 UE", prep_raw),
	COMMAND("SETRANGE c 300 n", prep_raw),
	COMMAND("SETRANGE a 1 AL", prep_pin),
	COMMAND("SETRANGE new 4090 12345678", prep_long),
	COMMAND("SETRANGE new 5998 12345678", prep_long),
	COMMAND("SETBIT new 7 1", base),
	COMMAND("SETBIT a 3 0", base),
	COMMAND("SETBIT c 9 0", prep_raw),
	COMMAND("SETBIT a 3 0", prep_pin),
	COMMAND("SETBIT new 20001 0", prep_long),
	COMMAND("BITFIELD new SET u8 0 255 INCRBY i5 #3 -2", base),
	COMMAND("BITFIELD a SET u8 0 65 INCRBY u4 35 3 SET u63 3 123456789", prep_raw),
	COMMAND("BITFIELD c OVERFLOW SAT INCRBY u8 #1 255 SET i64 100 -1", prep_raw),
	COMMAND("BITFIELD a SET u8 0 65 SET u8 8 66", prep_pin),
	COMMAND("BITOP NOT new a", base),
	COMMAND("BITOP XOR c a b nokey", base),
	COMMAND("BITOP OR a a b c", prep_pin),
	COMMAND("BITOP AND c nokey1 nokey2", base),
	COMMAND("APPEND new n", base),
	COMMAND("APPEND a more", base),
	COMMAND("APPEND c more", base),
	COMMAND("INCR new", base),
	COMMAND("INCR n", prep_numbers),
	COMMAND("INCR due", prep_numbers),
	COMMAND("INCRBY n 9000000000", prep_numbers),
	COMMAND("DECR n", prep_numbers),
	COMMAND("DECRBY due 100", prep_numbers),
	COMMAND("INCRBYFLOAT f 2.25", prep_numbers),
	COMMAND("INCRBYFLOAT due 0.5", prep_numbers),
	COMMAND("RESTORE new 0 PAYLOAD", base),
	COMMAND("RESTORE c 9999 PAYLOAD REPLACE IDLETIME 7", base),
	COMMAND("RESTORE a 1 PAYLOAD REPLACE ABSTTL", base),
	COMMAND("RESTORE a 0 PAYLOAD REPLACE", prep_pin),
	COMMAND("RESTORE-ASKING new 0 PAYLOAD", base),
	LOGGED("RESTORE c 9999 PAYLOAD REPLACE", base),
	COMMAND("DEL a", base),
	COMMAND("DEL a b c nokey", base),
	COMMAND("UNLINK a c", base),
	COMMAND("RENAME a new", base),
	COMMAND("RENAME c new", base),
	COMMAND("RENAME a c", base),
	COMMAND("RENAME c a", base),
	COMMAND("RENAMENX a new", base),
	COMMAND("RENAMENX c new", base),
	COMMAND("COPY a new", base),
	COMMAND("COPY a c REPLACE", base),
	COMMAND("COPY c a REPLACE", base),
	COMMAND("COPY c b DB 1", base),
	COMMAND("COPY c new DB 2", base),
	COMMAND("COPY c a DB 1 REPLACE", base),
	COMMAND("MOVE c 1", base),
	COMMAND("MOVE c 2", base),
	COMMAND("MOVE a 2", prep_pin),
	COMMAND("MOVE c 1", prep_pin),
	COMMAND("EXPIRE a 100", base),
	COMMAND("EXPIRE c 100 GT", base),
	COMMAND("EXPIRE c 10 LT", base),
	COMMAND("EXPIRE a 100 NX", base),
	COMMAND("EXPIRE c 100 XX", base),
	COMMAND("EXPIRE a -1", base),
	COMMAND("PEXPIRE c 500", base),
	COMMAND("EXPIREAT a 1800000000", base),
	COMMAND("EXPIREAT c 1", base),
	COMMAND("PEXPIREAT c 1800000000000", base),
	COMMAND("PERSIST c", base),
	COMMAND("FLUSHDB", base),
	COMMAND("FLUSHDB ASYNC", base),
	COMMAND("SELECT 1; FLUSHDB SYNC", base),
	COMMAND("FLUSHALL", base),
	COMMAND("FLUSHALL ASYNC", base),
	COMMAND("FUNCTION FLUSH", prep_functions),
	COMMAND("FUNCTION DELETE one", prep_two_functions),
	COMMAND("SWAPDB 0 1", base),
	COMMAND("SWAPDB 1 2", base),
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

/* ---- commands, as a worker runs them ---- */

#define WORDS_MAX 16

/* What DUMP gives for "hello". */
static const char payload[17] = "\0\x05hello\x0a\0\x63\x72\xdf\x76\x65\x34\x20\x0a";

/* The words of one command, which ends at a ";" or with the text; PAYLOAD is one of DUMP's. Returns what follows it. */
static const char *split(const char *text, struct arg *words, int *n)
{
	for (*n = 0; *text && *text != ';' && *n < WORDS_MAX; (*n)++) {
		size_t len = strcspn(text, " ;");
		words[*n] = str_eq(text, len, "PAYLOAD") ? (struct arg){payload, sizeof payload} : (struct arg){text, len};
		text += len + strspn(text + len, " ");
	}
	return text + strspn(text, "; ");
}

/* False: one was answered with an error. */
static bool run_commands(const char *text)
{
	static struct session session;
	struct arg words[WORDS_MAX];
	int n;
	bool ok = true;
	session_init(&session, -1, NULL, NULL);
	while (*text) {
		text = split(text, words, &n);
		session.now = fixture_now;
		session.now_uses = 1;
		ok &= dispatch(&session, n, words, true) && !session.out.errors;
	}
	session_deinit(&session);
	return ok;
}

/* The words that a client sends. */
static const char *words_of(const struct operation *op)
{
	return op->name + (op->logged ? sizeof "logged: " - 1 : 0);
}

static bool perform(const struct operation *op)
{
	if (!op->run)
		return run_commands(words_of(op));
	op->run();
	return true;
}

/* The command of an operation that writes; NULL: it is none. */
static const struct command *command_of(const struct operation *op)
{
	const struct command *row = NULL;
	struct arg words[WORDS_MAX];
	int n;
	for (const char *text = op->run ? "" : words_of(op); *text;) {
		text = split(text, words, &n);
		row = command_find(words[0].p, words[0].n);
		if (n > 1 && row && command_first_sub(row))
			row = command_find_sub(row, words[1].p, words[1].n);
	}
	return row;
}

static void test_every_command(void)
{
	for (const struct command *row = command_next(NULL); row; row = command_next(row)) {
		/* Without a key there is no stripe to change anything in. */
		bool locks = row->first != 0 || row->flags & (COMMAND_ALL_STRIPES | COMMAND_MOVABLEKEYS);
		bool tried = !(row->flags & COMMAND_WRITE) || !locks;
		for (unsigned i = 0; i < OPERATIONS && !tried; i++)
			tried = command_of(&operations[i]) == row;
		CHECKF(tried, "%s writes, and no operation here has it", row->name);
	}
}

/* ---- stepping ---- */

static const struct operation *now_op;
static unsigned now_state, now_medic_state;

static void context(int sig)
{
	char line[200];
	int n = snprintf(line, sizeof line, "\n# signal %d in %s, death %u, medic's death %u\n", sig, now_op ? now_op->name : "-",
			 now_state, now_medic_state);
	_exit(write(1, line, (size_t)n) == n ? 99 : 98);
}

static int op_child(void *arg)
{
	const struct operation *op = arg;
	txn_checks = NULL; /* they would be stepped through */
	signal(SIGABRT, SIG_DFL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		return 1;
	raise(SIGSTOP);
	if (!perform(op))
		raise(SIGABRT);
	raise(SIGSTOP);
	return 0;
}

static uint32_t medic_patients[2];
static unsigned medic_npatients;

static int medic_child(void *arg)
{
	(void)arg;
	signal(SIGABRT, SIG_DFL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		return 1;
	raise(SIGSTOP);
	recover_slots(medic_patients, medic_npatients);
	raise(SIGSTOP);
	return 0;
}

/* Whether the child is again at the instruction it was at: in the middle of copying or filling a range by one instruction. */
static bool repeats(pid_t p)
{
#ifdef __x86_64__
	static long last;
	long rip = ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rip), 0), before = last;
	last = rip;
	return rip == before;
#else
	(void)p;
	return false;
#endif
}

/* One instruction. False: it is over. */
static bool step(pid_t p)
{
	int status;
	do {
		if (ptrace(PTRACE_SINGLESTEP, p, 0, 0) || waitpid(p, &status, 0) != p || !WIFSTOPPED(status)) {
			CHECKF(false, "%s: the child ended with status %#x", now_op->name, status);
			return false;
		}
		if (WSTOPSIG(status) == SIGSTOP)
			return false;
	} while (WSTOPSIG(status) != SIGTRAP);
	return true;
}

static pid_t start(uint32_t slot, int (*body)(void *), const void *arg)
{
	pid_t p = fork_as(slot, body, (void *)(uintptr_t)arg);
	int status;
	if (waitpid(p, &status, 0) != p || !WIFSTOPPED(status)) {
		printf("Bail out! no ptrace here\n");
		exit(1);
	}
	return p;
}

/* Lets a stopped child run for up to `ns`, wherever that takes it. */
static void run_for(pid_t p, uint64_t ns)
{
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	int status;
	ptrace(PTRACE_CONT, p, 0, 0);
	nanosleep(&t, NULL);
	kill(p, SIGSTOP);
	CHECKF(waitpid(p, &status, 0) == p && WIFSTOPPED(status), "%s: the child ended with status %#x", now_op->name, status);
}

static void end(pid_t p)
{
	kill(p, SIGKILL);
	waitpid(p, NULL, 0);
}

/* Whether the watched memory changed since the last call; *important when it was not only in the extents. */
static bool changed(bool *important)
{
	bool any = false;
	*important = false;
	for (unsigned i = 0; i < nwatch; i++) {
		char *now = STORE_BASE + watch[i], *was = watched + (uint64_t)i * PAGE_BYTES;
		if (memcmp(now, was, PAGE_BYTES) == 0)
			continue;
		memcpy(was, now, PAGE_BYTES);
		any = true;
		*important |= watch[i] < SUPER->fixed;
	}
	return any;
}

static void watch_page(uint64_t off)
{
	off &= ~(uint64_t)(PAGE_BYTES - 1);
	for (unsigned i = 0; i < nwatch; i++)
		if (watch[i] == off)
			return;
	if (nwatch < WATCH_MAX)
		watch[nwatch++] = off;
}

static void watch_changed(char *img, uint64_t off, uint64_t n)
{
	for (uint64_t o = off; o < off + n; o += PAGE_BYTES)
		if ((o >= image0_end && o >= SUPER->fixed) || memcmp(img + o, STORE_BASE + o, PAGE_BYTES))
			watch_page(o);
}

/* Lists the pages that may change: what the operation leaves changed, and where all locks and logs are. */
static void watch_for(uint32_t slot)
{
	nwatch = 0;
	for (uint64_t o = 0; o < SUPER->off_stripes; o += PAGE_BYTES)
		watch_page(o);
	for (uint64_t o = SUPER->off_hints & ~4095ull; o <= SUPER->off_taken; o += PAGE_BYTES)
		watch_page(o);
	watch_page(SUPER->off_backed);
	watch_page(SUPER->off_slots + (uint64_t)slot * PAGE_BYTES);
	for (unsigned i = 0; i < nkeys; i++)
		watch_page(SUPER->off_stripes +
			   sizeof(struct stripe) * hash_split(hash_bytes(keys[i], strlen(keys[i]), SUPER->hash_seed)).stripe);
	each_piece(watch_changed, image0);
	free(watched);
	watched = malloc((uint64_t)nwatch * PAGE_BYTES);
}

static void watch_from_here(void)
{
	for (unsigned i = 0; i < nwatch; i++)
		memcpy(watched + (uint64_t)i * PAGE_BYTES, STORE_BASE + watch[i], PAGE_BYTES);
}

/* ---- what must hold after recovery ---- */

static struct buf old_content, new_content, content;
static struct buf new_log, log_now; /* what the operation adds to the stream */

/* The stream from where the ring's tail was before the operation. */
static void read_log(struct buf *out)
{
	struct ring_piece p;
	buf_clear(out);
	if (!logging)
		return;
	for (uint64_t pos = ((struct ring *)(image0 + SUPER->off_ring))->tail; ring_read(pos, &p); pos = p.next) {
		buf_append(out, p.p[0], p.n[0]);
		buf_append(out, p.p[1], p.n[1]);
	}
}

static void describe(struct buf *out)
{
	struct buf v = {0};
	buf_clear(out);
	for (uint32_t db = 0; db < DATABASES; db++)
		for (unsigned i = 0; i < nkeys; i++) {
			struct doing d = {.what = DO_GET, .db = db, .nkeys = 1, .key = {ARG(keys[i])}, .out = &v};
			bool ok = doing_run(&d) == 0;
			CHECKF(ok, "a read failed");
			if (d.found)
				buf_printf(out, "%u %s %lld %zu %llx\n", db, keys[i], (long long)d.out_due, v.len,
					   (unsigned long long)hash_bytes(v.data, v.len, SUPER->hash_seed));
		}
	buf_clear(&v);
	if (functions_copy(&v) && v.len)
		buf_printf(out, "functions %zu %llx\n", v.len, (unsigned long long)hash_bytes(v.data, v.len, SUPER->hash_seed));
	buf_deinit(&v);
}

static bool same(const struct buf *x, const struct buf *y)
{
	return x->len == y->len && memcmp(x->data, y->data, x->len) == 0;
}

/* Whose replies wait for what the operation has logged: readers of what it has changed. */
static bool known_to_stripes(void)
{
	for (uint32_t s = 0; s < STRIPES; s++)
		if (atomic_load(&store_stripe(s)->logged) == atomic_load(&ring()->offset))
			return true;
	return false;
}

static bool check_recovered(const char *what)
{
	char why[256];
	become(CHECKER);
	alarm(20);
	if (!CHECKF(store_fsck(why, sizeof why), "%s, death %u/%u, %s: fsck: %s", now_op->name, now_state, now_medic_state, what, why))
		return false;
	describe(&content);
	if (!CHECKF(same(&content, &old_content) || same(&content, &new_content),
		    "%s, death %u/%u, %s: neither old nor new:\n%.*s# old:\n%.*s# new:\n%.*s", now_op->name, now_state, now_medic_state,
		    what, (int)content.len, content.data, (int)old_content.len, old_content.data, (int)new_content.len,
		    new_content.data))
		return false;
	read_log(&log_now);
	bool is_old = log_now.len == 0 && same(&content, &old_content), is_new = same(&log_now, &new_log) && same(&content, &new_content);
	if (!CHECKF(is_old || is_new, "%s, death %u/%u, %s: the log and the data differ:\n%.*s# log:\n%.*s", now_op->name, now_state,
		    now_medic_state, what, (int)content.len, content.data, log_now.len < 2000 ? (int)log_now.len : 2000, log_now.data))
		return false;
	if (is_new && log_now.len && !CHECKF(known_to_stripes(), "%s, death %u/%u, %s: no stripe has the log's offset", now_op->name,
					     now_state, now_medic_state, what))
		return false;
	/* Somebody else can write all of it, and the store is still in order then. */
	for (uint32_t db = 0; db < DATABASES; db++)
		for (unsigned i = 0; i < nkeys; i++)
			CHECKF(do_set(db, keys[i], i & 1 ? "w" : "written by another one") == 0, "a write failed");
	if (now_state % 8 == 0)
		do_flush(0), do_swap(1, 2), db_sweep_retired();
	bool ok = store_fsck(why, sizeof why);
	alarm(0);
	return CHECKF(ok, "%s, death %u/%u, %s, after writing: fsck: %s", now_op->name, now_state, now_medic_state, what, why);
}

static void recover(uint32_t medic, uint32_t a, uint32_t b)
{
	uint32_t dead[2] = {a, b};
	become(medic);
	alarm(20);
	recover_slots(dead, b ? 2 : 1);
	alarm(0);
}

/* The medic dies as well, at each of its own steps; another one recovers both. The store is put back. */
static void try_medic_deaths(unsigned cap)
{
	unsigned saved_n = nwatch;
	uint64_t *saved = malloc(sizeof watch);
	memcpy(saved, watch, sizeof watch);
	char *saved_watched = watched;
	watched = NULL;
	watch_for(MEDIC);
	for (unsigned i = 0; i < saved_n; i++)
		watch_page(saved[i]);
	watched = realloc(watched, (uint64_t)nwatch * PAGE_BYTES);
	watch_from_here();
	medic_patients[0] = WORKER, medic_npatients = 1;
	now_medic_state = 0;
	pid_t m = start(MEDIC, medic_child, NULL);
	bool important;
	unsigned tried = 0;
	while (tried < cap && step(m)) {
		if (!changed(&important))
			continue;
		now_medic_state++;
		/* As many later on as at the start. */
		if (tried >= cap / 2 && dice(16))
			continue;
		tried++;
		save(image2);
		recover(MEDIC2, WORKER, MEDIC);
		bool ok = check_recovered("the medic died too");
		restore(image2);
		if (!ok)
			break;
	}
	end(m);
	recover(MEDIC2, WORKER, MEDIC);
	now_medic_state = 0;
	memcpy(watch, saved, sizeof watch);
	nwatch = saved_n;
	free(saved);
	free(watched);
	watched = saved_watched;
	restore(image);
}

/* The same at random moments. */
static void try_medic_at_random(unsigned n)
{
	medic_patients[0] = WORKER, medic_npatients = 1;
	for (now_medic_state = 1; now_medic_state <= n; now_medic_state++) {
		pid_t m = start(MEDIC, medic_child, NULL);
		run_for(m, dice(4000000));
		recover(MEDIC2, WORKER, MEDIC);
		check_recovered("the medic died too");
		end(m);
		become(CHECKER);
		restore(image);
	}
	now_medic_state = 0;
}

/* A second worker dies some way into another operation. The store is put back. */
static void try_double_death(void)
{
	static const struct operation *others[] = {&operations[1], &operations[4], &operations[7], &operations[8], &operations[19]};
	const struct operation *other = others[dice(5)];
	pid_t p = start(WORKER2, op_child, other);
	uint64_t steps = dice(5000);
	int64_t until = clock_mono_ms() + 30;
	for (uint64_t i = 0; i < steps && clock_mono_ms() < until && step(p); i++)
		;
	end(p);
	recover(MEDIC, WORKER, WORKER2);
	become(CHECKER);
	char why[256];
	alarm(20);
	CHECKF(store_fsck(why, sizeof why), "%s, death %u, and of %s after %llu steps: fsck: %s", now_op->name, now_state, other->name,
	       (unsigned long long)steps, why);
	for (unsigned i = 0; i < nkeys; i++)
		CHECKF(do_set(0, keys[i], "w") == 0, "a write failed");
	CHECKF(store_fsck(why, sizeof why), "%s: fsck after writing: %s", now_op->name, why);
	alarm(0);
	restore(image);
}

static int neighbour_child(void *arg)
{
	(void)arg;
	return do_set(2, "neighbour", "in two") || do_set(0, "neighbour", "in nought");
}

/* A neighbour writes; it may have to wait until the medic has come. What it wrote stays. The store is put back. */
static void try_neighbour(void)
{
	char why[256];
	pid_t p = fork_as(WORKER2, neighbour_child, NULL);
	int status;
	usleep(400);
	if (waitpid(p, &status, WNOHANG) == p) {
		CHECKF(status == 0, "%s, death %u: the neighbour ended with status %#x", now_op->name, now_state, status);
		p = 0;
	}
	recover(MEDIC, WORKER, 0);
	alarm(20);
	if (p)
		CHECKF(reap_child(p) == 0, "%s, death %u: the neighbour failed", now_op->name, now_state);
	become(CHECKER);
	CHECKF(do_is(2, "neighbour", "in two") && do_is(0, "neighbour", "in nought"), "%s, death %u: the neighbour's keys are lost",
	       now_op->name, now_state);
	CHECKF(store_fsck(why, sizeof why), "%s, death %u, with a neighbour: fsck: %s", now_op->name, now_state, why);
	alarm(0);
	restore(image);
}

static bool over(const struct operation *op)
{
	return op->sleeps && atomic_load(&SUPER->expirer_until) != 0;
}

static void prepare(const struct operation *op)
{
	become(CHECKER);
	atomic_store(&SUPER->expirer_until, 0);
	op->prepare();
}

/* What the operation changes when nothing happens to it. The store is put back. */
static void look_ahead(const struct operation *op)
{
	become(CHECKER);
	describe(&old_content);
	image0_end = store_end();
	save(image0);
	pid_t p = start(WORKER, op_child, op);
	ptrace(PTRACE_CONT, p, 0, 0);
	if (op->sleeps) {
		for (int i = 0; i < 2000 && !over(op); i++)
			usleep(1000);
		kill(p, SIGSTOP);
	}
	waitpid(p, NULL, 0);
	watch_for(WORKER);
	end(p);
	recover(MEDIC, WORKER, 0);
	become(CHECKER);
	describe(&new_content);
	read_log(&new_log);
	CHECKF(!now_op->logged || now_op->run || new_log.len > 0, "%s: nothing in the log", now_op->name);
	CHECK_FSCK();
	restore(image0);
}

static void child_done(const struct operation *op)
{
	become(CHECKER);
	describe(&content);
	CHECKF(same(&content, &new_content), "%s: done, but the content is not new", op->name);
	CHECK_FSCK();
	restore(image0);
}

static uint64_t steps; /* of the last walk; over steps_cap: it was given up */

/* Steps through the operation and calls `death` at those states that `pick` wants. Returns the number of states. */
static unsigned walk(const struct operation *op, bool (*pick)(bool important), void (*death)(void))
{
	pid_t p = start(WORKER, op_child, op);
	bool important;
	int failed = test_state.checks_failed;
	now_state = now_medic_state = 0;
	watch_from_here();
	steps = 0;
	while (test_state.checks_failed < failed + 3 && step(p) && !over(op) && ++steps <= steps_cap) {
		if ((repeats(p) && dice(1000)) || !changed(&important))
			continue;
		now_state++;
		if (pick(important))
			death();
	}
	end(p);
	recover(MEDIC, WORKER, 0);
	if (steps <= steps_cap)
		child_done(op);
	become(CHECKER);
	restore(image0);
	return now_state;
}

/* The same for an operation of too many instructions: `death` at `n` random moments. */
static void walk_at_random(const struct operation *op, unsigned n, void (*death)(void))
{
	int failed = test_state.checks_failed;
	int64_t began = clock_mono_ns();
	pid_t p = start(WORKER, op_child, op);
	int status;
	ptrace(PTRACE_CONT, p, 0, 0);
	while (op->sleeps && !over(op))
		usleep(100);
	if (!op->sleeps)
		waitpid(p, &status, 0);
	uint64_t ns = (uint64_t)(clock_mono_ns() - began);
	end(p);
	recover(MEDIC, WORKER, 0);
	child_done(op);
	now_medic_state = 0;
	for (now_state = 1; now_state <= n && test_state.checks_failed < failed + 3; now_state++) {
		p = start(WORKER, op_child, op);
		run_for(p, dice(ns));
		death();
		end(p);
		become(CHECKER);
		restore(image0);
	}
}

static unsigned nimportant, nplain, picked, since_medic, since_double, medic_every, double_every;
static double p_important, p_plain;

static bool pick_none(bool important)
{
	nimportant += important;
	nplain += !important;
	return false;
}

static bool pick_some(bool important)
{
	return (double)dice(1u << 20) / (1u << 20) < (important ? p_important : p_plain);
}

static void death(void)
{
	picked++;
	save(image);
	recover(MEDIC, WORKER, 0);
	bool ok = check_recovered("recovered");
	restore(image);
	if (!ok)
		return;
	if (++since_medic >= medic_every) {
		since_medic = 0;
		if (at_random)
			try_medic_at_random(is_long ? 100 : 8);
		else
			try_medic_deaths(is_long ? 100000 : 25);
	}
	if (++since_double >= double_every) {
		since_double = 0;
		try_double_death();
	}
	if (now_op->start || dice(8) == 0)
		try_neighbour();
}

/* Real deaths, at random moments, of a process that repeats the operation with others in between. */
static int kill_child(void *arg)
{
	const struct operation *op = arg;
	txn_checks = NULL;
	for (;;) {
		perform(op);
		op_set_size(), op_set_same(), op_del();
	}
	return 0;
}

static void real_kills(const struct operation *op)
{
	for (unsigned i = 0; i < kills && !op->sleeps; i++) {
		pid_t p = fork_as(WORKER, kill_child, (void *)(uintptr_t)op);
		usleep((unsigned)dice(1500));
		kill(p, SIGKILL);
		reap_child(p);
		recover(MEDIC, WORKER, 0);
		become(CHECKER);
		char why[256];
		if (!CHECKF(store_fsck(why, sizeof why), "%s, killed: fsck: %s", op->name, why))
			break;
	}
}

static void test_operation(void)
{
	const struct operation *op = now_op;
	int64_t began = clock_mono_ms();
	char *virgin = new_image();
	uint64_t offset;
	logging = op->logged;
	save(virgin);
	if (logging) {
		/* What follows turns over the ring's end. */
		atomic_store(&ring()->tail, RING_BYTES - 256);
		atomic_store(&ring()->consumed, RING_BYTES - 256);
		ring_switch_on(&offset);
	}
	prepare(op);
	look_ahead(op);
	CHECKF(op->run || !same(&old_content, &new_content), "%s: changes nothing", op->name);
	nimportant = nplain = picked = since_medic = since_double = 0;
	unsigned states = walk(op, pick_none, NULL), half = checks_cap / 2, expect = checks_cap;
	at_random = steps > steps_cap && !op->start;
	p_important = nimportant <= half + (nplain < half ? half - nplain : 0) ? 1 : (double)half / nimportant;
	p_plain = nplain <= half ? 1 : (double)half / nplain;
	if (!at_random)
		expect = (unsigned)(nimportant * p_important + nplain * p_plain) + 1;
	medic_every = expect / (medic_deaths + 1) + 1;
	double_every = expect / (double_deaths + 1) + 1;
	if (at_random)
		walk_at_random(op, checks_cap < 4000 ? checks_cap : 4000, death);
	else
		walk(op, pick_some, death);
	real_kills(op);
	printf("# %s: %s%llu steps, %u states, %u deaths tried, %lld ms\n", op->name, steps > steps_cap ? "over " : "",
	       (unsigned long long)steps, states, picked, (long long)(clock_mono_ms() - began));
	restore(virgin);
	munmap(virgin, IMAGE_BYTES);
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	is_long = strcmp(only, "long") == 0;
	if (is_long)
		only = "";
	if (is_long)
		steps_cap = 400000, checks_cap = 2000, medic_deaths = 10, double_deaths = 100, kills = 100;
	else if (*only)
		steps_cap = 400000, checks_cap = 20000, medic_deaths = 20, double_deaths = 500, kills = 300;
	if (is_long && argc > 2)
		dice_state ^= strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull;
	memset(big, 'b', sizeof big);
	fixture_open(DATABASES);
	ring_back();
	log_set_level(LOG_LEVEL_WARNING);
	signal(SIGALRM, context);
	signal(SIGABRT, context);
	signal(SIGSEGV, context);
	image0 = new_image(), image = new_image(), image2 = new_image();
	/* On one processor all of it uses one heap, whatever dies. */
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	/* Beside busy processes a step would take milliseconds. */
	setpriority(PRIO_PROCESS, 0, -5);
	if (!*only)
		test_run("every command that writes", test_every_command);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		if (*only && strcmp(only, operations[i].name))
			continue;
		now_op = &operations[i];
		test_run(now_op->name, test_operation);
	}
	return test_done();
}
