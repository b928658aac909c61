/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control region (shm/control.h): its mappings, and what every process does with its own page.
 *
 * The supervisor makes it and keeps a writable mapping that no child inherits; children inherit a read-only one and open
 * one page each. No locks: counters are single words with one writer, client info is under `seq`. Death of the owner leaves a page with
 * an odd `seq` at worst; readers give up waiting for it.
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

#define PAGE 4096u
#define READ_TRIES 1000

struct control *control;
struct control_commons *control_commons;
uint32_t my_slot;
struct control_slot *my_page;

/*
 * In the file: the slots' pages, the head, the commons. In a child's addresses the read-only view of all of it comes just
 * before the two pages that it can write, so that what it uses, the head and those two, shares a page of page table.
 */
static int region_fd = -1;
static char *view;   /* what children see */
static char *window; /* where a child maps its slot's page; the commons follow */
static uint32_t count;

#define HEAD_SIZE ((sizeof(struct control) + PAGE - 1) / PAGE * PAGE)

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

void control_create(uint32_t slots)
{
	size_t all = slots_size(slots) + HEAD_SIZE;
	region_fd = memfd_create("bulkhead.control", MFD_CLOEXEC);
	if (region_fd < 0 || ftruncate(region_fd, (off_t)(all + PAGE)))
		fatal("Cannot create the control region: %s", strerror(errno));
	region_fd = descriptor_move(region_fd, FD_PRIVATE);
	char *own = map(all, PROT_READ | PROT_WRITE, region_fd, 0);
	madvise(own, all, MADV_DONTFORK);
	control = (struct control *)(own + slots_size(slots));

	int ro = reopen_read_only(region_fd);
	view = mmap(NULL, all + 2 * PAGE, PROT_READ, MAP_SHARED, ro, 0);
	window = view + all;
	/* The first page is kept free in the supervisor, and nothing at all in a child: cheaper to map there. */
	if (view == MAP_FAILED ||
	    mmap(window, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
	    madvise(window, PAGE, MADV_DONTFORK) ||
	    mmap(window + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, region_fd, (off_t)all) == MAP_FAILED)
		fatal("Cannot map the control region: %s", strerror(errno));
	count = slots;
	control_commons = (struct control_commons *)(window + PAGE);
	close(ro);

	control->slots = slots;
	control->slots_used = 1;
	control->supervisor_pid = getpid();
	control->start_ms = clock_wall_ms();
	unsigned char id[20];
	random_bytes(id, sizeof id);
	for (size_t i = 0; i < sizeof id; i++)
		sprintf(control->run_id + 2 * i, "%02x", id[i]);
	my_slot = 0;
	my_page = control_page(0);
	my_page->kind = PROC_SUPERVISOR;
	my_page->pid = getpid();
	config_place(&control->config);
}

struct control_slot *control_page(uint32_t slot)
{
	ASSERT(slot < count);
	return (struct control_slot *)((char *)control - slots_size(count - slot));
}

void control_enter(uint32_t slot)
{
	void *p = mmap(window, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, region_fd,
		       (off_t)slots_size(slot));
	if (p == MAP_FAILED)
		fatal("Cannot map a page of the control region: %s", strerror(errno));
	control = (struct control *)(view + slots_size(count));
	config_view(&control->config);
	my_slot = slot;
	my_page = p;
}

uint64_t count_total(enum counter c)
{
	uint64_t sum = atomic_load_explicit(&control->ended[c], memory_order_relaxed);
	uint32_t used = atomic_load_explicit(&control->slots_used, memory_order_relaxed);
	for (uint32_t i = 0; i < used && i < control->slots; i++)
		sum += atomic_load_explicit(&control_page(i)->counters[c], memory_order_relaxed);
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

/* The texts of a page are its owner's: whatever is there must end within the field. */
static void end_texts(struct client_info *c)
{
	c->user[sizeof c->user - 1] = 0;
	c->cmd[sizeof c->cmd - 1] = 0;
	c->name[sizeof c->name - 1] = 0;
	c->lib_name[sizeof c->lib_name - 1] = 0;
	c->lib_ver[sizeof c->lib_ver - 1] = 0;
}

bool client_info_read(uint32_t slot, struct client_info *out, int32_t *pid)
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
	if (out->id == 0 || *pid == 0)
		return false;
	client_addr_text(&out->peer, out->addr);
	client_addr_text(&out->local, out->laddr);
	return true;
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
