/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The expirer's work: due keys, what pins retained, retired roots, spare memory.
 */
#ifndef BULKHEAD_STORE_EXPIRER_H
#define BULKHEAD_STORE_EXPIRER_H

/* Works until stop_requested() (base/stop.h). The store is attached. */
void expirer_run(void);

/* One round of it: frees what no pin needs any more, if anybody said that there may be some. */
void expirer_sweep(void);

#endif
