/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands on bits share. Bit 0 of a string is the highest bit of its first byte. */
#ifndef BULKHEAD_CMD_BITS_H
#define BULKHEAD_CMD_BITS_H

#include "args.h"

/*
 * The position of a bit in a string that may be as long as proto-max-bulk-len allows. `width` not 0: "#n" is the place of the n-th
 * field of so many bits. False after an error reply.
 */
bool want_bit_offset(struct cmd *c, const struct arg *a, unsigned width, uint64_t *out);

/*
 * Makes the string of the command's first key long enough for the bit `last` and changeable, `n` bytes of it; *len is its length before. A
 * missing key counts as empty. FIND_NONE: no memory; FIND_WRONG_TYPE: the error is replied.
 */
enum find patch_bits(struct cmd *c, uint64_t last, uint64_t n, struct patch *p, size_t *len);

#endif
