/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-check-rdb: what is in an RDB file, and whether it is whole. */
#ifndef BULKHEAD_PROC_CHECK_RDB_H
#define BULKHEAD_PROC_CHECK_RDB_H

#include <stdbool.h>

/*
 * When the program is called by that name, or by redis-check-rdb, or its first argument is --check-rdb: carries it out and ends the process. 0: the
 * file is whole, 1: it is not, or cannot be read. Otherwise returns. Early in main.
 */
void check_rdb_if_asked(int argc, char **argv);

/*
 * Checks the RDB at the start of the descriptor's file, with what redis-check-rdb says on standard output; it ends at *end. `name`: of the file, for
 * people.
 */
bool check_rdb(int fd, const char *name, unsigned long long *end);

#endif
