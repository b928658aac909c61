/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures about the server's processes, for INFO.
 *
 * Runs in workers. Asks the kernel, about the pids that the control region names; a pid that has just ended counts as
 * nothing. What needs /proc and does not get it is 0.
 */
#include "info.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "shm/channel.h"
#include "shm/figures.h"
#include "store/access.h"

#define LOOKED_AT 64u /* workers whose memory is looked at */

/* The slots that may be held: 0 to one below this. */
static uint32_t slots_end(void)
{
	return atomic_load_explicit(&control->slots_used, memory_order_relaxed);
}

/* The pid of a slot, 0: nobody's. */
static int32_t slot_pid(uint32_t slot)
{
	return atomic_load_explicit(&control_page(slot)->pid, memory_order_relaxed);
}

static enum process_kind slot_kind(uint32_t slot)
{
	return (enum process_kind)atomic_load_explicit(&control_page(slot)->kind, memory_order_relaxed);
}

void info_refresh(void)
{
	char answer[64];

	/* Without an answer the figures are as old as the supervisor's last look. */
	channel_call(REQUEST_REAP, NULL, 0, answer, sizeof answer, NULL);
}

void info_processes(struct process_counts *out)
{
	memset(out, 0, sizeof *out);
	out->now[PROC_SUPERVISOR] = 1;
	for (uint32_t slot = 1; slot < slots_end(); slot++) {
		unsigned kind = slot_kind(slot);
		if (slot_pid(slot) == 0 || kind >= PROC_KINDS)
			continue;
		out->now[kind]++;
		if (kind == PROC_WORKER && atomic_load_explicit(&control_page(slot)->busy, memory_order_relaxed))
			out->busy++;
	}
}

/* ---- processor time ---- */

/* The kernel's clocks of another process, one call each and no /proc. As counted in ticks: all, and that outside the
 * kernel. */
enum process_clock { CLOCK_TICKS_ALL, CLOCK_TICKS_USER, CLOCK_EXACT };

static int64_t process_us(int32_t pid, enum process_clock which)
{
	clockid_t clock = (clockid_t)(~(uint32_t)pid << 3 | (uint32_t)which);
	struct timespec t;

	return clock_gettime(clock, &t) == 0 ? (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 : 0;
}

/* The exact sum, parted as the ticks are. */
static void add_process(struct cpu_times *out, int32_t pid)
{
	int64_t exact = process_us(pid, CLOCK_EXACT);
	int64_t all = process_us(pid, CLOCK_TICKS_ALL), user = process_us(pid, CLOCK_TICKS_USER);
	int64_t outside = all > 0 && user <= all ? (int64_t)((double)exact * ((double)user / (double)all)) : exact;

	out->user += outside;
	out->sys += exact - outside;
}

/* Reads a small file of /proc into `text`; false: not there. */
static bool read_proc(int32_t pid, const char *name, char *text, size_t cap)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = io_read_full(fd, text, cap - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return true;
}

/* What the supervisor's children had used when they ended. */
static void add_ended(struct cpu_times *out)
{
	char text[1024];
	long long user, sys;

	if (!read_proc(control->supervisor_pid, "stat", text, sizeof text))
		return;
	const char *after_name = strrchr(text, ')');
	/* The fields after the name: state is the third of all, cutime and cstime are 16 and 17. */
	if (after_name == NULL ||
	    sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lld %lld", &user, &sys) != 2)
		return;
	long tick = sysconf(_SC_CLK_TCK);
	out->ended_user = user * 1000000 / tick;
	out->ended_sys = sys * 1000000 / tick;
}

/*
 * Monitors take less than before for a restart. But the time of a process that is ending is told by neither clock for a moment, that of the ended
 * in ticks only, and the parts of one that runs by an estimate: so what was told once stays.
 */
static void never_less(_Atomic int64_t *told, int64_t *us)
{
	int64_t before = atomic_load(told);

	while (before < *us && !atomic_compare_exchange_weak(told, &before, *us))
		;
	*us = before > *us ? before : *us;
}

void info_cpu(struct cpu_times *out)
{
	memset(out, 0, sizeof *out);
	/* First, so that nobody is counted twice. */
	add_ended(out);
	add_process(out, control->supervisor_pid);
	out->supervisor_user = out->user;
	out->supervisor_sys = out->sys;
	for (uint32_t slot = 1; slot < slots_end(); slot++)
		if (slot_pid(slot) != 0)
			add_process(out, slot_pid(slot));
	out->user += out->ended_user;
	out->sys += out->ended_sys;
	int64_t *const times[4] = {&out->user, &out->sys, &out->supervisor_user, &out->supervisor_sys};
	for (int i = 0; i < 4; i++)
		never_less(&figures->cpu_told[i], times[i]);
}

/* ---- memory ---- */

static uint64_t private_memory(int32_t pid)
{
	char text[256];
	unsigned long long resident, shared;

	if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
		return 0;
	return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Of all processes; of many workers some are looked at. */
static uint64_t processes_memory(void)
{
	struct process_counts counts;
	uint64_t sum = private_memory(control->supervisor_pid), workers = 0;
	uint32_t seen = 0, looked = 0;

	info_processes(&counts);
	uint32_t step = counts.now[PROC_WORKER] / LOOKED_AT + 1;
	for (uint32_t slot = 1; slot < slots_end(); slot++) {
		int32_t pid = slot_pid(slot);
		if (pid == 0)
			continue;
		if (slot_kind(slot) != PROC_WORKER) {
			sum += private_memory(pid);
		} else if (seen++ % step == 0) {
			workers += private_memory(pid);
			looked++;
		}
	}
	return looked ? sum + workers * seen / looked : sum;
}

void info_memory(struct memory_figures *out)
{
	struct store_memory m;
	struct client_sums clients;
	struct sysinfo machine;

	store_memory(&m);
	info_clients(&clients);
	*out = (struct memory_figures){.used = m.used, .peak = m.peak, .startup = m.fixed, .overhead = m.overhead,
				       .dataset = m.dataset, .active = m.active, .committed = m.committed,
				       .processes = processes_memory(), .clients = clients.memory};
	out->not_counted = store_attached() ? store_not_counted() : 0;
	out->rss = out->committed + out->processes;
	if (sysinfo(&machine) == 0)
		out->machine = (uint64_t)machine.totalram * machine.mem_unit;
}

void info_clients(struct client_sums *out)
{
	memset(out, 0, sizeof *out);
	for (uint32_t slot = 1; slot < slots_end(); slot++) {
		const struct control_slot *page = control_page(slot);
		if (slot_pid(slot) == 0 || !atomic_load_explicit(&page->busy, memory_order_relaxed))
			continue;
		uint64_t in = page->client.qbuf, unsent = page->client.omem;
		out->max_input = in > out->max_input ? in : out->max_input;
		out->max_output = unsent > out->max_output ? unsent : out->max_output;
		out->memory += page->client.tot_mem;
	}
}

/* ---- rates ---- */

#define RATE_MS 500 /* the shortest time that a rate is told from */

static struct rate_sample sample_now(void)
{
	uint64_t counts[COUNTERS];

	counts_read(counts);
	return (struct rate_sample){clock_mono_ms(), {counts[COUNTER_COMMANDS], counts[COUNTER_NET_IN], counts[COUNTER_NET_OUT]}, 0};
}

/* A sample that another process was writing, or left half-written, has a wrong check. */
static uint64_t check_of(const struct rate_sample *s)
{
	static const uint64_t key[2];
	return hash_bytes(s, offsetof(struct rate_sample, check), key) | 1;
}

static double rate(uint64_t now, uint64_t then, int64_t ms)
{
	/* Smaller after CONFIG RESETSTAT: all of it is since then. */
	return (double)(now >= then ? now - then : now) * 1000 / (double)ms;
}

/*
 * Two samples are kept: who finds the newer one old enough makes it the older one and leaves his own. Told is the rate since the newer one
 * if that is long enough ago, else since the older one.
 */
void info_rates(struct rates *out)
{
	struct rate_sample now = sample_now(), newer = figures->samples[0], older = figures->samples[1];
	struct rate_sample start = {.ms = now.ms - (clock_wall_ms() - control->start_ms)};

	/* Just now, or in the future, if the wall clock was set back. */
	if (start.ms > now.ms - RATE_MS)
		start.ms = now.ms - RATE_MS;
	if (check_of(&newer) != newer.check || newer.ms > now.ms || newer.ms < 0)
		newer = start;
	if (check_of(&older) != older.check || older.ms > newer.ms || older.ms < 0)
		older = start;
	if (now.ms - newer.ms >= RATE_MS) {
		now.check = check_of(&now);
		newer.check = check_of(&newer);
		figures->samples[1] = newer;
		figures->samples[0] = now;
		older = newer;
	}
	int64_t ms = now.ms > older.ms ? now.ms - older.ms : 1;
	out->commands = rate(now.counts[0], older.counts[0], ms);
	out->input = rate(now.counts[1], older.counts[1], ms);
	out->output = rate(now.counts[2], older.counts[2], ms);
}
