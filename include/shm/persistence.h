/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the supervisor tells everybody about files: part of the control region's head, written by it alone.
 */
#ifndef BULKHEAD_SHM_PERSISTENCE_H
#define BULKHEAD_SHM_PERSISTENCE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	TROUBLE_LOADING = 1, /* data is being loaded: most commands are refused */
	TROUBLE_SAVE = 2,    /* the last background save failed, and writes are to be refused for it */
};

struct persistence {
	_Atomic uint32_t trouble; /* TROUBLE_* bits; 0 nearly always: one load for each command */
};

#endif
