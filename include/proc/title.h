/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps and top show of a process. */
#ifndef BULKHEAD_PROC_TITLE_H
#define BULKHEAD_PROC_TITLE_H

/* Takes over the memory of the arguments and wipes them; argv must not be used afterwards. First thing after config_load. */
void title_init(int argc, char **argv);

/* "bulkhead: " and the text; cut to the room there is. No system call. */
void title_set(const char *text);

#endif
