/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's object: made by the supervisor, attached by the processes that work on it.
 */
#ifndef BULKHEAD_SHM_REGION_H
#define BULKHEAD_SHM_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"

/* What a server wants its store to be. */
struct store_wish {
	const char *name;      /* of the object: "/bulkhead.6379.main" */
	const char *instance;  /* whose it is: directory and port */
	uint32_t slots, databases;
	bool adopt;            /* what a server of this instance left is taken over, else removed */
	/* What else speaks against that, by a copy of its superblock and by its descriptor; NULL: nothing. May be NULL. */
	const char *(*fault)(const struct super *s, int fd);
	/* Whether there is anything to go on with instead, where `fault` speaks against it; false: the reason is in the log. Set where `fault` is. */
	bool (*instead)(void);
	int fd;                /* a descriptor of it that was handed over, or -1 */
};

/*
 * Returns a descriptor of the store (close-on-exec), which holds a flock on the object as long as any process has it. Waits for
 * processes of a dead server that still have it, up to 5 s.
 *
 * An object of that name is adopted, with all its data, when wish.adopt is set and it was made by this instance since the machine
 * started: *adopted is set, and recover_store must run before anybody else attaches. One that cannot be ours (another
 * user's, another format, no store at all, in use) is left alone: -1 with a logged reason. Any other leftover is removed and a new store
 * made; with a memfd, and a warning, when /dev/shm is missing or has less than 64 MiB free. -1 with a logged reason when there is no
 * memory. Nothing stays mapped.
 */
int store_open(const struct store_wish *wish, bool *adopted);

/* For the supervisor, which maps no store: sets the superblock's word of that name. */
void store_set_contents(int fd, enum store_contents contents);

/* False when the object behind `fd` has no name (any more) by which a later server could find it. */
bool store_has_name(int fd);

/* Removes the name. Processes that have the store mapped keep it. */
void store_remove(const char *name);

/*
 * Maps the store on `fd` and takes slot `id` (> 0) in it. Backs the slot's page with memory: false when there is none, or
 * when the object is not a store of this format (logged). The descriptor stays in use until the process ends.
 */
bool region_attach(int fd, uint32_t id);

/*
 * Maps the store on `fd` to look at it: nothing can be written, no slot is taken, and the lock on the object is not held on to (`fd` is
 * closed), so this process may outlive its server. False: it cannot be done.
 */
bool region_look(int fd);

/* Backs the bytes [off, off + n) of the object with memory. False when the machine or the file system has none left. */
bool region_back(uint64_t off, uint64_t n);

/*
 * Takes the mapping away; what this process does to memory from now on cannot reach the store. For signal handlers
 * too.
 */
void region_unmap(void);

/*
 * For checks: maps the object on `fd` (open for reading) so that changes stay in this process, in place of
 * region_attach. The caller has made sure that it begins with a superblock of this format. False: errno says why.
 */
bool region_map_copy(int fd);

/* Why the superblock cannot be this object's: sizes and places that do not agree; NULL: it can. */
const char *region_fault(void);

#ifdef BULKHEAD_DEBUG
/* For tests: so many more requests for memory succeed, then all fail. -1: no limit. */
extern long region_fail_after;
#endif

/* Gives the memory of [off, off + n) back to the kernel; the range reads as zeros afterwards. */
void region_punch(uint64_t off, uint64_t n);

#endif
