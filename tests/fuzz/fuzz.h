/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzzers written in C share. Each has LLVMFuzzerTestOneInput, and a main that makes inputs of its own.
 *
 * With libFuzzer:  clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZ_ENGINE ...; none of what is below #ifndef FUZZ_ENGINE is needed then.
 * On its own:      make V=asan build/asan/resp_parse_fuzz; resp_parse_fuzz [SECONDS [SEED]] makes inputs for that long (10 s). The seed is printed, so
 *                  that a failure can be repeated.
 *
 * Included behind the harness of unit tests, whose CHECK goes on after a failure: a fuzzer's ends there.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#undef CHECK
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                     \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* A digest of what was read so far, with n more bytes. */
static inline uint64_t fuzz_digest(uint64_t digest, const void *p, size_t n)
{
	static const uint64_t key[2] = {1, 2};
	uint64_t pair[2] = {digest, hash_bytes(p, n, key)};
	return hash_bytes(pair, sizeof pair, key);
}

#ifndef FUZZ_ENGINE

static uint64_t fuzz_state;
static int64_t fuzz_end; /* monotonic ms */
static unsigned long long fuzz_runs;

static size_t fuzz_below(size_t n)
{
	fuzz_state ^= fuzz_state << 13, fuzz_state ^= fuzz_state >> 7, fuzz_state ^= fuzz_state << 17;
	return (size_t)(fuzz_state >> 16) % n;
}

/* Reads the arguments, [SECONDS [SEED]], and begins. */
static void fuzz_begin(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	fuzz_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	if (fuzz_state == 0)
		random_bytes(&fuzz_state, sizeof fuzz_state);
	printf("seed %llu\n", (unsigned long long)fuzz_state);
	fflush(stdout);
	fuzz_end = clock_mono_ms() + (int64_t)(seconds * 1000);
}

/* Counts an input that is to come. False: the time is up, and that was reported. */
static bool fuzz_goes_on(void)
{
	if (clock_mono_ms() < fuzz_end) {
		fuzz_runs++;
		return true;
	}
	printf("%llu inputs, no failure\n", fuzz_runs);
	return false;
}

#endif

#endif
