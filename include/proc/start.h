/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of the server's start, each used once by supervisor.c. */
#ifndef BULKHEAD_PROC_START_H
#define BULKHEAD_PROC_START_H

#include <stdint.h>

/* limits.c: looks what the machine allows, lowers *maxclients or warns, by name. Returns how many slots to make. */
uint32_t limits_check(int64_t *maxclients);

/* instance.c: into the background, if daemonize says so. */
void instance_daemonize(void);
/* Descriptor of the folder in which relative names were meant before CONFIG SET dir. First called at the start. */
int instance_folder(void);
/* The pid file, if there is to be one. */
void instance_write_pid(void);
void instance_remove_pid(void);
/* Makes the main store's shared memory; fatal if it cannot be had. Returns its descriptor, locked for this instance. */
int instance_create_store(uint32_t slots);
void instance_remove_store(void);

#endif
