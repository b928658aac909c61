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

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proc/aof.h"
#include "proc/crashers.h"
#include "proc/helpers.h"
#include "proc/loads.h"
#include "proc/process.h"
#include "proc/saves.h"
#include "proc/snapshot.h"
#include "proc/spares.h"
#include "proc/text.h"

#define SYS_PIDFD_OPEN 434      /* Linux 5.3; the numbers are the same on all machines */
#define SYS_PROCESS_MRELEASE 448 /* Linux 5.15 */
#define TENTH 10

static void tell(uint32_t slot, const struct process *p, int code, int status)
{
	struct client_info c;
	char client[CONTROL_ADDR_MAX + 128] = "";
	if (client_info_last(slot, &c))
		snprintf(client, sizeof client, " (client id=%llu addr=%s cmd=%s)", (unsigned long long)c.id, c.addr, c.cmd);
	if (code == CLD_EXITED)
		log_warning("The %s %d ended with status %d%s", process_name(p->kind), p->pid, status, client);
	else
		log_warning("The %s %d was ended by signal %d (%s)%s", process_name(p->kind), p->pid, status,
			    strsignal(status), client);
}

/*
 * A crash is the process's own doing: status other than 0, or a fault that nobody sent. SIGKILL comes from outside
 * always, so who kills a hundred workers does not lock out their clients' address.
 */
static bool is_crash(const siginfo_t *info, uint32_t slot)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	if (info->si_code == CLD_EXITED)
		return info->si_status != 0;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if (info->si_status == faults[i])
			return !atomic_load_explicit(&control_page(slot)->was_sent, memory_order_relaxed);
	return false;
}

static void reap(const siginfo_t *info)
{
	uint32_t slot = table_find(info->si_pid);
	bool clean = info->si_code == CLD_EXITED && info->si_status == 0;
	/* It has let go of everything and said in the log what was wrong. */
	bool excused = info->si_code == CLD_EXITED && info->si_status == SNAPSHOT_FAILED;
	if (!slot && text_gathered(info->si_pid, clean))
		spares_renew();
	if (!slot)
		return;
	/* What it told of its client may not have been read yet. */
	if (!clean)
		crashers_hear();
	struct process p = *table_at(slot);
	clean |= p.kind == PROC_SNAPSHOT && excused;
	bool had_client = atomic_load_explicit(&control_page(slot)->busy, memory_order_relaxed);
	bool stopping = atomic_load_explicit(&control->shutting_down, memory_order_relaxed);
	if (!clean && !p.condemned) {
		atomic_fetch_add_explicit(&control->died[p.kind], 1, memory_order_relaxed);
		if (!stopping && is_crash(info, slot))
			crashers_note(&p.peer);
		if (!stopping)
			tell(slot, &p, info->si_code, info->si_status);
	}
	bool sick = !clean && p.may_attach;
	table_ended(slot, sick);
	if (sick)
		helpers_heal(slot);
	if (p.kind == PROC_SNAPSHOT)
		saves_ended(slot, info->si_code, info->si_status);
	if (p.kind == PROC_AOF_WRITER)
		aof_writer_ended(info->si_code, info->si_status);
	if (p.kind == PROC_WORKER) {
		spares_ended(slot, had_client);
		loads_client_ended(slot);
	} else if (p.kind == PROC_LOADER) {
		loads_ended(slot, info->si_code, info->si_status);
	} else {
		helpers_ended(slot, p.kind, clean);
	}
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

/* ---- those about to die ---- */

/*
 * The kernel gives the memory of a process back early (process_mrelease) only if the process is to die for certain:
 * refused, it lives. One call instead of reading /proc; where the kernel does not have it, everybody lives until
 * reaped.
 */
static bool is_dying(int32_t pid)
{
	int fd = (int)syscall(SYS_PIDFD_OPEN, pid, 0);
	if (fd < 0)
		return false;
	bool dying = syscall(SYS_PROCESS_MRELEASE, fd, 0) == 0 || errno == ESRCH || errno == EAGAIN;
	close(fd);
	return dying;
}

static void hide_if_dying(uint32_t slot, struct process *p)
{
	struct control_slot *page = control_page(slot);
	if (p->kind == PROC_WORKER && atomic_load_explicit(&page->busy, memory_order_relaxed) && is_dying(p->pid))
		atomic_store_explicit(&page->pid, 0, memory_order_relaxed);
}

void reap_hide_dying(void)
{
	static uint64_t not_before;
	uint64_t start = clock_mono_ns();
	reap_all();
	if (start < not_before)
		return;
	table_each(hide_if_dying);
	uint64_t end = clock_mono_ns();
	not_before = end + (end - start) * (TENTH - 1);
}
