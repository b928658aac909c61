/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing RDB: what was written is read again, in pieces and as a whole; numbers and lengths at their limits; a disk that is full. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "persist/aof_text.h"
#include "persist/rdb_read.h"
#include "persist/rdb_write.h"

/* Keys of all kinds, a pure function of their number. */
static const size_t lengths[] = {0, 1, 5, 11, 20, 21, 63, 64, 100, 16383, 16384, RDB_PIECE - 1, RDB_PIECE, RDB_PIECE + 1, 700000};
#define LENGTHS (sizeof lengths / sizeof lengths[0])
#define KEYS (4 * LENGTHS)

static char text[1 << 20];

static struct view value(unsigned i)
{
	size_t n = lengths[i % LENGTHS];
	uint64_t x = i + 1;
	for (size_t k = 0; k < n; k++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		text[k] = (char)(i / LENGTHS % 2 ? x >> 33 : (unsigned)('a' + k % 3));
	}
	return (struct view){.value = text, .len = n, .due = i % 3 ? DUE_NONE : 1700000000000 + i};
}

static void write_keys(struct rdb_writer *w)
{
	rdb_write_start(w);
	rdb_write_aux(w, "name", "text");
	rdb_write_aux_i64(w, "number", -70000);
	rdb_write_function(w, "#!lua name=x\ncode", 17);
	rdb_write_db(w, 70000, KEYS, KEYS / 3);
	for (unsigned i = 0; i < KEYS; i++) {
		char key[32];
		int n = snprintf(key, sizeof key, i % 2 ? "%u" : "key:%u", i);
		struct view v = value(i);
		rdb_write_key(w, key, (size_t)n, &v, i % 4 == 1 ? (int64_t)i * 1000 : -1, i % 4 == 2 ? (int)i : -1);
	}
}

static unsigned seen;
static const char *take_key(void *arg, const struct rdb_key *k, const struct arg *got)
{
	unsigned i = seen++;
	struct view v = value(i);
	char key[32];
	int n = snprintf(key, sizeof key, i % 2 ? "%u" : "key:%u", i);
	(void)arg;
	CHECK_MEM(k->name.p, k->name.n, key, (size_t)n);
	CHECK_UINT(k->db, 70000);
	CHECK_INT(k->due, v.due);
	CHECK_INT(k->idle, i % 4 == 1 ? (int64_t)i * 1000 : -1);
	CHECK_INT(k->freq, i % 4 == 2 ? (int)i : -1);
	CHECK(got->n == v.len && memcmp(got->p, v.value, v.len) == 0);
	return NULL;
}

static const char *take_function(void *arg, const struct arg *code)
{
	++*(unsigned *)arg;
	CHECK_MEM(code->p, code->n, "#!lua name=x\ncode", 17);
	return NULL;
}

static void there_and_back(bool compress, bool sum)
{
	int fd = memfd_create("rdb", 0);
	unsigned functions = 0;
	REQUIRE(fd >= 0);
	struct rdb_writer w = {.fd = fd, .compress = compress, .sum = sum, .sync = true};
	write_keys(&w);
	REQUIRE(rdb_write_end(&w));
	CHECK_UINT(w.written, (uint64_t)lseek(fd, 0, SEEK_END));
	lseek(fd, 0, SEEK_SET);
	struct rdb_reader r;
	struct rdb_sink sink = {.arg = &functions, .string = take_key, .function = take_function};
	rdb_from_fd(&r, fd, w.written);
	r.check_sum = true;
	seen = 0;
	CHECKF(rdb_read(&r, &sink), "%s at %llu", r.why, (unsigned long long)r.at);
	CHECK_UINT(r.version, 10);
	CHECK_UINT(r.at, w.written);
	CHECK_UINT(seen, KEYS);
	CHECK_UINT(functions, 1);
	CHECK(r.sum_was_off == !sum);
	rdb_reader_deinit(&r);
	rdb_writer_deinit(&w);
	close(fd);
}

static void test_there_and_back(void)
{
	there_and_back(true, true);
	there_and_back(false, true);
	there_and_back(true, false);
}

/* From DUMP of redis-server 7.0.15. */
static void test_values(void)
{
	static const struct {
		const char *value, *bytes;
		size_t n;
	} cases[] = {
	    {"0", "\0\xc0\0", 3},
	    {"-1", "\0\xc0\xff", 3},
	    {"127", "\0\xc0\x7f", 3},
	    {"128", "\0\xc1\x80\0", 4},
	    {"-32768", "\0\xc1\0\x80", 4},
	    {"32768", "\0\xc2\0\x80\0\0", 6},
	    {"2147483647", "\0\xc2\xff\xff\xff\x7f", 6},
	    {"-2147483648", "\0\xc2\0\0\0\x80", 6},
	    {"2147483648", "\0\x0a" "2147483648", 12},
	    {"-0", "\0\x02-0", 4},
	    {"007", "\0\x03" "007", 5},
	    {"", "\0\0", 2},
	    {"aaaaaaaaaaaaaaaaaaaa", "\0\x14" "aaaaaaaaaaaaaaaaaaaa", 22},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rdb_writer w = {.fd = -1, .compress = true};
		rdb_write_value(&w, &(struct view){.value = cases[i].value, .len = strlen(cases[i].value), .due = DUE_NONE});
		CHECK_MEM(w.out.data, w.out.len, cases[i].bytes, cases[i].n);
		rdb_writer_deinit(&w);
	}
}

/* All that is written to memory stays there, however much. */
static void test_memory(void)
{
	struct rdb_writer w = {.fd = -1};
	write_keys(&w);
	CHECK(w.out.len > 4 * 700000 && w.written == 0 && w.error == 0);
	rdb_writer_deinit(&w);
}

static void test_disk_full(void)
{
	int fd = open("/dev/full", O_WRONLY);
	REQUIRE(fd >= 0);
	struct rdb_writer w = {.fd = fd, .compress = true, .sum = true, .sync = true};
	write_keys(&w);
	CHECK(!rdb_write_end(&w));
	CHECK_INT(w.error, ENOSPC);
	rdb_writer_deinit(&w);
	close(fd);
}

static void test_text(void)
{
	static const char want[] = "*2\r\n$6\r\nSELECT\r\n$2\r\n11\r\n*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$4\r\ncode\r\n"
				   "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n17\r\n*3\r\n$9\r\nPEXPIREAT\r\n$1\r\nk\r\n$13\r\n1700000000000\r\n";
	struct rdb_writer w = {.fd = -1};
	aof_text_select(&w, 11);
	aof_text_function(&w, "code", 4);
	aof_text_key(&w, "k", 1, &(struct view){.value = "17", .len = 2, .due = 1700000000000});
	CHECK_MEM(w.out.data, w.out.len, want, sizeof want - 1);
	rdb_writer_deinit(&w);
}

int main(void)
{
	RUN(test_there_and_back);
	RUN(test_values);
	RUN(test_memory);
	RUN(test_disk_full);
	RUN(test_text);
	return test_done();
}
