/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-server --check INSTANCE (proc/fsck.h).
 *
 * A process of its own, no server around it: no supervisor, no control region. It maps the object privately, recovers
 * on that copy what died with the server, and checks the result; the object stays as it is. A shared lock on the
 * object keeps servers off meanwhile, but not other checks. Damage may stop recovery by a broken invariant or a bad
 * reference: the handlers report that as what it is, damage, with what was being done. Its death leaves nothing.
 */
#include "proc/fsck.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"
#include "base/version.h"
#include "shm/check.h"
#include "shm/leaf.h"
#include "shm/region.h"
#include "store/access.h"
#include "store/fsck.h"
#include "store/recover.h"

enum { IN_ORDER, DAMAGED, NOT_CHECKED };

/* What is being done, for the handler; an offset in the store. */
static volatile uint64_t doing_at;
static const char *volatile doing = "the superblock";

static _Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void give_up(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("bulkhead-server --check: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(NOT_CHECKED);
}

static _Noreturn void damaged(const char *why)
{
	printf("DAMAGED %s\n", why);
	exit(DAMAGED);
}

/* ---- which object ---- */

static void find_path(const char *instance, char *path, size_t cap)
{
	if (strspn(instance, "0123456789") == strlen(instance))
		snprintf(path, cap, "/dev/shm/bulkhead.%s.main", instance);
	else if (strchr(instance, '/'))
		snprintf(path, cap, "%s", instance);
	else if (strncmp(instance, "bulkhead.", strlen("bulkhead.")) == 0)
		snprintf(path, cap, "/dev/shm/%s", instance);
	else
		give_up("'%s' is no port, no store's name such as bulkhead.6379.main, and no path", instance);
}

/* The process that took the object's lock, 0: not known, or gone (its children hold it). */
static int lock_holder(int fd)
{
	struct stat st;
	char line[256], want[64];
	int pid = 0;
	FILE *f = fopen("/proc/locks", "re");
	if (!f || fstat(fd, &st))
		return 0;
	snprintf(want, sizeof want, " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	while (fgets(line, sizeof line, f))
		if (strstr(line, want) && sscanf(line, "%*s FLOCK %*s %*s %d", &pid) == 1)
			break;
	fclose(f);
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) ? pid : 0;
}

static int open_store(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		give_up("there is no store %s", path);
	if (fd < 0 || fstat(fd, &st))
		give_up("cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		give_up("%s is not a store", path);
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return fd;
	int pid = lock_holder(fd);
	if (pid)
		give_up("%s is in use by process %d; ask that server (DEBUG FSCK)", path, pid);
	give_up("%s is in use", path);
}

static void check_format(int fd, const char *path)
{
	struct super s;
	if (io_pread_full(fd, &s, sizeof s, 0) || s.magic != STORE_MAGIC)
		give_up("%s is not a store", path);
	if (s.format == BULKHEAD_STORE_FORMAT)
		return;
	s.build[sizeof s.build - 1] = 0;
	/* The first format had none. */
	if (!isdigit((unsigned char)s.build[0]) || s.build[strspn(s.build, "0123456789.-+abcdefghijklmnopqrstuvwxyz")])
		strcpy(s.build, "of unknown version");
	give_up("%s was made by Bulkhead %s, format %u; this is Bulkhead %s", path, s.build, s.format,
		BULKHEAD_STORE_BUILD);
}

/* ---- recovery on the copy ---- */

/* Async-signal-safe but for the formatting, which uses no memory of its own; the process ends here in any case. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	char line[200];
	uint64_t off = (uint64_t)((char *)info->si_addr - STORE_BASE);
	(void)context;
	if (sig == SIGABRT || off >> 47)
		off = doing_at;
	int n = snprintf(line, sizeof line, "DAMAGED at %#llx: the check came to a halt in %s (%#llx)\n",
			 (unsigned long long)off, doing,
			 (unsigned long long)doing_at);
	if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) == n)
		_exit(DAMAGED);
	_exit(DAMAGED);
}

static void catch_faults(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
	struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaction(signals[i], &a, NULL);
}

/* A slot outside the store, of a number that none in it has: recovery takes locks in its name. */
static void be_nobody(void)
{
	self = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	if (!self)
		give_up("out of memory");
	memset(self, 0, PAGE_BYTES);
	self_id = LOCK_OWNER;
}

static bool was_busy(const struct slot *s)
{
	bool busy = atomic_load(&s->activity) & 1 || atomic_load(&s->state) != TXN_IDLE || atomic_load(&s->nheld) ||
		    atomic_load(&s->nleaf) || s->jlen || s->seg.off;
	for (int k = 0; k < 3; k++)
		busy |= atomic_load(&s->leaf_locks[k]) != 0;
	return busy;
}

/* As at a server's start. Returns how many slots had something open. */
static unsigned recover_copy(void)
{
	char why[256];
	struct check c = {.why = why, .cap = sizeof why};
	uint32_t high = atomic_load(&SUPER->slot_high);
	unsigned busy = 0;
	doing = "the leaf log of a slot";
	for (uint32_t i = 1; i <= high; i++) {
		doing_at = (uint64_t)((char *)store_slot(i) - STORE_BASE);
		busy += was_busy(store_slot(i));
		leaf_recover(i);
	}
	/* Whoever held one is recovered so far: a lock that is still taken would be waited for for ever. */
	if (!check_leaf_locks(&c))
		damaged(why);
	doing = "the journal of a slot";
	for (uint32_t i = 1; i <= high; i++) {
		doing_at = (uint64_t)((char *)store_slot(i) - STORE_BASE);
		recover_slots(&i, 1);
	}
	doing_at = 0;
	doing = "what is left when all slots are recovered";
	recover_store();
	return busy;
}

/* ---- */

static _Noreturn void check(const char *instance)
{
	char path[4096], why[256];
	find_path(instance, path, sizeof path);
	int fd = open_store(path);
	check_format(fd, path);
	if (!region_map_copy(fd))
		give_up("cannot map %s: %s", path, strerror(errno));
	catch_faults();
	const char *fault = region_fault();
	if (fault) {
		snprintf(why, sizeof why, "at 0: %s", fault);
		damaged(why);
	}
	be_nobody();
	unsigned busy = recover_copy();
	doing = "the keys";
	if (!store_fsck(why, sizeof why))
		damaged(why);
	uint64_t keys = 0;
	struct db_stats s;
	for (uint32_t db = 0; db < SUPER->databases; db++) {
		db_stats(db, &s);
		keys += s.keys;
	}
	printf("OK %llu keys, %llu bytes, %u slots recovered\n", (unsigned long long)keys,
	       (unsigned long long)heap_used(), busy);
	exit(IN_ORDER);
}

void fsck_if_asked(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--check") != 0)
		return;
	if (argc < 3 || !*argv[2])
		give_up("which instance? A port, a store's name such as bulkhead.6379.main, or a path");
	if (argc > 3)
		give_up("one instance only, and no other options: '%s'", argv[3]);
	check(argv[2]);
}
