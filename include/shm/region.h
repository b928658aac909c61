/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's object: made by the supervisor, attached by the processes that work on it.
 */
#ifndef BULKHEAD_SHM_REGION_H
#define BULKHEAD_SHM_REGION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Makes the shared memory object `name` ("/bulkhead.6379.main"), formats it for `slots` process slots and `databases` numbers, and
 * returns its descriptor (close-on-exec), which holds a flock on the object as long as any process has it. The leftover of a server
 * that died with all its processes is removed first. The object is mapped only while it is formatted. Falls back to an unnamed object
 * (memfd) with a warning when /dev/shm is missing or has less than 64 MiB free. -1 with a logged reason on failure: no memory, or an object of
 * that name in use or not ours.
 */
int store_create(const char *name, uint32_t slots, uint32_t databases);

/* Removes the name. Processes that have the store mapped keep it. */
void store_remove(const char *name);

/*
 * Maps the store on `fd` and takes slot `id` (> 0) in it. Backs the slot's page with memory: false when there is none, or
 * when the object is not a store of this format (logged). The descriptor stays in use until the process ends.
 */
bool region_attach(int fd, uint32_t id);

/* Backs the bytes [off, off + n) of the object with memory. False when the machine or the file system has none left. */
bool region_back(uint64_t off, uint64_t n);

#ifdef BULKHEAD_DEBUG
/* For tests: so many more requests for memory succeed, then all fail. -1: no limit. */
extern long region_fail_after;
#endif

/* Gives the memory of [off, off + n) back to the kernel; the range reads as zeros afterwards. */
void region_punch(uint64_t off, uint64_t n);

#endif
