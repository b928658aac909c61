/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fuzzers of texts share: parts of a corpus, changed at random, for as many seconds as the first argument says (10). The seed is printed, and
 * may be the second argument, so that a failure can be repeated. Built for libFuzzer (-DFUZZ_ENGINE) none of it is needed.
 */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

struct fuzz {
	const char *const *corpus; /* whole texts, of which a few are put together */
	size_t ncorpus;
	const char *const *tokens; /* what is put in between */
	size_t ntokens;
};

static uint64_t fuzz_state;

static size_t fuzz_below(size_t n)
{
	fuzz_state ^= fuzz_state << 13, fuzz_state ^= fuzz_state >> 7, fuzz_state ^= fuzz_state << 17;
	return (size_t)(fuzz_state >> 16) % n;
}

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

static int fuzz_run(int argc, char **argv, const struct fuzz *f, int (*one)(const uint8_t *data, size_t size))
{
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	fuzz_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	if (fuzz_state == 0)
		random_bytes(&fuzz_state, sizeof(fuzz_state));
	printf("seed %llu\n", (unsigned long long)fuzz_state);
	fflush(stdout);

	int64_t end = clock_mono_ms() + (int64_t)(seconds * 1000);
	unsigned long long runs = 0;
	static uint8_t s[4096];
	for (; runs % 256 || clock_mono_ms() < end; runs++) {
		size_t n = 0;
		for (size_t parts = 1 + fuzz_below(4); parts > 0; parts--) {
			const char *c = f->corpus[fuzz_below(f->ncorpus)];
			memcpy(s + n, c, strlen(c));
			n += strlen(c);
		}
		for (size_t changes = fuzz_below(12); changes > 0 && n > 0; changes--)
			n = fuzz_mutate(f, s, n, sizeof(s));
		one(s, n);
	}
	printf("%llu inputs, no failure\n", runs);
	return 0;
}

#endif
