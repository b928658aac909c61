/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The orderly end (proc/shutdown.h).
 *
 * The supervisor alone. First the workers: each finishes the command it is in, sends what it has to say and ends. Then the helpers. Medics
 * go on being sent until then, so that nobody waits for the lock of a dead process. What has not ended after
 * shutdown-timeout is killed. The store goes last, when nobody has it mapped; or it stays, for the next start or the next binary.
 */
#include "proc/shutdown.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "proc/aof.h"
#include "proc/helpers.h"
#include "proc/listen.h"
#include "proc/loads.h"
#include "proc/notify.h"
#include "proc/process.h"
#include "proc/reap.h"
#include "proc/saves.h"
#include "proc/spares.h"
#include "proc/start.h"
#include "proc/upgrade.h"
#include "shm/channel.h"

#define BEYOND_S 10 /* what the kernel may take to end processes, after shutdown-timeout */

static bool begun, helpers_told, killed;
static enum shutdown_how how;
static int64_t kill_at;

#define ASKERS 8
static struct {
	bool under_way, force;
	enum shutdown_how how;
	unsigned n;
	struct channel_request by[ASKERS];
} asked; /* what is to be saved is not saved yet */

static void end_worker(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->kind == PROC_WORKER)
		kill(p->pid, SIGTERM);
}

/*
 * The AOF writer ends when nobody is left who could write anything, and all is on disk. The gatherer may be in a call that takes seconds; it
 * holds nothing, so it is not waited for.
 */
static void end_helper(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->kind != PROC_WORKER && p->kind != PROC_AOF_WRITER)
		kill(p->pid, p->kind == PROC_GATHERER ? SIGKILL : SIGTERM);
}

static void end_at_once(uint32_t slot, struct process *p)
{
	(void)slot;
	kill(p->pid, SIGKILL);
}

static void begin(void)
{
	begun = true;
	helpers_told = killed = false;
	kill_at = clock_mono_ms() + config->shutdown_timeout * 1000;
	atomic_store(&control->shutting_down, 1);
	spares_stop();
	helpers_stop();
	loads_stop();
	table_each(end_worker);
}

void shutdown_begin(enum shutdown_how wanted)
{
	if (!begun)
		how = wanted;
	else if (wanted > how)
		how = wanted;
	else
		return;
	if (how == SHUTDOWN_UPGRADE) {
		notify_reloading();
	} else {
		listen_close();
		notify_send("STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=%lld",
			    (long long)(config->shutdown_timeout + BEYOND_S) * 1000000);
	}
	if (!begun)
		begin();
}

/* ---- what comes before it ---- */

bool shutdown_asked(void)
{
	return asked.under_way || (begun && how != SHUTDOWN_UPGRADE);
}

/* Who asked sees the other end go, or is told why not. */
static void answer_askers(const char *text)
{
	for (unsigned i = 0; i < asked.n; i++) {
		if (text)
			channel_answer(&asked.by[i], text, strlen(text), -1);
		else
			close(asked.by[i].reply_fd);
	}
	asked.n = 0;
	asked.under_way = false;
}

static void look_at_save(void)
{
	switch (saves_final_state()) {
	case FINAL_RUNS:
		return;
	case FINAL_FAILED:
		if (!asked.force) {
			log_warning("Saving has failed: the server goes on");
			notify_send("STATUS=Saving has failed, ready to accept connections");
			saves_final_over();
			answer_askers("ERR Errors trying to SHUTDOWN. Check logs.");
			return;
		}
		log_warning("Saving has failed, and the server is to end all the same");
		break;
	default:
		break;
	}
	answer_askers(NULL);
	shutdown_begin(asked.how);
}

void shutdown_ask(enum shutdown_how wanted, uint32_t words, struct channel_request *r)
{
	if (r && asked.n == ASKERS) {
		channel_answer(r, "ERR too many ask for it", strlen("ERR too many ask for it"), -1);
		return;
	}
	if (r)
		asked.by[asked.n++] = *r;
	if (wanted != SHUTDOWN_WARM && !(words & STOP_FORCE) && aof_is_first()) {
		log_warning("The first base of the append only file is being written: the server goes on");
		answer_askers("ERR Errors trying to SHUTDOWN. Check logs.");
		return;
	}
	if (begun && how != SHUTDOWN_UPGRADE) {
		answer_askers(NULL);
		shutdown_begin(wanted);
		return;
	}
	asked.how = asked.under_way && asked.how > wanted ? asked.how : wanted;
	asked.force = (asked.under_way && asked.force) || words & STOP_FORCE;
	asked.under_way = true;
	/* What stays in memory need not go to the disk. */
	bool never = words & STOP_NOSAVE || (wanted == SHUTDOWN_WARM && !(words & STOP_SAVE));
	if (never)
		saves_final_over();
	saves_final(words & STOP_SAVE, never);
	look_at_save();
}

bool shutdown_abort(void)
{
	if (!asked.under_way)
		return false;
	log_notice("Shutdown manually aborted");
	notify_send("STATUS=Ready to accept connections");
	saves_final_over();
	answer_askers("ERR Errors trying to SHUTDOWN. Check logs.");
	return true;
}

static bool any_helper(void)
{
	for (int k = 0; k < PROC_KINDS; k++)
		if (k != PROC_WORKER && k != PROC_GATHERER && k != PROC_AOF_WRITER && table_count((enum process_kind)k))
			return true;
	return false;
}

bool shutdown_tick(int64_t now)
{
	if (asked.under_way)
		look_at_save();
	if (!begun || asked.under_way)
		return false;
	if (now >= kill_at && !killed) {
		log_warning("%u processes did not end within shutdown-timeout and are killed",
			    table_count(PROC_WORKER) + (any_helper() ? 1 : 0));
		aof_abandon();
		table_each(end_at_once);
		killed = true;
	}
	if (table_count(PROC_WORKER))
		return false;
	if (!helpers_told) {
		table_each(end_helper);
		helpers_told = true;
	}
	return !any_helper() && aof_drain() && !any_helper() && !table_count(PROC_AOF_WRITER);
}

int64_t shutdown_deadline(void)
{
	return begun && !killed ? kill_at : INT64_MAX;
}

static void go_on(void)
{
	begun = false;
	atomic_store(&control->shutting_down, 0);
	aof_resume();
	helpers_resume();
	spares_resume();
	notify_ready();
}

static void leave_data(void)
{
	log_notice("The data stays in shared memory '%s'", control->store_name);
}

static void leave_store(void)
{
	if (aof_kept_back())
		log_warning("What the append only file lacks stays in shared memory '%s' for the next start", control->store_name);
	else if (how == SHUTDOWN_WARM && !loads_under_way())
		leave_data();
	else
		instance_remove_store();
}

void shutdown_finish(void)
{
	if (how == SHUTDOWN_UPGRADE) {
		upgrade_execute(launch_store_fd());
		go_on();
		return;
	}
	instance_remove_pid();
	leave_store();
	log_warning("Bulkhead is now ready to exit, bye bye...");
	exit(0);
}

static void end_all_at_once(void)
{
	table_each(end_at_once);
	aof_abandon();
	while (table_count(PROC_WORKER) || any_helper() || table_count(PROC_AOF_WRITER)) {
		reap_all();
		poll(NULL, 0, 1);
	}
}

void shutdown_failed(bool stays)
{
	atomic_store(&control->shutting_down, 1);
	end_all_at_once();
	listen_close();
	instance_remove_pid();
	if (stays)
		leave_data();
	else
		instance_remove_store();
	exit(1);
}

void shutdown_force(void)
{
	log_warning("You insist... exiting now.");
	end_all_at_once();
	listen_close();
	instance_remove_pid();
	leave_store();
	exit(1);
}
