/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about saving: SAVE BGSAVE LASTSAVE. Run in workers; each but the last is a request to the supervisor, which starts a snapshot. Nobody but
 * the client that asked waits for it, also with SAVE.
 */
#include "args.h"

#include "shm/channel.h"
#include "shm/control.h"

static enum cmd_result ask(struct cmd *c, const char *what)
{
	char answer[256];
	long n = channel_call(REQUEST_SAVE, what, strlen(what), answer, sizeof answer - 1, NULL);

	if (n > 0 && answer[0] == '+') {
		answer[n] = 0;
		reply_status(c->out, answer + 1);
	} else if (n > 0) {
		reply_error_n(c->out, answer, (size_t)n);
	} else {
		c->session->close_after_flush = true;
	}
	return CMD_DONE;
}

enum cmd_result cmd_save(struct cmd *c)
{
	return ask(c, "save");
}

enum cmd_result cmd_bgsave(struct cmd *c)
{
	if (c->argc > 2 || (c->argc == 2 && !arg_ieq(&c->argv[1], "schedule"))) {
		reply_syntax(c);
		return CMD_DONE;
	}
	return ask(c, c->argc == 2 ? "bgsave schedule" : "bgsave");
}

enum cmd_result cmd_lastsave(struct cmd *c)
{
	reply_i64(c->out, atomic_load(&control->persistence.last_save_s));
	return CMD_DONE;
}
