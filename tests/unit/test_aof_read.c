/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading append only files: what is whole, torn, broken, and where; transactions whole or not at all; commands applied to a store.
 */
#include <sys/mman.h>

#include "cmd/apply.h"
#include "persist/aof_read.h"
#include "store/functions.h"
#include "store_fixture.h"

/* ---- a file and what its reader says ---- */

static struct buf said; /* the commands, words separated by spaces, each on a line */
static const char *refuse; /* the name of a command that the sink does not take */

static const char *take(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	if (refuse && arg_ieq(&argv[0], refuse))
		return "not this one";
	for (int i = 0; i < argc; i++) {
		buf_append(&said, argv[i].p, argv[i].n);
		buf_append_char(&said, i + 1 < argc ? ' ' : '\n');
	}
	return NULL;
}

static const char *is_known(void *arg, int argc, const struct arg *argv)
{
	(void)arg, (void)argc;
	return arg_ieq(&argv[0], "exed") ? "no such command" : NULL;
}

static struct aof_result read_bytes(const void *p, size_t n, uint64_t from)
{
	static const struct aof_sink sink = {.command = take, .known = is_known};
	struct aof_result r;
	int fd = memfd_create("aof", 0);
	CHECK(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	buf_clear(&said);
	aof_read(fd, from, 0, &sink, NULL, &r);
	close(fd);
	return r;
}

static struct aof_result read_text(const char *text)
{
	return read_bytes(text, strlen(text), 0);
}

static bool was_said(const char *text)
{
	return said.len == strlen(text) && memcmp(said.data, text, said.len) == 0;
}

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\n22\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"

/* What is wrong with `text`, and where: at what is wrong, and up to where it is good. */
static void says(const char *where, const char *text, enum aof_end end, uint64_t at, uint64_t good, const char *why)
{
	struct aof_result r = read_text(text);
	test_check(r.end == end, where, "ends as %d, not %d (%s)", r.end, end, r.why);
	test_check(r.at == at, where, "at %llu, not %llu", (unsigned long long)r.at, (unsigned long long)at);
	test_check(r.good == good, where, "good up to %llu, not %llu", (unsigned long long)r.good, (unsigned long long)good);
	test_check(strstr(r.why, why) != NULL, where, "says: %s", r.why);
}
#define SAYS(...) says(TEST_HERE, __VA_ARGS__)

static void test_whole(void)
{
	SAYS("", AOF_WHOLE, 0, 0, "");
	SAYS(SET_A SET_B, AOF_WHOLE, 55, 55, "");
	CHECK(was_said("SET a 1\nSET b 22\n"));
	SAYS("#TS:1700000000\r\n" SET_A "#\n" SET_B "# behind\r\n", AOF_WHOLE, 83, 83, "");
	CHECK(was_said("SET a 1\nSET b 22\n"));
	SAYS(MULTI SET_A SET_B EXEC, AOF_WHOLE, 84, 84, "");
	CHECK(was_said("SET a 1\nSET b 22\n"));
	SAYS(MULTI EXEC "*2\r\n$5\r\nmultI\r\n$0\r\n\r\n" "#\r\n" SET_A "*1\r\n$4\r\nexec\r\n", AOF_WHOLE, 94, 94, "");
	CHECK(was_said("SET a 1\n"));
	struct aof_result r = read_bytes(SET_A "*2\r\n$3\r\nDEL\r\n$3\r\n\0\r\n\r\n", 27 + 22, 0);
	CHECK(r.end == AOF_WHOLE && memcmp(said.data + 8, "DEL \0\r\n\n", 8) == 0);
	r = read_bytes("REDIS" SET_B, 5 + 28, 5);
	CHECK(r.end == AOF_WHOLE && r.good == 33 && r.commands == 1 && was_said("SET b 22\n"));
}

static void test_broken(void)
{
	SAYS("SET a 1\r\n", AOF_BROKEN, 0, 0, "expected '*'");
	SAYS(SET_A "\r\n" SET_B, AOF_BROKEN, 27, 27, "expected '*'");
	SAYS(SET_A "*0\r\n", AOF_BROKEN, 27, 27, "no or too many words");
	SAYS(SET_A "*-1\r\n", AOF_BROKEN, 28, 27, "expected a number");
	SAYS(SET_A "*+1\r\n", AOF_BROKEN, 28, 27, "expected a number");
	SAYS(SET_A "*01\r\n", AOF_BROKEN, 30, 27, "expected a number");
	SAYS(SET_A "*2147483648\r\n", AOF_BROKEN, 27, 27, "no or too many words");
	SAYS(SET_A "*9999999999999999999\r\n", AOF_BROKEN, 46, 27, "expected a number");
	SAYS(SET_A "*1\n$4\r\nEXEC\r\n", AOF_BROKEN, 29, 27, "expected a number");
	SAYS(SET_A "*1\rx$4\r\nEXEC\r\n", AOF_BROKEN, 30, 27, "end of the line");
	SAYS(SET_A "*1\r\n*4\r\n", AOF_BROKEN, 31, 27, "expected '$'");
	SAYS(SET_A "*1\r\n$-1\r\n", AOF_BROKEN, 32, 27, "expected a number");
	SAYS(SET_A "*1\r\n$536870913\r\n", AOF_BROKEN, 31, 27, "more than proto-max-bulk-len");
	SAYS(SET_A "*1\r\n$4\r\nPINGS\r\n", AOF_BROKEN, 39, 27, "as many bytes");
	SAYS(SET_A "*1\r\n$4\r\nPING\n\n", AOF_BROKEN, 39, 27, "as many bytes");
	SAYS(SET_A EXEC, AOF_BROKEN, 27, 27, "EXEC without MULTI");
	SAYS(SET_A MULTI SET_B MULTI, AOF_BROKEN, 70, 27, "MULTI within");
	CHECK(was_said("SET a 1\n"));
	SAYS(SET_A MULTI SET_B "*1\r\n$4\r\nEXED\r\n" SET_A, AOF_REFUSED, 70, 27, "no such command");
	CHECK(was_said("SET a 1\n"));
	refuse = "exed";
	SAYS(SET_A "*1\r\n$4\r\nEXED\r\n" SET_A, AOF_REFUSED, 27, 27, "not this one");
	refuse = NULL;
}

static void test_torn(void)
{
	static const char text[] = "#TS:1\r\n" SET_A MULTI SET_B EXEC SET_B;
	static const uint64_t whole[] = {0, 7, 34, 91, 119};
	size_t n = 0;

	for (size_t cut = 0; cut < sizeof text; cut++) {
		struct aof_result r = read_bytes(text, cut, 0);
		if (n < 4 && cut >= whole[n + 1])
			n++;
		CHECK_INT(r.good, whole[n]);
		CHECK_INT(r.end, cut == whole[n] ? AOF_WHOLE : AOF_TORN);
		CHECK_INT(r.commands, n < 2 ? 0 : n - 1);
	}
}

/* A tail of zeros holds nothing; a byte behind them, and it is damage. */
static void test_zeros(void)
{
	static char text[27 + 28 + 10000];

	memcpy(text, SET_A SET_B, 55);
	for (size_t cut = 55; cut > 27; cut--) {
		text[cut] = 0;
		struct aof_result r = read_bytes(text, sizeof text, 0);
		/* Those within a value belong to it. */
		bool torn = r.end == AOF_TORN && strstr(r.why, "zeros");
		CHECK(torn && r.good == (cut == 55 ? 55 : 27) && r.at >= cut);
	}
	text[sizeof text - 1] = 'x';
	struct aof_result r = read_bytes(text, sizeof text, 0);
	CHECK(r.end == AOF_BROKEN && r.good == 27);
}

/* A length that reaches beyond the end of the file: torn, unless something whole follows. */
static void test_wrong_length(void)
{
	struct buf b = {0};

	SAYS(SET_A "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$500\r\n22\r\n", AOF_TORN, 27, 27, "middle of this command");
	SAYS(SET_A "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$500\r\n22\r\n*2\r\n$1", AOF_TORN, 27, 27, "middle of this command");
	SAYS(SET_A "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$500\r\n22\r\n" EXEC, AOF_BROKEN, 27, 27, "follows at offset 57");
	/* Far behind, and over several windows. */
	buf_append_str(&b, SET_A "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$9000000\r\n");
	size_t at = b.len;
	memset(buf_reserve(&b, 5 << 20), 'x', 5 << 20);
	b.len += 5 << 20;
	struct aof_result r = read_bytes(b.data, b.len, 0);
	CHECK(r.end == AOF_TORN && r.good == 27);
	memcpy(b.data + at + (4 << 20) - 30, "\r\n" SET_A, 2 + 27);
	r = read_bytes(b.data, b.len, 0);
	CHECK(r.end == AOF_BROKEN && r.at == 27 && r.good == 27);
	buf_deinit(&b);
}

/* Commands longer than what is read at once, and many words. */
static void test_large(void)
{
	struct buf b = {0};

	for (int i = 0; i < 200000; i++)
		buf_append_str(&b, i % 3 ? SET_A : SET_B);
	size_t at = b.len;
	buf_append_str(&b, "*100001\r\n$4\r\nMSET\r\n");
	for (int i = 0; i < 50000; i++)
		buf_append_str(&b, "$2\r\nkk\r\n$30\r\n012345678901234567890123456789\r\n");
	size_t big = b.len;
	buf_append_str(&b, "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$7000000\r\n");
	memset(buf_reserve(&b, 7000002), 'x', 7000000);
	b.len += 7000000;
	buf_append_str(&b, "\r\n");
	struct aof_result r = read_bytes(b.data, b.len, 0);
	CHECK(r.end == AOF_WHOLE && r.good == b.len && r.commands == 200002);
	r = read_bytes(b.data, b.len - 1, 0);
	CHECK(r.end == AOF_TORN && r.good == big && r.commands == 200001);
	r = read_bytes(b.data, big - 5, 0);
	CHECK(r.end == AOF_TORN && r.good == at && r.at == at);
	buf_deinit(&b);
}

/* Any byte changed to any of several others: it ends, and what it says lies within the file. */
static void test_every_byte(void)
{
	static const char text[] = "#TS:1\r\n" SET_A MULTI SET_B EXEC SET_B;
	static const char with[] = "\0\r\n*$#019-x\xff";
	char copy[sizeof text];

	for (size_t i = 0; i < sizeof text - 1; i++)
		for (size_t k = 0; k < sizeof with - 1; k++) {
			memcpy(copy, text, sizeof text);
			copy[i] = with[k];
			struct aof_result r = read_bytes(copy, sizeof text - 1, 0);
			CHECK(r.at <= sizeof text - 1 && r.good <= sizeof text - 1);
		}
}

/* ---- stopping at an annotation ---- */

static bool before_ten(void *arg, const char *text, size_t n, uint64_t at)
{
	(void)arg, (void)at;
	return !(n == 5 && memcmp(text, "#TS:9", 5) > 0);
}

static void test_annotation(void)
{
	static const struct aof_sink sink = {.command = take};
	struct aof_result r;
	int fd = memfd_create("aof", 0);
	const char *text = "#TS:1\r\n" SET_A "#TS:9\r\n" SET_A "#TS:A\r\n" SET_B;
	CHECK(write(fd, text, strlen(text)) > 0);
	buf_clear(&said);
	aof_read(fd, 0, 0, &sink, before_ten, &r);
	CHECK(r.end == AOF_WHOLE && r.at == 68 && r.good == 68 && was_said("SET a 1\nSET a 1\n"));
	close(fd);
}

/* ---- applied to a store ---- */

static const char *apply(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	return apply_command(argc, argv);
}

static struct aof_result load(const char *lines)
{
	static const struct aof_sink sink = {.command = apply};
	struct aof_result r;
	struct buf b = {0};
	char *copy = strdup(lines), *line, *rest = copy;
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct arg_list words = {0};
		CHECK(str_split_args(line, strlen(line), &words));
		if (words.n)
			buf_printf(&b, "*%zu\r\n", words.n);
		for (size_t i = 0; i < words.n; i++) {
			buf_printf(&b, "$%zu\r\n", words.v[i].n);
			buf_append(&b, words.v[i].p, words.v[i].n);
			buf_append_str(&b, "\r\n");
		}
		arg_list_deinit(&words);
	}
	int fd = memfd_create("aof", 0);
	CHECK(write(fd, b.data, b.len) == (ssize_t)b.len);
	buf_deinit(&b);
	free(copy);
	apply_begin();
	aof_read(fd, 0, 0, &sink, NULL, &r);
	access_loads(false);
	close(fd);
	return r;
}

#define LOADS(text) \
	do { \
		struct aof_result r_ = load(text); \
		test_check(r_.end == AOF_WHOLE, TEST_HERE, "%s", r_.why); \
		CHECK_FSCK(); \
	} while (0)

static void test_apply(void)
{
	fixture_now = clock_wall_ms();
	LOADS("SET a 1\nSELECT 3\nSET a three\nMULTI\nSET b x\nAPPEND b y\nEXEC\nSELECT 0\nINCR a");
	CHECK(do_is(0, "a", "2") && do_is(3, "a", "three") && do_is(3, "b", "xy"));
	/* A file begins with database 0. */
	LOADS("SELECT 5\nSET x 1");
	LOADS("SET x 0");
	CHECK(do_is(0, "x", "0") && do_is(5, "x", "1"));
	/* Commands that read do nothing. */
	LOADS("GET a\nKEYS *\nSET c 1\nTTL c");
	CHECK(do_is(0, "c", "1"));
	/* What has expired is there until the load is over: APPEND finds it, PERSIST saves it. */
	LOADS("SET e v PXAT 1000\nAPPEND e w\nSET f v PXAT 1000\nAPPEND f w\nPERSIST f\nSET g v\nPEXPIREAT g 1000\nINCRBY n 5\nPEXPIREAT n 1\n"
	      "INCRBY n 5\nPERSIST n\nSET h 1 PXAT 1000\nRENAME h i\nPERSIST i");
	CHECK(do_is(0, "e", NULL) && do_is(0, "f", "vw") && do_is(0, "g", NULL) && do_is(0, "n", "10") && do_is(0, "i", "1"));
	/* A command's own error is noted, and the load goes on. */
	LOADS("SET s text\nINCR s\nSET t 1");
	CHECK_INT(apply_done().errors, 1);
	CHECK_INT(apply_done().commands, 3);
	CHECK(do_is(0, "t", "1"));
	LOADS("FLUSHALL\nSET only 1\nSWAPDB 0 1\nMSET p 1 q 2 r 3\nDEL q");
	CHECK(do_is(1, "only", "1") && do_is(0, "a", NULL) && do_is(0, "p", "1") && do_is(0, "q", NULL));
}

/* The libraries that are kept, each in brackets. */
static bool kept(const char *text)
{
	struct buf all = {0}, out = {0};
	struct arg code;

	CHECK(functions_copy(&all));
	for (size_t at = 0; functions_next(&all, &at, &code);)
		buf_printf(&out, "[%.*s]", (int)code.n, code.p);
	bool same = str_eq(out.data ? out.data : "", out.len, text);
	if (!same)
		printf("# kept: %.*s\n", (int)out.len, out.data);
	buf_deinit(&all);
	buf_deinit(&out);
	return same;
}

static void test_functions(void)
{
	LOADS("FUNCTION LOAD \"#!lua name=one\\n1\"\nFUNCTION LOAD \"#!lua name=two\\n2\"");
	CHECK(kept("[#!lua name=one\n1][#!lua name=two\n2]"));
	LOADS("FUNCTION LOAD \"#!lua name=one\\n1\"");
	CHECK(kept("[#!lua name=two\n2][#!lua name=one\n1]"));
	LOADS("FUNCTION LOAD REPLACE \"#!lua name=two\\n3\"\nfunction delete one\nFUNCTION DELETE none");
	CHECK(kept("[#!lua name=two\n3]"));
	LOADS("FUNCTION LOAD unnamed\nFUNCTION FLUSH ASYNC");
	CHECK(kept(""));
}

static void refused(const char *where, const char *text, uint64_t at, const char *why)
{
	struct aof_result r = load(text);
	test_check(r.end == AOF_REFUSED && r.at == at && strstr(r.why, why), where, "%d at %llu: %s", r.end,
		   (unsigned long long)r.at, r.why);
	CHECK_FSCK();
}
#define REFUSED(...) refused(TEST_HERE, __VA_ARGS__)

static void test_apply_refused(void)
{
	REFUSED("SET a 1\nNOSUCH x", 27, "unknown command \"NOSUCH\"");
	REFUSED("SET a", 0, "wrong number of arguments for \"SET\"");
	REFUSED("SELECT 16", 0, "out of range");
	REFUSED("SELECT x", 0, "not an integer");
	REFUSED("SHUTDOWN NOSAVE", 0, "no place");
	REFUSED("CONFIG SET port 1", 0, "no place");
	REFUSED("CONFIG NOSUCH", 0, "unknown subcommand");
	REFUSED("CONFIG", 0, "unknown subcommand");
	REFUSED("\"\\x00\\xff\"", 0, "\"\\x00\\xff\"");
}

int main(void)
{
	log_open("/dev/null", LOG_LEVEL_WARNING);
	fixture_open(16);
	RUN(test_whole);
	RUN(test_broken);
	RUN(test_torn);
	RUN(test_zeros);
	RUN(test_wrong_length);
	RUN(test_large);
	RUN(test_every_byte);
	RUN(test_annotation);
	RUN(test_apply);
	RUN(test_functions);
	RUN(test_apply_refused);
	return test_done();
}
