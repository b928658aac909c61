/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries of functions that came with the data: kept as the texts they are, so that what is saved has them again.
 */
#ifndef BULKHEAD_STORE_FUNCTIONS_H
#define BULKHEAD_STORE_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct check;

/* Keeps one more library; one that is there already, letter for letter, is kept once. A transaction of its own: none may run. False: no memory. */
bool functions_add(const struct arg *code);

/*
 * Forgets the library of that name, or all (NULL), within a command that has all stripes locked. *found: whether there was any. False: no memory, and the command
 * must be undone.
 */
bool functions_drop(const struct arg *name, bool *found);

/* Forgets the library of that name, if there is one. A transaction of its own. False: no memory, or cancelled. */
bool functions_forget(const struct arg *name);

/* The name that the first line of a library gives it: "#!lua name=mylib". Empty: it has none. */
struct arg functions_name(const struct arg *code);

/* Forgets all. A transaction of its own. False: no memory for its journal, or cancelled. */
bool functions_clear(void);

/*
 * Appends all libraries to `out`, each as 8 bytes of its length, host order, and its text. Takes stripe 0 for a moment; no lock may be held, a
 * pin may. False: cancelled.
 */
bool functions_copy(struct buf *out);

/* The next library of what functions_copy appended, from *at on, which is moved; false: no more. */
bool functions_next(const struct buf *all, size_t *at, struct arg *code);

/* Part of store_fsck. */
bool functions_check(struct check *c);

#endif
