/* SPDX-License-Identifier: BSD-2-Clause */
/* Telling the service manager how the server is: the parameter `supervised`, systemd's protocol without its library. */
#ifndef BULKHEAD_PROC_NOTIFY_H
#define BULKHEAD_PROC_NOTIFY_H

#include <stdbool.h>

/*
 * Whether somebody supervises this process, as the parameter and the environment say: then it does not go into the background. Takes
 * what the environment says out of it, for no child is to speak to the service manager.
 */
bool notify_supervised(void);

/* Says in the log what became of it; for upstart, stops until it lets us go on. Once the log is open. */
void notify_begin(void);

/* A message in systemd's form: lines NAME=VALUE. Nothing happens where systemd does not listen. Waits a second at most. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The server is about to do something and serves on after it; notify_ready follows. */
void notify_reloading(void);
void notify_ready(void);

/* What notify_supervised took out of the environment is put back for the binary that is about to be executed; and out again. */
void notify_hand_over(void);
void notify_keep_back(void);

#endif
