/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug builds: proof that nothing changes that was not touched first. Run by every process that runs transactions.
 *
 * When a transaction has locked a stripe, everything the stripe guards is copied to private memory; before it commits, each byte that differs must
 * lie in a range the journal holds. Access clocks are excepted. In release builds this file is empty.
 */
#include "internal.h"

#ifdef BULKHEAD_DEBUG

#include <stdlib.h>

#include "base/buf.h"
#include "base/panic.h"
#include "due.h"

#define BIN_MAX 2000u /* larger bins are not copied: the check is for small data */

/* Copies lie one behind the other: {address, length, bytes}. */
struct range {
	const char *p;
	uint64_t n;
};

static struct buf copies;
static struct {
	struct range *v;
	size_t n, cap;
} touched;

static void copy(const void *p, uint64_t n)
{
	struct range r = {p, n};
	buf_append(&copies, &r, sizeof r);
	buf_append(&copies, p, n);
}

static void copy_items(const struct bin *b)
{
	const uint64_t *table = at(b->table);
	for (uint32_t i = 0; i < b->nbuckets * CELLS; i++) {
		struct parts p;
		if (!table[i] || !item_read(cell_ref(table[i]), &p) || p.vlen >= 1u << 20)
			continue;
		const char *item = at(cell_ref(table[i]));
		copy(item, CLOCK_SHIFT / 8);
		copy(item + 8, item_bytes(p.klen, p.vlen, p.flags) - 8);
	}
}

static void copy_bin(const struct bin *b)
{
	copy(b, sizeof *b);
	if (b->nbuckets == 0 || b->count > BIN_MAX)
		return;
	copy(at(b->table), b->nbuckets * 64ull);
	copy_items(b);
	if (b->due_cap)
		copy(at(b->due), b->ndue * 8ull);
}

static void locked(uint32_t stripe)
{
	struct stripe *s = store_stripe(stripe);
	copy(&s->nretained, sizeof s->nretained);
	copy(&s->retained, sizeof s->retained + sizeof s->retained_bytes);
	for (uint32_t db = 0; db < SUPER->databases; db++) {
		const struct root *root = db_root(db);
		if (root)
			copy_bin(&root->bins[stripe]);
	}
	for (ref r = s->retained; !ref_is_none(r); r = ((struct retained *)at(r))->next)
		copy(at(r), sizeof(struct retained) + ((struct retained *)at(r))->n * sizeof(ref));
}

static void add_touched(void *arg, const void *p, uint64_t n)
{
	(void)arg;
	if (touched.n == touched.cap) {
		touched.cap = touched.cap ? 2 * touched.cap : 64;
		touched.v = realloc(touched.v, touched.cap * sizeof *touched.v);
		ASSERT(touched.v);
	}
	touched.v[touched.n++] = (struct range){p, n};
}

static bool was_touched(const char *p)
{
	for (size_t i = 0; i < touched.n; i++)
		if (p >= touched.v[i].p && p < touched.v[i].p + touched.v[i].n)
			return true;
	return false;
}

static void compare(const struct range *r, const char *old)
{
	if (memcmp(r->p, old, r->n) == 0)
		return;
	for (uint64_t i = 0; i < r->n; i++)
		if (r->p[i] != old[i] && !was_touched(r->p + i))
			panic("byte %#llx of the store was changed without a touch", (unsigned long long)(r->p + i - STORE_BASE));
}

static void commit(void)
{
	txn_each_touched(add_touched, NULL);
	for (size_t off = 0; off < copies.len;) {
		struct range r;
		memcpy(&r, copies.data + off, sizeof r), off += sizeof r;
		compare(&r, copies.data + off);
		off += r.n;
	}
}

static void over(void)
{
	touched.n = 0;
	buf_trim(&copies, 1u << 20);
	buf_clear(&copies);
}

static const struct txn_checks checks = {locked, commit, over};

void verify_install(void)
{
	txn_checks = &checks;
}

#endif
