/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of params.def as a table, for config.c and config_load.c. */
#ifndef BULKHEAD_BASE_CONFIG_ROWS_H
#define BULKHEAD_BASE_CONFIG_ROWS_H

#include "base/config.h"

enum param_type {
	PARAM_BOOL,
	PARAM_INT,
	PARAM_OCTAL,
	PARAM_MEMORY,
	PARAM_ENUM,
	PARAM_TEXT,
	PARAM_WORDS,
	PARAM_SECRET,
	PARAM_ONLY
};

struct param {
	const char *name;
	enum param_type type;
	uint32_t flags;
	uint32_t offset;          /* of the field in struct config */
	int64_t number;           /* default, except for texts */
	const char *text;         /* default of texts */
	int64_t min;
	uint64_t max;
	const char *const *words; /* of an ENUM, ended by NULL */
};

/* What CONFIG SET would make of the configuration, before it does. */
struct config_draft {
	struct config values;
	bool password_changed;
	size_t password_len;
	char *password; /* in secret memory */
};

/* The row of that name, letters without case; NULL if there is none. */
const struct param *config_param(const char *name, size_t n);

/*
 * Sets one parameter in the draft from the n values of its line. NULL, or what is wrong with it as Redis says it
 * (static memory).
 */
const char *config_assign(struct config_draft *d, const struct param *p, const struct arg *values, size_t n);

/*
 * An empty draft in a mapping of its own: neither stack nor heap, whose pages every later fork would have to copy. NULL
 * without memory.
 */
struct config_draft *config_draft_create(void);
void config_defaults(struct config_draft *d);

/* The complete draft becomes the configuration, and is its home until config_place. */
void config_adopt(struct config_draft *d);

#endif
