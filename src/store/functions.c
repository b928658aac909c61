/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries of functions that came with the data, all in one block that SUPER->functions names.
 *
 * Written by the loader and by who forgets them, read by snapshots. Guard of the word and the block: stripe 0. A block never changes: a new one is
 * made and published by one store inside a transaction, which also frees the old one; who dies in the middle has it undone, or finished,
 * like any other. Readers copy under the lock, for no pin retains the old block.
 */
#include "store/functions.h"

#include "shm/check.h"
#include "shm/slot.h"
#include "shm/txn.h"

/* The block: this, then each library as 8 bytes of length and its text, not aligned. */
struct libraries {
	uint64_t bytes; /* of what follows */
	char all[];
};

static const struct libraries *libraries(void)
{
	return ref_is_none(SUPER->functions) ? NULL : at(SUPER->functions);
}

static bool next(const char *all, size_t n, size_t *from, struct arg *code)
{
	uint64_t len;
	if (*from > n || n - *from < sizeof len)
		return false;
	memcpy(&len, all + *from, sizeof len);
	if (len > n - *from - sizeof len)
		return false;
	*code = (struct arg){all + *from + sizeof len, len};
	*from += sizeof len + len;
	return true;
}

bool functions_next(const struct buf *all, size_t *from, struct arg *code)
{
	return next(all->data, all->len, from, code);
}

/* Publishes `block` in place of what is there. */
static bool replace(ref block)
{
	ref old = SUPER->functions;
	if (!txn_touch(0, &SUPER->functions, sizeof(ref)))
		return false;
	__atomic_store_n(&SUPER->functions.off, block.off, __ATOMIC_RELEASE);
	return ref_is_none(old) || txn_free(old, BLOCK_META);
}

static bool append(const struct arg *code)
{
	const struct libraries *old = libraries();
	uint64_t had = old ? old->bytes : 0, len = code->n;
	struct arg one;
	for (size_t from = 0; old && next(old->all, had, &from, &one);)
		if (one.n == code->n && !memcmp(one.p, code->p, one.n))
			return true;
	ref block = txn_alloc(sizeof *old + had + sizeof len + len, BLOCK_META);
	if (ref_is_none(block))
		return false;
	struct libraries *new = at(block);
	new->bytes = had + sizeof len + len;
	if (old)
		memcpy(new->all, old->all, had);
	memcpy(new->all + had, &len, sizeof len);
	memcpy(new->all + had + sizeof len, code->p, len);
	return replace(block);
}

/* Runs `change` as a transaction, again when it was cut off. */
static bool run(bool change(const struct arg *code), const struct arg *code)
{
	bool ok, done = false;
	activity_enter();
	do {
		ok = txn_begin((const uint16_t[]){0}, 1);
		if (ok && !(ok = change(code)))
			txn_rollback();
		else if (ok)
			done = txn_commit();
	} while (ok && !done);
	activity_leave();
	return ok;
}

struct arg functions_name(const struct arg *code)
{
	static const char word[] = " name=";
	const char *end = memchr(code->p, '\n', code->n);
	size_t n = end ? (size_t)(end - code->p) : code->n;
	const char *name = memmem(code->p, n, word, sizeof word - 1);

	if (name == NULL)
		return (struct arg){"", 0};
	name += sizeof word - 1;
	n -= (size_t)(name - code->p);
	for (size_t i = 0; i < n; i++)
		if (str_is_space((unsigned char)name[i]))
			n = i;
	return (struct arg){name, n};
}

/* Whether a library stays when those of that name go. */
static bool stays(const struct arg *code, const struct arg *name)
{
	struct arg its = functions_name(code);
	return name && (its.n != name->n || memcmp(its.p, name->p, its.n));
}

bool functions_drop(const struct arg *name, bool *found)
{
	const struct libraries *old = libraries();
	struct arg code;
	uint64_t left = 0;
	*found = false;
	for (size_t from = 0; old && next(old->all, old->bytes, &from, &code);) {
		left += stays(&code, name) ? sizeof(uint64_t) + code.n : 0;
		*found = *found || !stays(&code, name);
	}
	if (!*found || left == 0)
		return !*found || replace(REF_NONE);
	ref block = txn_alloc(sizeof *old + left, BLOCK_META);
	if (ref_is_none(block))
		return false;
	struct libraries *new = at(block);
	new->bytes = 0;
	for (size_t from = 0, begin = 0; next(old->all, old->bytes, &from, &code); begin = from) {
		if (!stays(&code, name))
			continue;
		memcpy(new->all + new->bytes, old->all + begin, from - begin);
		new->bytes += from - begin;
	}
	return replace(block);
}

static bool drop(const struct arg *name)
{
	bool found;
	return functions_drop(name, &found);
}

bool functions_add(const struct arg *code)
{
	return run(append, code);
}

bool functions_clear(void)
{
	return run(drop, NULL);
}

bool functions_forget(const struct arg *name)
{
	return run(drop, name);
}

bool functions_copy(struct buf *out)
{
	if (!stripe_lock(0))
		return false;
	const struct libraries *all = libraries();
	if (all)
		buf_append(out, all->all, all->bytes);
	stripe_unlock(0);
	return true;
}

bool functions_check(struct check *c)
{
	const ref *from = &SUPER->functions;
	if (ref_is_none(*from))
		return true;
	if (!check_reach(c, from, *from, sizeof(struct libraries), BLOCK_META, "the libraries of functions"))
		return false;
	const struct libraries *all = libraries();
	size_t end = 0;
	struct arg code;
	if (all->bytes > heap_block_size(*from) - sizeof *all)
		return check_bad(c, from->off, "libraries of functions larger than their block");
	while (next(all->all, all->bytes, &end, &code))
		;
	return end == all->bytes || check_bad(c, from->off + sizeof *all + end, "a damaged library of functions");
}
