/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the reader of append only files, with what it reads applied to a store. For any bytes: no bad access (run it with sanitizers), it ends,
 * what it says lies within the file, what it calls good is whole when read again and holds the same commands, and the store is in order.
 * Built and run as fuzz.h says.
 */
#include <sys/mman.h>

#include "cmd/apply.h"
#include "persist/aof_read.h"
#include "store_fixture.h"
#include "fuzz.h"

static uint64_t digest;
static bool applying;

static const char *take(void *arg, int argc, const struct arg *argv)
{
	(void)arg;
	CHECK(argc > 0);
	for (int i = 0; i < argc; i++)
		digest = fuzz_digest(digest, argv[i].p, argv[i].n);
	return applying ? apply_command(argc, argv) : NULL;
}

/* Reads the bytes on fd. */
static struct aof_result read_all(int fd, bool apply)
{
	static const struct aof_sink sink = {.command = take};
	struct aof_result r;

	digest = 0;
	applying = apply;
	if (apply)
		apply_begin();
	aof_read(fd, 0, 0, &sink, NULL, &r);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static unsigned runs;
	static const struct arg flush = {"FLUSHALL", 8};
	char why[256];

	if (fd < 0) {
		fd = memfd_create("aof", 0);
		fixture_open(16);
		log_open("/dev/null", LOG_LEVEL_WARNING);
	}
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	struct aof_result r = read_all(fd, false);
	CHECK(r.end != AOF_IO && r.end != AOF_REFUSED);
	CHECK(r.at <= size && r.good <= size && r.follows <= size && strnlen(r.why, sizeof r.why) < sizeof r.why);
	CHECK((r.end == AOF_WHOLE) == (r.good == size && r.why[0] == 0));
	uint64_t before = digest;
	struct aof_result applied = read_all(fd, true);
	CHECK(applied.end == r.end ? digest == before : applied.end == AOF_REFUSED);
	if (++runs % 500 == 0)
		CHECK(store_fsck(why, sizeof why));
	if (runs % 64 == 0)
		CHECK(apply_command(1, &flush) == NULL);
	CHECK(ftruncate(fd, (off_t)r.good) == 0);
	struct aof_result again = read_all(fd, false);
	CHECK(again.end == AOF_WHOLE && again.commands == r.commands && digest == before);
	return 0;
}

#ifndef FUZZ_ENGINE

#include "mutate.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
#define SET_B "*5\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\n22\r\n$4\r\nPXAT\r\n$13\r\n1700000000000\r\n"

static const char *const corpus[] = {
    SET_A SET_B,
    "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" SET_B,
    "*1\r\n$5\r\nMULTI\r\n" SET_A SET_B "*1\r\n$4\r\nEXEC\r\n",
    "#TS:1700000000\r\n" SET_A,
    "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$0\r\n\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n",
    "*3\r\n$9\r\nPEXPIREAT\r\n$1\r\na\r\n$13\r\n1900000000000\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n",
    "*3\r\n$6\r\nRENAME\r\n$1\r\na\r\n$1\r\nb\r\n*3\r\n$6\r\nAPPEND\r\n$1\r\nb\r\n$3\r\nx\r\n\r\n",
    "*3\r\n$6\r\nSWAPDB\r\n$1\r\n0\r\n$1\r\n3\r\n*1\r\n$7\r\nFLUSHDB\r\n",
    "*4\r\n$8\r\nSETRANGE\r\n$1\r\na\r\n$1\r\n5\r\n$2\r\nxy\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$100000\r\nabcdef",
};

static const char *const tokens[] = {"*", "$", "\r\n", "\r", "\n", "#", "-1", "0", "1", "2", "9", "*1\r\n", "$1\r\n", "$4\r\nEXEC\r\n",
				     "*1\r\n$5\r\nMULTI\r\n", "*1\r\n$4\r\nexec\r\n", SET_A, "99999999999999999999", "2147483648", "536870913", "REDIS0010"};

int main(int argc, char **argv)
{
	static const struct fuzz f = {corpus, sizeof(corpus) / sizeof(corpus[0]), tokens, sizeof(tokens) / sizeof(tokens[0])};

	return fuzz_run(argc, argv, &f);
}

#endif
