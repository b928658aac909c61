/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one binary hands over to the next when it is replaced (proc/upgrade.h): descriptors.
 */
#ifndef BULKHEAD_PROC_HANDOVER_H
#define BULKHEAD_PROC_HANDOVER_H

#include <stdbool.h>
#include <sys/socket.h>

/* "pid fd fd ...": the process that they are for, the store, the listening sockets. */
#define HANDOVER_VARIABLE "BULKHEAD_UPGRADE"
#define HANDOVER_MAX 32

/* Early in main: takes note of what there is. */
void handover_receive(void);

/* Whether this process was another binary before; then it is in the background already, if it is to be. */
bool handover_received(void);

/* Descriptors that must not be closed as inherited by accident; their number. */
unsigned handover_kept(const int **fds);

/* The store's descriptor, or -1. The caller owns it. */
int handover_take_store(void);

/* The listening socket bound to that address, or -1. The caller owns it. */
int handover_take_listener(const struct sockaddr *a, socklen_t n);

/* Closes what nobody has taken. */
void handover_drop_rest(void);

#endif
