/* SPDX-License-Identifier: BSD-2-Clause */
/* Glob patterns as KEYS, PSUBSCRIBE, CONFIG GET take them: * ? [abc] [a-z] [^a] and \ to quote. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the whole of s matches the pattern. Binary-safe. Time is at most plen * slen steps, whatever the pattern.
 * The empty string is matched by the empty pattern and by * alone, not by ** (KEYS and SCAN of Redis do the same). */
bool glob_match(const char *pat, size_t plen, const char *s, size_t slen, bool nocase);

#endif
