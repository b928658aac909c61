/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals. The supervisor blocks those it reads from a descriptor; children inherit handlers and mask and need no call
 * until they serve.
 *
 *   signal                   supervisor          child
 *   TERM                     orderly stop        sets stop_flag; a worker's socket reads as ended from then on
 *   INT                      orderly stop        blocked: a terminal's Ctrl-C reaches the whole group
 *   HUP                      reopens the log     blocked; the supervisor wakes it (URG)
 *   USR2                     upgrades            blocked
 *   CHLD                     reaps               blocked
 *   URG                      blocked             wakes from a wait, nothing else
 *   ALRM                     nothing             a tick of command-timeout (base/deadline.h)
 *   PIPE                     ignored             ignored
 *   SEGV BUS FPE ILL ABRT    a report in the log, then the default, in every process
 */
#ifndef BULKHEAD_PROC_SIGNALS_H
#define BULKHEAD_PROC_SIGNALS_H

#include <signal.h>

/* Handlers and mask for the supervisor and all its children. Returns the descriptor to read signals from. */
int signals_init(void);

/* In a child that serves: lets TERM and URG come at any time. `fd` (or -1) is shut for reading by TERM. */
void signals_serve(int fd);

/* The mask under which only TERM and URG come: for ppoll and its like before signals_serve. */
const sigset_t *signals_waiting(void);

#endif
