/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling the service manager how the server is (proc/notify.h).
 *
 * The supervisor alone. A message is one datagram to the socket that $NOTIFY_SOCKET names, a file or (beginning with @) an abstract name. It is
 * opened for each: they are few, and no child finds it. No locks. Death: the service manager sees it as any parent does.
 */
#include "proc/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"

#define VARIABLE "NOTIFY_SOCKET"
#define UPSTART "UPSTART_JOB"
#define WAIT_MS 1000

static struct sockaddr_un manager = {.sun_family = AF_UNIX};
static socklen_t manager_len; /* 0: systemd does not listen */
static char name[sizeof manager.sun_path + 1]; /* as the environment had it */
static bool stop_for_upstart;

/* ---- who supervises? ---- */

static void take_socket(void)
{
	const char *text = getenv(VARIABLE);
	size_t n = text ? strlen(text) : 0;
	bool fits = n > 1 && n < sizeof manager.sun_path && (*text == '/' || *text == '@');
	if (fits)
		memcpy(name, text, n + 1);
	unsetenv(VARIABLE);
}

static void use_socket(void)
{
	size_t n = strlen(name);
	memcpy(manager.sun_path, name, n);
	if (*name == '@')
		manager.sun_path[0] = 0;
	manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

bool notify_supervised(void)
{
	int mode = config->supervised;
	take_socket();
	if (*name && (mode == SUPERVISED_SYSTEMD || mode == SUPERVISED_AUTO))
		use_socket();
	else if (getenv(UPSTART) && (mode == SUPERVISED_UPSTART || mode == SUPERVISED_AUTO))
		stop_for_upstart = true;
	unsetenv(UPSTART);
	return manager_len || stop_for_upstart;
}

void notify_begin(void)
{
	if (stop_for_upstart) {
		log_notice("Supervised by upstart, will stop to signal readiness.");
		raise(SIGSTOP);
	} else if (manager_len) {
		log_notice("Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and "
			   "TimeoutStopSec in your service unit.");
		notify_send("STATUS=Starting");
	} else if (config->supervised == SUPERVISED_SYSTEMD) {
		log_warning("systemd supervision error: " VARIABLE " not found!");
	} else if (config->supervised == SUPERVISED_UPSTART) {
		log_warning("Upstart supervision requested, but " UPSTART " not found!");
	}
}

/* ---- messages ---- */

static bool send_text(int fd, const char *text, size_t n)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	if (connect(fd, (struct sockaddr *)&manager, manager_len))
		return false;
	ssize_t sent = send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* Its queue may be full for a moment, but clients come first. */
	if (sent < 0 && errno == EAGAIN && poll(&p, 1, WAIT_MS) == 1)
		sent = send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent >= 0;
}

void notify_send(const char *fmt, ...)
{
	char text[512];
	if (!manager_len)
		return;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || n < 0 || !send_text(fd, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1))
		log_warning("Cannot tell systemd: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_mono_ns() / 1000));
}

void notify_ready(void)
{
	notify_send("READY=1\nSTATUS=Ready to accept connections\nMAINPID=%d", (int)getpid());
}

void notify_hand_over(void)
{
	if (manager_len)
		setenv(VARIABLE, name, 1);
}

void notify_keep_back(void)
{
	unsetenv(VARIABLE);
}
