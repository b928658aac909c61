/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client chooses for its connection: CLIENT REPLY, NO-EVICT, NO-TOUCH, and the words about tracking.
 *
 * Runs in workers, without an access; changes this process's session and page alone. Nobody is told of changes to keys, so nobody may believe
 * that it is: what only asks about tracking, or turns it off, is answered as to a client without it; to turn it on is an error.
 */
#include "args.h"
#include "base/num.h"
#include "shm/control.h"
#include "store/access.h"

enum cmd_result cmd_client_reply(struct cmd *c)
{
	const struct arg *how = &c->argv[2];
	struct session *s = c->session;

	if (arg_ieq(how, "on")) {
		s->unheard &= (uint8_t)~(UNHEARD_ALL | UNHEARD_THIS);
		reply_ok(c->out);
	} else if (arg_ieq(how, "off")) {
		s->unheard |= UNHEARD_ALL;
	} else if (arg_ieq(how, "skip")) {
		s->unheard |= s->unheard & UNHEARD_ALL ? 0 : UNHEARD_NEXT;
	} else {
		reply_syntax(c);
	}
	return CMD_DONE;
}

/* ON or OFF as the last word. False after an error reply. */
static bool want_switch(struct cmd *c, bool *on)
{
	*on = arg_ieq(&c->argv[2], "on");
	if (*on || arg_ieq(&c->argv[2], "off"))
		return true;
	reply_syntax(c);
	return false;
}

enum cmd_result cmd_client_no_evict(struct cmd *c)
{
	bool on;

	if (want_switch(c, &on)) {
		session_flag(CLIENT_FLAG_NO_EVICT, on);
		reply_ok(c->out);
	}
	return CMD_DONE;
}

enum cmd_result cmd_client_no_touch(struct cmd *c)
{
	bool on;

	if (want_switch(c, &on)) {
		session_flag(CLIENT_FLAG_NO_TOUCH, on);
		access_touches(!on);
		reply_ok(c->out);
	}
	return CMD_DONE;
}

/* ---- tracking ---- */

enum { BCAST = 1, OPTIN = 2, OPTOUT = 4, PREFIX = 8 };

static bool client_exists(int64_t id)
{
	uint32_t end = atomic_load_explicit(&control->slots_used, memory_order_relaxed);
	struct client_info info;
	int32_t pid;

	for (uint32_t slot = 1; slot < end && id > 0; slot++)
		if (client_info_read(slot, &info, &pid) && info.id == (uint64_t)id)
			return true;
	return false;
}

static bool take_redirect(struct cmd *c, const struct arg *value, int64_t *to)
{
	if (*to != 0)
		reply_error(c->out, "ERR A client can only redirect to a single other client");
	else if (!want_i64(c, value, to))
		return false;
	else if (!client_exists(*to))
		reply_error(c->out, "ERR The client ID you want redirect to does not exist");
	else
		return true;
	return false;
}

static bool take_options(struct cmd *c, unsigned *options)
{
	int64_t to = 0;

	for (int i = 3; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		bool more = i + 1 < c->argc;
		if (arg_ieq(word, "redirect") && more) {
			if (!take_redirect(c, &c->argv[++i], &to))
				return false;
		} else if (arg_ieq(word, "prefix") && more) {
			*options |= PREFIX;
			i++;
		} else if (arg_ieq(word, "bcast")) {
			*options |= BCAST;
		} else if (arg_ieq(word, "optin")) {
			*options |= OPTIN;
		} else if (arg_ieq(word, "optout")) {
			*options |= OPTOUT;
		} else if (!arg_ieq(word, "noloop")) {
			reply_syntax(c);
			return false;
		}
	}
	return true;
}

static const char *why_not_on(unsigned options)
{
	if ((options & PREFIX) && !(options & BCAST))
		return "ERR PREFIX option requires BCAST mode to be enabled";
	if ((options & BCAST) && (options & (OPTIN | OPTOUT)))
		return "ERR OPTIN and OPTOUT are not compatible with BCAST";
	if ((options & OPTIN) && (options & OPTOUT))
		return "ERR You can't specify both OPTIN mode and OPTOUT mode";
	return "ERR CLIENT TRACKING is not supported: nobody would be told of changes";
}

enum cmd_result cmd_client_tracking(struct cmd *c)
{
	unsigned options = 0;

	if (!take_options(c, &options))
		return CMD_DONE;
	if (arg_ieq(&c->argv[2], "on"))
		reply_error(c->out, why_not_on(options));
	else if (arg_ieq(&c->argv[2], "off"))
		reply_ok(c->out);
	else
		reply_syntax(c);
	return CMD_DONE;
}

enum cmd_result cmd_client_trackinginfo(struct cmd *c)
{
	reply_map(c->out, 3);
	reply_bulk_str(c->out, "flags");
	reply_set(c->out, 1);
	reply_bulk_str(c->out, "off");
	reply_bulk_str(c->out, "redirect");
	reply_i64(c->out, -1);
	reply_bulk_str(c->out, "prefixes");
	reply_array(c->out, 0);
	return CMD_DONE;
}

enum cmd_result cmd_client_caching(struct cmd *c)
{
	reply_error(c->out, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled");
	return CMD_DONE;
}

enum cmd_result cmd_client_getredir(struct cmd *c)
{
	reply_i64(c->out, -1);
	return CMD_DONE;
}
