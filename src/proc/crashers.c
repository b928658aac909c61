/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses whose clients crash workers (proc/crashers.h).
 *
 * The supervisor counts, in memory that no child inherits; who is refused stands in the head of the control region,
 * which it alone writes and every worker reads when it has accepted. Where a client comes from is told by its worker
 * through a pipe whose end the worker closes before it reads the client's first byte: so it is the truth, whatever
 * becomes of the worker, and however soon. A page of the worker's own would not be. No locks. Death: a worker that
 * dies before it tells has served nobody.
 *
 * An address is an IPv4 address, or the first 64 bits of an IPv6 one (all of it where it is link-local): a host has
 * that many to choose from. Clients of the unix socket are on this machine, with a user's name, and are not refused.
 */
#include "proc/crashers.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "proc/process.h"
#include "shm/channel.h"

#define MINUTE_MS 60000
#define LIMIT_MAX 64u /* bound of the parameter crash-limit */

/* IPv4 as ::ffff:a.b.c.d. */
struct origin {
	uint64_t net, host;
};

/* An address that crashed lately; control->refused has the same one at the same place while it is refused. */
static struct crashers {
	struct origin from;
	uint32_t n;              /* crashes noted; the last ones in at[], in turns. 0: not in use */
	int64_t at[LIMIT_MAX];
} *crashers;

static bool origin_of(const struct client_addr *a, struct origin *o)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t ip[16];
	if (a->family == AF_INET) {
		memcpy(ip, mapped, sizeof mapped);
		memcpy(ip + sizeof mapped, a->ip, 4);
	} else if (a->family == AF_INET6) {
		memcpy(ip, a->ip, sizeof ip);
	} else {
		return false;
	}
	memcpy(&o->net, ip, 8);
	memcpy(&o->host, ip + 8, 8);
	bool link_local = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
	if (memcmp(ip, mapped, sizeof mapped) != 0 && !link_local)
		o->host = 0;
	return true;
}

/* ---- hearing ---- */

void crashers_hear(void)
{
	struct channel_notice n;
	while (channel_take_notice(&n)) {
		struct process *p = table_at(n.slot < control->slots ? n.slot : 0);
		if (p->state == PROCESS_RUNNING && p->kind == PROC_WORKER && p->pid == n.pid)
			p->peer = n.peer;
	}
}

/* ---- counting ---- */

static struct crashers *table(void)
{
	if (!crashers) {
		size_t n = REFUSED_MAX * sizeof *crashers;
		crashers = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (crashers == MAP_FAILED)
			fatal("Out of memory");
		madvise(crashers, n, MADV_DONTFORK);
	}
	return crashers;
}

static int64_t last_crash(const struct crashers *c)
{
	return c->n ? c->at[(c->n - 1) % LIMIT_MAX] : INT64_MIN;
}

/* The place of an address: its own, else the one that has been quiet for longest. */
static uint32_t place_of(struct origin o)
{
	struct crashers *t = table();
	uint32_t quiet = 0;
	for (uint32_t i = 0; i < REFUSED_MAX; i++) {
		if (t[i].n && t[i].from.net == o.net && t[i].from.host == o.host)
			return i;
		if (last_crash(&t[i]) < last_crash(&t[quiet]))
			quiet = i;
	}
	t[quiet].from = o;
	t[quiet].n = 0;
	return quiet;
}

/* Who reads meanwhile sees no time, or the address that goes with it. 0: not refused any more. */
static void publish(uint32_t i, struct origin o, int64_t until)
{
	struct refused *r = &control->refused[i];
	bool before = atomic_load(&r->until_ms) != 0;
	atomic_store(&r->until_ms, 0);
	atomic_store(&r->net, o.net);
	atomic_store(&r->host, o.host);
	atomic_store(&r->until_ms, until);
	atomic_fetch_add(&control->nrefused, (uint32_t)(until != 0) - (uint32_t)before);
}

void crashers_note(const struct client_addr *peer)
{
	struct origin o;
	int64_t limit = config->crash_limit, now = clock_mono_ms();
	if (limit == 0 || !origin_of(peer, &o))
		return;
	uint32_t i = place_of(o);
	struct crashers *c = &table()[i];
	if (c->n == 0 && atomic_load(&control->refused[i].until_ms))
		publish(i, o, 0);
	c->at[c->n++ % LIMIT_MAX] = now;
	if (c->n < limit || now - c->at[(c->n - (uint32_t)limit) % LIMIT_MAX] > MINUTE_MS ||
	    atomic_load(&control->refused[i].until_ms))
		return;
	publish(i, o, now + MINUTE_MS);
	char text[CONTROL_ADDR_MAX];
	size_t n = client_addr_text(peer, text);
	while (n > 0 && text[n] != ':')
		n--;
	log_warning("%lld crashes within a minute by clients from %.*s: refusing that address%s for a minute",
		    (long long)limit, (int)n,
		    text, o.host ? "" : "'s network (/64)");
}

void crashers_tick(int64_t now)
{
	if (atomic_load(&control->nrefused) == 0)
		return;
	for (uint32_t i = 0; i < REFUSED_MAX; i++) {
		int64_t until = atomic_load(&control->refused[i].until_ms);
		if (until == 0 || (now < until && config->crash_limit))
			continue;
		publish(i, table()[i].from, 0);
		table()[i].n = 0;
	}
}

int64_t crashers_deadline(void)
{
	int64_t first = INT64_MAX;
	if (atomic_load(&control->nrefused) == 0)
		return first;
	for (uint32_t i = 0; i < REFUSED_MAX; i++) {
		int64_t until = atomic_load(&control->refused[i].until_ms);
		if (until && until < first)
			first = until;
	}
	return first;
}

/* ---- asking ---- */

bool crashers_refused(const struct client_addr *peer)
{
	struct origin o;
	if (atomic_load_explicit(&control->nrefused, memory_order_relaxed) == 0 || !origin_of(peer, &o))
		return false;
	int64_t now = clock_mono_ms();
	for (uint32_t i = 0; i < REFUSED_MAX; i++) {
		const struct refused *r = &control->refused[i];
		int64_t until = atomic_load(&r->until_ms);
		if (now < until && atomic_load(&r->net) == o.net && atomic_load(&r->host) == o.host &&
		    atomic_load(&r->until_ms) == until)
			return true;
	}
	return false;
}
