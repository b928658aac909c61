/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counting per command and per error code (shm/command_stats.h).
 *
 * Every process counts on its own page and adds to the shared totals; the supervisor folds the pages of the dead. No locks: words of a page
 * have one writer, words of the totals are added to. A reader trusts no word of either: rows are checked, entries of another epoch
 * are left out. A death in the middle costs or doubles one command's counts of one process.
 */
#include "shm/command_stats.h"

#include <stdlib.h>
#include <string.h>

#include "shm/figures.h"

#define FULL (UINT32_C(1) << 30) /* calls in an entry: time to add it to the totals, long before a word overflows */
#define READ_TRIES 4

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

/* An entry for a row that has none, or one of an epoch that is over, or a full one. */
static __attribute__((noinline)) struct command_entry *entry_make(struct command_page *p, uint32_t row)
{
	unsigned i = p->entry_of[row];

	if (i == 0 || i > COMMAND_ENTRIES)
		i = p->next++ % COMMAND_ENTRIES + 1;
	struct command_entry *e = &p->entries[i - 1];
	uint32_t before = load(&e->row);
	if (before > 0 && before <= COMMAND_ROWS_MAX)
		p->entry_of[before - 1] = 0;
	fold(e);
	clear(e);
	store(&e->epoch, load(&control->stats_epoch));
	p->entry_of[row] = (uint8_t)i;
	atomic_store_explicit(&e->row, (uint16_t)(row + 1), memory_order_release);
	return e;
}

static inline struct command_entry *entry_for(uint32_t row)
{
	struct command_page *p = &my_page->commands;
	unsigned i = p->entry_of[row];
	struct command_entry *e = &p->entries[(i - 1) % COMMAND_ENTRIES];

	if (i == 0 || load(&e->epoch) != load(&control->stats_epoch) || load(&e->calls) >= FULL)
		return entry_make(p, row);
	return e;
}

uint64_t command_stats_add(uint32_t row, uint32_t n, uint64_t ns, bool last_slow, bool histogram)
{
	struct command_entry *e = entry_for(row);
	uint64_t each = ns / n, last = each;

	if (last_slow && n > 1) {
		uint32_t calls = load(&e->calls);
		uint64_t mean = calls ? load(&e->ns) / calls : each;
		each = mean < each ? mean : each;
		last = ns - each * (n - 1);
	}
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
	if (load(&e->rejected) < FULL)
		add(&e->rejected, 1);
	else
		store(&entry_make(&my_page->commands, row)->rejected, 1);
}

void command_stats_failed(uint32_t row)
{
	add(&entry_for(row)->failed, 1);
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

size_t error_stats_read(struct error_sum *out)
{
	size_t n = 0, kept = 0;

	for (unsigned i = 0; i < ERROR_CODES; i++) {
		struct error_total *e = &figures->stats.errors[i];
		if (atomic_load_explicit(&e->state, memory_order_acquire) != 2 || load(&e->count) == 0)
			continue;
		memcpy(out[n].code, e->code, ERROR_CODE_MAX);
		out[n].code[ERROR_CODE_MAX - 1] = 0;
		out[n++].count = load(&e->count);
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
