/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The expirer: deletes keys as they fall due, sweeps what nobody can see any more, keeps memory ready.
 *
 * One per store, always running. All it does is in store/expire.c; it holds locks only inside that. Death: another is
 * started; what it was doing is a transaction like any other.
 */
#include <unistd.h>

#include "proc/process.h"
#include "proc/signals.h"
#include "store/access.h"
#include "store/expirer.h"

void expirer_main(const struct launch *l)
{
	(void)l;
	signals_serve(-1);
	if (!store_attach(launch_store_fd()))
		_exit(2);
	expirer_run();
}
