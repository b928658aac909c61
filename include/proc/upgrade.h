/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replacing the running server's binary: the same process executes the new one, which goes on with the listening sockets and the store.
 */
#ifndef BULKHEAD_PROC_UPGRADE_H
#define BULKHEAD_PROC_UPGRADE_H

#include <stdbool.h>
#include <sys/socket.h>

/* Early in main: keeps the arguments for the next binary, takes note of the descriptors that the one before handed over. */
void upgrade_receive(int argc, char **argv);

/* Whether this process was another binary before; then it is in the background already, if it is to be. */
bool upgrade_received(void);

/* Descriptors that must not be closed as inherited by accident; their number. */
unsigned upgrade_kept(const int **fds);

/* The store's descriptor that was handed over, or -1. The caller owns it. */
int upgrade_take_store(void);

/* The listening socket bound to that address that was handed over, or -1. The caller owns it. */
int upgrade_take_listener(const struct sockaddr *a, socklen_t n);

/* Closes what nobody has taken. */
void upgrade_drop_rest(void);

/*
 * Whether the binary that is now where this one was started from can go on with this store. Runs it to ask; waits a few seconds at most. False: the
 * reason is in the log.
 */
bool upgrade_possible(void);

/* Executes it, in this process, when no child is left. Returns only when that fails, logged. */
void upgrade_execute(int store);

#endif
