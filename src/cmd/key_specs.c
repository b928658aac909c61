/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key specifications of a row, applied to a call.
 *
 * Runs in workers, without an access. Owns nothing; reads the words of the call and the constant rows.
 */
#include "key_specs.h"

#include <strings.h>

#include "base/num.h"
#include "notation.h"

/* The words of a command that was given as arguments. */
struct call {
	const struct command *row;
	const struct arg *argv;
	int argc;
};

/* Where a specification's search begins; 0: it finds no keys in this call. */
static int begin_of(const struct call *call, const struct notation_key *k)
{
	if (k->keyword.n == 0)
		return k->index;
	/* From a position towards the end, or from one before the end towards the front. */
	int from = k->index > 0 ? k->index : call->argc + k->index, step = k->index > 0 ? 1 : -1;
	for (int i = from; i >= 1 && i < call->argc - (step > 0); i += step)
		if (call->argv[i].n == k->keyword.n && strncasecmp(call->argv[i].p, k->keyword.p, k->keyword.n) == 0)
			return i + 1;
	return 0;
}

/* The keys that a specification means: first, then each `step`-th up to and including last. False: the call cannot be right. */
static bool range_of(const struct call *call, const struct notation_key *k, int begin, int *first, int *last)
{
	int64_t n;

	*first = begin;
	if (k->counted) {
		const struct arg *count = begin + k->count_at < call->argc ? &call->argv[begin + k->count_at] : NULL;
		if (count == NULL || !parse_i64(count->p, count->n, &n) || n < 0 || n > call->argc)
			return false;
		*first += k->first;
		*last = *first + ((int)n - 1) * k->step;
	} else if (k->last >= 0) {
		*last = begin + k->last;
	} else if (k->limit == 0) {
		*last = call->argc + k->last;
	} else {
		*last = begin + (call->argc - begin) / k->limit + k->last;
	}
	return *first < call->argc && *last < call->argc && *first <= *last;
}

/* ---- flags that depend on the other words ---- */

static const char *flags_of_set(const struct call *call)
{
	for (int i = 3; i < call->argc; i++)
		if (arg_ieq(&call->argv[i], "GET"))
			return "RW access update";
	return "OW update";
}

static const char *flags_of_bitfield(const struct call *call)
{
	for (int i = 2; i < call->argc; i++) {
		int more = call->argc - 1 - i;
		if (arg_ieq(&call->argv[i], "GET") && more >= 2)
			i += 2;
		else if (arg_ieq(&call->argv[i], "OVERFLOW") && more >= 1)
			i += 1;
		else
			return "RW access update";
	}
	return "RO access";
}

static struct arg flags_for(const struct call *call, const struct notation_key *k)
{
	static const struct {
		const char *name;
		const char *(*flags)(const struct call *call);
	} variable[] = {{"set", flags_of_set}, {"bitfield", flags_of_bitfield}};

	for (size_t i = 0; i < sizeof variable / sizeof variable[0]; i++) {
		if (strcmp(call->row->name, variable[i].name) == 0) {
			const char *flags = variable[i].flags(call);
			return (struct arg){flags, strlen(flags)};
		}
	}
	return k->flags;
}

/* ---- all of a row ---- */

int key_specs_find(const struct command *row, int argc, const struct arg *argv, key_spec_visitor *each, void *arg)
{
	const struct call call = {row, argv, argc};
	struct notation_key k;
	int found = 0;

	for (struct arg text = {row->keys, strlen(row->keys)}; notation_key(&text, &k);) {
		int begin = k.unknown ? 0 : begin_of(&call, &k), first, last;
		if (begin == 0)
			continue;
		if (!range_of(&call, &k, begin, &first, &last))
			return -1;
		for (int i = first; i <= last; i += k.step, found++)
			each(arg, &argv[i], flags_for(&call, &k));
	}
	return found;
}
