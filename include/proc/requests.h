/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of other processes, carried out by the supervisor. */
#ifndef BULKHEAD_PROC_REQUESTS_H
#define BULKHEAD_PROC_REQUESTS_H

/* Serves what the channel holds, a bounded number at a time. */
void requests_serve(void);

#endif
