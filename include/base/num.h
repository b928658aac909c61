/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as text, in exactly the forms that Redis accepts and prints. Inputs are counted slices and need no NUL;
 * outputs are counted and NUL-terminated. A parser that returns false leaves *out alone. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal integers in their one canonical form: no space, no plus, no leading zero, no "-0", nothing after. */
bool parse_i64(const char *s, size_t n, int64_t *out);
bool parse_u64(const char *s, size_t n, uint64_t *out);

/* Writes the number and a NUL; returns the length, at most 20. */
size_t format_i64(char out[21], int64_t v);
size_t format_u64(char out[21], uint64_t v);

/* Decimal or hexadecimal floating point, inf, infinity, in any case; no leading space, no NaN, no overflow or
 * underflow to zero. parse_long_double takes at most 5,119 bytes, parse_double any number, as in Redis. */
bool parse_double(const char *s, size_t n, double *out);
bool parse_long_double(const char *s, size_t n, long double *out);

/* The form of double replies and of scores: 17 significant digits, "%.17g", inf, -inf, nan. Returns the length. */
#define FORMAT_DOUBLE_MAX 32
size_t format_double(char out[FORMAT_DOUBLE_MAX], double v);

/* The form of INCRBYFLOAT: 17 digits after the point, trailing zeros and a bare point dropped, never an exponent.
 * Returns the length, or 0 if it does not fit in cap with its NUL (FORMAT_LONG_DOUBLE_MAX always fits). */
#define FORMAT_LONG_DOUBLE_MAX 5120
size_t format_long_double(char *out, size_t cap, long double v);

/* An amount of memory: digits, then nothing or b (bytes), k m g (powers of 1000), kb mb gb (powers of 1024), in any
 * case. */
bool parse_memory(const char *s, size_t n, uint64_t *out);

#endif
