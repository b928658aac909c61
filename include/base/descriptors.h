/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the supervisor keeps its descriptors, so that a child drops whole groups of them with one call.
 *
 *   0 ..  15   what every process needs: log, channel, store
 *  16 ..  39   listening sockets, their epoll, the pipe for notices: dropped by a worker that has a client, and by
 *             helpers at once
 *  40 ..  63   the supervisor's own: dropped by every child at once
 *
 * All below 64, the size of the table that is part of a process: a larger one costs memory and time in each fork.
 */
#ifndef BULKHEAD_BASE_DESCRIPTORS_H
#define BULKHEAD_BASE_DESCRIPTORS_H

#include <stdbool.h>

#define FD_LISTEN 16
#define FD_PRIVATE 40

/*
 * The program's first deed: standard input, output and error are open, if only on /dev/null. Otherwise what is opened
 * next would get these numbers and receive what is meant for the log.
 */
void descriptors_begin(void);

/*
 * Closes all but these three and the `n` in `keep`: what whoever started the server left open would take the numbers of the groups
 * above.
 */
void descriptors_drop_inherited(const int *keep, unsigned n);

/* Moves a descriptor to the first free number from `base` on; returns the new number. Fatal when that fails. */
int descriptor_move(int fd, int base);

/* In a child: closes the supervisor's own, and with `listening` false the listening ones too. */
void descriptors_drop(bool listening);

/* In a worker that has its client: closes the listening ones. */
void descriptors_drop_listening(void);

#endif
