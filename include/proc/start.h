/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of the server's start, each used once by supervisor.c. */
#ifndef BULKHEAD_PROC_START_H
#define BULKHEAD_PROC_START_H

#include <stdbool.h>
#include <stdint.h>

/* limits.c: looks what the machine allows, lowers *maxclients or warns, by name. Returns how many slots to make. */
uint32_t limits_check(int64_t *maxclients);

/* instance.c: into the background, if daemonize says so; the process that was called ends when instance_serves is, or with an error. */
void instance_daemonize(void);
void instance_serves(void);
/* Descriptor of the folder in which relative names were meant before CONFIG SET dir. First called at the start. */
int instance_folder(void);
/* Whose data it is: the directory tells instances apart that use a port one after the other. Static memory. */
const char *instance_text(void);
/* The pid file, if there is to be one. */
void instance_write_pid(void);
void instance_remove_pid(void);
/*
 * The main store's shared memory, new or (*adopted) with the data a server of this instance left; `handed_over` is its descriptor or
 * -1. Fatal if it cannot be had. Returns its descriptor, locked for this instance.
 */
int instance_open_store(uint32_t slots, int handed_over, bool *adopted);
void instance_remove_store(void);

/*
 * A descriptor that becomes readable when something about the object's name changes, and what is done then: a line in the log if the name
 * is gone. -1: there is nothing to watch.
 */
int instance_watch_store(int store);
void instance_store_changed(int watch, int store);

/*
 * adopt.c: has a medic recover every slot of the adopted store, and waits for it. Fatal if that does not succeed: the store stays as
 * it is.
 */
void adopt_recover(void);

#endif
