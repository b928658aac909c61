/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control region (shm/control.h): its mappings, and what every process does with its own page.
 *
 * The supervisor makes it and keeps a writable mapping that no child inherits; children inherit a read-only one and open
 * one page each. No locks: counters are single words with one writer, client info is under `seq`. Death of the owner leaves a page with
 * an odd `seq` at worst; readers give up waiting for it. Counters stay when their process has ended: who holds the slot next goes on
 * with them, so that a sum never is without a count that an earlier one had.
 */
#include "shm/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/panic.h"
#include "shm/figures.h"

#define PAGE 4096u
#define READ_TRIES 1000

struct control *control;
struct control_commons *control_commons;
struct figures *figures;
uint32_t my_slot;
struct control_slot *my_page;

/*
 * In the file: the slots' pages, the head, the figures, the commons. Children see the slots and the head through two read-only mappings, the
 * head's being small enough to lie beside the program's data and what else they use: one page of page table for all of it.
 */
static int region_fd = -1;
static uint32_t count;                 /* of slots */
static char *pages;                    /* the slots, as this process sees them */
static char *pages_view;               /* as children see them */
static struct control *head_view;

#define HEAD_SIZE ((sizeof(struct control) + PAGE - 1) / PAGE * PAGE)
#define FIGURES_SIZE ((sizeof(struct figures) + PAGE - 1) / PAGE * PAGE)

static size_t slots_size(uint32_t slots)
{
	return (size_t)slots * CONTROL_SLOT_SIZE;
}

static void *map(size_t n, int prot, int fd, size_t offset)
{
	void *p = mmap(NULL, n, prot, MAP_SHARED, fd, (off_t)offset);
	if (p == MAP_FAILED)
		fatal("Cannot map the control region: %s", strerror(errno));
	return p;
}

/* A descriptor by which nobody can get a writable mapping. Without /proc the ordinary one must do. */
static int reopen_read_only(int fd)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? dup(fd) : ro;
}

static void random_id(char out[41])
{
	unsigned char id[20];
	random_bytes(id, sizeof id);
	for (size_t i = 0; i < sizeof id; i++)
		sprintf(out + 2 * i, "%02x", id[i]);
}

void control_create(uint32_t slots)
{
	size_t all = slots_size(slots) + HEAD_SIZE;
	count = slots;
	region_fd = memfd_create("bulkhead.control", MFD_CLOEXEC);
	if (region_fd < 0 || ftruncate(region_fd, (off_t)(all + FIGURES_SIZE + PAGE)))
		fatal("Cannot create the control region: %s", strerror(errno));
	region_fd = descriptor_move(region_fd, FD_PRIVATE);
	/* First, and so apart from the rest: no process needs it just to serve a client, and what is mapped later is to lie close together. */
	figures = map(FIGURES_SIZE, PROT_READ | PROT_WRITE, region_fd, all);
	pages = map(all, PROT_READ | PROT_WRITE, region_fd, 0);
	madvise(pages, all, MADV_DONTFORK);
	control = (struct control *)(pages + slots_size(slots));

	int ro = reopen_read_only(region_fd);
	pages_view = map(slots_size(slots), PROT_READ, ro, 0);
	head_view = map(HEAD_SIZE, PROT_READ, ro, slots_size(slots));
	close(ro);
	/* Not inherited either, so that a child finds nothing where it maps its own: cheaper than replacing something. */
	my_page = map(PAGE, PROT_READ | PROT_WRITE, region_fd, 0);
	madvise(my_page, PAGE, MADV_DONTFORK);
	control_commons = map(PAGE, PROT_READ | PROT_WRITE, region_fd, all + FIGURES_SIZE);

	control->slots = slots;
	control->slots_used = 1;
	control->supervisor_pid = getpid();
	control->start_ms = clock_wall_ms();
	random_id(control->run_id);
	random_id(control->replication_id);
	my_slot = 0;
	my_page->kind = PROC_SUPERVISOR;
	my_page->pid = getpid();
	config_place(&control->config, &head_view->config);
}

struct control_slot *control_page(uint32_t slot)
{
	ASSERT(slot < count);
	return (struct control_slot *)(pages + slots_size(slot));
}

void control_enter(uint32_t slot)
{
	void *p = mmap(my_page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, region_fd,
		       (off_t)slots_size(slot));
	if (p == MAP_FAILED)
		fatal("Cannot map a page of the control region: %s", strerror(errno));
	pages = pages_view;
	control = head_view;
	my_slot = slot;
	/* The supervisor does so too, but a client may be served, and listed, before it gets to it. */
	atomic_store_explicit(&my_page->pid, getpid(), memory_order_relaxed);
}

void counts_read(uint64_t out[COUNTERS])
{
	uint64_t off[COUNTERS];
	uint32_t used = atomic_load_explicit(&control->slots_used, memory_order_relaxed);

	/* First what is taken off: what it was made of is in the pages by then. */
	for (int c = 0; c < COUNTERS; c++) {
		off[c] = atomic_load_explicit(&control->taken_off[c], memory_order_acquire);
		out[c] = 0;
	}
	for (uint32_t i = 0; i < used && i < control->slots; i++)
		for (int c = 0; c < COUNTERS; c++)
			out[c] += atomic_load_explicit(&control_page(i)->counters[c], memory_order_relaxed);
	/* Less there than was taken off: one wrote nonsense on its page. */
	for (int c = 0; c < COUNTERS; c++)
		out[c] = out[c] > off[c] ? out[c] - off[c] : 0;
}

uint64_t clients_waiting(void)
{
	uint64_t sum = 0;
	uint32_t used = atomic_load_explicit(&control->slots_used, memory_order_relaxed);
	for (uint32_t i = 0; i < used && i < control->slots; i++)
		sum += atomic_load_explicit(&control_page(i)->waiting, memory_order_relaxed) != 0;
	return sum;
}

void client_info_begin(void)
{
	uint32_t seq = atomic_load_explicit(&my_page->seq, memory_order_relaxed);
	atomic_store_explicit(&my_page->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void client_info_end(void)
{
	uint32_t seq = atomic_load_explicit(&my_page->seq, memory_order_relaxed);
	atomic_store_explicit(&my_page->seq, seq + 1, memory_order_release);
}

/* A text of a page is its owner's: whatever is there ends within the field, and where a word would end in CLIENT LIST. */
static void end_text(char *text, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && (unsigned char)text[n] > ' ' && text[n] != 0x7f)
		n++;
	text[n] = 0;
}

static void end_texts(struct client_info *c)
{
	end_text(c->user, sizeof c->user);
	end_text(c->cmd, sizeof c->cmd);
	end_text(c->name, sizeof c->name);
	end_text(c->lib_name, sizeof c->lib_name);
	end_text(c->lib_ver, sizeof c->lib_ver);
}

static bool read_page(uint32_t slot, struct client_info *out, int32_t *pid)
{
	const struct control_slot *page = control_page(slot);
	for (int tries = 0; tries < READ_TRIES; tries++) {
		uint32_t seq = atomic_load_explicit(&page->seq, memory_order_acquire);
		*out = page->client;
		*pid = atomic_load_explicit(&page->pid, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && seq == atomic_load_explicit(&page->seq, memory_order_relaxed))
			break;
	}
	end_texts(out);
	if (atomic_load_explicit(&page->waiting, memory_order_relaxed))
		out->flags |= CLIENT_FLAG_BLOCKED;
	if (out->id == 0)
		return false;
	client_addr_text(&out->peer, out->addr);
	client_addr_text(&out->local, out->laddr);
	return true;
}

bool client_info_read(uint32_t slot, struct client_info *out, int32_t *pid)
{
	return read_page(slot, out, pid) && *pid != 0;
}

bool client_info_last(uint32_t slot, struct client_info *out)
{
	int32_t pid;
	return read_page(slot, out, &pid);
}

static size_t ip4_text(const uint8_t ip[4], char *out)
{
	char *w = out;
	for (int i = 0; i < 4; i++) {
		if (i)
			*w++ = '.';
		if (ip[i] >= 100)
			*w++ = (char)('0' + ip[i] / 100);
		if (ip[i] >= 10)
			*w++ = (char)('0' + ip[i] / 10 % 10);
		*w++ = (char)('0' + ip[i] % 10);
	}
	return (size_t)(w - out);
}

size_t client_addr_text(const struct client_addr *a, char out[CONTROL_ADDR_MAX])
{
	size_t n = 0;
	if (a->family == AF_INET) {
		n = ip4_text(a->ip, out);
	} else if (a->family == AF_INET6) {
		out[n++] = '[';
		inet_ntop(AF_INET6, a->ip, out + n, CONTROL_ADDR_MAX - 10);
		n += strlen(out + n);
		out[n++] = ']';
	} else if (a->family == AF_UNIX) {
		n = strnlen(config->unixsocket, CONTROL_ADDR_MAX - 10);
		memcpy(out, config->unixsocket, n);
	} else {
		out[0] = 0;
		return 0;
	}
	char port[21];
	size_t digits = format_u64(port, a->port);
	out[n++] = ':';
	memcpy(out + n, port, digits + 1);
	return n + digits;
}
