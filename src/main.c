/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-server: arguments, configuration, supervisor. */
#include "base/config.h"
#include "base/descriptors.h"
#include "cmd/command.h"
#include "proc/check_aof.h"
#include "proc/check_rdb.h"
#include "proc/fsck.h"
#include "proc/handover.h"
#include "proc/process.h"
#include "proc/title.h"
#include "proc/upgrade.h"

int main(int argc, char **argv)
{
	descriptors_begin();
	check_rdb_if_asked(argc, argv);
	check_aof_if_asked(argc, argv);
	fsck_if_asked(argc, argv);
	title_reserve();
	worker_prepare();
	upgrade_keep_arguments(argc, argv);
	handover_receive();
	if (!config_load(argc, argv, command_rename))
		upgrade_answer();
	title_init(argc, argv);
	supervisor_main(NULL);
	return 1;
}
