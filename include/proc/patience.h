/* SPDX-License-Identifier: BSD-2-Clause */
/* How a worker waits for its client's next bytes. */
#ifndef BULKHEAD_PROC_PATIENCE_H
#define BULKHEAD_PROC_PATIENCE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Receives at most n bytes. Looks for a while without sleeping when that has paid off lately, then sleeps. Returns as
 * recv does: 0 at the end of the stream, -1 with errno; EINTR after a signal, EAGAIN when SO_RCVTIMEO ran out.
 */
ssize_t patient_recv(int fd, void *p, size_t n);

#endif
