/* SPDX-License-Identifier: BSD-2-Clause */
/* v1 */
#include "proc/patience.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/config.h"
#include <stdlib.h>

ssize_t patient_recv(int fd, void *p, size_t n)
{
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
	if (got >= 0 || errno != EAGAIN)
		return got;
	static int mode = -1;
	if (mode < 0)
		mode = getenv("BH_MODE") ? atoi(getenv("BH_MODE")) : 2;
	if (mode >= 1) {
		int64_t start = clock_mono_ns(), before = start;
		int yields = 0;
		while (yields < config->worker_yields) {
			sched_yield();
			got = recv(fd, p, n, MSG_DONTWAIT);
			if (got >= 0 || errno != EAGAIN)
				return got;
			int64_t now = clock_mono_ns();
			if (mode == 1 || now - before > 3000)
				yields++;
			else if (now - start > config->worker_spin_us * 1000)
				break;
			before = now;
		}
	}
	return recv(fd, p, n, 0);
}
