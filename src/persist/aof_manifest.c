/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manifest of an append only file (persist/aof_manifest.h).
 *
 * Runs in the AOF writer and, before there is one, in the loader: they change it. The supervisor and the tools that check files read it. Owns a list in
 * private memory. No locks. A process that dies while it writes leaves the old manifest, and perhaps a temporary file, which the next one overwrites.
 */
#include "persist/aof_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/panic.h"
#include "base/str.h"

#define MANIFEST_BYTES_MAX (16u << 20) /* no manifest is so long */

/* ---- the list ---- */

void aof_manifest_deinit(struct aof_manifest *m)
{
	free(m->parts);
	*m = (struct aof_manifest){0};
}

static struct aof_part *add(struct aof_manifest *m, const char *name, int64_t seq, enum aof_type type)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 4;
		m->parts = realloc(m->parts, m->cap * sizeof m->parts[0]);
		if (!m->parts)
			fatal("Out of memory");
	}
	struct aof_part *p = &m->parts[m->n++];
	memset(p, 0, sizeof *p);
	memcpy(p->name, name, strnlen(name, AOF_NAME_MAX - 1));
	p->seq = seq;
	p->type = type;
	if (type == AOF_BASE)
		m->base_seq = seq;
	if (type == AOF_INCR)
		m->incr_seq = seq;
	return p;
}

void aof_manifest_copy(struct aof_manifest *to, const struct aof_manifest *from)
{
	for (size_t i = 0; i < from->n; i++)
		add(to, from->parts[i].name, from->parts[i].seq, from->parts[i].type);
	to->base_seq = from->base_seq;
	to->incr_seq = from->incr_seq;
}

const struct aof_part *aof_manifest_next(const struct aof_manifest *m, enum aof_type type, const struct aof_part *after)
{
	for (size_t i = after ? (size_t)(after - m->parts) + 1 : 0; i < m->n; i++)
		if (m->parts[i].type == type)
			return &m->parts[i];
	return NULL;
}

const struct aof_part *aof_manifest_base(const struct aof_manifest *m)
{
	return aof_manifest_next(m, AOF_BASE, NULL);
}

const struct aof_part *aof_manifest_last_incr(const struct aof_manifest *m)
{
	const struct aof_part *last = NULL, *p = NULL;
	while ((p = aof_manifest_next(m, AOF_INCR, p)) != NULL)
		last = p;
	return last;
}

const struct aof_part *aof_manifest_incr(const struct aof_manifest *m, int64_t seq)
{
	for (const struct aof_part *p = NULL; (p = aof_manifest_next(m, AOF_INCR, p)) != NULL;)
		if (p->seq == seq)
			return p;
	return NULL;
}

/* What becomes history goes behind what is history already. */
static void retire(struct aof_manifest *m, size_t i)
{
	struct aof_part p = m->parts[i];
	memmove(&m->parts[i], &m->parts[i + 1], (m->n - i - 1) * sizeof p);
	p.type = AOF_HISTORY;
	m->parts[m->n - 1] = p;
}

static bool is_taken(const struct aof_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->parts[i].name, name) == 0)
			return true;
	return false;
}

const struct aof_part *aof_manifest_new_base(struct aof_manifest *m, const char *filename, bool rdb)
{
	char name[AOF_NAME_MAX];
	int64_t seq = m->base_seq;
	do
		if (aof_base_name(name, filename, ++seq, rdb))
			return NULL;
	while (is_taken(m, name));
	for (size_t i = 0; i < m->n; i++)
		if (m->parts[i].type == AOF_BASE) {
			retire(m, i);
			break;
		}
	return add(m, name, seq, AOF_BASE);
}

const struct aof_part *aof_manifest_add_incr(struct aof_manifest *m, const char *filename, int64_t seq)
{
	char name[AOF_NAME_MAX];
	if (aof_incr_name(name, filename, seq))
		return NULL;
	return add(m, name, seq, AOF_INCR);
}

int64_t aof_manifest_next_seq(const struct aof_manifest *m, const char *filename, int64_t after)
{
	char name[AOF_NAME_MAX];
	do
		after++;
	while (aof_incr_name(name, filename, after) == 0 && is_taken(m, name));
	return after;
}

const struct aof_part *aof_manifest_new_incr(struct aof_manifest *m, const char *filename)
{
	return aof_manifest_add_incr(m, filename, aof_manifest_next_seq(m, filename, m->incr_seq));
}

const struct aof_part *aof_manifest_adopt_base(struct aof_manifest *m, const char *name, int64_t seq)
{
	if (strlen(name) >= AOF_NAME_MAX) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return add(m, name, seq, AOF_BASE);
}

void aof_manifest_retire_incrs(struct aof_manifest *m, size_t keep)
{
	size_t incrs = 0;
	for (size_t i = 0; i < m->n; i++)
		incrs += m->parts[i].type == AOF_INCR;
	for (size_t i = 0; incrs > keep;) {
		if (m->parts[i].type != AOF_INCR) {
			i++;
			continue;
		}
		retire(m, i);
		incrs--;
	}
}

void aof_manifest_forget(struct aof_manifest *m, enum aof_type type)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->n; i++)
		if (m->parts[i].type != type)
			m->parts[kept++] = m->parts[i];
	m->n = kept;
}

/* ---- names ---- */

static int fits(int n)
{
	if (n >= 0 && n < (int)AOF_NAME_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int aof_manifest_name(char out[AOF_NAME_MAX], const char *filename)
{
	return fits(snprintf(out, AOF_NAME_MAX, "%s.manifest", filename));
}

int aof_base_name(char out[AOF_NAME_MAX], const char *filename, int64_t seq, bool rdb)
{
	return fits(snprintf(out, AOF_NAME_MAX, "%s.%lld.base.%s", filename, (long long)seq, rdb ? "rdb" : "aof"));
}

int aof_incr_name(char out[AOF_NAME_MAX], const char *filename, int64_t seq)
{
	return fits(snprintf(out, AOF_NAME_MAX, "%s.%lld.incr.aof", filename, (long long)seq));
}

/* ---- text ---- */

/* Redis's rule for when a name stands in quotes. */
static bool needs_quotes(const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
			return true;
	return *name == 0;
}

static void print_type(const struct aof_manifest *m, enum aof_type type, struct buf *out)
{
	for (const struct aof_part *p = NULL; (p = aof_manifest_next(m, type, p)) != NULL;) {
		buf_append_str(out, "file ");
		if (needs_quotes(p->name))
			str_repr(out, p->name, strlen(p->name));
		else
			buf_append_str(out, p->name);
		buf_printf(out, " seq %lld type %c\n", (long long)p->seq, (char)type);
	}
}

void aof_manifest_print(const struct aof_manifest *m, struct buf *out)
{
	print_type(m, AOF_BASE, out);
	print_type(m, AOF_HISTORY, out);
	print_type(m, AOF_INCR, out);
}

/* The number a text begins with, 0 if none: Redis takes what follows it without a word. */
static int64_t leading_number(const struct arg *a)
{
	char text[32];
	size_t n = a->n < sizeof text - 1 ? a->n : sizeof text - 1;
	memcpy(text, a->p, n);
	text[n] = 0;
	return strtoll(text, NULL, 10);
}

static const char *take_name(struct aof_part *p, const struct arg *a)
{
	if (memchr(a->p, '/', a->n) || str_eq(a->p, a->n, ".") || str_eq(a->p, a->n, ".."))
		return "a file is named by a path, not by a name alone";
	if (a->n >= AOF_NAME_MAX || memchr(a->p, 0, a->n))
		return "no file can have that name";
	memcpy(p->name, a->p, a->n);
	p->name[a->n] = 0;
	return NULL;
}

static const char *take_words(struct aof_part *p, const struct arg_list *words)
{
	const char *why = NULL;
	if (words->n < 6 || words->n % 2)
		return "not the format of a manifest";
	for (size_t i = 0; i < words->n && !why; i += 2) {
		const struct arg *key = &words->v[i], *value = key + 1;
		if (arg_ieq(key, "file"))
			why = take_name(p, value);
		else if (arg_ieq(key, "seq"))
			p->seq = leading_number(value);
		else if (arg_ieq(key, "type"))
			p->type = (enum aof_type)(value->n ? (unsigned char)value->p[0] : 0);
	}
	if (!why && (!p->name[0] || !p->seq || !p->type))
		why = "not the format of a manifest";
	return why;
}

static const char *take_part(struct aof_manifest *m, const struct aof_part *p)
{
	if (p->type != AOF_BASE && p->type != AOF_HISTORY && p->type != AOF_INCR)
		return "a file of an unknown type";
	if (p->type == AOF_BASE && aof_manifest_base(m))
		return "a second base file";
	if (p->type == AOF_INCR && p->seq <= m->incr_seq)
		return "increments out of order";
	add(m, p->name, p->seq, p->type);
	return NULL;
}

/* One line without its end; a copy, since unquoting overwrites it. */
static const char *take_line(struct aof_manifest *m, const char *line, size_t n, struct arg_list *words, struct buf *scratch)
{
	struct aof_part p = {0};
	const char *why;
	if (n && line[0] == '#')
		return NULL;
	buf_clear(scratch);
	buf_reserve(scratch, n + 1);
	buf_append(scratch, line, n);
	if (!str_split_args(scratch->data, scratch->len, words))
		return "quotes that do not balance";
	why = take_words(&p, words);
	return why ? why : take_part(m, &p);
}

static void blame(struct aof_manifest_error *e, unsigned line, const char *text, size_t n, const char *why)
{
	memset(e, 0, sizeof *e);
	e->line = line;
	e->why = why;
	memcpy(e->text, text, n < sizeof e->text - 1 ? n : sizeof e->text - 1);
}

bool aof_manifest_parse(struct aof_manifest *m, const char *text, size_t n, struct aof_manifest_error *error)
{
	struct arg_list words = {0};
	struct buf scratch;
	const char *why = n ? NULL : "it is empty", *end = text + n;
	unsigned line = 0;

	buf_init(&scratch);
	if (why)
		blame(error, 0, "", 0, why);
	while (!why && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		line++;
		why = stop || *text == '#' ? take_line(m, text, len, &words, &scratch) : "the last line has no end";
		if (why)
			blame(error, line, text, len, why);
		text += len + 1;
	}
	arg_list_deinit(&words);
	buf_deinit(&scratch);
	return !why;
}

/* ---- the file ---- */

int aof_dir_open(const char *dirname, bool make)
{
	if (make && mkdir(dirname, 0755) && errno != EEXIST)
		return -1;
	return open(dirname, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum aof_found read_text(int fd, struct buf *text)
{
	struct stat st;
	if (fstat(fd, &st))
		return AOF_FAILED;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return AOF_FAILED;
	}
	if (st.st_size > (off_t)MANIFEST_BYTES_MAX) {
		errno = EFBIG;
		return AOF_FAILED;
	}
	ssize_t got = io_read_full(fd, buf_reserve(text, (size_t)st.st_size + 1), (size_t)st.st_size);
	if (got < 0)
		return AOF_FAILED;
	text->len = (size_t)got;
	return AOF_FOUND;
}

enum aof_found aof_manifest_read(struct aof_manifest *m, int dir, const char *name, struct aof_manifest_error *error)
{
	struct buf text;
	if (dir < 0)
		return AOF_ABSENT;
	/* Not waiting for whom a fifo of that name would have to wait. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? AOF_ABSENT : AOF_FAILED;
	buf_init(&text);
	enum aof_found found = read_text(fd, &text);
	io_close(&fd);
	if (found == AOF_FOUND && !aof_manifest_parse(m, text.data, text.len, error))
		found = AOF_BAD;
	int why = errno;
	buf_deinit(&text);
	errno = why;
	return found;
}

static int write_text(int dir, const char *name, const struct buf *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	int failed = io_write_full(fd, text->data, text->len) || fsync(fd);
	io_close(&fd);
	return failed ? -1 : 0;
}

int aof_manifest_stage(const struct aof_manifest *m, int dir, const char *name, char temp[AOF_NAME_MAX])
{
	struct buf text;
	if (fits(snprintf(temp, AOF_NAME_MAX, "temp-%s", name)))
		return -1;
	buf_init(&text);
	aof_manifest_print(m, &text);
	int failed = write_text(dir, temp, &text), why = errno;
	buf_deinit(&text);
	if (failed)
		unlinkat(dir, temp, 0);
	errno = why;
	return failed;
}

int aof_manifest_commit(int dir, const char *temp, const char *name)
{
	if (renameat(dir, temp, dir, name) == 0)
		return io_sync_dir(dir) ? 1 : 0;
	int why = errno;
	unlinkat(dir, temp, 0);
	errno = why;
	return -1;
}

int aof_manifest_write(const struct aof_manifest *m, int dir, const char *name)
{
	char temp[AOF_NAME_MAX];
	return aof_manifest_stage(m, dir, name, temp) || aof_manifest_commit(dir, temp, name) ? -1 : 0;
}
