/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reaping (proc/reap.h).
 *
 * The supervisor alone. A process that had the store and did not end by itself with status 0 may have left locks, half a
 * transaction, or memory: its slot is SICK until a medic has been there, so that nobody takes over the slot in whose name the
 * locks are held. An orderly end left nothing, and the slot is free at once. Whether the store was touched is the process's own matter: the
 * supervisor maps none, so it cannot look.
 *
 * The kernel has reported the death before anything is done about it; having sent SIGKILL is never taken for a death.
 */
#include "proc/reap.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "proc/helpers.h"
#include "proc/process.h"
#include "proc/spares.h"

static void tell(uint32_t slot, const struct process *p, int code, int status)
{
	struct client_info c;
	int32_t pid;
	char client[CONTROL_ADDR_MAX + 128] = "";
	if (client_info_read(slot, &c, &pid))
		snprintf(client, sizeof client, " (client id=%llu addr=%s cmd=%s)", (unsigned long long)c.id, c.addr, c.cmd);
	if (code == CLD_EXITED)
		log_warning("The %s %d ended with status %d%s", process_name(p->kind), p->pid, status, client);
	else
		log_warning("The %s %d was ended by signal %d (%s)%s", process_name(p->kind), p->pid, status,
			    strsignal(status), client);
}

static void reap(const siginfo_t *info)
{
	uint32_t slot = table_find(info->si_pid);
	if (!slot)
		return;
	struct process p = *table_at(slot);
	bool clean = info->si_code == CLD_EXITED && info->si_status == 0;
	bool had_client = atomic_load_explicit(&control_page(slot)->busy, memory_order_relaxed);
	bool stopping = atomic_load_explicit(&control->shutting_down, memory_order_relaxed);
	if (!clean && !p.condemned) {
		atomic_fetch_add_explicit(&control->died[p.kind], 1, memory_order_relaxed);
		if (!stopping)
			tell(slot, &p, info->si_code, info->si_status);
	}
	bool sick = !clean && p.may_attach;
	table_ended(slot, sick);
	if (sick)
		helpers_heal(slot);
	if (p.kind == PROC_WORKER)
		spares_ended(slot, had_client);
	else
		helpers_ended(slot, p.kind, clean);
}

void reap_all(void)
{
	for (;;) {
		siginfo_t info;
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) || info.si_pid == 0)
			return;
		reap(&info);
	}
}
