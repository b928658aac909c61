/* SPDX-License-Identifier: BSD-2-Clause */
/* The manifest of an append only file. Texts and what is wrong with them as redis-server 7.0.15 takes or refuses them. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "persist/aof_manifest.h"

static char folder[] = "/tmp/test_aof_manifest.XXXXXX";
static int dir = -1;

static bool parse(struct aof_manifest *m, const char *text, struct aof_manifest_error *e)
{
	*m = (struct aof_manifest){0};
	return aof_manifest_parse(m, text, strlen(text), e);
}

static bool prints(const struct aof_manifest *m, const char *text)
{
	struct buf out;
	buf_init(&out);
	aof_manifest_print(m, &out);
	bool same = str_eq(out.data ? out.data : "", out.len, text);
	if (!same)
		printf("# printed: %.*s", (int)out.len, out.data);
	buf_deinit(&out);
	return same;
}

static void test_good(void)
{
	static const struct {
		const char *text, *again;
	} cases[] = {
	    {"file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n", NULL},
	    {"file a.2.incr.aof seq 2 type i\nfile a.1.incr.aof seq 1 type h\nfile a.1.base.rdb seq 1 type b\n",
	     "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type h\nfile a.2.incr.aof seq 2 type i\n"},
	    {"#\n", ""},
	    {"# no end", ""},
	    {"FILE a SEQ 1 Type i other y\n", "file a seq 1 type i\n"},
	    {"  file a seq 01x type incr\t\r\n#\n", "file a seq 1 type i\n"},
	    {"file a seq 1 type i file b seq 2\n", "file b seq 2 type i\n"},
	    {"file \"\\x61\" seq 1 type i\n", "file a seq 1 type i\n"},
	    {"file 'a b' seq -1 type h\n", "file \"a b\" seq -1 type h\n"},
	    {"file \"my \\\"q\\\".aof\" seq 7 type b\n", NULL},
	    {"file \"\\xc3\\xa4\" seq 7 type b\n", NULL},
	    {"file a seq 99999999999999999999 type i\n", "file a seq 9223372036854775807 type i\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct aof_manifest m;
		struct aof_manifest_error e = {0};
		CHECKF(parse(&m, cases[i].text, &e), "%s: %s", cases[i].text, e.why ? e.why : "");
		CHECK(prints(&m, cases[i].again ? cases[i].again : cases[i].text));
		aof_manifest_deinit(&m);
	}
}

static void test_bad(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} cases[] = {
	    {"", 0, "it is empty"},
	    {"\n", 1, "not the format of a manifest"},
	    {"#\n\n", 2, "not the format of a manifest"},
	    {"file a seq 1 type i", 1, "the last line has no end"},
	    {"file a seq 1 type\n", 1, "not the format of a manifest"},
	    {"file a seq 1 type i more\n", 1, "not the format of a manifest"},
	    {"file a seq 1 typ i\n", 1, "not the format of a manifest"},
	    {"file a seq 0 type i\n", 1, "not the format of a manifest"},
	    {"file a seq x type i\n", 1, "not the format of a manifest"},
	    {"file a seq 1 type ''\n", 1, "not the format of a manifest"},
	    {"file '' seq 1 type h\n", 1, "not the format of a manifest"},
	    {"file ''x seq 1 type b\n", 1, "quotes that do not balance"},
	    {"file a/b seq 1 type i\n", 1, "a file is named by a path, not by a name alone"},
	    {"file .. seq 1 type h\n", 1, "a file is named by a path, not by a name alone"},
	    {"file \"a\\x00b\" seq 1 type h\n", 1, "no file can have that name"},
	    {"file a seq 1 type x\n", 1, "a file of an unknown type"},
	    {"file a seq 1 type i\nfile b seq 1 type i\n", 2, "increments out of order"},
	    {"file a seq 1 type h\nfile b seq -3 type i\n", 2, "increments out of order"},
	    {"file a seq 1 type b\nfile b seq 2 type b\n", 2, "a second base file"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct aof_manifest m;
		struct aof_manifest_error e = {0};
		CHECKF(!parse(&m, cases[i].text, &e), "%s", cases[i].text);
		CHECKF(e.why && strcmp(e.why, cases[i].why) == 0, "%s: %s", cases[i].text, e.why ? e.why : "");
		CHECK_INT(e.line, cases[i].line);
		aof_manifest_deinit(&m);
	}
}

static void test_names(void)
{
	char name[AOF_NAME_MAX], most[250];
	CHECK(aof_manifest_name(name, "appendonly.aof") == 0 && strcmp(name, "appendonly.aof.manifest") == 0);
	CHECK(aof_base_name(name, "a", 3, true) == 0 && strcmp(name, "a.3.base.rdb") == 0);
	CHECK(aof_base_name(name, "a", 3, false) == 0 && strcmp(name, "a.3.base.aof") == 0);
	CHECK(aof_incr_name(name, "a", 12) == 0 && strcmp(name, "a.12.incr.aof") == 0);
	memset(most, 'x', sizeof most);
	most[sizeof most - 1] = 0;
	CHECK(aof_incr_name(name, most, 1) == -1 && errno == ENAMETOOLONG);
}

/* A rewrite as the server does it: a new increment, then a new base, then what was before is history, then it is gone. */
static void test_rewrite(void)
{
	struct aof_manifest m = {0}, was = {0};
	aof_manifest_new_base(&m, "a", true);
	aof_manifest_new_incr(&m, "a");
	CHECK(prints(&m, "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n"));
	aof_manifest_new_incr(&m, "a");
	aof_manifest_copy(&was, &m);
	CHECK(strcmp(aof_manifest_last_incr(&m)->name, "a.2.incr.aof") == 0);
	aof_manifest_new_base(&m, "a", false);
	aof_manifest_retire_incrs(&m, 1);
	CHECK(prints(&m, "file a.2.base.aof seq 2 type b\nfile a.1.base.rdb seq 1 type h\nfile a.1.incr.aof seq 1 type h\n"
			 "file a.2.incr.aof seq 2 type i\n"));
	aof_manifest_forget(&m, AOF_HISTORY);
	CHECK(prints(&m, "file a.2.base.aof seq 2 type b\nfile a.2.incr.aof seq 2 type i\n"));
	aof_manifest_retire_incrs(&m, 0);
	CHECK(aof_manifest_last_incr(&m) == NULL);
	CHECK(prints(&was, "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n"));
	aof_manifest_new_incr(&m, "a");
	CHECK(strcmp(aof_manifest_last_incr(&m)->name, "a.3.incr.aof") == 0);
	/* A file that is to be removed some day keeps its name until then. */
	aof_manifest_retire_incrs(&m, 0);
	m.incr_seq = 2;
	aof_manifest_new_incr(&m, "a");
	CHECK(strcmp(aof_manifest_last_incr(&m)->name, "a.4.incr.aof") == 0);
	aof_manifest_deinit(&m);
	aof_manifest_deinit(&was);
}

static void test_file(void)
{
	struct aof_manifest m = {0}, back = {0};
	struct aof_manifest_error e;
	struct stat st;
	CHECK(aof_manifest_read(&back, -1, "m", &e) == AOF_ABSENT);
	CHECK(aof_manifest_read(&back, dir, "m", &e) == AOF_ABSENT);
	aof_manifest_adopt_base(&m, "appendonly.aof", 1);
	aof_manifest_new_incr(&m, "appendonly.aof");
	CHECK(aof_manifest_write(&m, dir, "m") == 0);
	CHECK(fstatat(dir, "temp-m", &st, 0) == -1 && errno == ENOENT);
	CHECK(aof_manifest_read(&back, dir, "m", &e) == AOF_FOUND);
	CHECK(prints(&back, "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"));
	CHECK_INT(back.base_seq, 1);
	CHECK_INT(back.incr_seq, 1);
	aof_manifest_deinit(&back);
	/* It cannot be replaced: the old one stands. */
	REQUIRE(mkdirat(dir, "temp-m", 0700) == 0);
	aof_manifest_new_incr(&m, "appendonly.aof");
	CHECK(aof_manifest_write(&m, dir, "m") == -1 && errno == EISDIR);
	CHECK(aof_manifest_read(&back, dir, "m", &e) == AOF_FOUND && back.incr_seq == 1);
	CHECK(aof_manifest_read(&back, dir, "temp-m", &e) == AOF_FAILED);
	aof_manifest_deinit(&back);
	aof_manifest_deinit(&m);
	unlinkat(dir, "temp-m", AT_REMOVEDIR);
	unlinkat(dir, "m", 0);
}

int main(void)
{
	if (!mkdtemp(folder) || (dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0)
		return 1;
	RUN(test_good);
	RUN(test_bad);
	RUN(test_names);
	RUN(test_rewrite);
	RUN(test_file);
	rmdir(folder);
	return test_done();
}
