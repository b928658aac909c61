/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands: looking names up, and what every row must keep to. */
#include "test.h"

#include "../../src/cmd/notation.h"
#include "base/clock.h"
#include "cmd/command.h"

static const struct command *find(const char *name)
{
	return command_find(name, strlen(name));
}

static const struct command *find_full(const char *name)
{
	return command_find_full(name, strlen(name));
}

static void test_every_row_is_found(void)
{
	size_t commands = 0;

	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		CHECKF(find_full(row->name) == row, "%s is not found", row->name);
		if (command_is_sub(row)) {
			CHECKF(find(row->name) == NULL, "%s is found as a command", row->name);
			continue;
		}
		commands++;
		char upper[64];
		REQUIRE(row->name_len < sizeof upper);
		for (size_t i = 0; i <= row->name_len; i++)
			upper[i] =
			    (char)(row->name[i] >= 'a' && row->name[i] <= 'z' ? row->name[i] - 32 : row->name[i]);
		CHECKF(command_find(upper, row->name_len) == row, "%s is not found", upper);
	}
	CHECK_UINT(command_count(), commands);
}

static void test_other_names_are_not(void)
{
	static const char *const names[] = {"",
					    "g",
					    "ge",
					    "gett",
					    "nosuch",
					    "config|get",
					    "get|x",
					    "get ",
					    " get",
					    "ge\x01",
					    "set\n",
					    "incrbyfloatx",
					    "xincrbyfloat",
					    "a name that is much longer than that of any command"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		CHECKF(find(names[i]) == NULL, "'%s' is found", names[i]);
	CHECK(command_find("get", 2) == NULL);
	CHECK(command_find("getx", 3) == find("get"));
	CHECK(command_find("get\0", 4) == NULL);
	/* Bytes that differ from a letter by the bit of its case only. */
	CHECK(command_find("pi\x0eg", 4) == NULL);
	CHECK(command_find("\x10ing", 4) == NULL);
	CHECK(find_full("config|nosuch") == NULL);
	CHECK(find_full("nosuch|get") == NULL);
	CHECK(find_full("get|get") == NULL);
	CHECK(find_full("|") == NULL);
}

static void test_subcommands(void)
{
	const struct command *config = find("CoNfIg");
	REQUIRE(config != NULL);
	const struct command *get = command_find_sub(config, "GeT", 3);
	REQUIRE(get != NULL);
	CHECK_STR(get->name, "config|get");
	CHECK(command_find_sub(config, "ge", 2) == NULL);
	CHECK(command_find_sub(config, "id", 2) == NULL); /* CLIENT's */
	CHECK(command_find_sub(find("get"), "get", 3) == NULL);
	size_t n = 0;
	for (const struct command *sub = command_first_sub(config); sub != NULL; sub = command_next_sub(sub), n++)
		CHECKF(strncmp(sub->name, "config|", 7) == 0, "%s is not CONFIG's", sub->name);
	CHECK(n >= 4);
	CHECK(command_first_sub(get) == NULL);
}

/* ---- rows ---- */

static void check_text(const char *name, const char *what, const char *text)
{
	size_t n = text == NULL ? 0 : strlen(text);
	CHECKF(n > 0, "%s has no %s", name, what);
	CHECKF(n == 0 || (text[0] != ' ' && text[n - 1] != ' ' && strstr(text, "  ") == NULL), "%s: spaces in its %s",
	       name, what);
}

static void test_rows_are_complete(void)
{
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		check_text(row->name, "group", row->group);
		check_text(row->name, "since", row->since);
		/* Redis tells none for this one alone. */
		if (strcmp(row->name, "lolwut") != 0)
			check_text(row->name, "complexity", row->complexity);
		check_text(row->name, "summary", row->summary);
		CHECKF(row->summary[strlen(row->summary) - 1] == '.', "%s: its summary is no sentence", row->name);
		CHECKF(row->arity != 0, "%s has no arity", row->name);
		CHECKF(row->handler != NULL || command_first_sub(row) != NULL, "%s does nothing", row->name);
		CHECKF(!(row->flags & COMMAND_WRITE) || !(row->flags & COMMAND_READONLY),
		       "%s is both write and readonly", row->name);
		CHECKF(row->first == 0 || row->keys != NULL, "%s: KEYS is incomplete", row->name);
		CHECKF(row->first == 0 || row->flags & (COMMAND_WRITE | COMMAND_READONLY), "%s has keys and no access",
		       row->name);
		CHECKF(row->parent == NOT_A_SUBCOMMAND || strchr(row->name, '|') != NULL,
		       "%s: not the name of a subcommand", row->name);
	}
}

/* First, last and step are what the specifications say: the dispatcher goes by the former, clients by the latter. */
static void test_key_specifications(void)
{
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row)) {
		if (row->keys == NULL)
			continue;
		struct arg text = {row->keys, strlen(row->keys)};
		struct notation_key k;
		int first = 0, last = 0, step = 0;
		while (notation_key(&text, &k)) {
			if (k.unknown || k.counted || k.keyword.n)
				continue;
			int end = k.last < 0 ? k.last : k.index + k.last;
			if (first == 0) {
				first = k.index;
				step = k.step;
			}
			last = end;
			struct arg word, flags = k.flags;
			CHECKF(notation_word(&flags, &word), "%s: a key without flags", row->name);
		}
		CHECKF(first == row->first && last == row->last && step == row->step,
		       "%s: KEYS(%d, %d, %d) against \"%s\"", row->name, row->first, row->last, row->step, row->keys);
	}
}

static void test_key_range(void)
{
	int first, last, step;

	CHECK(command_key_range(find("get"), 2, &first, &last, &step));
	CHECK(first == 1 && last == 1);
	CHECK(command_key_range(find("mget"), 4, &first, &last, &step));
	CHECK(first == 1 && last == 3 && step == 1);
	CHECK(command_key_range(find("mset"), 5, &first, &last, &step));
	CHECK(first == 1 && last == 4 && step == 2);
	CHECK(!command_key_range(find("ping"), 2, &first, &last, &step));
}

static void test_categories(void)
{
	CHECK_UINT(command_categories(find("get")), ACL_READ | ACL_STRING | ACL_FAST);
	CHECK_UINT(command_categories(find("set")), ACL_WRITE | ACL_STRING | ACL_SLOW);
	CHECK_UINT(command_categories(find_full("config|set")), ACL_ADMIN | ACL_SLOW | ACL_DANGEROUS);
}

/* ---- the notation of arguments ---- */

static void usage(const char *text, const char *want)
{
	struct buf b;
	buf_init(&b);
	notation_usage((struct arg){text, strlen(text)}, &b);
	CHECK_MEM(b.data, b.len, want, strlen(want));
	buf_deinit(&b);
}

static void test_usage(void)
{
	usage("key", "key");
	usage("key value:int [name@1.2.3]", "key value [name]");
	usage("[TYPE kind=<A|B|C>@5.0.0] [ID id=(client-id:int...)@6.2.0]",
	      "[TYPE <A|B|C>] [ID client-id [client-id ...]]");
	usage("key [condition=<NX|XX>@2.6.12] [GET@6.2.0] [until=<EX seconds:int@2.6.12|KEEPTTL>]",
	      "key [NX|XX] [GET] [EX seconds|KEEPTTL]");
	usage("pair=(key value)...", "key value [key value ...]");
	usage("how=<a|b>", "<a|b>");
	usage("[PREFIX prefix...+]", "[PREFIX prefix [PREFIX prefix ...]]");
	usage("[section...]", "[section [section ...]]");
	usage("[section@1.2.3...]", "[section [section ...]]");
	usage("[change=CH]", "[CH]");
}

static void test_arguments(void)
{
	struct arg text = {"ip:port!2.8.12 to:key1@7.0.0... [change=CH] key:string empty=\"\"", 0};
	struct notation_arg a;

	text.n = strlen(text.p);
	REQUIRE(notation_arg(&text, &a));
	CHECK_MEM(a.name.p, a.name.n, "ip:port", 7);
	CHECK_MEM(a.deprecated.p, a.deprecated.n, "2.8.12", 6);
	CHECK_STR(a.type, "string");
	REQUIRE(notation_arg(&text, &a));
	CHECK_MEM(a.name.p, a.name.n, "to", 2);
	CHECK_MEM(a.since.p, a.since.n, "7.0.0", 5);
	CHECK_INT(a.key_spec, 1);
	CHECK(a.multiple && !a.multiple_token && !a.optional);
	CHECK_STR(a.type, "key");
	REQUIRE(notation_arg(&text, &a));
	CHECK_MEM(a.name.p, a.name.n, "change", 6);
	CHECK_MEM(a.token.p, a.token.n, "CH", 2);
	CHECK(a.optional);
	CHECK_STR(a.type, "pure-token");
	REQUIRE(notation_arg(&text, &a));
	CHECK_STR(a.type, "string");
	CHECK_INT(a.key_spec, -1);
	REQUIRE(notation_arg(&text, &a));
	CHECK(a.empty_token);
	CHECK(!notation_arg(&text, &a));
}

/* Reading panics on a mistake. */
static void read_all(struct arg text)
{
	struct notation_arg a;
	while (notation_arg(&text, &a))
		if (a.members.n)
			read_all(a.members);
}

static void test_all_arguments_are_readable(void)
{
	for (const struct command *row = command_next(NULL); row != NULL; row = command_next(row))
		if (row->arguments != NULL)
			read_all((struct arg){row->arguments, strlen(row->arguments)});
	CHECK(true);
}

/* Not a test of speed: it fails only if lookup has become something else than a hash. */
static void test_lookup_is_quick(void)
{
	enum { ROUNDS = 200000 };
	static const char *const names[] = {"GET", "SET", "incrbyfloat", "pexpiretime"};
	size_t found = 0;
	int64_t start = clock_mono_ns();

	for (int i = 0; i < ROUNDS; i++)
		found += find(names[i % 4]) != NULL;
	int64_t each = (clock_mono_ns() - start) / ROUNDS;
	printf("# a lookup takes %lld ns\n", (long long)each);
	CHECK_UINT(found, ROUNDS);
	CHECK(each < 2000);
}

int main(void)
{
	RUN(test_every_row_is_found);
	RUN(test_other_names_are_not);
	RUN(test_subcommands);
	RUN(test_rows_are_complete);
	RUN(test_key_specifications);
	RUN(test_key_range);
	RUN(test_categories);
	RUN(test_usage);
	RUN(test_arguments);
	RUN(test_all_arguments_are_readable);
	RUN(test_lookup_is_quick);
	return test_done();
}
