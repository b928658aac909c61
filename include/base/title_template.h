/* SPDX-License-Identifier: BSD-2-Clause */
/* The parameter proc-title-template: what ps shows of the supervisor. */
#ifndef BULKHEAD_BASE_TITLE_TEMPLATE_H
#define BULKHEAD_BASE_TITLE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

/*
 * Puts `title` and what else the template names, as `values` has it, in the places marked {name}; {{ is a brace. Blanks at the ends are
 * taken off; what does not fit into `cap` bytes (its NUL included) is cut. False: the template is malformed or says nothing.
 */
bool title_expand(const char *template, const char *title, const struct config *values, char *out, size_t cap);

#endif
