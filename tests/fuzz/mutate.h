/* SPDX-License-Identifier: BSD-2-Clause */
/* What fuzzers of texts share when they run on their own: parts of a corpus, put together and changed at random. */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <string.h>

#include "fuzz.h"

struct fuzz {
	const char *const *corpus; /* whole texts, of which a few are put together */
	size_t ncorpus;
	const char *const *tokens; /* what is put in between */
	size_t ntokens;
};

/* One change of the n bytes at s, which has room for max; returns the new length. */
static size_t fuzz_mutate(const struct fuzz *f, uint8_t *s, size_t n, size_t max)
{
	size_t at = fuzz_below(n + 1);
	const char *token = f->tokens[fuzz_below(f->ntokens)];
	size_t len = strlen(token);
	switch (fuzz_below(6)) {
	case 0: /* another byte */
		if (at < n)
			s[at] = (uint8_t)fuzz_below(256);
		return n;
	case 1: /* bytes gone */
		len = fuzz_below(8);
		if (at + len > n)
			return n;
		memmove(s + at, s + at + len, n - at - len);
		return n - len;
	case 2: /* cut short */
		return at ? at : n;
	case 3: /* a part twice */
		len = fuzz_below(64);
		if (at + len > n || n + len > max)
			return n;
		memmove(s + at + len, s + at, n - at);
		return n + len;
	default: /* something meaningful in between */
		if (n + len > max)
			return n;
		memmove(s + at + len, s + at, n - at);
		memcpy(s + at, token, len);
		return n + len;
	}
}

/* The body of a main. */
static int fuzz_run(int argc, char **argv, const struct fuzz *f)
{
	static uint8_t s[4096];
	fuzz_begin(argc, argv);
	while (fuzz_goes_on()) {
		size_t n = 0;
		for (size_t parts = 1 + fuzz_below(4); parts > 0; parts--) {
			const char *c = f->corpus[fuzz_below(f->ncorpus)];
			memcpy(s + n, c, strlen(c));
			n += strlen(c);
		}
		for (size_t changes = fuzz_below(12); changes > 0 && n > 0; changes--)
			n = fuzz_mutate(f, s, n, sizeof(s));
		LLVMFuzzerTestOneInput(s, n);
	}
	return 0;
}

#endif
