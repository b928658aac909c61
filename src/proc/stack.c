/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack of the supervisor and its children (proc/stack.h).
 *
 * The kernel puts the first stack far from everything else, which costs each process a branch of page tables for a few pages. The
 * new one is an ordinary mapping beside the data. Below it is a page that faults in the supervisor and is missing in children.
 *
 * The supervisor does it once. Not under AddressSanitizer, which keeps books about the first stack.
 */
#include "proc/stack.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/panic.h"

#define SIZE (512u << 10) /* what is not used costs nothing */
#define GUARD 4096u

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define STAY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STAY 1
#endif
#endif

#ifndef STAY
static void forget_first_stack(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		if (strstr(line, "[stack]") && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
			madvise((void *)from, to - from, MADV_DONTFORK);
	}
	if (f)
		fclose(f);
}

static void run_on(char *stack, void (*main)(void))
{
	ucontext_t here, there; /* on the first stack, which the supervisor keeps */
	if (getcontext(&there))
		return;
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = SIZE;
	makecontext(&there, main, 0);
	swapcontext(&here, &there);
}
#endif

void stack_run(void (*main)(void))
{
#ifndef STAY
	char *area = mmap(NULL, GUARD + SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area != MAP_FAILED && mprotect(area + GUARD, SIZE, PROT_READ | PROT_WRITE) == 0) {
		madvise(area, GUARD, MADV_DONTFORK);
		forget_first_stack();
		run_on(area + GUARD, main);
	}
#endif
	main();
	panic("the main loop returned");
}
