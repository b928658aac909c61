/* SPDX-License-Identifier: BSD-2-Clause */
/* Helper processes of the store: kept running, and medics sent where a process has died. */
#ifndef BULKHEAD_PROC_HELPERS_H
#define BULKHEAD_PROC_HELPERS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/control.h"

/* Starts what is due: helpers that are always running, medics with work. */
void helpers_tick(int64_t now_ms);

/* A helper was reaped. */
void helpers_ended(uint32_t slot, enum process_kind kind, bool clean);

/* A slot is SICK: a medic is to recover it, then it becomes free. */
void helpers_heal(uint32_t slot);

/* The slot of the medic at work; 0: there is none. */
uint32_t helpers_medic(void);

/* Has the store checked once beside its use (the checker), unless that is being done already. */
void helpers_check(void);

/* No helper but a medic is started any more. */
void helpers_stop(void);

/* Helpers are started again: the server goes on after all. */
void helpers_resume(void);

/* When helpers_tick has something to do (monotonic ms), INT64_MAX if never. */
int64_t helpers_deadline(void);

#endif
