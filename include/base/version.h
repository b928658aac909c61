/* SPDX-License-Identifier: BSD-2-Clause */
/* What this build calls itself, and the Redis it answers like. */
#ifndef BULKHEAD_BASE_VERSION_H
#define BULKHEAD_BASE_VERSION_H

#define BULKHEAD_VERSION "0.1.0"
#define REDIS_COMPAT_VERSION "7.0.15"

#endif
