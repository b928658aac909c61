/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a command to the plan of its access, and running its handler under it.
 *
 * Run by workers (dispatch.c) and the loader (apply.c). Owns the room for long lists of keys, private memory. Takes no lock itself: access_run does, and
 * holds nothing when it returns. A death in here leaves what access_run leaves.
 */
#include "command_plan.h"

#include <stdlib.h>

#include "args.h"
#include "base/panic.h"
#include "cmd/command.h"

#define KEYS_KEPT 4096u /* room kept between commands */

static struct {
	const struct arg **v;
	size_t cap;
} many;

static const struct arg **room_for(size_t n, const struct arg **few)
{
	if (n <= FEW_KEYS)
		return few;
	if (n > many.cap) {
		free(many.v);
		many.v = malloc(n * sizeof *many.v);
		if (many.v == NULL)
			fatal("out of memory for %zu keys", n);
		many.cap = n;
	}
	return many.v;
}

void command_plan_over(void)
{
	if (many.cap > KEYS_KEPT) {
		free(many.v);
		many.v = NULL;
		many.cap = 0;
	}
}

void command_plan(struct command_plan *p, const struct cmd *c)
{
	const struct command *row = c->row;
	int first, last, step;

	p->plan = (struct plan){.db = c->session->db, .now = c->session->now};
	if (row->flags & COMMAND_WRITE)
		p->plan.kind = row->flags & COMMAND_ALL_STRIPES ? PLAN_WRITE_ALL : PLAN_WRITE;
	if (!command_key_range(row, c->argc, &first, &last, &step))
		return;
	size_t n = (size_t)((last - first) / step + 1);
	const struct arg **keys = room_for(n, p->few);
	for (size_t i = 0; i < n; i++)
		keys[i] = &c->argv[first + (int)i * step];
	p->plan.nkeys = (uint32_t)n;
	p->plan.keys = keys;
}

static int run_handler(struct access *a, void *arg)
{
	struct cmd *c = arg;

	cmd_start_over(c);
	c->access = a;
	return c->row->handler(c);
}

int command_plan_run(const struct command_plan *p, struct cmd *c)
{
	return access_run(&p->plan, run_handler, c);
}
