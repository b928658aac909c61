/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor: starts everything, is the parent of everything, and ends everything.
 *
 * It keeps its hands off the store, which it makes but never maps: whatever a client does to shared memory, this process goes
 * on, reaps the damaged ones and has a medic clean up. It holds the secrets, carries out what other processes may not
 * do, and sleeps in epoll otherwise. Single-threaded; takes no locks. Its death ends all children (PR_SET_PDEATHSIG); the
 * store's object stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/version.h"
#include "base/descriptors.h"
#include "proc/aof.h"
#include "proc/client_memory.h"
#include "proc/crashers.h"
#include "proc/handover.h"
#include "proc/helpers.h"
#include "proc/kills.h"
#include "proc/listen.h"
#include "proc/loads.h"
#include "proc/notify.h"
#include "proc/oom.h"
#include "proc/pauses.h"
#include "proc/process.h"
#include "proc/reap.h"
#include "proc/requests.h"
#include "proc/saves.h"
#include "proc/shutdown.h"
#include "proc/signals.h"
#include "proc/spares.h"
#include "proc/stack.h"
#include "proc/start.h"
#include "proc/text.h"
#include "proc/title.h"
#include "proc/upgrade.h"
#include "shm/channel.h"

static int epoll = -1, signal_fd = -1, name_watch = -1;

static void open_log(void)
{
	log_set_role('M');
	if (!log_open(config->logfile, (enum log_level)config->loglevel)) {
		log_warning("Can't open the log file: %s", strerror(errno));
		exit(1);
	}
	if (config->syslog_enabled) {
		static const int facilities[] = {LOG_USER,   LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3,
						 LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7};
		log_open_syslog(config->syslog_ident, facilities[config->syslog_facility]);
	}
}

static void log_start(void)
{
	log_warning("oO0OoO0OoO0Oo Bulkhead is starting oO0OoO0OoO0Oo");
	log_warning("Bulkhead version=%s, redis=%s, bits=%d, pid=%d, just started", BULKHEAD_VERSION,
		    REDIS_COMPAT_VERSION, (int)sizeof(long) * 8, (int)getpid());
	if (config->chosen)
		log_warning("Configuration loaded");
	else
		log_warning("Warning: no config file specified, using the default config. In order to specify a config file "
			    "use bulkhead-server /path/to/bulkhead.conf");
}

static const char *accept_change(const struct config *before, struct config *after, const char **blamed)
{
	(void)before;
	(void)after;
	(void)blamed;
	return NULL;
}

/* What the machine does not allow is taken back before anybody relies on it. Returns the number of slots. */
static uint32_t fit_limits(void)
{
	char text[24], err[256];
	int64_t maxclients = config->maxclients;
	uint32_t slots = limits_check(&maxclients);
	if (maxclients != config->maxclients) {
		int n = snprintf(text, sizeof text, "%" PRId64, maxclients);
		struct arg pair[2] = {{"maxclients", strlen("maxclients")}, {text, (size_t)n}};
		config_set(pair, 2, true, accept_change, err, sizeof err);
	}
	return slots;
}

static void watch(int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		fatal("epoll_ctl: %s", strerror(errno));
}

/* A woken worker does not push aside the one that woke it: a reply is finished before its client is served again. */
static void set_scheduling(void)
{
	struct sched_param none = {0};
	sched_setscheduler(0, SCHED_BATCH, &none);
}

static void start(void)
{
	uint32_t slots = fit_limits();
	/* Freed memory goes back to the kernel, and the threshold for that does not grow with what a client once sent. */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	control_create(slots);
	table_create();
	oom_begin();
	channel_create();
	instance_folder();
	upgrade_keep_password();
	if (!listen_open())
		exit(1);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fatal("epoll_create1: %s", strerror(errno));
	epoll = descriptor_move(epoll, FD_PRIVATE);
	bool adopted;
	launch_store(instance_open_store(slots, handover_take_store(), &adopted));
	handover_drop_rest();
	saves_start(adopted);
	signal_fd = signals_init();
	if (adopted) {
		adopt_recover();
		helpers_check();
	}
	loads_start(adopted);
	name_watch = instance_watch_store(launch_store_fd());
	if (name_watch >= 0)
		watch(name_watch, EPOLLIN);
	watch(signal_fd, EPOLLIN);
	watch(channel_request_fd(), EPOLLIN);
	watch(channel_notice_fd(), EPOLLIN);
	spares_init(epoll);
	instance_write_pid();
	set_scheduling();
	log_notice("Running mode=standalone, port=%d, PID: %d", (int)config->port, (int)getpid());
	log_warning("Server initialized");
}

static void log_ready(void)
{
	log_notice("Ready to accept connections");
	if (*config->unixsocket)
		log_notice("The server is now ready to accept connections at %s", config->unixsocket);
}

/* Idle clients' processes are woken for it: each would keep a file that was removed, and its room on the disk. */
static void have_follow(uint32_t slot, struct process *p)
{
	(void)slot;
	if (p->kind == PROC_WORKER || p->kind == PROC_EXPIRER || p->kind == PROC_GATHERER)
		kill(p->pid, SIGURG);
}

/* Who runs asks for the new descriptor when he comes round to it; his lines until then are in the old file. */
static void reopen_log(void)
{
	if (!log_is_file())
		return;
	if (!log_reopen()) {
		log_warning("Can't open the log file again: %s", strerror(errno));
		return;
	}
	log_notice("Received SIGHUP: the log file was opened again");
	channel_log_reopened();
	config_touch();
	table_each(have_follow);
	spares_renew();
}

static void take_signal(const struct signalfd_siginfo *s)
{
	static bool signalled; /* who insists does so by signals: what a client has asked for is not cut short by the first one */
	bool again = shutdown_asked();
	signalled = signalled && again;
	switch (s->ssi_signo) {
	case SIGCHLD:
		return; /* reaping happens in every round */
	case SIGHUP:
		notify_reloading();
		reopen_log();
		notify_ready();
		return;
	case SIGUSR2:
		log_warning("Received SIGUSR2: upgrading to %s", config->executable);
		if (!shutdown_asked() && upgrade_possible())
			shutdown_begin(SHUTDOWN_UPGRADE);
		return;
	case SIGINT:
		if (again && signalled)
			shutdown_force();
		log_warning("Received SIGINT scheduling shutdown...");
		break;
	default:
		if (!again)
			log_warning("Received SIGTERM scheduling shutdown...");
		break;
	}
	signalled = true;
	if (again)
		return;
	log_warning("User requested shutdown...");
	shutdown_ask(SHUTDOWN_SIGNAL, s->ssi_signo == SIGINT ? config->shutdown_on_sigint : config->shutdown_on_sigterm, NULL);
}

static void take_signals(void)
{
	struct signalfd_siginfo s[4];
	ssize_t n = read(signal_fd, s, sizeof s);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof s[0]; i++)
		take_signal(&s[i]);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int wait_ms(int64_t now)
{
	int64_t at = earlier(earlier(spares_deadline(), helpers_deadline()), shutdown_deadline());
	at = earlier(at, earlier(oom_deadline(), client_memory_deadline()));
	at = earlier(at, earlier(crashers_deadline(), kills_deadline()));
	at = earlier(at, earlier(pauses_deadline(), earlier(loads_deadline(), saves_deadline())));
	at = earlier(at, aof_deadline());
	if (at == INT64_MAX)
		return -1;
	return at <= now ? 0 : at - now > 60000 ? 60000 : (int)(at - now);
}

static void take_event(int fd)
{
	if (fd == signal_fd)
		take_signals();
	else if (fd == channel_request_fd())
		requests_serve();
	else if (fd == name_watch)
		instance_store_changed(fd, launch_store_fd());
	else if (fd == channel_notice_fd())
		crashers_hear();
	else
		spares_refuse(fd);
}

/* Clients are there before; but only now is there anything for them. */
static void tell_when_ready(void)
{
	static bool told;
	if (told || !loads_let_in())
		return;
	told = true;
	log_ready();
	notify_ready();
	instance_serves();
}

_Noreturn static void run(void)
{
	helpers_tick(clock_mono_ms());
	spares_refill(clock_mono_ms());
	for (;;) {
		int64_t now = clock_mono_ms();
		reap_all();
		loads_tick(now);
		tell_when_ready();
		helpers_tick(now);
		crashers_tick(now);
		kills_tick(now);
		client_memory_tick(now);
		oom_tick(now);
		pauses_tick(now);
		saves_tick(now);
		aof_tick(now);
		bool more = spares_refill(now);
		if (shutdown_tick(now))
			shutdown_finish();
		struct epoll_event ev[16];
		int n = epoll_wait(epoll, ev, 16, more ? 0 : wait_ms(now));
		for (int i = 0; i < n; i++)
			take_event(ev[i].data.fd);
	}
}

void supervisor_main(const struct launch *l)
{
	(void)l;
	const int *handed;
	unsigned n = handover_kept(&handed);
	descriptors_drop_inherited(handed, n);
	if (!notify_supervised() && !handover_received())
		instance_daemonize();
	open_log();
	log_start();
	notify_begin();
	text_gather();
	start();
	bool moved = title_move();
	title_set_supervisor(config);
	worker_ready();
	if (moved)
		stack_run(run);
	run();
}
