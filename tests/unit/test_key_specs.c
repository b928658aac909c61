/* SPDX-License-Identifier: BSD-2-Clause */
/* Key specifications of every form, applied to calls; what is expected is what redis-server's COMMAND GETKEYSANDFLAGS says. */
#include "test.h"

#include "cmd/key_specs.h"

static void append(void *arg, const struct arg *key, struct arg flags)
{
	struct buf *b = arg;

	buf_printf(b, "%.*s(%.*s) ", (int)key->n, key->p, (int)flags.n, flags.p);
}

/* The keys of a call whose words are separated by spaces, each as key(flags). "": none; "wrong": it cannot be right. */
static void check(const char *name, const char *specification, const char *words, const char *want)
{
	const struct command row = {.name = name, .keys = specification};
	char line[256];
	struct arg argv[32];
	struct buf got;
	int argc = 0;

	snprintf(line, sizeof line, "%s", words);
	for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = (struct arg){word, strlen(word)};
	buf_init(&got);
	int n = key_specs_find(&row, argc, argv, append, &got);
	if (n < 0) {
		buf_clear(&got);
		buf_append_str(&got, "wrong ");
	}
	buf_append_char(&got, 0);
	size_t len = strlen(got.data);
	if (len != 0)
		got.data[len - 1] = 0;
	CHECKF(strcmp(got.data, want) == 0, "%s: '%s', want '%s'", words, got.data, want);
	buf_deinit(&got);
}

static void test_positions(void)
{
	check("get", "1 RO access", "GET a", "a( RO access)");
	check("mset", "1..-1/2 OW update", "MSET a 1 b 2", "a( OW update) b( OW update)");
	check("mset", "1..-1/2 OW update", "MSET a 1 b", "a( OW update) b( OW update)");
	check("rename", "1 RW access delete; 2 OW update", "RENAME a b", "a( RW access delete) b( OW update)");
	check("rename", "1 RW access delete; 2 OW update", "RENAME a", "wrong");
	check("blpop", "1..-2 RW access delete", "BLPOP a b 0", "a( RW access delete) b( RW access delete)");
}

static void test_counts(void)
{
	static const char store[] = "1 OW update; 2#0.1.1 RO access";

	check("zunionstore", store, "ZUNIONSTORE d 2 a b", "d( OW update) a( RO access) b( RO access)");
	check("zunionstore", store, "ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d( OW update) a( RO access) b( RO access)");
	check("zunionstore", store, "ZUNIONSTORE d 5 a b", "wrong");
	check("zunionstore", store, "ZUNIONSTORE d x a b", "wrong");
	check("zunionstore", store, "ZUNIONSTORE d -1 a b", "wrong");
	check("zunionstore", store, "ZUNIONSTORE d 99999999999 a b", "wrong");
	check("zunionstore", store, "ZUNIONSTORE d", "wrong");
	check("lmpop", "1#0.1.1 RW access delete", "LMPOP 2 a b LEFT", "a( RW access delete) b( RW access delete)");
	check("eval", "2#0.1.1 RW access update", "EVAL s 1 a", "a( RW access update)");
	check("eval", "2#0.1.1 RW access update", "EVAL s 0 a", "wrong");
}

static void test_words(void)
{
	check("xread", "STREAMS@1..-1%2 RO access", "XREAD STREAMS a b 0 0", "a( RO access) b( RO access)");
	check("xread", "STREAMS@1..-1%2 RO access", "XREAD COUNT 2 streams a 0", "a( RO access)");
	check("xread", "STREAMS@1..-1%2 RO access", "XREAD COUNT 2", "");
	check("migrate", "KEYS@-2..-1 RW access delete", "MIGRATE h 1 x 0 5 COPY KEYS a b c",
	      "a( RW access delete) b( RW access delete) c( RW access delete)");
	check("migrate", "KEYS@-2..-1 RW access delete", "MIGRATE h 1 k 0 5", "");
	check("sort", "1 RO access; ? OW update", "SORT k STORE d", "k( RO access)");
}

static void test_flags_that_vary(void)
{
	static const char spec[] = "1 RW access update variable_flags";

	check("set", spec, "SET k v", "k(OW update)");
	check("set", spec, "SET k v get", "k(RW access update)");
	check("set", spec, "SET k GET", "k(OW update)");
	check("bitfield", spec, "BITFIELD k", "k(RO access)");
	check("bitfield", spec, "BITFIELD k GET u8 0 OVERFLOW SAT GET u8 1", "k(RO access)");
	check("bitfield", spec, "BITFIELD k GET u8 0 SET u8 0 1", "k(RW access update)");
	check("bitfield", spec, "BITFIELD k GET u8", "k(RW access update)");
}

int main(void)
{
	RUN(test_positions);
	RUN(test_counts);
	RUN(test_words);
	RUN(test_flags_that_vary);
	return test_done();
}
