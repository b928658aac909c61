/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OBJECT: what is known of a key besides its value.
 *
 * Runs in workers, reading without a lock. Looking at a key this way is no use of it: its access clock stays. Owns nothing.
 */
#include "args.h"
#include "help.h"

#include "base/config.h"
#include "base/num.h"

#define SHARED_INTEGERS 10000 /* Redis has the first ones once for all keys, and says so */

const char *encoding_name(uint8_t encoding)
{
	static const char *const names[] = {[ENC_INT] = "int", [ENC_EMBSTR] = "embstr", [ENC_RAW] = "raw"};

	return encoding < sizeof names / sizeof names[0] && names[encoding] != NULL ? names[encoding] : "raw";
}

/* False: there is no such key, replied. */
static bool look_at(struct cmd *c, struct view *v)
{
	bool found = peek_key(c, &c->argv[2], v);

	if (!found)
		reply_null(c->out);
	return found;
}

enum cmd_result cmd_object_encoding(struct cmd *c)
{
	struct view v;

	if (look_at(c, &v))
		reply_bulk_str(c->out, encoding_name(v.encoding));
	return CMD_DONE;
}

/* What the policy in force makes of access clocks. */
static bool policy_is(int32_t volatile_one, int32_t allkeys_one)
{
	return config->maxmemory_policy == volatile_one || config->maxmemory_policy == allkeys_one;
}

static bool policy_counts_uses(void)
{
	return policy_is(POLICY_VOLATILE_LFU, POLICY_ALLKEYS_LFU);
}

enum cmd_result cmd_object_idletime(struct cmd *c)
{
	struct view v;

	if (!look_at(c, &v))
		return CMD_DONE;
	if (policy_counts_uses())
		reply_error(c->out, "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
				    "switching between policies at runtime LRU and LFU data will take some time to adjust.");
	else
		reply_i64(c->out, key_idle_seconds(c->access, &v));
	return CMD_DONE;
}

enum cmd_result cmd_object_freq(struct cmd *c)
{
	struct view v;

	if (!look_at(c, &v))
		return CMD_DONE;
	if (policy_counts_uses())
		reply_i64(c->out, key_freq(c->access, &v));
	else
		reply_error(c->out, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
				    "switching between policies at runtime LRU and LFU data will take some time to adjust.");
	return CMD_DONE;
}

/* Where each value needs an access clock of its own, none is shared in Redis. */
static bool integers_are_shared(void)
{
	return config->maxmemory == 0 || !(policy_counts_uses() || policy_is(POLICY_VOLATILE_LRU, POLICY_ALLKEYS_LRU));
}

/* A value here belongs to its key alone. */
enum cmd_result cmd_object_refcount(struct cmd *c)
{
	struct view v;
	int64_t n;

	if (look_at(c, &v)) {
		bool shared = integers_are_shared() && v.encoding == ENC_INT && parse_i64(v.value, v.len, &n) && n >= 0 && n < SHARED_INTEGERS;
		reply_i64(c->out, shared ? INT32_MAX : 1);
	}
	return CMD_DONE;
}

enum cmd_result cmd_object_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
