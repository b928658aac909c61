/* SPDX-License-Identifier: BSD-2-Clause */
/* What processes count for INFO, SLOWLOG and LATENCY: folding, eviction, reset, and writers that die in the middle. */
#include <sys/mman.h>

#include "shm/figures.h"
#include "shm/slowlog.h"
#include "store_fixture.h"

static struct command_sum sums[COMMAND_ROWS_MAX];

static void start_over(void)
{
	command_stats_reset();
	memset((void *)&my_page->commands, 0, sizeof my_page->commands);
	atomic_store(&control->slots_used, FIXTURE_SLOTS);
}

static uint64_t timed(const struct command_sum *s)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < OCTAVES; i++)
		n += s->octaves[i];
	return n;
}

static void test_octaves(void)
{
	CHECK_UINT(octave_of(0), 0);
	CHECK_UINT(octave_of(1031), 0);
	CHECK_UINT(octave_of(1032), 1);
	CHECK_UINT(octave_of(2063), 1);
	CHECK_UINT(octave_of(2064), 2);
	CHECK_UINT(octave_of(UINT64_MAX), OCTAVES - 1);
	for (unsigned o = 0; o + 1 < OCTAVES; o++) {
		CHECK_UINT(octave_of(octave_end(o)), o);
		CHECK_UINT(octave_of(octave_end(o) + 1), o + 1);
	}
}

static void test_counting(void)
{
	start_over();
	CHECK_UINT(command_stats_add(7, 1, 5000, false, true), 5000);
	CHECK_UINT(command_stats_add(7, 10, 20000, false, true), 2000);
	/* The last one was held up: the others are as quick as those before, the rest is its. */
	CHECK_UINT(command_stats_add(7, 4, 1000000, true, true), 1000000 - 3 * (25000 / 11));
	/* Never more than all of it. */
	CHECK_UINT(command_stats_add(7, 2, 100, true, false), 50);
	command_stats_rejected(7);
	command_stats_failed(9);
	command_stats_read(sums);
	CHECK_UINT(sums[7].calls, 17);
	CHECK_UINT(sums[7].ns, 5000 + 20000 + 1000000 + 100);
	CHECK_UINT(sums[7].rejected, 1);
	CHECK_UINT(timed(&sums[7]), 15);
	CHECK_UINT(sums[9].failed, 1);
	CHECK_UINT(sums[9].calls, 0);
}

/* More rows than entries: nothing is lost, wherever the counts are. */
static void test_many_rows(void)
{
	start_over();
	for (uint32_t round = 0; round < 10; round++)
		for (uint32_t row = 0; row < COMMAND_ROWS_MAX; row++)
			command_stats_add(row, 1 + row % 3, 3000, false, true);
	command_stats_read(sums);
	for (uint32_t row = 0; row < COMMAND_ROWS_MAX; row++) {
		CHECK_UINT(sums[row].calls, 10 * (1 + row % 3));
		CHECK_UINT(sums[row].ns, 30000);
		CHECK_UINT(timed(&sums[row]), 10 * (1 + row % 3));
	}
}

static void test_full_entry(void)
{
	start_over();
	command_stats_add(3, 1, 10, false, true);
	for (unsigned i = 0; i < COMMAND_ENTRIES; i++)
		if (my_page->commands.entries[i].row == 4)
			atomic_store(&my_page->commands.entries[i].calls, UINT32_C(1) << 30);
	command_stats_add(3, 5, 10, false, true);
	command_stats_read(sums);
	CHECK_UINT(sums[3].calls, (UINT64_C(1) << 30) + 5);
	CHECK_UINT(figures->stats.commands[3].calls, UINT64_C(1) << 30);
}

static void test_fold_and_reset(void)
{
	start_over();
	command_stats_add(1, 2, 10, false, true);
	command_stats_fold(&my_page->commands);
	command_stats_add(1, 3, 10, false, true);
	command_stats_read(sums);
	CHECK_UINT(sums[1].calls, 5);
	command_stats_reset();
	command_stats_read(sums);
	CHECK_UINT(sums[1].calls, 0);
	/* The entry that was there belongs to the time before. */
	command_stats_add(1, 1, 10, false, true);
	command_stats_add(2, 1, 10, false, true);
	command_stats_fold(&my_page->commands);
	command_stats_read(sums);
	CHECK_UINT(sums[1].calls, 1);
	CHECK_UINT(sums[2].calls, 1);
}

/* A page that a process has filled with anything. */
static void test_wild_page(void)
{
	start_over();
	for (unsigned seed = 1; seed < 50; seed++) {
		unsigned char *p = (unsigned char *)&control_page(3)->commands;
		for (size_t i = 0; i < sizeof(struct command_page); i++)
			p[i] = (unsigned char)(i * seed * 2654435761u >> 13);
		command_stats_read(sums);
		command_stats_fold(&control_page(3)->commands);
	}
	start_over();
}

static void test_errors(void)
{
	static const char *const texts[] = {"ERR something", "WRONGTYPE x", "ERR", "", " x", "NOCODE", "ERR other",
					    "AVERYLONGCODETHATDOESNOTENDINTHIRTYONE x"};
	struct error_sum found[ERROR_CODES + 1];
	char text[32];
	start_over();
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		error_stats_add(texts[i], strlen(texts[i]));
	CHECK_UINT(error_stats_read(found), 2);
	CHECK(strcmp(found[0].code, "ERR") == 0 && found[0].count == 7);
	CHECK(strcmp(found[1].code, "WRONGTYPE") == 0 && found[1].count == 1);
	for (int i = 0; i < 300; i++)
		error_stats_add(text, (size_t)snprintf(text, sizeof text, "CODE%d x", i));
	size_t n = error_stats_read(found);
	uint64_t all = 0;
	CHECK_UINT(n, ERROR_CODES + 1);
	for (size_t i = 0; i < n; i++) {
		all += found[i].count;
		CHECK(i == 0 || strcmp(found[i - 1].code, found[i].code) < 0);
	}
	CHECK_UINT(all, 308);
	/* What is no code, because somebody wrote there, is not shown. */
	start_over();
	error_stats_add("ONE x", 5);
	error_stats_add("TWO x", 5);
	memcpy(figures->stats.errors[0].code, "A\r\nrole:slave", 14);
	CHECK_UINT(error_stats_read(found), 1);
	CHECK(strcmp(found[0].code, "TWO") == 0);
	memset(figures->stats.errors[0].code, 0xff, ERROR_CODE_MAX);
	CHECK_UINT(error_stats_read(found), 1);
	/* Who died while naming a code leaves a place that is nobody's. */
	start_over();
	atomic_store(&figures->stats.errors[0].state, 1);
	error_stats_add("ERR x", 5);
	error_stats_add("ERR x", 5);
	CHECK_UINT(error_stats_read(found), 1);
	CHECK_UINT(found[0].count, 2);
}

/* ---- writers that die ---- */

static _Atomic uint64_t *done; /* per row, shared */

static int count_for_ever(void *arg)
{
	(void)arg;
	for (uint32_t row = 0;; row = (row + 7) % 40) {
		command_stats_add(row, 1, 2000, false, true);
		atomic_fetch_add(&done[row], 1);
	}
	return 0;
}

/* Whatever moves to the totals or begins there meanwhile. */
static void test_never_less(void)
{
	uint64_t before[40] = {0};
	start_over();
	memset((void *)done, 0, 4096);
	pid_t p = fork_as(5, count_for_ever, NULL);
	for (int i = 0; i < 3000 || (before[39] == 0 && i < 1000000); i++) {
		command_stats_read(sums);
		for (uint32_t row = 0; row < 40; row++) {
			CHECKF(sums[row].calls >= before[row], "row %u: %llu calls, and %llu before", row,
			       (unsigned long long)sums[row].calls, (unsigned long long)before[row]);
			before[row] = sums[row].calls;
		}
	}
	CHECK(before[39] > 0);
	kill(p, SIGKILL);
	CHECK_INT(reap_child(p), 1000 + SIGKILL);
	command_stats_fold(&control_page(5)->commands);
}

/* What one process had under way, and no more, may be wrong. */
static void test_death_while_counting(void)
{
	for (int i = 0; i < 30; i++) {
		start_over();
		memset((void *)done, 0, 4096);
		pid_t p = fork_as(5, count_for_ever, NULL);
		struct timespec t = {0, 1000000 + i * 100000};
		nanosleep(&t, NULL);
		kill(p, SIGKILL);
		CHECK_INT(reap_child(p), 1000 + SIGKILL);
		command_stats_fold(&control_page(5)->commands);
		command_stats_read(sums);
		unsigned wrong = 0;
		for (uint32_t row = 0; row < 40; row++) {
			uint64_t n = sums[row].calls, want = done[row];
			wrong += n != want && n != want + 1;
		}
		CHECKF(wrong <= 1, "%u commands are counted wrong", wrong);
	}
}

static int log_for_ever(void *arg)
{
	char text[3][200];
	struct arg words[3];
	for (uint32_t n = (uint32_t)(uintptr_t)arg * 1000000;; n++) {
		for (int w = 0; w < 3; w++) {
			memset(text[w], 'a' + (int)(n % 26), sizeof text[w]);
			words[w] = (struct arg){text[w], 1 + n % 199};
		}
		slowlog_add(n, n, words, 3, SLOWLOG_MAX);
	}
	return 0;
}

/* An entry is whole or not there. */
static void check_log(bool quiet)
{
	static struct slow_entry e;
	uint64_t first, next, found = 0;
	slowlog_range(&first, &next);
	for (uint64_t id = first; id < next; id++) {
		if (!slowlog_read(id, &e))
			continue;
		found++;
		CHECK_UINT(e.nwords, 3);
		for (uint32_t i = 0; i < e.nwords; i++) {
			struct arg w = slow_word(&e, i);
			bool same = w.n == 1 + e.us % 199;
			for (size_t k = 0; same && k < w.n; k++)
				same = w.p[k] == 'a' + (int)(e.us % 26);
			CHECKF(same, "entry %llu is torn", (unsigned long long)id);
		}
	}
	/* Those at work may have come round before each entry could be read. */
	CHECKF(!quiet || next == first || found > 0, "no entry of %llu is there", (unsigned long long)(next - first));
}

static void test_death_while_logging(void)
{
	struct arg word = {"word", 4};
	static struct slow_entry e;
	for (int i = 0; i < 20; i++) {
		pid_t p[3];
		for (uint32_t k = 0; k < 3; k++)
			p[k] = fork_as(5 + k, log_for_ever, (void *)(uintptr_t)(k + 1));
		struct timespec t = {0, 1000000 + i * 200000};
		nanosleep(&t, NULL);
		check_log(false);
		for (int k = 0; k < 3; k++) {
			kill(p[k], SIGKILL);
			CHECK_INT(reap_child(p[k]), 1000 + SIGKILL);
		}
		check_log(true);
	}
	slowlog_add(1, 2, &word, 1, 10);
	uint64_t first, next;
	slowlog_range(&first, &next);
	CHECK_UINT(next - first, 10);
	CHECK(slowlog_read(next - 1, &e) && e.nwords == 1 && slow_word(&e, 0).n == 4);
	slowlog_reset();
	CHECK_UINT(slowlog_length(), 0);
}

static void test_log_limits(void)
{
	static struct slow_entry e;
	static char big[SLOWLOG_ROOM];
	struct arg words[SLOWLOG_WORDS + 5];
	uint64_t first, next;
	for (uint32_t i = 0; i < SLOWLOG_WORDS + 5; i++)
		words[i] = (struct arg){big, 10};
	slowlog_reset();
	slowlog_add(1, 1, words, SLOWLOG_WORDS + 5, UINT64_MAX);
	words[1] = (struct arg){big, sizeof big};
	slowlog_add(1, 1, words, 3, UINT64_MAX);
	slowlog_range(&first, &next);
	CHECK(slowlog_read(next - 2, &e) && e.nwords == SLOWLOG_WORDS);
	CHECK(slowlog_read(next - 1, &e) && e.nwords == 1);
	CHECK(!slowlog_read(next, &e));
	/* Whatever somebody wrote there. */
	struct slow_entry *wild = (struct slow_entry *)(STORE_BASE + SUPER->off_slowlog) + (next - 1) % SLOWLOG_MAX;
	wild->ends[0] = 0xffffffff;
	CHECK(!slowlog_read(next - 1, &e));
	wild->nbytes = 0xffffffff;
	CHECK(!slowlog_read(next - 1, &e));
	for (int i = 0; i < 3000; i++)
		slowlog_add(1, 1, words, 1, UINT64_MAX);
	CHECK_UINT(slowlog_length(), SLOWLOG_MAX);
	slowlog_add(1, 1, words, 1, 0);
	CHECK_UINT(slowlog_length(), 0);
}

/* It takes no more memory than slowlog-max-len asks for; what is there stays there when that changes. */
static void test_log_memory(void)
{
	struct arg word = ARG("word");
	static struct slow_entry e;
	uint64_t first, next;
	CHECK_UINT(slowlog_places(0), SLOWLOG_FEW);
	CHECK_UINT(slowlog_places(SLOWLOG_FEW + 1), 2 * SLOWLOG_FEW);
	CHECK_UINT(slowlog_places(UINT64_MAX), SLOWLOG_MAX);
	for (int i = 0; i < 1000; i++)
		slowlog_add(1, 1, &word, 1, 100);
	CHECK_UINT(atomic_load(&SUPER->slow_backed), SLOWLOG_FEW);
	CHECK_UINT(slowlog_length(), 100);
	for (uint64_t n = 1; n <= 300; n++) {
		slowlog_add(1, 1, &word, 1, 300);
		slowlog_range(&first, &next);
		CHECK(slowlog_read(next - 1, &e));
	}
	CHECK_UINT(atomic_load(&SUPER->slow_backed), 512);
	CHECK_UINT(slowlog_length(), 300);
	for (int i = 0; i < 50; i++)
		slowlog_add(1, 1, &word, 1, 100);
	CHECK_UINT(slowlog_length(), 100);
	slowlog_reset();
}

static int add_events(void *arg)
{
	for (uint64_t i = 0; i < 20000; i++)
		event_add(EVENT_COMMAND, i % 1000 + (uintptr_t)arg);
	return 0;
}

static void test_events(void)
{
	struct event_sample samples[EVENT_SAMPLES];
	uint64_t worst;
	pid_t p[4];
	event_reset(EVENT_COMMAND);
	CHECK_UINT(event_read(EVENT_COMMAND, samples, &worst), 0);
	for (uint32_t i = 0; i < 4; i++)
		p[i] = fork_as(5 + i, add_events, (void *)(uintptr_t)i);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_INT(reap_child(p[i]), 0);
	unsigned n = event_read(EVENT_COMMAND, samples, &worst);
	CHECK(n > 0);
	CHECK_UINT(worst, 1002);
	for (unsigned i = 1; i < n; i++)
		CHECKF(samples[i].time > samples[i - 1].time, "two samples of one second");
	/* One that was placed by somebody who died before counting it. */
	event_reset(EVENT_COMMAND);
	atomic_store(&figures->events[EVENT_COMMAND].samples[0], (uint64_t)(clock_wall_ms() / 1000) << 32 | 5);
	event_add(EVENT_COMMAND, 9);
	n = event_read(EVENT_COMMAND, samples, &worst);
	CHECK(n == 1 || n == 2);
	CHECK_UINT(samples[n - 1].ms, 9);
	/* More seconds than there is room for: the latest stay. */
	for (unsigned i = 0; i < EVENT_SAMPLES; i++)
		atomic_store(&figures->events[EVENT_COMMAND].samples[i], (uint64_t)(1000 + i) << 32 | i);
	atomic_store(&figures->events[EVENT_COMMAND].n, EVENT_SAMPLES);
	event_add(EVENT_COMMAND, 3);
	CHECK_UINT(event_read(EVENT_COMMAND, samples, &worst), EVENT_SAMPLES);
	CHECK_UINT(samples[0].time, 1001);
	CHECK_UINT(samples[EVENT_SAMPLES - 1].ms, 3);
	CHECK(event_reset(EVENT_COMMAND) && !event_reset(EVENT_COMMAND));
}

int main(void)
{
	fixture_open(1);
	done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	RUN(test_octaves);
	RUN(test_counting);
	RUN(test_many_rows);
	RUN(test_never_less);
	RUN(test_full_entry);
	RUN(test_fold_and_reset);
	RUN(test_wild_page);
	RUN(test_errors);
	RUN(test_death_while_counting);
	RUN(test_log_memory);
	RUN(test_death_while_logging);
	RUN(test_log_limits);
	RUN(test_events);
	return test_done();
}
