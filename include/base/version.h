/* SPDX-License-Identifier: BSD-2-Clause */
/* What this build calls itself, and the Redis it answers like. */
#ifndef BULKHEAD_BASE_VERSION_H
#define BULKHEAD_BASE_VERSION_H

#define BULKHEAD_VERSION "0.1.0"
#define REDIS_COMPAT_VERSION "7.0.15"

/* Of everything in a store's shared memory that outlives a server. To be raised by whoever changes any of it. */
#define BULKHEAD_STORE_FORMAT 4
#define BULKHEAD_TEXT_OF(x) #x
#define BULKHEAD_TEXT(x) BULKHEAD_TEXT_OF(x)
#define BULKHEAD_STORE_BUILD BULKHEAD_VERSION ", format " BULKHEAD_TEXT(BULKHEAD_STORE_FORMAT)

#endif
