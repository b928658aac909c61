/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals (proc/signals.h), and the report of a crash.
 *
 * Runs in every process; owns the handlers and the alternate stack. No locks. A process that crashes lets go of the
 * store before anything else; what it held there is the medic's. It calls nothing that allocates, for it may have
 * crashed inside malloc. A crash while reporting a crash ends the process at once, because the handlers are one-shot.
 */
#include "proc/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/log.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/stop.h"
#include "base/version.h"
#include "base/descriptors.h"
#include "shm/control.h"
#include "shm/region.h"

#define TRACE_MAX 16
#define STACK_WORDS 1024
#define CRASH_STACK 16384u

volatile sig_atomic_t stop_flag, wake_flag;

static int served_fd = -1;
static sigset_t serving; /* blocked in a child that serves */
static char *crash_stack; /* not among the data: what a child writes should lie on few pages */

/* ---- asking to stop, waking ---- */

static void on_term(int sig)
{
	(void)sig;
	stop_flag = 1;
	/* So that a read that is about to begin ends too; what was received before is still there to be read. */
	if (served_fd >= 0)
		shutdown(served_fd, SHUT_RD);
}

static void on_wake(int sig)
{
	(void)sig;
	wake_flag = 1;
}

/* ---- crash ---- */

extern const char __executable_start[], etext[];

static char *put(char *w, const char *end, const char *s)
{
	while (*s && w < end)
		*w++ = *s++;
	*w = 0;
	return w;
}

static char *put_hex(char *w, const char *end, uintptr_t v)
{
	char digits[20];
	int n = 0;
	do
		digits[n++] = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	w = put(w, end, "0x");
	while (n && w < end)
		*w++ = digits[--n];
	*w = 0;
	return w;
}

static char *put_number(char *w, const char *end, int64_t v)
{
	char digits[21];
	format_i64(digits, v);
	return put(w, end, digits);
}

static void crash_place(const ucontext_t *u, uintptr_t *pc, uintptr_t *sp)
{
#if defined(__x86_64__)
	*pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
	*sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	*pc = (uintptr_t)u->uc_mcontext.pc;
	*sp = (uintptr_t)u->uc_mcontext.sp;
#else
	(void)u;
	*pc = *sp = 0;
#endif
}

static bool is_code(uintptr_t a)
{
	return a >= (uintptr_t)__executable_start && a < (uintptr_t)etext;
}

/*
 * Asks the kernel, who does not fault: it takes the mask before it looks at what is to be done with it, which is
 * nothing. Not by way of the library, which takes the mask itself.
 */
static bool is_readable(const uintptr_t *word)
{
	return syscall(SYS_rt_sigprocmask, -1, word, NULL, sizeof *word) == 0 || errno != EFAULT;
}

/*
 * Words on the stack that point into the program: return addresses and a few strays, innermost first. Unlike unwinding it
 * needs no tables and no allocation. As distances from the program's start, which is what addr2line wants.
 */
__attribute__((no_sanitize("address"))) static void log_trace(const ucontext_t *u)
{
	char line[400], *w = line, *end = line + sizeof line - 1;
	uintptr_t pc, sp, base = (uintptr_t)__executable_start;
	crash_place(u, &pc, &sp);
	w = put(w, end, "Addresses in the program:");
	w = put(w, end, " ");
	w = put_hex(w, end, is_code(pc) ? pc - base : pc);
	uintptr_t here = (uintptr_t)&u;
	bool own_stack = here >= (uintptr_t)crash_stack && here < (uintptr_t)crash_stack + CRASH_STACK;
	const uintptr_t *word = (const uintptr_t *)(sp & ~(uintptr_t)7);
	for (int i = 0, found = 0; own_stack && sp && i < STACK_WORDS && found < TRACE_MAX; i++) {
		/* The stack may end on the next page. */
		if ((((uintptr_t)(word + i) & 4095) == 0 || i == 0) && !is_readable(word + i))
			break;
		if (is_code(word[i])) {
			w = put(w, end, " ");
			w = put_hex(w, end, word[i] - base);
			found++;
		}
	}
	log_signal_safe(line);
}

static void log_client(void)
{
	char line[200 + CONTROL_ADDR_MAX], addr[CONTROL_ADDR_MAX], cmd[sizeof my_page->client.cmd], *w,
		*end = line + sizeof line - 1;
	memcpy(cmd, my_page->client.cmd, sizeof cmd);
	cmd[sizeof cmd - 1] = 0;
	/* Formats into `addr` and allocates nothing. */
	client_addr_text(&my_page->client.peer, addr);
	w = put(line, end, "While serving client id=");
	w = put_number(w, end, (int64_t)my_page->client.id);
	w = put(w, end, " addr=");
	w = put(w, end, addr);
	w = put(w, end, ", command ");
	put(w, end, cmd);
	log_signal_safe(line);
}

static void report_crash(int sig, siginfo_t *info, void *context)
{
	char line[400], *w = line, *end = line + sizeof line - 1;
	w = put(w, end, "Bulkhead " BULKHEAD_VERSION " crashed by signal: ");
	w = put_number(w, end, sig);
	w = put(w, end, ", si_code: ");
	w = put_number(w, end, info->si_code);
	if (sig != SIGABRT) {
		w = put(w, end, ", address: ");
		w = put_hex(w, end, (uintptr_t)info->si_addr);
	}
	log_signal_safe(line);
	if (my_page && my_page->client.id)
		log_client();
	log_trace(context);
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
	/* First of all: nothing that goes wrong from here on can reach the data, and a core holds none of it. */
	region_unmap();
	if (my_page && info->si_code <= 0 && info->si_pid != getpid())
		atomic_store_explicit(&my_page->was_sent, 1, memory_order_relaxed);
	if (config && config->crash_log_enabled)
		report_crash(sig, info, context);
	/* The handler was one-shot, so this is the default: a core where they are wanted, and the true cause for the parent. */
	kill(getpid(), sig);
}

static void handle(int sig, void (*fn)(int))
{
	struct sigaction a = {.sa_handler = fn, .sa_flags = sig == SIGALRM ? SA_RESTART : 0};
	sigemptyset(&a.sa_mask);
	sigaction(sig, &a, NULL);
}

static void handle_crashes(void)
{
	static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	crash_stack = malloc(CRASH_STACK);
	if (!crash_stack)
		fatal("Out of memory");
	stack_t stack = {.ss_sp = crash_stack, .ss_size = CRASH_STACK};
	sigaltstack(&stack, NULL);
	struct sigaction a = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof fatal_signals / sizeof fatal_signals[0]; i++)
		sigaction(fatal_signals[i], &a, NULL);
}

int signals_init(void)
{
	sigset_t read;
	handle(SIGPIPE, SIG_IGN);
	/* Whoever started us may have ignored it, and then the kernel would throw away what waitid is to report. */
	handle(SIGCHLD, SIG_DFL);
	handle(SIGTERM, on_term);
	handle(SIGURG, on_wake);
	handle(SIGALRM, deadline_tick);
	handle_crashes();
	sigemptyset(&read);
	sigaddset(&read, SIGINT);
	sigaddset(&read, SIGHUP);
	sigaddset(&read, SIGUSR2);
	sigaddset(&read, SIGCHLD);
	serving = read;
	sigaddset(&read, SIGTERM);
	int fd = signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fatal("Cannot read signals from a descriptor");
	sigaddset(&read, SIGURG);
	sigprocmask(SIG_SETMASK, &read, NULL);
	return descriptor_move(fd, FD_PRIVATE);
}

void signals_serve(int fd)
{
	served_fd = fd;
	sigprocmask(SIG_SETMASK, &serving, NULL);
}

const sigset_t *signals_waiting(void)
{
	return &serving;
}
