/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The RDB reader: files of every version with every type and encoding, made by tests/lib/rdb_samples.py, give exactly what is in them, from
 * memory, from a file and from a pipe that comes in drops; cut anywhere they are refused, damaged anywhere nothing happens but an error.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc64.h"
#include "base/io.h"
#include "persist/rdb_read.h"
#include "test.h"

#define DATA "tests/data/rdb"

static struct buf listing;

static void put(const struct arg *a)
{
	for (size_t i = 0; i < a->n; i++)
		buf_append_char(&listing, a->p[i] == '\n' ? '|' : a->p[i]);
}

static void put_key(const struct rdb_key *k)
{
	char due[24];
	snprintf(due, sizeof due, "%lld", (long long)k->due);
	buf_printf(&listing, "K %u %s ", k->db, k->type_name);
	put(&k->name);
	buf_printf(&listing, " due=%s idle=%lld freq=%d\n", k->due == RDB_NO_DUE ? "-" : due, (long long)k->idle, k->freq);
}

static const char *on_string(void *arg, const struct rdb_key *k, const struct arg *value)
{
	(void)arg;
	put_key(k);
	buf_append_str(&listing, "S ");
	put(value);
	buf_append_str(&listing, "\n.\n");
	return NULL;
}

static const char *on_begin(void *arg, const struct rdb_key *k, uint64_t expected)
{
	(void)arg;
	(void)expected;
	put_key(k);
	return NULL;
}

static void put_id(const char *before, const struct rdb_id *id)
{
	buf_printf(&listing, "%s%llu-%llu", before, (unsigned long long)id->ms, (unsigned long long)id->seq);
}

static const char *on_element(void *arg, const struct rdb_key *k, const struct rdb_element *e)
{
	static const char letters[] = "EMFNTGPCO";
	(void)arg;
	bool score = e->part == RDB_MEMBER && k->type_name[0] == 'z';
	buf_printf(&listing, "%c ", score ? 'Z' : letters[e->part]);
	put(&e->a);
	switch (e->part) {
	case RDB_MEMBER:
		if (score)
			buf_printf(&listing, " %.17g", e->score);
		break;
	case RDB_FIELD:
		buf_append_str(&listing, " ");
		put(&e->b);
		break;
	case RDB_ENTRY:
		put_id("", &e->id);
		buf_printf(&listing, " %llu", (unsigned long long)e->n);
		break;
	case RDB_STREAM:
		buf_printf(&listing, "%llu", (unsigned long long)e->n);
		put_id(" ", &e->id);
		put_id(" ", &e->first);
		put_id(" ", &e->max_deleted);
		buf_printf(&listing, " %lld", (long long)e->added);
		break;
	case RDB_GROUP:
		put_id(" ", &e->id);
		buf_printf(&listing, " %lld", (long long)e->added);
		break;
	case RDB_PENDING:
		put_id("", &e->id);
		buf_printf(&listing, " %lld %llu", (long long)e->time, (unsigned long long)e->n);
		break;
	case RDB_CONSUMER:
		buf_printf(&listing, " %lld %lld", (long long)e->time, (long long)e->active);
		break;
	case RDB_OWNED:
		put_id("", &e->id);
		break;
	case RDB_ELEMENT:
		break;
	}
	buf_append_char(&listing, '\n');
	return NULL;
}

static const char *on_end(void *arg, const struct rdb_key *k)
{
	(void)arg;
	(void)k;
	buf_append_str(&listing, ".\n");
	return NULL;
}

static const char *on_sizes(void *arg, uint32_t db, uint64_t keys, uint64_t expires)
{
	(void)arg;
	buf_printf(&listing, "R %u %llu %llu\n", db, (unsigned long long)keys, (unsigned long long)expires);
	return NULL;
}

static const char *on_aux(void *arg, const struct arg *name, const struct arg *text)
{
	(void)arg;
	buf_append_str(&listing, "A ");
	put(name);
	buf_append_char(&listing, ' ');
	put(text);
	buf_append_char(&listing, '\n');
	return NULL;
}

static const char *on_function(void *arg, const struct arg *code)
{
	(void)arg;
	buf_append_str(&listing, "L ");
	put(code);
	buf_append_char(&listing, '\n');
	return NULL;
}

static void on_module(void *arg, const struct rdb_key *k, const char *name)
{
	(void)arg;
	(void)k;
	buf_printf(&listing, "X %s\n", name);
}

static const struct rdb_sink lister = {.string = on_string, .begin = on_begin, .element = on_element, .end = on_end, .sizes = on_sizes,
				       .aux = on_aux, .function = on_function, .module = on_module};
static const struct rdb_sink nobody;

static struct buf slurp(int version, const char *kind)
{
	char path[64];
	struct buf b = {0};
	snprintf(path, sizeof path, DATA "/v%02d.%s", version, kind);
	int fd = open(path, O_RDONLY);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && io_read_full(fd, buf_reserve(&b, (size_t)st.st_size), (size_t)st.st_size) == st.st_size)
		b.len = (size_t)st.st_size;
	if (fd >= 0)
		close(fd);
	return b;
}

static void check_listing(const struct buf *want, const struct rdb_reader *r, uint64_t size)
{
	CHECKF(r->outcome == RDB_GOOD, "at %llu: %s", (unsigned long long)r->at, r->why);
	CHECK_UINT(r->at, size);
	size_t i = 0, line = 1;
	while (i < want->len && i < listing.len && want->data[i] == listing.data[i])
		line += want->data[i++] == '\n';
	CHECKF(want->len == listing.len && i == want->len, "version %u: another content from line %zu on", r->version, line);
}

static void test_versions(void)
{
	for (int version = 1; version <= (int)RDB_VERSION_READ; version++) {
		struct buf file = slurp(version, "rdb"), want = slurp(version, "txt");
		REQUIRE(file.len > 0 && want.len > 0);
		for (int deep = 0; deep < 2; deep++) {
			struct rdb_reader r;
			buf_clear(&listing);
			rdb_from_memory(&r, file.data, file.len);
			r.deep = deep;
			rdb_read(&r, &lister);
			check_listing(&want, &r, file.len);
			CHECK_UINT(r.version, (unsigned)version);
			rdb_reader_deinit(&r);
		}
		buf_deinit(&file);
		buf_deinit(&want);
	}
}

/* From a pipe, a few bytes at a time, without knowing how many there are. */
static void test_pipe(void)
{
	struct buf file = slurp(11, "rdb"), want = slurp(11, "txt");
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		for (size_t at = 0, n = 1; at < file.len; at += n, n = n % 997 + 13)
			if (io_write_full(ends[1], file.data + at, n < file.len - at ? n : file.len - at))
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	struct rdb_reader r;
	buf_clear(&listing);
	rdb_from_fd(&r, ends[0], UINT64_MAX);
	rdb_read(&r, &lister);
	check_listing(&want, &r, file.len);
	rdb_reader_deinit(&r);
	close(ends[0]);
	waitpid(child, NULL, 0);
	buf_deinit(&file);
	buf_deinit(&want);
}

static bool read_copy(const char *p, size_t n, bool deep, enum rdb_outcome *outcome, uint64_t *at)
{
	/* A block of its own, so that reading beyond it is noticed by who looks for that. */
	char *copy = malloc(n ? n : 1);
	struct rdb_reader r;
	memcpy(copy, p, n);
	rdb_from_memory(&r, copy, n);
	r.deep = deep;
	bool ok = rdb_read(&r, &nobody);
	*outcome = r.outcome;
	*at = r.at;
	rdb_reader_deinit(&r);
	free(copy);
	return ok;
}

static void test_cut(void)
{
	enum rdb_outcome outcome;
	uint64_t at;
	for (int version = 1; version <= (int)RDB_VERSION_READ; version++) {
		struct buf file = slurp(version, "rdb");
		for (size_t n = 0; n < file.len; n += n < 2000 ? 1 : 211) {
			bool ok = read_copy(file.data, n, true, &outcome, &at);
			if (!CHECKF(!ok && outcome == RDB_SHORT && at == n, "version %d cut at %zu: %d at %llu", version, n, outcome,
				    (unsigned long long)at))
				break;
		}
		buf_deinit(&file);
	}
}

/* Any byte changed: an error, or a file that says something else; where there is a sum, always an error. */
static void test_damaged(void)
{
	enum rdb_outcome outcome;
	uint64_t at;
	for (int version = 1; version <= (int)RDB_VERSION_READ; version++) {
		struct buf file = slurp(version, "rdb");
		for (size_t i = 9; i < file.len; i += file.len < 8000 ? 1 : i < 3000 || file.data[i] != 'h' ? 3 : 1009) {
			char old = file.data[i];
			file.data[i] ^= (char)(1 << i % 8);
			bool ok = read_copy(file.data, file.len, i & 1, &outcome, &at);
			if (version >= 5 && version % 2 == 0 && !CHECKF(!ok, "version %d, byte %zu: not noticed", version, i))
				break;
			CHECK(at <= file.len);
			file.data[i] = old;
		}
		buf_deinit(&file);
	}
}

/* ---- single values ---- */

static bool value_ok(uint8_t type, const char *p, size_t n, bool deep, char why[256])
{
	struct rdb_reader r;
	struct rdb_key key = {.name = {"k", 1}, .due = RDB_NO_DUE};
	rdb_from_memory(&r, p, n);
	r.deep = deep;
	bool ok = rdb_read_value(&r, type, &key, &nobody);
	memcpy(why, r.why, sizeof r.why);
	rdb_reader_deinit(&r);
	return ok;
}

/* Each of these is refused for the reason given. */
static void test_refused(void)
{
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t n;
		bool deep_only;
		const char *why;
	} cases[] = {
#define CASE(type, bytes, deep_only, why) {type, bytes, sizeof bytes - 1, deep_only, why}
		CASE(RDB_STRING, "\xc4", false, "coded in a way that is not known"),
		CASE(RDB_STRING, "\x82", false, "no such kind of length"),
		CASE(RDB_STRING, "\x81\xff\xff\xff\xff\xff\xff\xff\xff", false, "a string of 18446744073709551615 bytes"),
		CASE(RDB_STRING, "\x80\xff\xff\xff\xff", false, "ends too early"),
		CASE(RDB_STRING, "\xc3\x03\x80\x7f\xff\xff\xff" "abc", false, "claims to hold 2147483647"),
		CASE(RDB_STRING, "\xc3\x03\x05\xe0\x01\x01", false, "cannot be decompressed"),
		CASE(RDB_LIST, "\x00", false, "a list without an element"),
		CASE(RDB_LIST, "\xc0\x01", false, "no length"),
		CASE(RDB_LIST, "\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01" "a", false, "ends too early"),
		CASE(RDB_SET, "\x02\x01" "a\x01" "a", false, "there twice"),
		CASE(RDB_HASH, "\x02\x01" "a\x01" "b\x01" "a\x01" "c", false, "there twice"),
		CASE(RDB_ZSET, "\x01\x01" "a\xfd", false, "no number"),
		CASE(RDB_ZSET, "\x01\x01" "a\x02" "1x", false, "no number"),
		CASE(RDB_ZSET_2, "\x01\x01" "a\0\0\0\0\0\0\xf8\x7f", false, "no number"),
		CASE(RDB_SET_INTSET, "\x0c\x02\0\0\0\x02\0\0\0\x02\0\x01\0", false, "do not ascend"),
		CASE(RDB_SET_INTSET, "\x0c\x03\0\0\0\x02\0\0\0\x02\0\x01\0", false, "no size that there is"),
		CASE(RDB_SET_INTSET, "\x0c\x02\0\0\0\x03\0\0\0\x02\0\x01\0", false, "not as long"),
		CASE(RDB_SET_INTSET, "\x08\x02\0\0\0\0\0\0\0", false, "empty"),
		CASE(RDB_HASH_LISTPACK, "\x09\x09\0\0\0\x01\0\x01\x01\xff", false, "an odd number"),
		CASE(RDB_HASH_LISTPACK, "\x0f\x0f\0\0\0\x04\0\x01\x01\x01\x01\x01\x01\x01\x01\xff", true, "there twice"),
		CASE(RDB_SET_LISTPACK, "\x09\x09\0\0\0\x02\0\x01\x01\xff", false, "not have as many"),
		CASE(RDB_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\x01\x02\xff", false, "does not stand behind"),
		CASE(RDB_SET_LISTPACK, "\x09\x08\0\0\0\x01\0\x01\x01\xff", false, "not as long"),
		CASE(RDB_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\x01\x01\xfe", false, "end with an end"),
		CASE(RDB_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\xbf\x01\xff", false, "beyond its end"),
		CASE(RDB_SET_LISTPACK, "\x09\x09\0\0\0\x01\0\xf7\x01\xff", false, "not known"),
		CASE(RDB_LIST_ZIPLIST, "\x0d\x0d\0\0\0\x0a\0\0\0\x01\0\x01\xf2\xff", false, "the one before"),
		CASE(RDB_LIST_ZIPLIST, "\x0d\x0d\0\0\0\x0b\0\0\0\x01\0\0\xf2\xff", false, "not where it says"),
		CASE(RDB_LIST_ZIPLIST, "\x0d\x0d\0\0\0\xff\0\0\0\x01\0\0\xf2\xff", false, "beyond its end"),
		CASE(RDB_HASH_ZIPMAP, "\x04\x01\x01" "a\xff", false, "without a value"),
		CASE(RDB_LIST_QUICKLIST_2, "\x01\x03\x01" "a", false, "a list's node"),
		CASE(RDB_MODULE, "\x05", false, "first format of modules"),
		CASE(RDB_MODULE_2, "\x05\x09", false, "a part of module"),
		CASE(RDB_STREAM_LISTPACKS, "\x01\x01" "a", false, "its id is no id"),
		CASE(RDB_STREAM_LISTPACKS, "\0\x01\0\0\0", false, "that has none"),
		CASE(RDB_STREAM_LISTPACKS, "\0\0\0\0\x02\x01g\0\0\0\0\x01g\0\0\0\0", false, "there twice"),
		CASE(8, "abc", false, "not known"),
#undef CASE
	};
	char why[256];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool ok = value_ok(cases[i].type, cases[i].bytes, cases[i].n, true, why);
		CHECKF(!ok && strstr(why, cases[i].why), "case %zu: %s, not %s", i, ok ? "taken" : why, cases[i].why);
		if (cases[i].deep_only) {
			CHECK(value_ok(cases[i].type, cases[i].bytes, cases[i].n, false, why));
		}
	}
}

/* Nothing is found twice that is not, in a set that makes the table grow. */
static void test_many_members(void)
{
	struct buf b = {0};
	char why[256];
	const unsigned n = 50000;
	buf_append(&b, (unsigned char[]){0x80, 0, 0, n >> 8, n & 0xff}, 5);
	for (unsigned i = 0; i < n; i++) {
		buf_append(&b, "\xc2", 1);
		buf_append(&b, &i, 4);
	}
	CHECKF(value_ok(RDB_SET, b.data, b.len, false, why), "%s", why);
	memcpy(b.data + b.len - 4, b.data + 6 + 5 * 777, 4);
	CHECK(!value_ok(RDB_SET, b.data, b.len, false, why) && strstr(why, "there twice"));
	buf_deinit(&b);
}

static const char *stop_at_b(void *arg, const struct rdb_key *k, const struct arg *value)
{
	(void)arg;
	(void)value;
	return str_eq(k->name.p, k->name.n, "b") ? "enough" : NULL;
}

static void test_stopped(void)
{
	static const char file[] = "REDIS0003\xfe\x02\0\x01" "a\x01" "1\xfd\0\0\0\0\0\x01" "b\x01" "1\0\x01" "c\x01" "1\xff";
	const struct rdb_sink sink = {.string = stop_at_b};
	struct rdb_reader r;
	rdb_from_memory(&r, file, sizeof file - 1);
	CHECK(!rdb_read(&r, &sink) && r.outcome == RDB_REFUSED && r.in_key);
	CHECK_STR(r.why, "enough");
	CHECK_UINT(r.at, 16);
	CHECK_UINT(r.key.db, 2);
	CHECK_MEM(r.key.name.p, r.key.name.n, "b", 1);
	rdb_reader_deinit(&r);
}

static void test_payload(void)
{
	char p[] = "\0\x05hello\x0a\0########";
	uint64_t sum = crc64(0, p, 9);
	for (int i = 0; i < 8; i++)
		p[9 + i] = (char)(sum >> (8 * i));
	CHECK(rdb_payload_ok(p, 17, true) && rdb_payload_ok(p, 17, false));
	p[2]++;
	CHECK(!rdb_payload_ok(p, 17, true) && rdb_payload_ok(p, 17, false));
	p[7] = RDB_VERSION_READ + 1;
	CHECK(!rdb_payload_ok(p, 17, false) && !rdb_payload_ok(p, 9, false) && !rdb_payload_ok(p, 0, false));
}

int main(void)
{
	RUN(test_versions);
	RUN(test_pipe);
	RUN(test_cut);
	RUN(test_damaged);
	RUN(test_refused);
	RUN(test_many_members);
	RUN(test_stopped);
	RUN(test_payload);
	buf_deinit(&listing);
	return test_done();
}
