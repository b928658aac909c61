/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CLUSTER: there is no cluster, and each subcommand says so, HELP included, as a redis-server does that is not in one.
 *
 * Runs in workers, without an access. Owns nothing.
 */
#include "args.h"

static enum cmd_result disabled(struct cmd *c)
{
	reply_error(c->out, "ERR This instance has cluster support disabled");
	return CMD_DONE;
}

#define DISABLED(id)                                                                                                   \
	enum cmd_result cmd_cluster_##id(struct cmd *c)                                                                \
	{                                                                                                              \
		return disabled(c);                                                                                    \
	}

DISABLED(addslots)
DISABLED(addslotsrange)
DISABLED(bumpepoch)
DISABLED(count_failure_reports)
DISABLED(countkeysinslot)
DISABLED(delslots)
DISABLED(delslotsrange)
DISABLED(failover)
DISABLED(flushslots)
DISABLED(forget)
DISABLED(getkeysinslot)
DISABLED(help)
DISABLED(info)
DISABLED(keyslot)
DISABLED(links)
DISABLED(meet)
DISABLED(myid)
DISABLED(nodes)
DISABLED(replicas)
DISABLED(replicate)
DISABLED(reset)
DISABLED(saveconfig)
DISABLED(set_config_epoch)
DISABLED(setslot)
DISABLED(shards)
DISABLED(slaves)
DISABLED(slots)
