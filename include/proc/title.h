/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps and top show of a process. */
#ifndef BULKHEAD_PROC_TITLE_H
#define BULKHEAD_PROC_TITLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

/* Memory for the title, before anything else is allocated, so that it lies on the heap's first page. */
void title_reserve(void);

/* Takes over the memory of the arguments and wipes them; argv must not be used afterwards. First thing after config_load. */
void title_init(int argc, char **argv);

/*
 * Has ps read the title elsewhere than in the memory of the arguments, which is no longer needed then. False: the kernel cannot
 * do that, and nothing has changed.
 */
bool title_move(void);

/* "bulkhead: " and the text; cut to the room there is. No system call. Nothing happens with set-proc-title no. */
void title_set(const char *text);

/* The supervisor's: what proc-title-template says. */
void title_set_supervisor(const struct config *values);

#endif
