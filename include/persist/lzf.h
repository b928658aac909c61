/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LZF, the compression of strings in RDB files and payloads of DUMP.
 *
 * Compressed bytes are a row of pieces, each opened by a byte c: c < 32: c + 1 bytes follow as they are; else a copy of what was made before: c >> 5 is
 * its length less 2 (7: and the next byte on top), the lower 5 bits and one more byte say how far back it begins, less 1.
 */
#ifndef BULKHEAD_PERSIST_LZF_H
#define BULKHEAD_PERSIST_LZF_H

#include <stddef.h>
#include <stdint.h>

#define LZF_MAX (1u << 30)  /* bytes that can be compressed in one piece; longer strings stay as they are */
#define LZF_PLACES (1u << 16)

/* Where three bytes were seen last. Begins as zeros; used again and again, it needs no clearing. 256 KiB, of which a short string touches little. */
struct lzf {
	uint32_t base; /* places of earlier strings are below it */
	uint32_t place[LZF_PLACES];
};

/* Compresses n bytes into at most `cap`. Returns how many it took; 0: it would take more, or n is 0 or above LZF_MAX. What is in `out` then is of no use. */
size_t lzf_compress(struct lzf *state, const void *in, size_t n, void *out, size_t cap);

/*
 * Decompresses n bytes, which may be anything, into at most `cap`. Returns how many there were; 0: the input is damaged, or makes more than `cap`. Never
 * reads or writes beyond what it was given.
 */
size_t lzf_decompress(const void *in, size_t n, void *out, size_t cap);

#endif
