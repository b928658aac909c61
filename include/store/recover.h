/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery: what the medic does to a store after deaths.
 */
#ifndef BULKHEAD_STORE_RECOVER_H
#define BULKHEAD_STORE_RECOVER_H

#include <stdint.h>

/*
 * Finishes or undoes what the processes of the `n` dead `slots` were doing and frees what they held. The kernel has reported each of them
 * dead. The store is attached under the medic's own slot. May be repeated, also after dying half-way.
 */
void recover_slots(const uint32_t *slots, unsigned n);

/*
 * The same for every slot there ever was, in a store that no other process has: all of its server's processes are gone. Pins and the
 * expirer's marks go too. May be repeated, also after dying half-way.
 */
void recover_store(void);

#endif
