/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets: opened by the supervisor, accepted from by spare workers.
 *
 * Options that a connection is to have (no delay, keepalive) are set on the listening socket, from which Linux copies them.
 */
#ifndef BULKHEAD_PROC_LISTEN_H
#define BULKHEAD_PROC_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

/* Opens what port, bind and unixsocket say. False: the reason is in the log, nothing is open. */
bool listen_open(void);

/*
 * Listens on what `want` says instead, where the address is another one; who is connected stays connected. False: nothing has changed, and the
 * reason is in the log. `before` is called when all new sockets are there and the old ones are about to go: spare workers have only these, and are
 * to be replaced.
 */
struct config;
bool listen_rebind(const struct config *want, void (*before)(void));

/* Closes them; the unix socket's name is removed. Spare workers hold their copies until they end. */
void listen_close(void);

/* tcp-keepalive has changed: for connections from now on. */
void listen_keepalive(long seconds);

/*
 * An epoll of all listening sockets, shared by the spare workers. One connection wakes one of them; it must call
 * listen_accepted for the socket it accepted from, so that the next connection wakes the next.
 */
int listen_epoll(void);
void listen_accepted(int fd);

/* Calls `each` with every listening socket. */
void listen_each(void (*each)(int fd));

#endif
