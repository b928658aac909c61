/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the binary before this one handed over (proc/handover.h).
 *
 * The supervisor alone, at its start. It stands in the environment: this process's number, then descriptors, the store's first. The
 * number keeps anybody else from taking it for his. No locks, nothing shared.
 */
#include "proc/handover.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int handed[HANDOVER_MAX]; /* -1: taken */
static unsigned nhanded;

void handover_receive(void)
{
	char *text = getenv(HANDOVER_VARIABLE), *end;
	if (text && strtol(text, &end, 10) == getpid())
		for (text = end; nhanded < HANDOVER_MAX; text = end) {
			long fd = strtol(text, &end, 10);
			if (end == text)
				break;
			if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
				handed[nhanded++] = (int)fd;
		}
	unsetenv(HANDOVER_VARIABLE);
}

bool handover_received(void)
{
	return nhanded > 0;
}

unsigned handover_kept(const int **fds)
{
	*fds = handed;
	return nhanded;
}

static int take(unsigned i)
{
	int fd = handed[i];
	handed[i] = -1;
	return fd;
}

int handover_take_store(void)
{
	return nhanded ? take(0) : -1;
}

static bool same_address(const struct sockaddr *a, const struct sockaddr_storage *b, socklen_t n)
{
	if (a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_UNIX)
		return strcmp(((const struct sockaddr_un *)a)->sun_path, ((const struct sockaddr_un *)b)->sun_path) == 0;
	return memcmp(a, b, n) == 0;
}

int handover_take_listener(const struct sockaddr *a, socklen_t n)
{
	for (unsigned i = 1; i < nhanded; i++) {
		struct sockaddr_storage bound = {0};
		socklen_t len = sizeof bound;
		if (handed[i] >= 0 && getsockname(handed[i], (struct sockaddr *)&bound, &len) == 0 && same_address(a, &bound, n))
			return take(i);
	}
	return -1;
}

void handover_drop_rest(void)
{
	for (unsigned i = 0; i < nhanded; i++)
		if (handed[i] >= 0)
			close(take(i));
}
