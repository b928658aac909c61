/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLIENT PAUSE, UNPAUSE and UNBLOCK: who waits.
 *
 * Runs in workers, without an access. The supervisor writes the word that everybody looks at; then the transactions that run are cancelled, each
 * of which its owner rolls back and runs again when the pause is over. So when PAUSE answers, no write of another client commits any more, and this
 * process has waited for none. Death before the answer: the pause stands, or not, and ends at its time.
 */
#include "args.h"
#include "base/clock.h"
#include "base/num.h"
#include "shm/channel.h"
#include "shm/pause.h"
#include "store/access.h"

/* Too many words of a subcommand that takes more or fewer, as Redis says it. */
static enum cmd_result reply_words(struct cmd *c)
{
	const struct arg *sub = &c->argv[1];

	reply_errorf(c->out, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT HELP.", (int)sub->n, sub->p);
	return CMD_DONE;
}

static bool want_pause(struct cmd *c, struct pause_wish *out)
{
	const struct arg *ms = &c->argv[2];

	*out = (struct pause_wish){.mode = PAUSE_ALL};
	if (c->argc == 4 && arg_ieq(&c->argv[3], "write")) {
		out->mode = PAUSE_WRITE;
	} else if (c->argc == 4 && !arg_ieq(&c->argv[3], "all")) {
		reply_error(c->out, "ERR CLIENT PAUSE mode must be WRITE or ALL");
		return false;
	}
	if (!parse_i64(ms->p, ms->n, &out->ms))
		reply_error(c->out, "ERR timeout is not an integer or out of range");
	else if (out->ms < 0)
		reply_error(c->out, "ERR timeout is negative");
	else {
		/* Redis adds this to its clock; where the sum is too large it wraps, and the pause is over before it begins. */
		if (out->ms > INT64_MAX - clock_wall_ms())
			out->ms = 0;
		return true;
	}
	return false;
}

/* The answer of the supervisor is the reply. */
static bool ask(struct cmd *c, enum request what, const void *text, size_t n)
{
	char answer[128];
	long got = channel_call(what, text, n, answer, sizeof answer - 1, NULL);

	if (got > 0 && answer[0] == '+')
		return true;
	answer[got > 0 ? got : 0] = 0;
	reply_error(c->out, got > 0 ? answer : "ERR the server is shutting down");
	return false;
}

enum cmd_result cmd_client_pause(struct cmd *c)
{
	struct pause_wish wish;

	if (c->argc > 4)
		return reply_words(c);
	if (!want_pause(c, &wish) || !ask(c, REQUEST_PAUSE, &wish, sizeof wish))
		return CMD_DONE;
	store_pause_takes_effect();
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_client_unpause(struct cmd *c)
{
	if (ask(c, REQUEST_UNPAUSE, NULL, 0))
		reply_ok(c->out);
	return CMD_DONE;
}

/* No command waits for anything but the end of a pause, and out of that Redis lets nobody either. */
enum cmd_result cmd_client_unblock(struct cmd *c)
{
	int64_t id;

	if (c->argc > 4)
		return reply_words(c);
	if (c->argc == 4 && !arg_ieq(&c->argv[3], "timeout") && !arg_ieq(&c->argv[3], "error"))
		reply_error(c->out, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
	else if (want_i64(c, &c->argv[2], &id))
		reply_i64(c->out, 0);
	return CMD_DONE;
}
