/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-check-aof, or bulkhead-server --check-aof: verifying and repairing append only files that no server uses. */
#ifndef BULKHEAD_PROC_CHECK_AOF_H
#define BULKHEAD_PROC_CHECK_AOF_H

/*
 * When the program is called by that name, or by redis-check-aof, or its first argument is --check-aof: carries it out and ends the process. 0: in order, or repaired; 1: not. Otherwise returns. Early
 * in main.
 */
void check_aof_if_asked(int argc, char **argv);

#endif
