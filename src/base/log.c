/* SPDX-License-Identifier: BSD-2-Clause */
/* The log (base/log.h).
 *
 * Runs in every process. Owns one descriptor, opened by the supervisor and inherited; workers whose sandbox allows no
 * open() go on writing to it. Takes no locks: a line is one write() to a file in append mode. A process that dies
 * leaves whole lines or nothing. The date is computed here from the offset of the time zone, so that a signal handler
 * can do it too.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* "PID:ROLE dd Mon yyyy hh:mm:ss.mmm C " */
#define PREFIX_MAX 64

static int32_t own_threshold = LOG_LEVEL_NOTICE;
const int32_t *log_threshold = &own_threshold;

static struct {
	char path[PATH_MAX];   /* absolute; "" for standard output. First, so that the rest shares a page with what follows */
	char syslog_ident[64]; /* openlog keeps a pointer to it */
	int fd;
	char role;
	bool to_syslog;
	bool prepared;         /* the time zone was read */
	long zone;             /* seconds east of UTC at the time of the last line */
} state = {.fd = STDERR_FILENO, .role = 'C'};

static char *put_digits(char *w, long v, int width)
{
	for (int i = width - 1; i >= 0; i--, v /= 10)
		w[i] = (char)('0' + v % 10);
	return w + width;
}

static char *put_pid(char *w, long pid)
{
	char digits[20];
	int n = 0;
	do
		digits[n++] = (char)('0' + pid % 10);
	while ((pid /= 10) > 0);
	while (n > 0)
		*w++ = digits[--n];
	return w;
}

/* Day count since 1970-01-01 to the calendar, with years that begin in March so that the leap day comes last. */
static char *put_date(char *w, long long days)
{
	static const char months[12][4] = {"Mar", "Apr", "May", "Jun", "Jul", "Aug",
					   "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"};
	const long long era_days = 146097; /* 400 years */
	long long since = days + 719468;   /* 0000-03-01 */
	long long era = since / era_days;
	long in_era = (long)(since % era_days);
	long year_in_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	long in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
	long month = (5 * in_year + 2) / 153;
	long year = year_in_era + (long)era * 400 + (month >= 10);

	w = put_digits(w, in_year - (153 * month + 2) / 5 + 1, 2);
	*w++ = ' ';
	memcpy(w, months[month], 3);
	w += 3;
	*w++ = ' ';
	return put_digits(w, year, 4);
}

/* Everything before the message; returns its length, at most PREFIX_MAX. Safe in signal handlers. */
static size_t put_prefix(char *out, enum log_level level)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	long long local = (long long)now.tv_sec + state.zone;
	if (local < 0)
		local = 0;
	long second = (long)(local % 86400);

	char *w = put_pid(out, getpid());
	*w++ = ':';
	*w++ = state.role;
	*w++ = ' ';
	w = put_date(w, local / 86400);
	*w++ = ' ';
	w = put_digits(w, second / 3600, 2);
	*w++ = ':';
	w = put_digits(w, second / 60 % 60, 2);
	*w++ = ':';
	w = put_digits(w, second % 60, 2);
	*w++ = '.';
	w = put_digits(w, now.tv_nsec / 1000000, 3);
	*w++ = ' ';
	*w++ = ".-*#"[level & 3];
	*w++ = ' ';
	return (size_t)(w - out);
}

static void hide_control_bytes(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c < ' ' && c != '\t') || c == 127)
			s[i] = '?';
	}
}

static void write_line(const char *line, size_t n)
{
	while (write(state.fd, line, n) < 0 && errno == EINTR)
		;
}

static void read_zone(void)
{
	time_t now = time(NULL);
	struct tm tm;
	if (!state.prepared) {
		tzset(); /* reads the zone's file: later, in a sandbox, it could not */
		state.prepared = true;
	}
	if (localtime_r(&now, &tm))
		state.zone = tm.tm_gmtoff;
}

static void write_to_syslog(enum log_level level, const char *message)
{
	static const int priority[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
	syslog(priority[level & 3], "%s", message);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[PREFIX_MAX + LOG_MESSAGE_MAX + 2];
	int saved = errno;

	read_zone();
	size_t n = put_prefix(line, level);
	errno = saved; /* for %m */
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, LOG_MESSAGE_MAX + 1, fmt, ap);
	va_end(ap);
	size_t len = m < 0 ? 0 : m > LOG_MESSAGE_MAX ? LOG_MESSAGE_MAX : (size_t)m;

	hide_control_bytes(line + n, len);
	if (state.to_syslog)
		write_to_syslog(level, line + n);
	line[n + len] = '\n';
	write_line(line, n + len + 1);
	errno = saved;
}

void log_signal_safe(const char *text)
{
	char line[PREFIX_MAX + LOG_MESSAGE_MAX + 1];
	int saved = errno;

	size_t n = put_prefix(line, LOG_LEVEL_WARNING);
	size_t len = strlen(text);
	if (len > LOG_MESSAGE_MAX)
		len = LOG_MESSAGE_MAX;
	memcpy(line + n, text, len);
	hide_control_bytes(line + n, len);
	line[n + len] = '\n';
	write_line(line, n + len + 1);
	errno = saved;
}

static bool make_absolute(char out[PATH_MAX], const char *file)
{
	size_t n = 0;
	if (file[0] != '/') {
		if (!getcwd(out, PATH_MAX - 1))
			return false;
		n = strlen(out);
		out[n++] = '/';
	}
	size_t m = strlen(file);
	if (n + m >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(out + n, file, m + 1);
	return true;
}

static int open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

bool log_open(const char *file, enum log_level level)
{
	int fd = STDOUT_FILENO;
	char path[PATH_MAX] = "";

	if (file && *file) {
		if (!make_absolute(path, file) || (fd = open_file(path)) < 0)
			return false;
	}
	if (state.path[0])
		close(state.fd);
	state.fd = fd;
	memcpy(state.path, path, sizeof(path));
	log_set_level(level);
	read_zone();
	return true;
}

bool log_reopen(void)
{
	if (!state.path[0])
		return true;
	int fd = open_file(state.path);
	if (fd < 0)
		return false;
	bool ok = dup3(fd, state.fd, O_CLOEXEC) >= 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

void log_take(int fd)
{
	dup3(fd, state.fd, O_CLOEXEC);
	close(fd);
}

bool log_is_file(void)
{
	return state.path[0] != 0;
}

void log_open_syslog(const char *ident, int facility)
{
	snprintf(state.syslog_ident, sizeof(state.syslog_ident), "%s", ident);
	openlog(state.syslog_ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility);
	state.to_syslog = true;
}

void log_set_role(char role)
{
	state.role = role;
}

void log_set_level(enum log_level level)
{
	own_threshold = (int32_t)level;
	log_threshold = &own_threshold;
}

void log_follow_level(const int32_t *level)
{
	log_threshold = level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)*log_threshold;
}

int log_fd(void)
{
	return state.fd;
}
