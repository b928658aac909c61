/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maxmemory-clients: what the buffers of all clients may take together.
 */
#ifndef BULKHEAD_PROC_CLIENT_MEMORY_H
#define BULKHEAD_PROC_CLIENT_MEMORY_H

#include <stdint.h>

/* Adds up, now and then, and disconnects the largest clients while it is too much. The supervisor. */
void client_memory_tick(int64_t now);

/* When the next tick is due at the latest, monotonic ms; INT64_MAX: never. */
int64_t client_memory_deadline(void);

#endif
