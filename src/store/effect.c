/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Effects: what a write did, as a command, for the log. Run by workers and the expirer inside their transactions.
 *
 * While nobody reads the log an effect costs one flag; the flag lets the debug build prove that no change went without one.
 */
#include "internal.h"

void effect(struct access *a, uint32_t db, int argc, const struct arg *argv)
{
	(void)db, (void)argc, (void)argv;
	a->effects = true;
}

void effect_key(struct access *a, uint32_t db, const char *verb, const struct arg *key)
{
	struct arg argv[2] = {{verb, strlen(verb)}, *key};
	effect(a, db, 2, argv);
}
