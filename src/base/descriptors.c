/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of descriptors (base/descriptors.h). The supervisor sorts, children drop. No locks, nothing shared.
 */
#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/panic.h"

int descriptor_move(int fd, int base)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, base);
	if (moved < 0)
		fatal("Cannot arrange descriptors: %s", strerror(errno));
	close(fd);
	return moved;
}

static void drop(unsigned first, unsigned last)
{
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < 64; fd++)
		close((int)fd);
}

void descriptors_begin(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			_exit(1);
}

void descriptors_drop_inherited(const int *keep, unsigned n)
{
	for (unsigned from = STDERR_FILENO + 1;;) {
		unsigned next = ~0u;
		for (unsigned i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			drop(from, next == ~0u ? next : next - 1);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

void descriptors_drop(bool listening)
{
	drop(listening ? FD_PRIVATE : FD_LISTEN, ~0u);
}

void descriptors_drop_listening(void)
{
	drop(FD_LISTEN, FD_PRIVATE - 1);
}
