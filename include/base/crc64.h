/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-64/REDIS: the Jones polynomial, bits reflected, start and end 0: what ends the payloads of DUMP and FUNCTION DUMP, and
 * RDB files. */
#ifndef BULKHEAD_BASE_CRC64_H
#define BULKHEAD_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* The sum over n more bytes; it begins with 0. */
uint64_t crc64(uint64_t crc, const void *p, size_t n);

#endif
