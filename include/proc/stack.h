/* SPDX-License-Identifier: BSD-2-Clause */
/* Leaving the stack the kernel made. */
#ifndef BULKHEAD_PROC_STACK_H
#define BULKHEAD_PROC_STACK_H

/*
 * Runs `main`, which does not return, on a stack near the program's data, and keeps the first stack out of later children: three pages of
 * page table and those of the stack itself, for each client. Only when the arguments and the environment are no longer there
 * (title_move). Runs it right here where that is not possible.
 */
_Noreturn void stack_run(void (*main)(void));

#endif
