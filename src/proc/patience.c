/* SPDX-License-Identifier: BSD-2-Clause */
/* v2 */
#include "proc/patience.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/stop.h"

static int credit;

static ssize_t block(int fd, void *p, size_t n)
{
	if (wake_flag) {
		wake_flag = 0;
		errno = EINTR;
		return -1;
	}
	return recv(fd, p, n, 0);
}

ssize_t patient_recv(int fd, void *p, size_t n)
{
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
	if (got >= 0 || errno != EAGAIN)
		return got;
	if (credit > 0) {
		int64_t start = clock_mono_ns(), before = start;
		int yields = 0;
		while (yields < config->worker_yields) {
			sched_yield();
			got = recv(fd, p, n, MSG_DONTWAIT);
			if (got >= 0 || errno != EAGAIN) {
				if (credit<64) credit += 4 - yields;
				return got;
			}
			int64_t now = clock_mono_ns();
			if (now - before > 3000)
				yields++;
			else if (now - start > config->worker_spin_us * 1000)
				break;
			before = now;
		}
		credit -= 8;
		return block(fd,p,n);
	}
	int64_t start = clock_mono_ns();
	got = block(fd, p, n);
	if (got>0) {
	int64_t took = clock_mono_ns() - start;
	if (took < 2000000) credit += 1;
	}
	return got;
}
