/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kills and stops processes of the server, notes what was done to whom, and watches how late the machine itself is.
 *
 * A process is held by a pidfd and its parent looked up through it before anything is sent, so that only a child of our supervisor is hit.
 */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

#define CHILDREN_MAX 512
#define STALL_NS 5000000

pid_t supervisor;
uint64_t harm_kills, harm_stops;
struct durations healed;

enum kind { WORKER, SPARE, EXPIRER, MEDIC, OTHER, KINDS };
static const char *const kind_name[KINDS] = {"workers", "spare workers", "expirers", "medics", "others"};
static uint64_t killed[KINDS];

/* ---- durations ---- */

void durations_add(struct durations *d, int64_t ns)
{
	uint64_t u = ns > 0 ? (uint64_t)ns : 0, i = u < 100000000 ? u / 10000 : FINE + u / 10000000;
	d->bucket[i < FINE + COARSE ? i : FINE + COARSE - 1]++;
	d->n++;
	if (u > d->max_ns)
		d->max_ns = u;
}

void durations_sum(struct durations *to, const struct durations *from)
{
	for (unsigned i = 0; i < FINE + COARSE; i++)
		to->bucket[i] += from->bucket[i];
	to->n += from->n;
	if (from->max_ns > to->max_ns)
		to->max_ns = from->max_ns;
}

/* The upper end of the bucket below which that share lies. */
double durations_ms(const struct durations *d, double share)
{
	uint64_t left = (uint64_t)((double)d->n * share);
	for (unsigned i = 0; i < FINE + COARSE; i++) {
		if (d->bucket[i] > left)
			return i < FINE ? (i + 1) / 100.0 : (i - FINE + 1) * 10.0;
		left -= d->bucket[i];
	}
	return (double)d->max_ns / 1e6;
}

/* ---- who is there ---- */

static bool read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

static unsigned children(pid_t *pids)
{
	char path[64], text[8192], *rest = text;
	unsigned n = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", supervisor, supervisor);
	if (!read_file(path, text, sizeof text))
		return 0;
	for (char *w; n < CHILDREN_MAX && (w = strsep(&rest, " "));)
		if (isdigit((unsigned char)*w))
			pids[n++] = atoi(w);
	return n;
}

static enum kind kind_of(pid_t pid)
{
	char path[64], text[256];
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	if (!read_file(path, text, sizeof text))
		return OTHER; /* a zombie */
	return strstr(text, "spare worker") ? SPARE
	       : strstr(text, "worker")     ? WORKER
	       : strstr(text, "expirer")    ? EXPIRER
	       : strstr(text, "medic")      ? MEDIC
					    : OTHER;
}

/* Whether that pid is a living child of the supervisor. */
static bool is_ours(pid_t pid)
{
	char path[64], text[512], state = 0;
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	if (!read_file(path, text, sizeof text))
		return false;
	char *end = strrchr(text, ')');
	return end && sscanf(end + 1, " %c %d", &state, &parent) == 2 && parent == supervisor && state != 'Z';
}

/* ---- doing it ---- */

static struct harm *note(pid_t pid, bool stop)
{
	uint64_t i = atomic_load(&torture->nharms);
	struct harm *h = &torture->harms[i % HARMS];
	atomic_store(&h->pid, pid);
	h->stop = stop;
	h->at = now_ns();
	atomic_store(&h->until, 0);
	atomic_store(&torture->nharms, i + 1);
	return h;
}

const struct harm *harm_of(pid_t pid, int64_t since)
{
	uint64_t n = atomic_load(&torture->nharms), oldest = n > HARMS / 2 ? n - HARMS / 2 : 0;
	while (n-- > oldest) {
		const struct harm *h = &torture->harms[n % HARMS];
		if (atomic_load(&h->pid) == pid && (!h->stop || atomic_load(&h->until) == 0 || atomic_load(&h->until) >= since))
			return h;
	}
	return NULL;
}

/* Sends it to a child of the supervisor; notes it first, as the connection may break before the call returns. */
static bool send_to(pid_t pid, int signal, bool stop, struct harm **noted)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return false;
	bool ours = is_ours(pid);
	if (ours && noted)
		*noted = note(pid, stop);
	ours = ours && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
	close(fd);
	return ours;
}

static pid_t find(enum kind kind)
{
	pid_t pids[CHILDREN_MAX];
	for (unsigned n = children(pids); n-- > 0;)
		if (kind_of(pids[n]) == kind)
			return pids[n];
	return 0;
}

static bool kill_one(pid_t pid, enum kind kind)
{
	static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT};
	struct harm *h;
	if (!send_to(pid, signals[draw(3)], false, &h))
		return false;
	killed[kind]++;
	harm_kills++;
	return true;
}

/* A medic lives for a fraction of a millisecond: it must be waited for. */
static void kill_the_medic_after(int64_t until)
{
	pid_t medic = 0;
	while (!medic && now_ns() < until)
		medic = find(MEDIC);
	if (medic)
		kill_one(medic, MEDIC);
}

/* One look too early sees neither the dead, who was reaped, nor the medic that is about to be forked: so two in a row. */
static void time_healing(pid_t pid, int64_t killed_at)
{
	int64_t seen = 0, began = now_ns();
	for (int quiet = 0; quiet < 2 && now_ns() - began < 1000000000;) {
		char path[32];
		snprintf(path, sizeof path, "/proc/%d", pid);
		bool busy = access(path, F_OK) == 0 || find(MEDIC);
		quiet = busy ? 0 : quiet + 1;
		if (quiet == 1)
			seen = now_ns();
		usleep(150);
	}
	durations_add(&healed, (seen ? seen : now_ns()) - killed_at);
}

void harm_kill(void)
{
	pid_t pids[CHILDREN_MAX];
	unsigned n = children(pids), what = draw(16);
	if (n == 0)
		return;
	/* Those with a client, half of the time: only they hold locks. */
	pid_t pid = pids[draw(n)];
	enum kind kind = kind_of(pid);
	for (unsigned i = 0; i < n && draw(2) && kind != WORKER; i++)
		kind = kind_of(pid = pids[draw(n)]);
	if (kind == OTHER)
		return;
	int64_t at = now_ns();
	if (!kill_one(pid, kind))
		return;
	if (what < 3)
		kill_the_medic_after(at + 3000000);
	else if (what < 5)
		time_healing(pid, at);
}

/* ---- stopping ---- */

static struct stopped {
	pid_t pid;
	struct harm *harm;
	int64_t due;
	bool kill;
} stopped[CLIENTS_MAX];
static unsigned nstopped;

static bool is_stopped(pid_t pid)
{
	for (unsigned i = 0; i < nstopped; i++)
		if (stopped[i].pid == pid)
			return true;
	return false;
}

/* For ever means: until the server kills it, or until it is clear that it need not. */
void harm_stop(void)
{
	pid_t pids[CHILDREN_MAX];
	unsigned n = children(pids);
	struct stopped s = {.pid = n ? pids[draw(n)] : 0};
	if (!s.pid || nstopped == CLIENTS_MAX || is_stopped(s.pid) || kind_of(s.pid) != WORKER ||
	    !send_to(s.pid, SIGSTOP, true, &s.harm))
		return;
	s.kill = options.for_ever && draw(6) == 0;
	s.due = now_ns() + (s.kill ? 2000000000 : 1000000 * (int64_t)(1 + draw(60)));
	stopped[nstopped++] = s;
	harm_stops++;
}

void harm_continue(bool all)
{
	for (unsigned i = 0; i < nstopped; i++) {
		struct stopped *s = &stopped[i];
		if (!all && now_ns() < s->due && is_ours(s->pid))
			continue;
		struct harm *h;
		if (s->kill)
			send_to(s->pid, SIGKILL, false, &h);
		else
			send_to(s->pid, SIGCONT, false, NULL);
		atomic_store(&s->harm->until, now_ns());
		stopped[i--] = stopped[--nstopped];
	}
}

void harm_print(void)
{
	for (int k = 0; k < KINDS; k++)
		if (killed[k])
			printf("  %-28s %8llu\n", kind_name[k], (unsigned long long)killed[k]);
}

/* ---- the machine ---- */

/*
 * In the scheduling class of the server's processes: when this one wakes up late, so do they. Others work on the machine as well, and a
 * virtual one may stand still as a whole.
 */
void watch_machine(void)
{
	struct sched_param p = {0};
	sched_setscheduler(0, SCHED_BATCH, &p);
	for (;;) {
		int64_t from = now_ns();
		usleep(1000);
		int64_t to = now_ns();
		if (to - from < STALL_NS)
			continue;
		uint64_t i = atomic_load(&torture->nstalls);
		torture->stalls[i % STALLS].from = from + 1000000;
		torture->stalls[i % STALLS].to = to;
		atomic_store(&torture->nstalls, i + 1);
	}
}

int64_t machine_stood_still(int64_t from, int64_t to)
{
	int64_t sum = 0;
	uint64_t n = atomic_load(&torture->nstalls), oldest = n > STALLS ? n - STALLS : 0;
	while (n-- > oldest) {
		int64_t a = torture->stalls[n % STALLS].from, b = torture->stalls[n % STALLS].to;
		if (b < from)
			break;
		a = a > from ? a : from;
		b = b < to ? b : to;
		sum += b > a ? b - a : 0;
	}
	return sum;
}
