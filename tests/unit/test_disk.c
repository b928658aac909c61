/* SPDX-License-Identifier: BSD-2-Clause */
/* What a store knows of the files on disk: whoever replaces one may die after each step, again and again, and it is still ours. */
#include <stdio.h>

#include "store_fixture.h"

#include "persist/disk.h"

static char place[64], temp[64];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	REQUIRE(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* As if a start looked at it now. */
static bool is_ours(enum disk_kind kind)
{
	return !disk_fault(SUPER, kind, place);
}

static void begin(const char *text)
{
	put(place, text);
	CHECK(disk_is(DISK_RDB, place));
	CHECK(is_ours(DISK_RDB));
}

static void test_replaced(void)
{
	begin("first");
	put(temp, "the second");
	CHECK(disk_note(DISK_RDB, temp, place));
	CHECK(is_ours(DISK_RDB));
	REQUIRE(rename(temp, place) == 0);
	CHECK(is_ours(DISK_RDB));
	disk_settle(DISK_RDB);
	CHECK(is_ours(DISK_RDB));
	put(place, "somebody else's");
	CHECK(!is_ours(DISK_RDB));
}

/* Dead between the renaming and the settling; then another one, who dies before it has renamed anything. */
static void test_never_settled(void)
{
	begin("first");
	put(temp, "the second");
	CHECK(disk_note(DISK_RDB, temp, place));
	REQUIRE(rename(temp, place) == 0);
	for (unsigned i = 0; i < 3; i++) {
		put(temp, "the one to come");
		CHECK(disk_note(DISK_RDB, temp, place));
		CHECK(is_ours(DISK_RDB));
		unlink(temp);
	}
	put(temp, "the third, at last");
	CHECK(disk_note(DISK_RDB, temp, place));
	REQUIRE(rename(temp, place) == 0);
	CHECK(is_ours(DISK_RDB));
	disk_settle(DISK_RDB);
	CHECK(is_ours(DISK_RDB));
}

/* What somebody else has put there is not ours by being replaced. */
static void test_not_taken_for_ours(void)
{
	begin("first");
	put(place, "somebody else's");
	put(temp, "the second");
	CHECK(disk_note(DISK_RDB, temp, place));
	CHECK(!is_ours(DISK_RDB));
}

/* An increment is said to be the one to come as often as its name is tried; the manifest has the one before meanwhile. */
static void test_said_again(void)
{
	put(place, "");
	put(temp, "");
	CHECK(disk_is(DISK_INCREMENT, place));
	for (unsigned i = 0; i < 3; i++)
		CHECK(disk_is(DISK_INCREMENT, temp));
	CHECK(is_ours(DISK_INCREMENT));
	/* Who goes on with the old one says so, and tries the new one again. */
	CHECK(disk_is(DISK_INCREMENT, place));
	CHECK(disk_is(DISK_INCREMENT, temp));
	CHECK(disk_is(DISK_INCREMENT, temp));
	CHECK(is_ours(DISK_INCREMENT));
}

int main(void)
{
	fixture_open(16);
	snprintf(place, sizeof place, "/tmp/bulkhead-disk.%d", (int)getpid());
	snprintf(temp, sizeof temp, "/tmp/bulkhead-disk.%d.temp", (int)getpid());
	RUN(test_replaced);
	RUN(test_never_settled);
	RUN(test_not_taken_for_ours);
	RUN(test_said_again);
	unlink(place);
	unlink(temp);
	return test_done();
}
