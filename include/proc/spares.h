/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers forked ahead, and what happens when there can be no more.
 *
 * Every running worker, with a client or without, takes one of maxclients permits, so the limit is exact without a counter
 * that all would share. When the last spare worker has got a client and no other may be forked, the supervisor itself
 * accepts, answers -ERR max number of clients reached, and closes.
 */
#ifndef BULKHEAD_PROC_SPARES_H
#define BULKHEAD_PROC_SPARES_H

#include <stdbool.h>
#include <stdint.h>

#define SPARES_MAX 1024u /* bound of the parameter spare-workers */

/* epoll: the supervisor's; listening sockets are added while it has to refuse. */
void spares_init(int epoll);

/* Looks which spare workers have got a client, and forks others, a few at a time. True: there is more to fork now. */
bool spares_refill(int64_t now_ms);

/* A worker was reaped; `had_client`: its page said so. */
void spares_ended(uint32_t slot, bool had_client);

/* A listening socket is readable and the supervisor is refusing. */
void spares_refuse(int fd);

/* Tells all spare workers to end and forks others: what they inherited has changed. */
void spares_renew(void);

/* The same, and who gets a client before it hears of it must give the password again. */
void spares_distrust(void);

/* No more forks: the server stops. */
void spares_stop(void);

/* Forks again: the server goes on after all. */
void spares_resume(void);

/* When spares_refill is to be called without any event (monotonic ms), INT64_MAX if never. */
int64_t spares_deadline(void);

#endif
