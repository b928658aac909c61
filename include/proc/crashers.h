/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses whose clients crash workers: after `crash-limit` crashes within a minute, refused for a minute.
 *
 * Layouts are inherited by fork, so who may crash workers as often as he likes may try until he has guessed them.
 */
#ifndef BULKHEAD_PROC_CRASHERS_H
#define BULKHEAD_PROC_CRASHERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/control.h"

/* Takes down which worker has got a client from where, as far as workers have said so. Supervisor. */
void crashers_hear(void);

/* A worker with a client from `peer` crashed. Supervisor. */
void crashers_note(const struct client_addr *peer);

/* Lets in again whose time is over. Supervisor. */
void crashers_tick(int64_t now_ms);

/* When crashers_tick has something to do (monotonic ms), INT64_MAX if never. */
int64_t crashers_deadline(void);

/* Whether a client from there is to be refused now. Any process; one load while nobody is. */
bool crashers_refused(const struct client_addr *peer);

#endif
