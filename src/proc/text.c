/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's code and constants in one huge page (proc/text.h).
 *
 * Why: every client is a process, and its pages of code are mapped anew in each, 64 KiB at a time, by page faults at its beginning
 * and by lists to take apart at its end. Two cores serving many clients also switch address spaces for every request, and each switch
 * begins with a cold TLB: one entry for all code in place of dozens. A huge page is one fault, one entry.
 *
 * How: a child copies the code into a memory file whose pages the kernel is asked to gather (MADV_COLLAPSE, Linux 6.1), which on a busy
 * machine takes seconds that nobody should wait for. When it has ended, the supervisor puts that file in place of the original in one
 * step (mremap), with the same bytes at the same addresses. The mapping is private: a process that makes it writable gets pages of its own. The
 * program must have been linked with its code at a multiple of 2 MiB.
 *
 * The supervisor does it once; children forked from then on inherit it. Failure at any step, the child's death too, leaves the original in
 * place.
 */
#include "proc/text.h"

#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

#define HUGE (2ul << 20)
#define MOST (8 * HUGE)

extern const char __executable_start[];

/* Bytes of the first segment, if it is code, alone in its huge pages; 0 if it cannot be moved. */
static size_t text_size(void)
{
	const ElfW(Phdr) *h = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM);
	uintptr_t base = (uintptr_t)__executable_start;
	size_t size = 0;
	if (!h || base % HUGE)
		return 0;
	for (unsigned long i = 0; i < n; i++) {
		if (h[i].p_type != PT_LOAD)
			continue;
		if (h[i].p_vaddr == 0 && (h[i].p_flags & PF_X) && !(h[i].p_flags & PF_W))
			size = h[i].p_memsz;
		else if (h[i].p_vaddr / HUGE * HUGE < (size + HUGE - 1) / HUGE * HUGE)
			return 0;
	}
	return size <= MOST ? size : 0;
}

static int new_file(size_t room)
{
	int fd = memfd_create("bulkhead.text", MFD_CLOEXEC | MFD_EXEC);
	if (fd < 0)
		fd = memfd_create("bulkhead.text", MFD_CLOEXEC); /* before Linux 6.3 */
	if (fd >= 0 && ftruncate(fd, (off_t)room)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int file = -1; /* being filled, until it is in place */
static pid_t filler;

/* Addresses for `room` bytes of huge pages, reserved with some around them in *area (room + HUGE bytes); NULL: none. */
static char *reserve(size_t room, char **area)
{
	*area = mmap(NULL, room + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *area == MAP_FAILED ? NULL : (char *)(((uintptr_t)*area + HUGE - 1) / HUGE * HUGE);
}

/* In the child: fills the file and has its pages gathered. Returns the exit status. */
static int fill(size_t size, size_t room)
{
	char *area, *at = reserve(room, &area);
	if (!at || mmap(at, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != at)
		return 1;
	memcpy(at, __executable_start, size);
	return madvise(at, room, MADV_COLLAPSE) == 0 ? 0 : 1;
}

void text_gather(void)
{
	size_t size = text_size(), room = (size + HUGE - 1) / HUGE * HUGE;
	pid_t parent = getpid();
	file = size ? new_file(room) : -1;
	if (file < 0)
		return;
	file = descriptor_move(file, FD_PRIVATE);
	filler = fork();
	if (filler)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	_exit(getppid() == parent ? fill(size, room) : 1);
}

/* Claims the addresses between the end of the code and the end of its last huge page; false if something is there. */
static bool claim_rest(char *start, size_t size, size_t room)
{
	size_t used = (size + 4095) / 4096 * 4096;
	return used == room || mmap(start + used, room - used, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == start + used;
}

/* Maps the file as code at a multiple of 2 MiB, and moves that over the original. */
static bool put_in_place(void)
{
	char *start = (char *)(uintptr_t)__executable_start;
	size_t size = text_size(), room = (size + HUGE - 1) / HUGE * HUGE;
	char *area, *at = reserve(room, &area);
	if (!at)
		return false;
	bool moved = mmap(at, room, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0) == at &&
		     claim_rest(start, size, room) &&
		     mremap(at, room, room, MREMAP_MAYMOVE | MREMAP_FIXED, start) == start;
	munmap(area, room + HUGE);
	return moved;
}

bool text_gathered(pid_t pid, bool well)
{
	if (pid != filler || file < 0)
		return false;
	if (well && put_in_place())
		log_debug("The program's code is in huge pages");
	close(file);
	file = -1;
	return true;
}
