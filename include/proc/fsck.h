/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-server --check INSTANCE: verifying a store that no server has. */
#ifndef BULKHEAD_PROC_FSCK_H
#define BULKHEAD_PROC_FSCK_H

/*
 * When the arguments ask for a check: carries it out and ends the process. 0: in order, 1: damaged (what is wrong
 * first is on standard output), 2: it could not be checked (why is on standard error). Otherwise returns. Early in
 * main.
 */
void fsck_if_asked(int argc, char **argv);

#endif
