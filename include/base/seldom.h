/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where variables lie. A page that a worker writes to is copied for it, so what every client's process writes should lie close together:
 * large static variables that few processes ever use are moved behind all others (the Makefile has the linker sort by section name).
 */
#ifndef BULKHEAD_BASE_SELDOM_H
#define BULKHEAD_BASE_SELDOM_H

#define SELDOM_USED __attribute__((section(".bss.seldom")))

#endif
