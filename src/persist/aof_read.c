/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Append only files: the text of one file (persist/aof_read.h).
 *
 * Run by the loader and by bulkhead-check-aof, one file at a time. Owns a window on the file, which holds the command under way whole, and the
 * text of a transaction until its EXEC; private memory. Takes no lock, writes no file: a death in here leaves nothing.
 *
 * It is stricter than redis-server, which reads numbers and line ends leniently: whatever a server did not write is a corrupt file. And where
 * a length says more bytes than the file has left, it looks whether commands follow: then the length is wrong, not the file torn, and
 * to cut it there would lose them.
 */
#include "persist/aof_read.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/io.h"

#define WINDOW (1u << 20)
#define ANNOTATION_MAX 65536u
#define BULK_MAX (512ull << 20) /* or proto-max-bulk-len, if that is more */

enum step {
	STEP_COMMAND,
	STEP_ANNOTATION,
	STEP_MORE,  /* what is there is fine, but not all of it */
	STEP_WRONG, /* at `wrong` */
};

/* What stands at one place of the text. */
struct piece {
	const char *end;   /* behind it, after STEP_COMMAND and STEP_ANNOTATION */
	const char *wrong; /* after STEP_WRONG */
	uint64_t need;     /* after STEP_MORE: so many bytes from its start are needed at least; 0: not known */
	const char *why;
	struct arg_list args;
};

struct queued {
	uint64_t at;  /* in the file */
	size_t start; /* in the queue's text */
};

struct reader {
	int fd;
	const struct aof_sink *sink;
	struct aof_result *out;
	struct buf in;
	uint64_t in_at;   /* offset in the file of in.data[0] */
	uint64_t size;    /* of the file */
	uint64_t skipped; /* bytes of all files before this one */
	size_t pos;       /* in `in`: what is dealt with */
	struct piece piece;
	/* The transaction under way. */
	bool multi;
	uint64_t multi_at;
	struct buf text, queue; /* commands one after the other; struct queued for each */
};

/* ---- one command ---- */

static inline bool is_digit(char c)
{
	return (unsigned)c - '0' <= 9;
}

static enum step wrong(struct piece *p, const char *at, const char *why)
{
	p->wrong = at;
	p->why = why;
	return STEP_WRONG;
}

static enum step more(struct piece *p, uint64_t need)
{
	p->need = need;
	return STEP_MORE;
}

/* The number between the byte at s and the end of that line, as a server writes it; *s moves behind the line. */
static inline enum step number(struct piece *p, const char **s, const char *end, uint64_t *out)
{
	const char *c = *s + 1, *first = c;
	uint64_t v = 0;

	while (c < end && c - first < 18 && is_digit(*c))
		v = v * 10 + (uint64_t)(*c++ - '0');
	if (c == end)
		return more(p, 0);
	if (c == first || (*first == '0' && c - first > 1) || *c != '\r')
		return wrong(p, c, "expected a number and the end of the line");
	if (end - c < 2)
		return more(p, 0);
	if (c[1] != '\n')
		return wrong(p, c + 1, "expected the end of the line");
	*s = c + 2;
	*out = v;
	return STEP_COMMAND;
}

/* Who checks a file knows nothing of the server it was made with. */
static uint64_t bulk_max(void)
{
	if (config == NULL)
		return UINT64_MAX / 2;
	return (uint64_t)config->proto_max_bulk_len > BULK_MAX ? (uint64_t)config->proto_max_bulk_len : BULK_MAX;
}

static enum step parse_word(struct piece *p, const char *base, const char **at, const char *end)
{
	const char *s = *at;
	uint64_t n;

	if (s == end)
		return more(p, 0);
	if (*s != '$')
		return wrong(p, s, "expected '$'");
	enum step step = number(p, &s, end, &n);
	if (step != STEP_COMMAND)
		return step;
	if (n > bulk_max())
		return wrong(p, *at, "the length is more than proto-max-bulk-len");
	if ((uint64_t)(end - s) < n + 2)
		return more(p, (uint64_t)(s - base) + n + 2);
	if (s[n] != '\r' || s[n + 1] != '\n')
		return wrong(p, s + n + (s[n] == '\r'), "expected the end of the line behind as many bytes as were announced");
	arg_list_add(&p->args, s, n);
	*at = s + n + 2;
	return STEP_COMMAND;
}

static enum step parse_annotation(struct piece *p, const char *base, const char *end)
{
	const char *newline = memchr(base, '\n', (size_t)(end - base));

	if (newline == NULL && end - base <= ANNOTATION_MAX)
		return more(p, 0);
	if (newline == NULL || newline - base > ANNOTATION_MAX)
		return wrong(p, base, "an annotation without an end");
	p->end = newline + 1;
	return STEP_ANNOTATION;
}

/* What stands at base; there is at least a byte. */
static enum step parse(struct piece *p, const char *base, const char *end)
{
	const char *s = base;
	uint64_t n;

	if (*s == '#')
		return parse_annotation(p, base, end);
	if (*s != '*')
		return wrong(p, s, "expected '*'");
	enum step step = number(p, &s, end, &n);
	if (step != STEP_COMMAND)
		return step;
	if (n == 0 || n > INT_MAX)
		return wrong(p, base, "a command of no or too many words");
	p->args.n = 0;
	while (n-- > 0)
		if ((step = parse_word(p, base, &s, end)) != STEP_COMMAND)
			return step;
	p->end = s;
	return STEP_COMMAND;
}

/* ---- the window ---- */

static uint64_t here(const struct reader *r)
{
	return r->in_at + r->pos;
}

static bool ends(struct reader *r, enum aof_end end, uint64_t at, const char *why)
{
	r->out->end = end;
	r->out->at = at;
	snprintf(r->out->why, sizeof r->out->why, "%s", why);
	return false;
}

/* Reads on, so that at least `need` bytes from what is not dealt with are there, if the file has them. *got: whether anything came. */
static bool read_on(struct reader *r, uint64_t need, bool *got)
{
	buf_consume(&r->in, r->pos);
	r->in_at += r->pos;
	r->pos = 0;
	/* What is not whole is looked at from its start again: as much more as there is, so that this happens seldom. */
	uint64_t n = r->in.len > WINDOW ? r->in.len : WINDOW;
	if (need > r->in.len && need - r->in.len > n)
		n = need - r->in.len;
	uint64_t at = r->in_at + r->in.len, rest = r->size > at ? r->size - at : 0;
	/* One beyond the end, to see that it is one. */
	n = n < rest + 1 ? n : rest + 1;
	char *to = buf_reserve(&r->in, n);
	ssize_t m;
	do {
		m = pread(r->fd, to, n, (off_t)at);
	} while (m < 0 && errno == EINTR);
	if (m < 0)
		return ends(r, AOF_IO, at, strerror(errno));
	r->in.len += (size_t)m;
	*got = m > 0;
	if (r->sink->progress)
		r->sink->progress(r->sink->arg, r->skipped + r->in_at);
	return true;
}

/* ---- torn, or a wrong length? ---- */

/* Where in the file, from offset `at` on, a whole command stands; 0: nowhere. Windows overlap by half. */
static uint64_t command_after(struct reader *r, uint64_t at)
{
	struct piece probe = {0};
	struct buf b = {0};
	uint64_t found = 0;
	char *window = buf_reserve(&b, WINDOW);
	for (; found == 0 && at < r->size; at += WINDOW / 2) {
		ssize_t n = pread(r->fd, window, WINDOW, (off_t)at);
		if (n <= 0)
			break;
		const char *end = window + n, *s = window;
		for (; found == 0 && (s = memchr(s, '*', (size_t)(end - s))) != NULL; s++)
			if (parse(&probe, s, end) == STEP_COMMAND)
				found = at + (uint64_t)(s - window);
	}
	arg_list_deinit(&probe.args);
	buf_deinit(&b);
	return found;
}

/* Whether the file holds nothing but zeros from there on: room that a file system had given it when the machine died, and never got to fill. */
static bool zeros_from(struct reader *r, uint64_t at)
{
	char window[4096];
	ssize_t n;

	while ((n = pread(r->fd, window, sizeof window, (off_t)at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (window[i] != 0)
				return false;
		at += (uint64_t)n;
	}
	return n == 0;
}

/* What stands in r->piece is no command. */
static bool broken(struct reader *r)
{
	uint64_t at = r->in_at + (uint64_t)(r->piece.wrong - r->in.data);

	if (zeros_from(r, at))
		return ends(r, AOF_TORN, at, "the file holds nothing but zeros");
	return ends(r, AOF_BROKEN, at, r->piece.why);
}

/* The file ends, and what stands at its end is not whole. */
static bool torn(struct reader *r)
{
	uint64_t follows = r->piece.need ? command_after(r, here(r) + 1) : 0;

	if (follows == 0)
		return ends(r, AOF_TORN, here(r), "the file ends in the middle of this command");
	ends(r, AOF_BROKEN, here(r), "");
	r->out->follows = follows;
	snprintf(r->out->why, sizeof r->out->why,
		 "a length in this command says that %llu bytes are missing at the end of the file, yet another command follows at offset %llu",
		 (unsigned long long)(here(r) + r->piece.need - r->size), (unsigned long long)follows);
	return false;
}

/* ---- transactions ---- */

static bool refused(struct reader *r, uint64_t at, const char *why)
{
	if (why == NULL)
		return true;
	return ends(r, AOF_REFUSED, at, why);
}

static bool hand_over(struct reader *r, uint64_t at, const struct piece *p)
{
	r->out->commands++;
	return refused(r, at, r->sink->command(r->sink->arg, (int)p->args.n, p->args.v));
}

static bool queue_up(struct reader *r, const char *text, uint64_t at)
{
	const struct piece *p = &r->piece;
	struct queued q = {.at = at, .start = r->text.len};

	if (r->sink->known && !refused(r, at, r->sink->known(r->sink->arg, (int)p->args.n, p->args.v)))
		return false;
	buf_append(&r->text, text, (size_t)(p->end - text));
	buf_append(&r->queue, &q, sizeof q);
	return true;
}

static bool run_queue(struct reader *r)
{
	const struct queued *q = (const struct queued *)(const void *)r->queue.data;
	size_t n = r->queue.len / sizeof *q;

	for (size_t i = 0; i < n; i++) {
		if (parse(&r->piece, r->text.data + q[i].start, r->text.data + r->text.len) != STEP_COMMAND)
			return ends(r, AOF_BROKEN, q[i].at, "a command that was whole before");
		if (!hand_over(r, q[i].at, &r->piece))
			return false;
	}
	buf_clear(&r->text);
	buf_clear(&r->queue);
	return true;
}

static bool is_multi(const struct piece *p)
{
	return p->args.v[0].n == 5 && arg_ieq(&p->args.v[0], "multi");
}

static bool is_exec(const struct piece *p)
{
	return p->args.v[0].n == 4 && arg_ieq(&p->args.v[0], "exec");
}

/* The command in r->piece, whose text begins at r->pos. */
static bool take_command(struct reader *r)
{
	struct piece *p = &r->piece;
	const char *text = r->in.data + r->pos;
	uint64_t at = here(r);
	size_t n = (size_t)(p->end - text);

	if (__builtin_expect(is_multi(p), 0)) {
		if (r->multi)
			return ends(r, AOF_BROKEN, at, "MULTI within a transaction");
		r->multi = true;
		r->multi_at = at;
	} else if (__builtin_expect(is_exec(p), 0)) {
		if (!r->multi)
			return ends(r, AOF_BROKEN, at, "EXEC without MULTI");
		r->multi = false;
		if (!run_queue(r))
			return false;
	} else if (r->multi) {
		if (!queue_up(r, text, at))
			return false;
	} else if (!hand_over(r, at, p)) {
		return false;
	}
	r->pos += n;
	if (!r->multi)
		r->out->good = here(r);
	return true;
}

/* ---- the file ---- */

/* The file is read. */
static bool finish(struct reader *r)
{
	if (r->pos < r->in.len)
		return torn(r);
	if (!r->multi)
		return ends(r, AOF_WHOLE, here(r), "");
	return ends(r, AOF_TORN, r->multi_at, "the file ends in the middle of this transaction");
}

static bool take_annotation(struct reader *r, bool (*annotation)(void *arg, const char *text, size_t n, uint64_t at))
{
	const char *text = r->in.data + r->pos, *end = r->piece.end - 1;

	if (end > text && end[-1] == '\r')
		end--;
	if (annotation && !annotation(r->sink->arg, text, (size_t)(end - text), here(r)))
		return ends(r, AOF_WHOLE, here(r), "");
	r->pos += (size_t)(r->piece.end - text);
	if (!r->multi)
		r->out->good = here(r);
	return true;
}

/* One step; false: it has ended. */
static bool step(struct reader *r, bool (*annotation)(void *arg, const char *text, size_t n, uint64_t at))
{
	enum step s = STEP_MORE;
	bool got = false;

	r->piece.need = 0;
	if (r->pos < r->in.len)
		s = parse(&r->piece, r->in.data + r->pos, r->in.data + r->in.len);
	switch (s) {
	case STEP_COMMAND:
		return take_command(r);
	case STEP_ANNOTATION:
		return take_annotation(r, annotation);
	case STEP_WRONG:
		return broken(r);
	case STEP_MORE:
		break;
	}
	/* Beyond the end there is nothing to wait for, however long a length says it is. */
	if (r->piece.need && here(r) + r->piece.need > r->size)
		return torn(r);
	if (!read_on(r, r->piece.need, &got))
		return false;
	return got || finish(r);
}

void aof_read(int fd, uint64_t from, uint64_t before, const struct aof_sink *sink,
	      bool (*annotation)(void *arg, const char *text, size_t n, uint64_t at), struct aof_result *out)
{
	struct reader r = {.fd = fd, .sink = sink, .out = out, .in_at = from, .skipped = before};
	struct stat st;

	*out = (struct aof_result){.good = from};
	if (fstat(fd, &st) < 0) {
		ends(&r, AOF_IO, from, strerror(errno));
		return;
	}
	r.size = (uint64_t)st.st_size;
	while (step(&r, annotation))
		;
	if (out->end == AOF_BROKEN && out->follows == 0)
		out->follows = command_after(&r, out->at);
	arg_list_deinit(&r.piece.args);
	buf_deinit(&r.in);
	buf_deinit(&r.text);
	buf_deinit(&r.queue);
}

bool aof_begins_with_rdb(int fd)
{
	char magic[5];

	return io_pread_full(fd, magic, sizeof magic, 0) == 0 && memcmp(magic, "REDIS", sizeof magic) == 0;
}
