/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a command to the plan of its access: what is the same for clients' commands and for those of a file.
 */
#ifndef BULKHEAD_CMD_COMMAND_PLAN_H
#define BULKHEAD_CMD_COMMAND_PLAN_H

#include "cmd/cmd.h"
#include "store/access.h"

#define FEW_KEYS 16u /* as many need no memory */

struct command_plan {
	struct plan plan;
	const struct arg *few[FEW_KEYS];
};

/*
 * Fills in what row, words and session say: keys, database, time; kind for a write (PLAN_READ otherwise). The keys are good until the next call, or
 * command_plan_over. Without memory for them the process ends.
 */
void command_plan(struct command_plan *p, const struct cmd *c);

/* Gives back what an unusually long list of keys took. */
void command_plan_over(void);

/* Runs the plan with the command's handler as its body: access_run's result. */
int command_plan_run(const struct command_plan *p, struct cmd *c);

#endif
