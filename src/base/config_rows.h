/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows of params.def as a table, for the files config*.c. */
#ifndef BULKHEAD_BASE_CONFIG_ROWS_H
#define BULKHEAD_BASE_CONFIG_ROWS_H

#include "base/config.h"

enum param_type {
	PARAM_BOOL,
	PARAM_INT,
	PARAM_OCTAL,
	PARAM_MEMORY,
	PARAM_PERCENT,
	PARAM_ENUM,
	PARAM_BITS,
	PARAM_EVENTS,
	PARAM_LIMITS,
	PARAM_SCORES,
	PARAM_QUANTILES,
	PARAM_POINTS,
	PARAM_TEXT,
	PARAM_WORDS,
	PARAM_SECRET,
	PARAM_ALIAS
};

/* A word of an ENUM or of BITS; several may have one value, which is then shown as the first of them. */
struct config_word {
	const char *name;
	int32_t value;
};

struct param {
	const char *name;
	enum param_type type;
	uint32_t flags;
	uint32_t offset;                 /* of the field in struct config */
	int64_t number;                  /* default, except for texts */
	const char *text;                /* default of what is no number; of an ALIAS, the name of what it means */
	int64_t min;
	uint64_t max;
	const struct config_word *words; /* ended by one without a name */
};

#define SECRETS 4u
#define SECRET_MAX 512u

struct secret {
	size_t len;
	char text[SECRET_MAX + 1];
};

/* What CONFIG SET would make of the configuration, before it does. */
struct config_draft {
	struct config values;
	uint32_t secrets_changed; /* bits */
	struct secret *secrets;   /* in secret memory */
	bool points_said;         /* a line of save has been read */
};

/* All rows, in the order of params.def. */
extern const struct param config_params[];
extern const size_t config_nparams;

/* The row of that name, letters without case; NULL if there is none. An ALIAS is a row of its own. */
const struct param *config_row(const char *name, size_t n);

/* The row that an ALIAS means; any other is itself. */
const struct param *config_meant(const struct param *p);

/*
 * Sets one parameter (no ALIAS) in the draft from the n values of its line. NULL, or what is wrong with it as Redis says it
 * (static memory).
 */
const char *config_assign(struct config_draft *d, const struct param *p, const struct arg *values, size_t n);

/* The same for any type but SECRET, without a look at what else must be true of the value (config_types.c). */
const char *config_read_value(struct config *c, const struct param *p, const struct arg *values, size_t n);

/* The default of a type that is a number. */
void config_number(struct config *c, const struct param *p);

/* The default as it is shown; of a secret "". Supervisor only: static memory. */
const char *config_default(const struct param *p);

/* The value as Redis prints it, in `out` or in static memory; NULL for a secret that is set. */
const char *config_show(const struct param *p, const struct config *c, char out[CONFIG_TEXT]);

/*
 * An empty draft in a mapping of its own: neither stack nor heap, whose pages every later fork would have to copy. NULL
 * without memory.
 */
struct config_draft *config_draft_create(void);
void config_defaults(struct config_draft *d);

/* The complete draft becomes the configuration, and is its home until config_place. */
void config_adopt(struct config_draft *d);

#endif
