/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's object: creation, mapping, backing with memory.
 *
 * store_create runs in the supervisor before any other process exists; it keeps no mapping. region_attach runs once in every
 * process that works on the store. Owns the mapping and the descriptor of this process. Death while the object is being formatted:
 * it has no magic yet and the next start removes it.
 */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/slot.h"

#define RESERVE_MIN (64ull << 30)
#define SMALL_SHM (64ull << 20)
#define SLOTS_AHEAD 32u
#define SLOTS_KEPT 8u

static int store_fd = -1;
static uint64_t store_bytes; /* of address space; set where the store is made, before any fork */

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Twice the machine's memory, so that the object can be grown as long as there is any. */
static uint64_t reserve_size(void)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size = round_up(2 * memory, EXTENT_BYTES);
	return size < RESERVE_MIN ? RESERVE_MIN : size;
}

static void lay_out(struct super *s, uint32_t slots, uint32_t databases)
{
	long cores = sysconf(_SC_NPROCESSORS_CONF);
	s->heaps = cores < 1 ? 1 : cores > (long)HEAPS_MAX ? HEAPS_MAX : (uint32_t)cores;
	s->slots = slots;
	s->databases = databases;
	s->reserve = reserve_size();
	uint64_t off = PAGE_BYTES;
	s->off_heaps = off, off += s->heaps * sizeof(struct heap);
	s->off_pins = off = round_up(off, 64), off += 64 + PINS_MAX * 8;
	s->off_stripes = off = round_up(off, PAGE_BYTES), off += STRIPES * sizeof(struct stripe);
	s->off_hints = off, off += HINT_GROUPS * 8;
	s->off_dirty = off, off += STRIPES / 8;
	s->off_taken = off = round_up(off, PAGE_BYTES), off += s->reserve / SLAB_BYTES / 8;
	s->off_backed = off = round_up(off, PAGE_BYTES), off += s->reserve / EXTENT_BYTES / 8;
	s->off_slots = off = round_up(off, PAGE_BYTES), off += (uint64_t)slots * PAGE_BYTES;
	s->fixed = round_up(off, EXTENT_BYTES);
}

#ifdef BULKHEAD_DEBUG
long region_fail_after = -1;
#endif

static bool back(int fd, uint64_t off, uint64_t n)
{
	int e;
#ifdef BULKHEAD_DEBUG
	if (region_fail_after == 0) {
		errno = ENOSPC;
		return false;
	}
	region_fail_after -= region_fail_after > 0;
#endif
	do
		e = posix_fallocate(fd, (off_t)off, (off_t)n);
	while (e == EINTR);
	errno = e;
	return e == 0;
}

/* Backs and fills the fixed part, but for the slots, which each process backs when it attaches. */
static bool format(int fd, uint32_t slots, uint32_t databases)
{
	struct super plan = {0};
	lay_out(&plan, slots, databases);
	if (ftruncate(fd, (off_t)plan.fixed) || !back(fd, 0, plan.off_taken + PAGE_BYTES) ||
	    !back(fd, plan.off_backed, PAGE_BYTES))
		return false;
	struct super *s = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t *hints = mmap(NULL, plan.off_taken, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED || hints == MAP_FAILED)
		return false;
	*s = plan;
	s->format = STORE_FORMAT;
	s->created_ms = clock_wall_ms();
	hash_seed_random(s->hash_seed);
	atomic_store(&s->epoch, 1);
	for (uint32_t i = 0; i < HINT_GROUPS; i++)
		hints[plan.off_hints / 8 + i] = UINT64_MAX;
	store_bytes = plan.fixed + plan.reserve;
	__atomic_store_n(&s->magic, STORE_MAGIC, __ATOMIC_RELEASE);
	munmap(hints, plan.off_taken);
	munmap(s, PAGE_BYTES);
	return true;
}

/* The directory of the object: what shm-dir names, else where shm_open puts it. */
static const char *shm_dir(void)
{
	return *config->shm_dir ? config->shm_dir : "/dev/shm";
}

static int object_open(const char *name, int flags)
{
	char path[sizeof config->shm_dir + 64];
	flags |= O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	if (!*config->shm_dir)
		return shm_open(name, flags, 0600);
	snprintf(path, sizeof path, "%s%s", config->shm_dir, name);
	return open(path, flags, 0600);
}

void store_remove(const char *name)
{
	char path[sizeof config->shm_dir + 64];
	snprintf(path, sizeof path, "%s%s", config->shm_dir, name);
	if (*config->shm_dir)
		unlink(path);
	else
		shm_unlink(name);
}

/*
 * Whoever serves a store holds a flock on its object; children share it with the descriptor. An object without one is the leftover of a
 * server that died with all its processes.
 */
static bool remove_leftover(const char *name)
{
	int fd = object_open(name, 0);
	struct stat st;
	if (fd < 0)
		return errno == ENOENT;
	bool ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1;
	bool locked = false;
	/* Processes of a dead server end at once, but not before this can see them. */
	for (int i = 0; ours && i < 20 && (locked = flock(fd, LOCK_EX | LOCK_NB) != 0); i++)
		nanosleep(&(struct timespec){0, 50000000}, NULL);
	if (!ours)
		log_warning("Shared memory '%s' exists and is not a store of this user", name);
	else if (locked)
		log_warning("Shared memory '%s' is in use by another server", name);
	else
		log_notice("Removing shared memory '%s', the leftover of a server that died", name);
	if (ours && !locked)
		store_remove(name);
	close(fd);
	errno = EEXIST;
	return ours && !locked;
}

static int open_object(const char *name)
{
	struct statvfs vfs;
	if (!remove_leftover(name))
		return -1;
	if (statvfs(shm_dir(), &vfs) || (uint64_t)vfs.f_bavail * vfs.f_frsize < SMALL_SHM) {
		log_warning("%s is missing or has less than 64 MiB free: using memory without a name, "
			    "so the data cannot outlive the server process", shm_dir());
		return memfd_create(name + 1, MFD_CLOEXEC);
	}
	int fd = object_open(name, O_CREAT | O_EXCL);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd;
}

int store_create(const char *name, uint32_t slots, uint32_t databases)
{
	int fd = open_object(name);
	if (fd < 0) {
		log_warning("Cannot create shared memory '%s': %s", name, strerror(errno));
		return -1;
	}
	if (!format(fd, slots, databases)) {
		log_warning("Cannot set up shared memory '%s': %s", name, strerror(errno));
		close(fd);
		store_remove(name);
		return -1;
	}
	return fd;
}

/* Maps the whole reserve; pages beyond the object's end are never touched. */
static bool map_store(int fd)
{
	void *p = mmap(STORE_BASE, store_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
	if (p != STORE_BASE) {
		log_warning("Cannot map the store: %s", strerror(errno));
		return false;
	}
	madvise(p, store_bytes, MADV_DONTDUMP);
	if (SUPER->magic == STORE_MAGIC && SUPER->format == STORE_FORMAT)
		return true;
	log_warning("The shared memory is not a store of this build's format");
	return false;
}

/*
 * A slot's page needs memory, and when shared memory is full clients still come, and the dead must be recovered all the more. So pages are
 * backed ahead of need, and workers leave the last of them to helpers.
 */
static bool back_slot(uint32_t id)
{
	uint32_t high = atomic_load(&SUPER->slot_high), last = SUPER->slots - 1;
	uint32_t want = last - id < SLOTS_AHEAD ? last : id + SLOTS_AHEAD;
	if (high == last || id + SLOTS_AHEAD / 2 <= high)
		return true;
	if (region_back(SUPER->off_slots + (high + 1ull) * PAGE_BYTES, (uint64_t)(want - high) * PAGE_BYTES)) {
		while (high < want && !atomic_compare_exchange_weak(&SUPER->slot_high, &high, want))
			;
		return true;
	}
	return id + (my_page->kind == PROC_WORKER ? SLOTS_KEPT : 0) <= high;
}

bool region_attach(int fd, uint32_t id)
{
	if (!map_store(fd))
		return false;
	store_fd = fd;
	if (id == 0 || id >= SUPER->slots || !back_slot(id))
		return false;
	self_id = id;
	self = store_slot(id);
	return true;
}

bool region_back(uint64_t off, uint64_t n)
{
	return back(store_fd, off, n);
}

void region_punch(uint64_t off, uint64_t n)
{
	if (fallocate(store_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n))
		log_warning("Cannot give memory back to the kernel: %s", strerror(errno));
}
