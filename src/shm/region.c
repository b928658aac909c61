/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's object: creation, mapping, backing with memory.
 *
 * store_open runs in the supervisor before any other process exists; it keeps no mapping. region_attach runs once in every
 * process that works on the store. Owns the mapping and the descriptor of this process. Death while the object is being formatted:
 * it has no magic yet and the next start removes it. Death while it is adopted: nothing has changed, the next start adopts it.
 */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
#include "base/panic.h"
#include "base/version.h"
#include "shm/arena.h"
#include "shm/control.h"
#include "shm/lock.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/slowlog.h"

#define RESERVE_MIN (64ull << 30)
#define SMALL_SHM (64ull << 20)
#define SLOTS_MIN 65536u     /* address space for more than are asked for now: a later server may want more */
#define LOCK_WAIT_MS 5000
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

/* Where everything lies, from the numbers in the superblock. */
static void place(struct super *s)
{
	uint64_t off = PAGE_BYTES;
	s->off_heaps = off, off += s->heaps * sizeof(struct heap);
	s->off_pins = off = round_up(off, 64), off += 64 + PINS_MAX * 8;
	s->off_stripes = off = round_up(off, PAGE_BYTES), off += STRIPES * sizeof(struct stripe);
	s->off_hints = off, off += HINT_GROUPS * 8;
	s->off_dirty = off, off += STRIPES / 8;
	s->off_taken = off = round_up(off, PAGE_BYTES), off += s->reserve / SLAB_BYTES / 8;
	s->off_backed = off = round_up(off, PAGE_BYTES), off += s->reserve / EXTENT_BYTES / 8;
	s->off_slots = off = round_up(off, PAGE_BYTES), off += (uint64_t)s->slots * PAGE_BYTES;
	s->off_slowlog = off, off += SLOWLOG_MAX * sizeof(struct slow_entry);
	s->off_ring = off = round_up(off, PAGE_BYTES), off += PAGE_BYTES + RING_BYTES;
	s->fixed = round_up(off, EXTENT_BYTES);
}

static void lay_out(struct super *s, uint32_t slots, uint32_t databases)
{
	long cores = sysconf(_SC_NPROCESSORS_CONF);
	s->heaps = cores < 1 ? 1 : cores > (long)HEAPS_MAX ? HEAPS_MAX : (uint32_t)cores;
	s->slots = slots;
	s->databases = databases;
	s->reserve = reserve_size();
	place(s);
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
	/* A signal has the kernel begin anew: one that comes every few milliseconds would have it never end. */
	sigset_t ticks, before;
	sigemptyset(&ticks);
	sigaddset(&ticks, SIGALRM);
	sigprocmask(SIG_BLOCK, &ticks, &before);
	do
		e = posix_fallocate(fd, (off_t)off, (off_t)n);
	while (e == EINTR);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = e;
	return e == 0;
}

/* Text into a field of the superblock, cut to its size. */
#define COPY_TEXT(field, text) snprintf(field, sizeof(field), "%s", text)

static uint64_t text_hash(const char *text)
{
	uint64_t h = 14695981039346656037ull;
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ull;
	return h;
}

/* Changes with each start of the machine; empty where the kernel does not say. */
static const char *boot_id(void)
{
	static char id[40];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id - 1);
	if (fd >= 0)
		close(fd);
	id[n > 0 ? strcspn(id, "\n") : 0] = 0;
	return id;
}

static void describe(struct super *s, const struct store_wish *wish)
{
	s->format = BULKHEAD_STORE_FORMAT;
	s->created_ms = clock_wall_ms();
	s->instance_hash = text_hash(wish->instance);
	COPY_TEXT(s->instance, wish->instance);
	COPY_TEXT(s->boot_id, boot_id());
	COPY_TEXT(s->build, BULKHEAD_VERSION);
	hash_seed_random(s->hash_seed);
	atomic_store(&s->epoch, 1);
}

/* Backs and fills the fixed part, but for the slots, which each process backs when it attaches. */
static bool format(int fd, const struct store_wish *wish)
{
	struct super plan = {0};
	lay_out(&plan, wish->slots < SLOTS_MIN ? SLOTS_MIN : wish->slots, wish->databases);
	if (ftruncate(fd, (off_t)plan.fixed) || !back(fd, 0, plan.off_taken + PAGE_BYTES) ||
	    !back(fd, plan.off_backed, PAGE_BYTES) || !back(fd, plan.off_ring, PAGE_BYTES))
		return false;
	struct super *s = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t *hints = mmap(NULL, plan.off_taken, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED || hints == MAP_FAILED)
		return false;
	*s = plan;
	describe(s, wish);
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

void store_set_contents(int fd, enum store_contents contents)
{
	uint32_t word = contents;
	if (pwrite(fd, &word, sizeof word, offsetof(struct super, contents)) != (ssize_t)sizeof word)
		fatal("Cannot write to the data's shared memory: %s", strerror(errno));
}

bool store_has_name(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* ---- what is there already ---- */

enum verdict { TAKE, REMOVE, LEAVE, GONE };

/* Processes of a dead server end at once, but not before this can see them. */
static bool lock_object(int fd)
{
	int64_t until = clock_mono_ms() + LOCK_WAIT_MS;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (clock_mono_ms() > until)
			return false;
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	return true;
}

/* Why a store is not to be gone on with, whatever else there is; NULL: no reason. */
static const char *why_not(const struct super *s, const struct store_wish *wish)
{
	static char text[256];
	if (wish->fd < 0 && !wish->adopt)
		return "warm-restart is off";
	if (strcmp(s->boot_id, boot_id()) != 0)
		return "it is older than this start of the machine";
	if (wish->fd < 0 && atomic_load(&s->contents) != CONTENTS_WHOLE)
		return "it was never loaded to the end";
	if (s->instance_hash == text_hash(wish->instance))
		return NULL;
	snprintf(text, sizeof text, "it belongs to the server of %s", s->instance);
	return text;
}

static enum verdict judge_store(const struct super *s, const struct store_wish *wish, int fd)
{
	const char *why = why_not(s, wish);
	bool judged = why || wish->fd >= 0 || !wish->fault;
	if (!judged && (why = wish->fault(s, fd)) && !wish->instead()) {
		log_warning("%s, but cannot be loaded: nothing is touched, and shared memory '%s' still holds the data. Put right what is on "
			    "disk; or move it away, to go on with shared memory; or start with 'warm-restart no', which discards that",
			    why, wish->name);
		return LEAVE;
	}
	if (why && wish->fd >= 0) {
		log_warning("Cannot go on with the data of shared memory '%s', which stays as it is: %s", wish->name, why);
		return LEAVE;
	}
	if (why) {
		log_warning("Removing shared memory '%s' with all its data: %s", wish->name, why);
		return REMOVE;
	}
	if (s->databases == wish->databases && s->slots >= wish->slots)
		return TAKE;
	log_warning("Shared memory '%s' holds the data of a server with %u databases and room for %u processes; this one wants %u and %u. "
		    "Start with the old settings, or with 'warm-restart no' to discard the data", wish->name, s->databases,
		    s->slots, wish->databases, wish->slots);
	return LEAVE;
}

static enum verdict judge(int fd, const struct store_wish *wish)
{
	struct super s;
	ssize_t n = pread(fd, &s, sizeof s, 0);
	if (n == 0 || (n == (ssize_t)sizeof s && s.magic == 0)) {
		log_notice("Removing shared memory '%s', which was never finished", wish->name);
		return REMOVE;
	}
	if (n != (ssize_t)sizeof s || s.magic != STORE_MAGIC) {
		log_warning("Shared memory '%s' exists and is not a store", wish->name);
		return LEAVE;
	}
	s.instance[sizeof s.instance - 1] = s.boot_id[sizeof s.boot_id - 1] = s.build[sizeof s.build - 1] = 0;
	if (s.format == BULKHEAD_STORE_FORMAT || (!wish->adopt && wish->fd < 0))
		return judge_store(&s, wish, fd);
	log_warning("Shared memory '%s' was made by Bulkhead %s, format %u; this is Bulkhead %s. Start that build, or this one with "
		    "'warm-restart no' to discard the data", wish->name, s.build, s.format, BULKHEAD_STORE_BUILD);
	return LEAVE;
}

static bool is_ours(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink <= 1;
}

static enum verdict examine(int fd, const struct store_wish *wish)
{
	if (!is_ours(fd)) {
		log_warning("Shared memory '%s' exists and is not a store of this user", wish->name);
		return LEAVE;
	}
	if (!lock_object(fd)) {
		log_warning("Shared memory '%s' is in use by another server", wish->name);
		return LEAVE;
	}
	/* While its lock was waited for its server ended in order: what that one has discarded does not come back. */
	if (wish->fd < 0 && !store_has_name(fd))
		return GONE;
	return judge(fd, wish);
}

/*
 * The store that is there, to be taken over; -1 with *go_on when there is none (any more), -1 without when it must be left alone.
 * Whoever serves a store holds a flock on its object; children share it with the descriptor. An object without one is the leftover
 * of a server that died with all its processes.
 */
static int take_over(const struct store_wish *wish, bool *go_on)
{
	enum verdict v = GONE;
	while (v == GONE) {
		int fd = wish->fd >= 0 ? wish->fd : object_open(wish->name, 0);
		*go_on = fd < 0 && errno == ENOENT;
		if (fd < 0) {
			if (!*go_on)
				log_warning("Cannot open shared memory '%s': %s", wish->name, strerror(errno));
			return -1;
		}
		v = examine(fd, wish);
		if (v == TAKE)
			return fd;
		if (v == REMOVE)
			store_remove(wish->name);
		close(fd);
	}
	*go_on = v == REMOVE;
	return -1;
}

/* ---- a new one ---- */

/*
 * Containers have 64 MiB there unless somebody asks for more, and nothing of it outlives them: memory without a name is not held to
 * that. Who names a place means it.
 */
static bool is_small(void)
{
	struct statvfs vfs;
	if (statvfs(shm_dir(), &vfs))
		return true;
	uint64_t free = (uint64_t)vfs.f_bavail * vfs.f_frsize, all = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	return free < SMALL_SHM || (!*config->shm_dir && all <= SMALL_SHM);
}

static int create_object(const char *name)
{
	if (is_small()) {
		log_warning("%s is missing or has no more than 64 MiB: using memory without a name, "
			    "so the data cannot outlive the server process", shm_dir());
		return memfd_create(name + 1, MFD_CLOEXEC);
	}
	int fd = object_open(name, O_CREAT | O_EXCL);
	/* Another start may have come in between and taken it for a leftover. */
	if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) || !store_has_name(fd))) {
		close(fd);
		errno = EBUSY;
		return -1;
	}
	return fd;
}

static int create(const struct store_wish *wish)
{
	int fd = create_object(wish->name);
	if (fd < 0) {
		log_warning("Cannot create shared memory '%s': %s", wish->name, strerror(errno));
		return -1;
	}
	if (!format(fd, wish)) {
		log_warning("Cannot set up shared memory '%s': %s", wish->name, strerror(errno));
		/* In this order: what has no lock may be another server's by now. */
		if (store_has_name(fd))
			store_remove(wish->name);
		close(fd);
		return -1;
	}
	return fd;
}

/* How much address space the adopted store was laid out for. */
static bool take_size(int fd)
{
	struct super s;
	if (pread(fd, &s, sizeof s, 0) != (ssize_t)sizeof s)
		return false;
	store_bytes = s.fixed + s.reserve;
	return true;
}

int store_open(const struct store_wish *wish, bool *adopted)
{
	bool go_on;
	int fd = take_over(wish, &go_on);
	*adopted = fd >= 0 && take_size(fd);
	if (*adopted)
		return fd;
	return go_on ? create(wish) : -1;
}

/* ---- mapping ---- */

/* Maps the whole reserve; pages beyond the object's end are never touched. */
static bool map_store(int fd, int access)
{
	void *p = mmap(STORE_BASE, store_bytes, access, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
	if (p != STORE_BASE) {
		log_warning("Cannot map the store: %s", strerror(errno));
		return false;
	}
	madvise(p, store_bytes, MADV_DONTDUMP);
	if (SUPER->magic == STORE_MAGIC && SUPER->format == BULKHEAD_STORE_FORMAT)
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
	if (!map_store(fd, PROT_READ | PROT_WRITE))
		return false;
	store_fd = fd;
	if (id == 0 || id >= SUPER->slots || !back_slot(id))
		return false;
	self_id = id;
	self = store_slot(id);
	return true;
}

bool region_look(int fd)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	bool mapped = own >= 0 && map_store(own, PROT_READ);
	if (own >= 0)
		close(own);
	return mapped;
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

void region_unmap(void)
{
	if (store_fd >= 0)
		munmap(STORE_BASE, store_bytes);
}

/* ---- checking ---- */

bool region_map_copy(int fd)
{
	struct stat st;
	if (fstat(fd, &st) || st.st_size < (off_t)sizeof(struct super))
		return false;
	void *p = mmap(STORE_BASE, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
		       fd, 0);
	if (p != STORE_BASE)
		return false;
	madvise(p, (size_t)st.st_size, MADV_DONTDUMP);
	store_fd = fd;
	store_bytes = (uint64_t)st.st_size;
	return true;
}

const char *region_fault(void)
{
	struct super want = {.heaps = SUPER->heaps, .slots = SUPER->slots, .databases = SUPER->databases,
			     .reserve = SUPER->reserve};
	struct stat st;
	if (want.heaps < 1 || want.heaps > HEAPS_MAX || want.slots < 2 || want.slots > LOCK_OWNER ||
	    want.databases < 1 ||
	    want.reserve < RESERVE_MIN || want.reserve % EXTENT_BYTES || want.reserve >> 47)
		return "the superblock has sizes that no store has";
	place(&want);
	/* The places stand side by side. */
	size_t places = offsetof(struct super, off_slowlog) + sizeof want.off_slowlog - offsetof(struct super, off_heaps);
	if (memcmp(&want.off_heaps, &SUPER->off_heaps, places) != 0 || want.fixed != SUPER->fixed)
		return "the superblock places things where they are not";
	if (atomic_load(&SUPER->slot_high) >= SUPER->slots)
		return "the superblock counts more slots than there are";
	if (atomic_load(&SUPER->slow_backed) > SLOWLOG_MAX)
		return "the superblock counts more entries of the slow log than there are";
	if (SUPER->arena.nextents > SUPER->reserve / EXTENT_BYTES || fstat(store_fd, &st) ||
	    (uint64_t)st.st_size < store_end())
		return "the superblock counts more extents than there are";
	return NULL;
}
