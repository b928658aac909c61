/* SPDX-License-Identifier: BSD-2-Clause */
/* bulkhead-cli: keys from the terminal, and the terminal's mode.
 *
 * Runs in bulkhead-cli. Owns the mode while a line is read: it is given back before anything else happens, and by a
 * signal that ends the process; after SIGKILL the shell sets it right. Keys typed ahead are kept from one line to the
 * next. No locks.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "line_edit.h"

#define ESCAPE_WAIT_MS 50 /* what follows ESC later than this is a key of its own */

static char input[1024];
static size_t input_at, input_n;
static struct termios terminal;
static volatile sig_atomic_t is_raw;

void line_raw_leave(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
	is_raw = 0;
}

static void on_deadly_signal(int sig)
{
	line_raw_leave();
	signal(sig, SIG_DFL);
	raise(sig);
}

bool line_raw_enter(void)
{
	static bool prepared;
	if (!prepared) {
		signal(SIGTERM, on_deadly_signal);
		signal(SIGHUP, on_deadly_signal);
		prepared = true;
	}
	if (tcgetattr(STDIN_FILENO, &terminal) != 0)
		return false;
	struct termios raw = terminal;
	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	return is_raw;
}

/* ---- keys ---- */

/* A byte, or -1: nothing within wait_ms (-1: for ever), or the terminal is gone. */
static int next_byte(int wait_ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	if (input_at == input_n) {
		if (wait_ms >= 0 && poll(&p, 1, wait_ms) <= 0)
			return -1;
		ssize_t n;
		do
			n = read(STDIN_FILENO, input, sizeof(input));
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return -1;
		input_at = 0;
		input_n = (size_t)n;
	}
	return (unsigned char)input[input_at++];
}

/* Of ESC [ 1 ; 5 C: the number before the final byte, and that byte. */
static int key_of_sequence(int number, bool modified, int final)
{
	switch (final) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'C':
		return modified ? KEY_WORD_RIGHT : KEY_RIGHT;
	case 'D':
		return modified ? KEY_WORD_LEFT : KEY_LEFT;
	case 'H':
		return KEY_HOME;
	case 'F':
		return KEY_END;
	case '~':
		return number == 1 || number == 7   ? KEY_HOME
		       : number == 4 || number == 8 ? KEY_END
		       : number == 3                ? KEY_DELETE
						    : KEY_NONE;
	default:
		return KEY_NONE;
	}
}

static int read_escape(void)
{
	int c = next_byte(ESCAPE_WAIT_MS), number = 0;
	bool modified = false;
	switch (c) {
	case 'b':
		return KEY_WORD_LEFT;
	case 'f':
		return KEY_WORD_RIGHT;
	case 'd':
		return KEY_ERASE_NEXT_WORD;
	case 127:
	case '\b':
		return KEY_ERASE_WORD;
	case '[':
	case 'O':
		break;
	default:
		return KEY_NONE;
	}
	while ((c = next_byte(ESCAPE_WAIT_MS)) >= 0 && (c < '@' || c > '~')) {
		if (c == ';')
			modified = true;
		else if (c >= '0' && c <= '9' && !modified && number < 1000)
			number = number * 10 + c - '0';
	}
	return key_of_sequence(number, modified, c);
}

int line_key_read(void)
{
	int c = next_byte(-1);
	return c < 0 ? KEY_GONE : c == 27 ? read_escape() : c;
}

bool line_key_pending(void)
{
	return input_at < input_n;
}
