/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helper processes (proc/helpers.h): restart with back-off, and medics.
 *
 * The supervisor alone, in memory that no child inherits. A helper that ends is started again at once; if it does not last a
 * second, after 10 ms, then 100 ms, then a second; never before a medic has been to the one that died. One medic works at a time, on all slots that
 * were SICK when it started; they become free when it has ended well, and only then. A medic that dies is itself a patient of the next one.
 */
#include "proc/helpers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "proc/aof.h"
#include "proc/process.h"

enum restart { RESTART_NEVER, RESTART_ALWAYS, RESTART_UNCLEAN };

#define DEATHS_NOTED 5     /* within ... */
#define DEATHS_WITHIN_MS 10000
#define LASTED_MS 1000
#define RETRY_MS 100       /* after a refused fork */
#define STUCK_DOUBLED 6u
#define MEDIC_STUCK_MS 100 /* a medic this old, beside new patients, may be waiting for a lock one of them held */

static const enum restart policy[] = {
#define PROCESS(id, name, title, main_fn, maps_store, restart) restart,
#include "shm/processes.def"
#undef PROCESS
};
static const int64_t back_off_ms[] = {0, 10, 100, 1000};
#define BACK_OFFS (sizeof back_off_ms / sizeof back_off_ms[0])

static struct helpers {
	bool stopped;
	bool check_wanted;       /* a checker is to be started, once */
	struct {
		uint32_t slot;       /* of the one that runs, or 0 */
		uint32_t before;     /* of the one before */
		int64_t started_at, start_at;
		uint32_t failures;   /* in a row */
		bool refused;        /* the last fork; said once in the log */
		int64_t deaths[DEATHS_NOTED];
		uint32_t ndeaths;
	} kind[PROC_KINDS];
	int64_t medic_until;       /* when the one that runs counts as stuck, if there are new patients */
	uint32_t waiting, treated; /* patients, and how many of them (the first ones) the medic that runs has */
	uint32_t patient[];
} *h;

static size_t state_size(void)
{
	return sizeof *h + control->slots * sizeof h->patient[0];
}

static struct helpers *state(void)
{
	if (!h) {
		size_t n = state_size();
		h = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (h == MAP_FAILED)
			fatal("Out of memory");
		madvise(h, n, MADV_DONTFORK);
	}
	return h;
}

static bool is_patient(uint32_t slot)
{
	for (uint32_t i = 0; i < h->waiting; i++)
		if (h->patient[i] == slot)
			return true;
	return false;
}

/*
 * Who follows a dead helper looks without locks at what that kind alone changes. What the dead one has left half done there the medic undoes, and not
 * after the next one has built on it.
 */
static bool due(enum process_kind k)
{
	if (h->kind[k].slot)
		return false;
	if (k == PROC_MEDIC)
		return h->waiting > 0;
	if (is_patient(h->kind[k].before))
		return false;
	if (k == PROC_CHECKER)
		return h->check_wanted && !h->stopped;
	if (k == PROC_AOF_WRITER)
		return aof_wants_writer(); /* also while the server ends */
	return policy[k] == RESTART_ALWAYS && !h->stopped;
}

/* A medic is told of all the dead, so that none of them holds a lock it waits for: it alone inherits the list. */
static uint32_t launch_medic(void)
{
	struct launch wish = {.kind = PROC_MEDIC, .store_open = true, .npatients = h->waiting, .patients = h->patient};
	madvise(h, state_size(), MADV_DOFORK);
	uint32_t slot = launch(&wish);
	int why = errno;
	madvise(h, state_size(), MADV_DONTFORK);
	errno = why;
	return slot;
}

static void start(enum process_kind k, int64_t now)
{
	struct launch wish = {.kind = k, .store_open = true};
	uint32_t slot = k == PROC_MEDIC ? launch_medic() : launch(&wish);
	if (!slot) {
		if (!h->kind[k].refused)
			log_warning("Cannot start the %s: %s. Trying again.", process_name(k), strerror(errno));
		h->kind[k].refused = true;
		h->kind[k].start_at = now + RETRY_MS;
		return;
	}
	h->kind[k].slot = slot;
	h->kind[k].started_at = now;
	h->kind[k].refused = false;
	if (k == PROC_CHECKER)
		h->check_wanted = false;
	if (k != PROC_MEDIC)
		return;
	h->treated = h->waiting;
	/* Longer each time, so that one that has much to do gets it done although clients go on dying. */
	uint32_t f = h->kind[k].failures < STUCK_DOUBLED ? h->kind[k].failures : STUCK_DOUBLED;
	h->medic_until = now + (MEDIC_STUCK_MS << f);
}

/*
 * A medic waits for allocator locks; the owner of one may have died after the medic began. Then this one would wait for ever: it is
 * ended, and the next one treats all of them, itself included.
 */
static int64_t medic_stuck_at(void)
{
	bool more = h->kind[PROC_MEDIC].slot && h->waiting > h->treated;
	return more ? h->medic_until : INT64_MAX;
}

static void end_stuck_medic(int64_t now)
{
	kill(table_at(h->kind[PROC_MEDIC].slot)->pid, SIGKILL);
	/* It ends when the kernel lets it; until then there is nothing to do. */
	h->medic_until = now + 1000;
}

void helpers_tick(int64_t now)
{
	state();
	if (now >= medic_stuck_at())
		end_stuck_medic(now);
	for (int k = 0; k < PROC_KINDS; k++)
		if (due(k) && now >= h->kind[k].start_at)
			start(k, now);
}

static void note_death(enum process_kind k, int64_t now)
{
	uint32_t n = h->kind[k].ndeaths++;
	h->kind[k].deaths[n % DEATHS_NOTED] = now;
	int64_t oldest = h->kind[k].deaths[(n + 1) % DEATHS_NOTED];
	if (n + 1 < DEATHS_NOTED || now - oldest >= DEATHS_WITHIN_MS)
		return;
	log_warning("The %s died %d times within %lld ms; the rest keeps serving",
		    process_name(k), DEATHS_NOTED, (long long)(now - oldest));
	/* The next line after as many again. */
	h->kind[k].ndeaths = 0;
}

void helpers_ended(uint32_t slot, enum process_kind k, bool clean)
{
	state();
	if (h->kind[k].slot != slot)
		return;
	int64_t now = clock_mono_ms();
	h->kind[k].slot = 0;
	h->kind[k].before = slot;
	if (k == PROC_MEDIC && clean) {
		for (uint32_t i = 0; i < h->treated; i++)
			table_release(h->patient[i]);
		h->waiting -= h->treated;
		memmove(h->patient, h->patient + h->treated, h->waiting * sizeof h->patient[0]);
	}
	if (k == PROC_MEDIC)
		h->treated = 0;
	bool as_meant = clean && policy[k] != RESTART_ALWAYS;
	if (as_meant || now - h->kind[k].started_at >= LASTED_MS)
		h->kind[k].failures = 0;
	if (!clean)
		note_death(k, now);
	uint32_t f = h->kind[k].failures < BACK_OFFS ? h->kind[k].failures : BACK_OFFS - 1;
	h->kind[k].start_at = now + back_off_ms[f];
	h->kind[k].failures += !as_meant;
}

void helpers_check(void)
{
	state();
	h->check_wanted = !h->kind[PROC_CHECKER].slot;
}

void helpers_heal(uint32_t slot)
{
	state();
	h->patient[h->waiting++] = slot;
}

uint32_t helpers_medic(void)
{
	return state()->kind[PROC_MEDIC].slot;
}

void helpers_stop(void)
{
	state()->stopped = true;
}

void helpers_resume(void)
{
	state()->stopped = false;
}

int64_t helpers_deadline(void)
{
	state();
	int64_t at = medic_stuck_at();
	for (int k = 0; k < PROC_KINDS; k++)
		if (due(k) && h->kind[k].start_at < at)
			at = h->kind[k].start_at;
	return at;
}
