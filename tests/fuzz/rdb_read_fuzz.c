/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the reader of RDB: whole files, and values as RESTORE has them. For any bytes: no bad access (run it with sanitizers), it ends soon, what it
 * says lies within the bytes, what is good when looked at deeply is good without, and the sink is told the same either way.
 *
 * Built and run as fuzz.h says; tests/data/rdb is libFuzzer's corpus. On its own, run where that folder is, it mutates these files, whole and value by
 * value.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "persist/rdb_read.h"
#include "fuzz.h"

#define SECONDS_FOR_ONE 20 /* sanitizers are slow, and so are busy machines */

static uint64_t digest;

static void add(const void *p, size_t n)
{
	digest = fuzz_digest(digest, p, n);
}

static const char *on_string(void *arg, const struct rdb_key *k, const struct arg *value)
{
	(void)arg;
	add(k->name.p, k->name.n);
	add(value->p, value->n);
	return NULL;
}

static const char *on_key(void *arg, const struct rdb_key *k)
{
	(void)arg;
	add(k->name.p, k->name.n);
	return NULL;
}

static const char *on_element(void *arg, const struct rdb_key *k, const struct rdb_element *e)
{
	(void)arg;
	(void)k;
	add(e->a.p, e->a.n);
	add(e->b.p, e->b.n);
	add(&e->score, sizeof e->score);
	add(&e->id, sizeof e->id);
	add(&e->n, sizeof e->n);
	return NULL;
}

static const char *on_text(void *arg, const struct arg *code)
{
	(void)arg;
	add(code->p, code->n);
	return NULL;
}

static const char *on_pair(void *arg, const struct arg *name, const struct arg *text)
{
	on_text(arg, name);
	return on_text(arg, text);
}

static const struct rdb_sink sink = {.string = on_string, .element = on_element, .end = on_key, .empty = on_key, .function = on_text, .aux = on_pair};

/* A file, or a value's type and its bytes. */
static bool read_once(const uint8_t *data, size_t size, bool deep)
{
	struct rdb_reader r;
	const struct rdb_key key = {.name = {"k", 1}, .due = RDB_NO_DUE, .idle = -1, .freq = -1};
	bool file = size >= 5 && memcmp(data, RDB_MAGIC, 5) == 0;
	digest = 0;
	rdb_from_memory(&r, data + !file, size - !file);
	r.deep = deep;
	r.check_sum = false;
	bool ok = file ? rdb_read(&r, &sink) : rdb_read_value(&r, data[0], &key, &sink);
	CHECK(ok == (r.outcome == RDB_GOOD));
	CHECK(r.at <= size);
	CHECK(ok == (r.why[0] == 0) && strnlen(r.why, sizeof r.why) < sizeof r.why);
	CHECK(r.outcome != RDB_IO && r.outcome != RDB_REFUSED && r.outcome != RDB_BAD_SUM);
	CHECK(rdb_doing_text(r.doing));
	rdb_reader_deinit(&r);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* A block of its own, so that the sanitizer sees its end. */
	uint8_t *copy = malloc(size);
	memcpy(copy, data, size);
	alarm(SECONDS_FOR_ONE);
	bool deep = read_once(copy, size, true);
	uint64_t said = digest;
	bool shallow = read_once(copy, size, false);
	CHECK(!deep || (shallow && digest == said));
	alarm(0);
	free(copy);
	return 0;
}

#ifndef FUZZ_ENGINE

#define FOLDER "tests/data/rdb"
#define INPUT_MAX (256u << 10)

static struct buf *corpus;
static size_t ncorpus;

static struct buf *keep(const void *p, size_t n)
{
	corpus = realloc(corpus, (ncorpus + 1) * sizeof *corpus);
	CHECK(corpus);
	corpus[ncorpus] = (struct buf){0};
	buf_append(&corpus[ncorpus], p, n);
	return &corpus[ncorpus++];
}

/* The value of a key in a file in memory: its type, and what lies between its name and where the reader is. */
static const char *keep_value(void *arg, const struct rdb_key *k)
{
	const struct rdb_reader *r = arg;
	if (k->name.n == 0)
		return NULL;
	const unsigned char *name = memmem(r->p + k->offset, r->next - k->offset, k->name.p, k->name.n);
	if (!name)
		return NULL;
	const unsigned char *from = name + k->name.n, *to = r->p + r->next;
	struct buf *b = keep(&k->type, 1);
	buf_append(b, from, (size_t)(to - from));
	return NULL;
}

static const char *keep_string(void *arg, const struct rdb_key *k, const struct arg *value)
{
	(void)value;
	return keep_value(arg, k);
}

static void read_corpus(void)
{
	DIR *d = opendir(FOLDER);
	struct dirent *e;
	CHECK(d);
	while ((e = readdir(d))) {
		char path[512];
		struct stat st;
		struct buf b = {0};
		struct rdb_reader r;
		const struct rdb_sink each = {.arg = &r, .string = keep_string, .end = keep_value};
		snprintf(path, sizeof path, FOLDER "/%s", e->d_name);
		if (!strstr(e->d_name, ".rdb"))
			continue;
		int fd = open(path, O_RDONLY);
		CHECK(fd >= 0 && fstat(fd, &st) == 0);
		b.len = (size_t)io_read_full(fd, buf_reserve(&b, (size_t)st.st_size), (size_t)st.st_size);
		close(fd);
		rdb_from_memory(&r, b.data, b.len);
		CHECK(rdb_read(&r, &each));
		rdb_reader_deinit(&r);
		keep(b.data, b.len);
		buf_deinit(&b);
	}
	closedir(d);
	CHECK(ncorpus > 100);
}

static const struct {
	const char *p;
	size_t n;
} tokens[] = {
#define TOKEN(s) {s, sizeof s - 1}
    TOKEN("\0"), TOKEN("\xff"), TOKEN("\x7f\xff"), TOKEN("\x80\xff\xff\xff\xff"), TOKEN("\x80\x7f\xff\xff\xff"), TOKEN("\x80\0\0\0\1"),
    TOKEN("\x81\xff\xff\xff\xff\xff\xff\xff\xff"), TOKEN("\x81\x7f\xff\xff\xff\xff\xff\xff\xff"), TOKEN("\x81\0\0\0\1\0\0\0\0"), TOKEN("\xc0\x80"),
    TOKEN("\xc1\xff\xff"), TOKEN("\xc2\0\0\0\x80"), TOKEN("\xc3\x01\x01\0a"), TOKEN("\xc3\x03\x40\xff\0a\xe0\xff\0"), TOKEN("\xf0\xff\xff\xff\xff"),
    TOKEN("\xf4\0\0\0\0\0\0\0\x80"), TOKEN("\xfe\xff\xff\xff\xff"), TOKEN("\xef\xff"), TOKEN("\xfa\1a\1b"), TOKEN("\xfb\1\1"), TOKEN("\xf5\1x"),
    TOKEN("\xfe\1"), TOKEN("\xf8\1"), TOKEN("\xf9\1"), TOKEN("\xfc\0\0\0\0\0\0\0\x80"),
};

static void put(struct buf *b, size_t at, const void *p, size_t n)
{
	if (b->len + n > INPUT_MAX)
		return;
	buf_reserve(b, n);
	memmove(b->data + at + n, b->data + at, b->len - at);
	memcpy(b->data + at, p, n);
	b->len += n;
}

/* Most places are in the first and last bytes, where lengths and heads are. */
static size_t place(size_t n)
{
	size_t near = n < 40 ? n : 40;
	switch (fuzz_below(3)) {
	case 0:
		return fuzz_below(near);
	case 1:
		return n - 1 - fuzz_below(near);
	default:
		return fuzz_below(n);
	}
}

static void mutate(struct buf *b)
{
	size_t at = place(b->len), n = 1 + fuzz_below(8), i = fuzz_below(sizeof tokens / sizeof tokens[0]);
	if (n > b->len - at)
		n = b->len - at;
	switch (fuzz_below(8)) {
	case 0:
	case 1:
		b->data[at] = (char)fuzz_below(256);
		break;
	case 2:
		b->data[at] ^= (char)(1 << fuzz_below(8));
		break;
	case 3:
		b->data[at] += (char)(fuzz_below(3) - 1);
		break;
	case 4:
		if (n == b->len)
			break;
		memmove(b->data + at, b->data + at + n, b->len - at - n);
		b->len -= n;
		break;
	case 5:
		put(b, at, tokens[i].p, tokens[i].n);
		break;
	case 6:
		memcpy(b->data + at, tokens[i].p, tokens[i].n < b->len - at ? tokens[i].n : b->len - at);
		break;
	default:
		if (fuzz_below(4) == 0 && at > 0) {
			b->len = at;
		} else {
			char copy[8];
			memcpy(copy, b->data + at, n);
			put(b, place(b->len), copy, n);
		}
	}
}

int main(int argc, char **argv)
{
	struct buf b = {0};
	read_corpus();
	fuzz_begin(argc, argv);
	while (fuzz_goes_on()) {
		const struct buf *from = &corpus[fuzz_below(ncorpus)];
		buf_clear(&b);
		buf_append(&b, from->data, from->len);
		for (size_t changes = fuzz_below(6); changes > 0; changes--)
			mutate(&b);
		/* The type of another value, now and then. */
		if (fuzz_below(10) == 0)
			b.data[0] = (char)fuzz_below(22);
		LLVMFuzzerTestOneInput((const uint8_t *)b.data, b.len);
	}
	for (size_t i = 0; i < ncorpus; i++)
		buf_deinit(&corpus[i]);
	free(corpus);
	buf_deinit(&b);
	return 0;
}

#endif
