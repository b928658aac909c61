/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a process: the only fork() of the program.
 *
 * The supervisor forks, the child becomes what its row says. Every client costs one fork, so little happens here: the child
 * has the kernel end it with its parent, opens its page of the control region, drops the supervisor's descriptors. All the
 * rest it inherits: signal handlers, the signal mask, the scheduling class. No locks. A child that dies in between is reaped like any.
 */
#include <errno.h>
#include <features.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/descriptors.h"
#include "proc/oom.h"
#include "proc/process.h"
#include "proc/title.h"

static const struct {
	const char *name, *title;
	process_main *main;
} kinds[] = {
#define PROCESS(id, name, title, main_fn, maps_store, restart) {name, title, main_fn},
#include "shm/processes.def"
#undef PROCESS
};

static int store_fd = -1;

const char *process_name(enum process_kind kind)
{
	return kinds[kind].name;
}

const char *process_title(enum process_kind kind)
{
	return kinds[kind].title;
}

void launch_store(int fd)
{
	store_fd = fd;
}

int launch_store_fd(void)
{
	return store_fd;
}

/* Without the handlers of fork(), which would lock and unlock what this single-threaded program does not share. */
static pid_t fork_plainly(void)
{
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
	return _Fork();
#else
	return fork();
#endif
#else
	return fork();
#endif
}

static _Noreturn void begin(const struct launch *l, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	control_enter(l->slot);
	descriptors_drop(l->kind == PROC_WORKER);
	log_set_role('C');
	if (l->kind != PROC_WORKER)
		title_set(process_title(l->kind));
	kinds[l->kind].main(l);
	_exit(0);
}

uint32_t launch(const struct launch *wish)
{
	uint32_t slot = table_take(wish->kind);
	if (!slot) {
		errno = EAGAIN;
		return 0;
	}
	struct launch l = *wish;
	l.slot = slot;
	pid_t parent = control->supervisor_pid;
	pid_t pid = fork_plainly();
	if (pid == 0)
		begin(&l, parent);
	if (pid < 0) {
		int why = errno;
		table_release(slot);
		errno = why;
		return 0;
	}
	table_started(slot, pid);
	oom_born();
	struct process *p = table_at(slot);
	p->may_attach = wish->kind != PROC_WORKER || wish->store_open;
	p->trusted = p->may_attach;
	return slot;
}
