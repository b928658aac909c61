/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting per command and per error code (shm/command_stats.h).
 *
 * Every process counts on its own page and, commands that find no room there, in the shared totals; the supervisor folds the pages of the
 * dead. No locks: words of a page have one writer, words of the totals are added to. A reader trusts no word of either: rows are
 * checked, entries of another epoch are left out, codes of errors that are none are not shown. A death in the middle costs a part of
 * one run of commands.
 */
#include "shm/command_stats.h"

#include <stdlib.h>
#include <string.h>

#include "shm/figures.h"

#define FULL (UINT32_C(1) << 30) /* calls in an entry: time to add it to the totals, long before a word overflows */
#define READ_TRIES 20 /* processes may be ending all the time: then a sum may in the end lack one, or have it twice */

static const char other_code[] = "OTHER"; /* under which the errors without a place of their own are shown */

#define load(p) atomic_load_explicit((p), memory_order_relaxed)
#define store(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define add(p, n) store((p), load(p) + (n))
#define add_shared(p, n) atomic_fetch_add_explicit((p), (n), memory_order_relaxed)

/* ---- entries ---- */

static void clear(struct command_entry *e)
{
	store(&e->calls, 0);
	store(&e->rejected, 0);
	store(&e->failed, 0);
	store(&e->ns, 0);
	for (unsigned i = 0; i < OCTAVES; i++)
		store(&e->octaves[i], 0);
}

/* Adds an entry to the totals, from where it is no longer counted on the page. */
static void fold(struct command_entry *e)
{
	uint32_t row = load(&e->row);
	uint32_t n;

	store(&e->row, 0);
	if (row == 0 || row > COMMAND_ROWS_MAX || load(&e->epoch) != load(&control->stats_epoch))
		return;
	struct command_total *t = &figures->stats.commands[row - 1];
	if ((n = load(&e->calls)) != 0)
		add_shared(&t->calls, n);
	if ((n = load(&e->rejected)) != 0)
		add_shared(&t->rejected, n);
	if ((n = load(&e->failed)) != 0)
		add_shared(&t->failed, n);
	add_shared(&t->ns, load(&e->ns));
	for (unsigned i = 0; i < OCTAVES; i++)
		if ((n = load(&e->octaves[i])) != 0)
			add_shared(&t->octaves[i], n);
}

/*
 * An entry for a row that has none, or one of an epoch that is over, or a full one. NULL: there is no room for one more. An entry stays the
 * row's as long as the process lives: while it moved to the totals, it would for a moment be in neither.
 */
static __attribute__((noinline)) struct command_entry *entry_make(struct command_page *p, uint32_t row)
{
	unsigned i = p->entry_of[row];

	if (i == 0 || i > COMMAND_ENTRIES) {
		if (p->used >= COMMAND_ENTRIES)
			return NULL;
		i = ++p->used;
	}
	struct command_entry *e = &p->entries[i - 1];
	fold(e);
	clear(e);
	store(&e->epoch, load(&control->stats_epoch));
	p->entry_of[row] = (uint8_t)i;
	atomic_store_explicit(&e->row, (uint16_t)(row + 1), memory_order_release);
	return e;
}

/* The row's entry; NULL: what it does is added to the totals. */
static inline struct command_entry *entry_for(uint32_t row)
{
	struct command_page *p = &my_page->commands;
	unsigned i = p->entry_of[row];
	struct command_entry *e = &p->entries[(i - 1) % COMMAND_ENTRIES];

	if (i == 0 || load(&e->epoch) != load(&control->stats_epoch) || load(&e->calls) >= FULL)
		return entry_make(p, row);
	return e;
}

/* How long each of n calls took that took `ns` together, but for the last one, if something held that up. */
static uint64_t each_of(uint32_t n, uint64_t ns, bool last_slow, uint64_t calls_before, uint64_t ns_before)
{
	uint64_t each = ns / n;

	if (!last_slow || n == 1 || calls_before == 0)
		return each;
	uint64_t mean = ns_before / calls_before;
	return mean < each ? mean : each;
}

/* Counts in the totals. */
static __attribute__((noinline)) uint64_t add_to_total(uint32_t row, uint32_t n, uint64_t ns, bool last_slow, bool histogram)
{
	struct command_total *t = &figures->stats.commands[row];
	uint64_t each = each_of(n, ns, last_slow, load(&t->calls), load(&t->ns)), last = last_slow ? ns - each * (n - 1) : each;

	add_shared(&t->calls, n);
	add_shared(&t->ns, ns);
	if (histogram) {
		add_shared(&t->octaves[octave_of(last)], 1);
		if (n > 1)
			add_shared(&t->octaves[octave_of(each)], n - 1);
	}
	return last;
}

uint64_t command_stats_add(uint32_t row, uint32_t n, uint64_t ns, bool last_slow, bool histogram)
{
	struct command_entry *e = entry_for(row);

	if (__builtin_expect(e == NULL, 0))
		return add_to_total(row, n, ns, last_slow, histogram);
	uint64_t each = each_of(n, ns, last_slow, load(&e->calls), load(&e->ns)), last = last_slow ? ns - each * (n - 1) : each;
	add(&e->calls, n);
	add(&e->ns, ns);
	if (histogram) {
		add(&e->octaves[octave_of(last)], 1);
		if (n > 1)
			add(&e->octaves[octave_of(each)], n - 1);
	}
	return last;
}

void command_stats_rejected(uint32_t row)
{
	struct command_entry *e = entry_for(row);

	if (e != NULL && load(&e->rejected) < FULL)
		add(&e->rejected, 1);
	else
		add_shared(&figures->stats.commands[row].rejected, 1);
}

void command_stats_failed(uint32_t row)
{
	struct command_entry *e = entry_for(row);

	if (e != NULL)
		add(&e->failed, 1);
	else
		add_shared(&figures->stats.commands[row].failed, 1);
}

void command_stats_fold(struct command_page *p)
{
	for (unsigned i = 0; i < COMMAND_ENTRIES; i++)
		fold(&p->entries[i]);
	memset((void *)p, 0, sizeof *p);
}

/* ---- errors ---- */

/* The code: up to the first blank. What has none, or too long a one, is a plain ERR. */
static size_t code_of(const char *text, size_t n, const char **code)
{
	const char *blank = memchr(text, ' ', n < ERROR_CODE_MAX ? n : ERROR_CODE_MAX);

	if (blank == NULL || blank == text) {
		*code = "ERR";
		return 3;
	}
	*code = text;
	return (size_t)(blank - text);
}

static bool is_code(const struct error_total *e, const char *code, size_t n)
{
	return memcmp(e->code, code, n) == 0 && e->code[n] == 0;
}

/*
 * The place of a code. One that is just being named by somebody else, or was when its process died, is nobody's: so the same code may
 * come to have two places, and readers add up.
 */
static struct error_total *error_place(const char *code, size_t n)
{
	for (unsigned i = 0; i < ERROR_CODES; i++) {
		struct error_total *e = &figures->stats.errors[i];
		uint32_t state = atomic_load_explicit(&e->state, memory_order_acquire);
		if (state == 2 && is_code(e, code, n))
			return e;
		if (state != 0 || !atomic_compare_exchange_strong(&e->state, &state, 1))
			continue;
		memset(e->code, 0, sizeof e->code);
		memcpy(e->code, code, n);
		store(&e->count, 0);
		atomic_store_explicit(&e->state, 2, memory_order_release);
		return e;
	}
	return NULL;
}

void error_stats_add(const char *text, size_t n)
{
	const char *code;
	size_t len = code_of(text, n, &code);

	if (len >= ERROR_CODE_MAX)
		len = ERROR_CODE_MAX - 1;
	struct error_total *e = error_place(code, len);
	add_shared(e ? &e->count : &figures->stats.other_errors, 1);
}

static int by_code(const void *a, const void *b)
{
	return strcmp(((const struct error_sum *)a)->code, ((const struct error_sum *)b)->code);
}

/* Copies a code. False: it is none, whoever wrote that there. */
static bool read_code(const struct error_total *e, char out[ERROR_CODE_MAX])
{
	size_t n = 0;

	memcpy(out, e->code, ERROR_CODE_MAX);
	out[ERROR_CODE_MAX - 1] = 0;
	while (out[n] > ' ' && out[n] <= '~' && out[n] != ':')
		n++;
	return n > 0 && out[n] == 0;
}

size_t error_stats_read(struct error_sum *out)
{
	size_t n = 0, kept = 0;

	for (unsigned i = 0; i < ERROR_CODES; i++) {
		struct error_total *e = &figures->stats.errors[i];
		uint64_t count = load(&e->count);
		if (atomic_load_explicit(&e->state, memory_order_acquire) != 2 || count == 0 || !read_code(e, out[n].code))
			continue;
		out[n++].count = count;
	}
	if ((out[n].count = load(&figures->stats.other_errors)) != 0)
		memcpy(out[n++].code, other_code, sizeof other_code);
	qsort(out, n, sizeof *out, by_code);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcmp(out[kept - 1].code, out[i].code) == 0)
			out[kept - 1].count += out[i].count;
		else
			out[kept++] = out[i];
	}
	return kept;
}

/* ---- everything ---- */

void command_stats_reset(void)
{
	atomic_fetch_add(&control->stats_epoch, 1);
	for (uint32_t row = 0; row < COMMAND_ROWS_MAX; row++) {
		struct command_total *t = &figures->stats.commands[row];
		store(&t->calls, 0);
		store(&t->rejected, 0);
		store(&t->failed, 0);
		store(&t->ns, 0);
		for (unsigned i = 0; i < OCTAVES; i++)
			store(&t->octaves[i], 0);
	}
	for (unsigned i = 0; i < ERROR_CODES; i++) {
		store(&figures->stats.errors[i].count, 0);
		store(&figures->stats.errors[i].state, 0);
	}
	store(&figures->stats.other_errors, 0);
}

static void add_page(const struct command_page *p, uint32_t epoch, struct command_sum *out)
{
	for (unsigned i = 0; i < COMMAND_ENTRIES; i++) {
		const struct command_entry *e = &p->entries[i];
		uint32_t row = atomic_load_explicit(&e->row, memory_order_acquire);
		if (row == 0 || row > COMMAND_ROWS_MAX || load(&e->epoch) != epoch)
			continue;
		struct command_sum *s = &out[row - 1];
		s->calls += load(&e->calls);
		s->rejected += load(&e->rejected);
		s->failed += load(&e->failed);
		s->ns += load(&e->ns);
		for (unsigned o = 0; o < OCTAVES; o++)
			s->octaves[o] += load(&e->octaves[o]);
	}
}

static void read_once(struct command_sum *out)
{
	uint32_t epoch = load(&control->stats_epoch), used = load(&control->slots_used);

	for (uint32_t row = 0; row < COMMAND_ROWS_MAX; row++) {
		const struct command_total *t = &figures->stats.commands[row];
		out[row] = (struct command_sum){load(&t->calls), load(&t->rejected), load(&t->failed), load(&t->ns), {0}};
		for (unsigned o = 0; o < OCTAVES; o++)
			out[row].octaves[o] = load(&t->octaves[o]);
	}
	for (uint32_t slot = 0; slot < used && slot < control->slots; slot++)
		add_page(&control_page(slot)->commands, epoch, out);
}

void command_stats_read(struct command_sum *out)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t folds = atomic_load_explicit(&control->folds, memory_order_acquire);
		read_once(out);
		atomic_thread_fence(memory_order_acquire);
		if (!(folds & 1) && folds == load(&control->folds))
			return;
	}
}
