/* SPDX-License-Identifier: BSD-2-Clause */
/* The time, through the vdso: about 20 ns a call, no system call. mono: since boot, never jumps, compare only within
 * one boot. wall: since 1970, what clients and files see. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t clock_mono_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline int64_t clock_mono_us(void)
{
	return clock_mono_ns() / 1000;
}

static inline int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

static inline int64_t clock_wall_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

static inline int64_t clock_wall_us(void)
{
	return clock_read_ns(CLOCK_REALTIME) / 1000;
}

static inline int64_t clock_wall_ms(void)
{
	return clock_read_ns(CLOCK_REALTIME) / 1000000;
}

/* An absolute time in ns as the kernel's calls want it. */
static inline struct timespec clock_timespec(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	return t;
}

#endif
