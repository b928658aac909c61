/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the notations of commands.def: arguments and key specifications. Done when somebody asks, straight from the
 * constant text: nothing is kept.
 */
#ifndef BULKHEAD_CMD_NOTATION_H
#define BULKHEAD_CMD_NOTATION_H

#include <stdbool.h>

#include "base/str.h"

/* One argument; slices of the row's text, n == 0 where there is none. */
struct notation_arg {
	struct arg name, token, since, deprecated;
	const char *type; /* "string", "key", "oneof" ... */
	int key_spec;     /* which key specification it belongs to, or -1 */
	bool empty_token; /* the token is the empty string, and written "" */
	bool optional, multiple, multiple_token;
	struct arg members; /* of a group, or the alternatives of oneof: to be read in turn */
};

/* Takes the next argument from the front of `text`, leaving the rest. False: no more. Panics on a mistake in a row. */
bool notation_arg(struct arg *text, struct notation_arg *out);

/* One key specification. */
struct notation_key {
	struct arg keyword, note;
	int index;    /* where the search begins: a position, or with a keyword the position it is looked for from */
	bool unknown; /* cannot be told from the words */
	bool counted; /* a number of keys says how many follow */
	int last, step, limit; /* not counted; last is relative to where the search ended */
	int count_at, first;   /* counted, relative too */
	struct arg flags;      /* words */
};
bool notation_key(struct arg *text, struct notation_key *out);

/* Takes the next word, separated by spaces. False: no more. */
bool notation_word(struct arg *text, struct arg *out);

/* Takes the next line "head rest". False: no more. */
bool notation_line(struct arg *text, struct arg *head, struct arg *rest);

/* "key value [NX|XX] [GET] [EX seconds|...]" */
void notation_usage(struct arg text, struct buf *out);

#endif
