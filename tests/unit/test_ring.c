/* SPDX-License-Identifier: BSD-2-Clause */
/* The log ring: what transactions put into it, byte for byte; over its end, beyond its size, under cuts, with writers killed in the middle. */
#include <sched.h>
#include <sys/ptrace.h>

#include "store_fixture.h"

#include "base/num.h"
#include "shm/ring.h"
#include "store/internal.h"

#define ACCOUNTS 40u
#define SHARE 1000
#define WRITERS 4u

/* ---- the stream ---- */

static struct buf stream; /* all of it since the log was switched on */
static uint64_t stream_at; /* the offset it begins at */

/* Takes what there is, and gives the room back where a transaction ends. */
static void take(void)
{
	struct ring_piece p;
	uint64_t offset, pos = ring_consumed(&offset), whole = pos;
	CHECK_UINT(offset, stream_at + stream.len);
	while (ring_read(pos, &p)) {
		CHECK_UINT(p.offset, stream_at + stream.len);
		CHECK_UINT(p.length, p.n[0] + p.n[1]);
		buf_append(&stream, p.p[0], p.n[0]);
		buf_append(&stream, p.p[1], p.n[1]);
		pos = p.next;
		if (p.last)
			whole = pos;
	}
	ring_consume(whole);
	CHECK_UINT(whole, pos);
}

static void begin_log(void)
{
	CHECK(ring_switch_on(&stream_at));
	buf_clear(&stream);
}

static void end_log(void)
{
	ring_switch_off();
	take();
	CHECK_FSCK();
}

/* ---- commands with effects ---- */

struct setting {
	uint32_t db, n;
	struct arg key[8], value[8];
	uint32_t repeat; /* each effect so many times */
	uint32_t other_db;
};

static int setting_body(struct access *a, void *arg)
{
	struct setting *d = arg;
	for (uint32_t i = 0; i < d->n; i++) {
		if (!key_set_string(a, d->db, &d->key[i], d->value[i].p, d->value[i].n, ENC_AUTO, DUE_NONE))
			return 1;
		for (uint32_t k = 0; k < d->repeat; k++)
			effect(a, i ? d->other_db : d->db, 3, (struct arg[]){ARG("SET"), d->key[i], d->value[i]});
	}
	return 0;
}

static int set_all(struct setting *d)
{
	const struct arg *keys[8];
	for (uint32_t i = 0; i < d->n; i++)
		keys[i] = &d->key[i];
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = d->n, .keys = keys};
	return access_run(&p, setting_body, d);
}

static int set_one(uint32_t db, const char *key, const char *value, size_t n)
{
	struct setting d = {.db = db, .other_db = db, .n = 1, .repeat = 1, .key = {ARG(key)}, .value = {{value, n}}};
	return set_all(&d);
}

/* ---- what it looks like ---- */

static void test_text(void)
{
	CHECK_INT(set_one(0, "a", "before", 6), 0);
	begin_log();
	CHECK_INT(set_one(0, "a", "1", 1), 0);
	CHECK_INT(set_one(0, "b", "2", 1), 0);
	CHECK_INT(set_one(1, "a", "3", 1), 0);
	struct setting two = {.db = 0, .other_db = 12, .n = 2, .repeat = 1, .key = {ARG("x"), ARG("y")}, .value = {ARG(""), ARG("v")}};
	CHECK_INT(set_all(&two), 0);
	CHECK_INT(set_one(12, "a", "4", 1), 0);
	take();
	static const char want[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
				   "*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
				   "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n3\r\n"
				   "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$0\r\n\r\n"
				   "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n*3\r\n$3\r\nSET\r\n$1\r\ny\r\n$1\r\nv\r\n*1\r\n$4\r\nEXEC\r\n"
				   "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n4\r\n";
	CHECK_MEM(stream.data, stream.len, want, sizeof want - 1);
	end_log();
	uint64_t n = stream.len;
	CHECK_INT(set_one(0, "a", "after", 5), 0);
	take();
	CHECK_UINT(stream.len, n);
}

/* The same with pieces of every size, so that heads and bytes come to lie at every distance from the ring's end. */
static void test_turning_over(void)
{
	static char value[3000];
	struct buf want = {0};
	begin_log();
	for (unsigned i = 0; i < 9000; i++) {
		size_t n = (size_t)dice(i % 50 ? 900 : sizeof value);
		for (size_t k = 0; k < n; k++)
			value[k] = (char)('a' + (i + k) % 26);
		CHECK_INT(set_one(0, "turning", value, n), 0);
		if (i == 0)
			buf_append_str(&want, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
		buf_printf(&want, "*3\r\n$3\r\nSET\r\n$7\r\nturning\r\n$%zu\r\n", n);
		buf_append(&want, value, n);
		buf_append_str(&want, "\r\n");
		if (dice(300) == 0)
			take();
	}
	take();
	CHECK_MEM(stream.data, stream.len, want.data, want.len);
	CHECK(atomic_load(&ring()->tail) > RING_BYTES);
	buf_deinit(&want);
	end_log();
}

/* ---- more than the ring holds ---- */

static void test_large(void)
{
	size_t n = 3 * RING_BYTES;
	char *value = malloc(n);
	memset(value, 'x', n);
	uint64_t before = ring_memory();
	begin_log();
	CHECK_INT(set_one(0, "large", value, n), 0);
	CHECK(ring_memory() >= n);
	CHECK_FSCK();
	take();
	struct buf want = {0};
	buf_printf(&want, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%zu\r\n", n);
	buf_append(&want, value, n);
	buf_append_str(&want, "\r\n");
	CHECK(stream.len == want.len && memcmp(stream.data, want.data, want.len) == 0);
	/* Many small effects of one transaction. */
	struct setting many = {.db = 0, .other_db = 1, .n = 3, .repeat = 60000, .key = {ARG("p"), ARG("q"), ARG("r")},
			       .value = {ARG("1"), ARG("22"), ARG("333")}};
	buf_clear(&stream);
	buf_clear(&want);
	stream_at = atomic_load(&ring()->offset);
	CHECK_INT(set_all(&many), 0);
	CHECK_FSCK();
	take();
	buf_append_str(&want, "*1\r\n$5\r\nMULTI\r\n");
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			buf_append_str(&want, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n");
		for (unsigned k = 0; k < many.repeat; k++)
			buf_printf(&want, "*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$%zu\r\n%s\r\n", many.key[i].p, many.value[i].n,
				   many.value[i].p);
	}
	buf_append_str(&want, "*1\r\n$4\r\nEXEC\r\n");
	CHECK(stream.len == want.len && memcmp(stream.data, want.data, want.len) == 0);
	end_log();
	CHECK_UINT(ring_memory(), before);
	buf_deinit(&want);
	free(value);
}

static int filling_body(void *arg)
{
	static char value[50000];
	(void)arg;
	memset(value, 'f', sizeof value);
	for (unsigned i = 0; i < 400; i++)
		if (set_one(0, "filling", value, sizeof value) != 0)
			return 1;
	return 0;
}

/* Writers wait for room, holding nothing; what they wait with is not lost. */
static void test_full(void)
{
	begin_log();
	pid_t p = fork_as(3, filling_body, NULL), q = fork_as(4, filling_body, NULL);
	for (int i = 0; i < 5000 && ring_has_room(); i++)
		usleep(1000);
	CHECK(!ring_has_room());
	/* Nobody holds a lock: a read goes on. */
	usleep(20000);
	CHECK(do_get(0, "filling", NULL));
	int status, n = 0, ended = 0;
	for (int i = 0; i < 100000 && ended < 2; i++) {
		take();
		while (waitpid(-1, &status, WNOHANG) > 0)
			ended++, n += status != 0;
		sched_yield();
	}
	CHECK_INT(ended, 2);
	CHECK_INT(n, 0);
	take();
	CHECK_UINT(stream.len, 23 + 800 * (4 + 9 + 13 + 8 + 50000 + 2));
	end_log();
	(void)p, (void)q;
}

/* A transaction of one effect of 16 bytes, whatever room there is. */
static bool commit_little(void)
{
	uint16_t stripe = 0;
	REQUIRE(txn_begin(&stripe, 1));
	char *p = ring_log(0, 16);
	REQUIRE(p);
	memcpy(p, "*1\r\n$6\r\nlittle\r\n", 16);
	return txn_commit();
}

static int consuming(void *arg)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	ring_consume(*(uint64_t *)arg);
	return 0;
}

/* Runs the child until ring()->consumed is not `from` any more. */
static void step_over(pid_t p, uint64_t from)
{
	int status;
	REQUIRE(waitpid(p, &status, 0) == p && WIFSTOPPED(status));
	while (atomic_load(&ring()->consumed) == from) {
		REQUIRE(ptrace(PTRACE_SINGLESTEP, p, NULL, NULL) == 0);
		REQUIRE(waitpid(p, &status, 0) == p && WIFSTOPPED(status));
	}
}

/* The ring is full; a consumer dies in the middle of giving back a block, whose frame is written over at once: it has to be there all the same. */
static void test_death_over_a_block(void)
{
	static char value[100000];
	uint32_t slot = 3;
	struct ring_piece p;
	uint64_t offset;
	memset(value, 'b', sizeof value);
	begin_log();
	CHECK_INT(set_one(0, "little", "1", 1), 0);
	CHECK_INT(set_one(0, "block", value, sizeof value), 0);
	uint64_t behind = atomic_load(&ring()->tail), pos = ring_consumed(&offset), block = pos;
	while (commit_little())
		;
	for (; ring_read(block, &p) && p.length < sizeof value; block = p.next)
		;
	/* First the store that passes the short frames, then the one that passes the block's. */
	for (unsigned moves = 1; moves <= 2; moves++) {
		pid_t child = fork_as(slot, consuming, &behind);
		uint64_t from = atomic_load(&ring()->consumed);
		step_over(child, from);
		while (commit_little())
			;
		kill(child, SIGKILL);
		reap_child(child);
		recover_slots(&slot, 1);
		CHECK_FSCK();
	}
	CHECK_UINT(atomic_load(&ring()->consumed), block);
	REQUIRE(ring_read(block, &p));
	CHECK(p.length > sizeof value && memcmp(p.p[0] + p.length - 2 - sizeof value, value, sizeof value) == 0);
	ring_switch_off();
	ring_drop();
	CHECK_FSCK();
}

static void test_failed(void)
{
	begin_log();
	CHECK_INT(set_one(0, "kept", "1", 1), 0);
	ring_fail(28);
	CHECK_INT(set_one(0, "kept", "2", 1), ACCESS_NOT_LOGGED);
	CHECK_INT(access_log_errno(), 28);
	CHECK(do_is(0, "kept", "1"));
	CHECK(!ring_wait_durable(atomic_load(&ring()->offset)));
	ring_fail(0);
	CHECK_INT(set_one(0, "kept", "3", 1), 0);
	take();
	ring_set_durable(atomic_load(&ring()->offset));
	CHECK(ring_wait_durable(atomic_load(&ring()->offset)));
	end_log();
}

/* ---- what replies depend on ---- */

static int seeing_body(struct access *a, void *arg)
{
	struct view v;
	key_find(a, 0, a->plan->keys[0], &v);
	return *(int *)arg;
}

static int looking_body(struct access *a, void *arg)
{
	(void)a, (void)arg;
	return 0;
}

/* Runs one that changes nothing, if only because it is rolled back. How much of the log its reply depends on. */
static struct access_log seen(enum plan_kind kind, const char *key, int result)
{
	struct arg name = ARG(key);
	const struct arg *keys[] = {&name};
	struct plan p = {.kind = kind, .now = fixture_now, .nkeys = *key ? 1 : 0, .keys = keys};
	CHECK_INT(access_run(&p, *key ? seeing_body : looking_body, &result), result);
	return access_take_log();
}

static int setting_child(void *arg)
{
	return set_one(0, arg, "v", 1);
}

/* Another process sets it. Returns the offset behind that. */
static uint64_t set_by_another(const char *key)
{
	CHECK_INT(reap_child(fork_as(3, setting_child, (void *)(uintptr_t)key)), 0);
	return atomic_load(&ring()->offset);
}

static void test_what_is_seen(void)
{
	begin_log();
	access_take_log();
	uint64_t first = set_by_another("first"), second = set_by_another("second");
	CHECK_UINT(seen(PLAN_READ, "first", 0).any, first);
	CHECK_UINT(seen(PLAN_READ_LONG, "first", 0).any, first);
	/* A write that finds nothing to do has read, and so has one that fails. */
	CHECK_UINT(seen(PLAN_WRITE, "second", 0).any, second);
	CHECK_UINT(seen(PLAN_WRITE, "second", 1).any, second);
	CHECK_UINT(seen(PLAN_WRITE, "second", 0).own, 0);
	/* Who names no keys may have seen any. */
	CHECK_UINT(seen(PLAN_READ, "", 0).any, second);
	CHECK_UINT(seen(PLAN_WRITE_ALL, "", 0).any, second);
	CHECK_INT(set_one(0, "own", "1", 1), 0);
	struct access_log own = access_take_log();
	CHECK_UINT(own.any, atomic_load(&ring()->offset));
	CHECK_UINT(own.own, own.any);
	/* Of several commands it is the most. */
	uint64_t last = set_by_another("last"), any = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct arg name = ARG(i ? "first" : "last");
		const struct arg *keys[] = {&name};
		struct plan p = {.kind = i ? PLAN_WRITE : PLAN_READ, .now = fixture_now, .nkeys = 1, .keys = keys};
		CHECK_INT(access_run(&p, seeing_body, &(int){0}), 0);
	}
	any = access_take_log().any;
	CHECK_UINT(any, last);
	end_log();
}

static int began[2];

static int slow_body(struct access *a, void *arg)
{
	static bool told;
	struct arg *key = arg;
	if (!key_set_string(a, 0, key, "late", 4, ENC_AUTO, DUE_NONE))
		return 1;
	effect(a, 0, 3, (struct arg[]){ARG("SET"), *key, ARG("late")});
	if (!told && write(began[1], "x", 1) == 1)
		told = true;
	usleep(100000);
	return 0;
}

static int slow_child(void *arg)
{
	struct arg key = ARG("slow");
	const struct arg *keys[] = {&key};
	struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 1, .keys = keys};
	(void)arg;
	return access_run(&p, slow_body, &key);
}

static bool look_for_slow(void *arg, const char *key, size_t klen, const struct view *v)
{
	(void)v;
	*(bool *)arg |= klen == 4 && memcmp(key, "slow", 4) == 0;
	return true;
}

static int walking_body(struct access *a, void *arg)
{
	*(bool *)arg = false;
	db_walk(a, 0, look_for_slow, arg);
	return 0;
}

/* A pin shows what was begun before it, which commits after it. */
static void test_seen_under_a_pin(void)
{
	char c;
	bool found;
	REQUIRE(pipe(began) == 0);
	begin_log();
	access_take_log();
	pid_t p = fork_as(3, slow_child, NULL);
	REQUIRE(read(began[0], &c, 1) == 1);
	struct plan plan = {.kind = PLAN_READ_LONG, .now = fixture_now};
	CHECK_INT(access_run(&plan, walking_body, &found), 0);
	CHECK(found);
	CHECK(atomic_load(&ring()->offset) > stream_at);
	CHECK_UINT(access_take_log().any, atomic_load(&ring()->offset));
	CHECK_INT(reap_child(p), 0);
	end_log();
	close(began[0]);
	close(began[1]);
}

/* ---- cuts ---- */

struct transfer {
	struct arg key[2];
	char name[2][12];
	int64_t amount;
};

static int transfer_body(struct access *a, void *arg)
{
	struct transfer *d = arg;
	for (unsigned i = 0; i < 2; i++) {
		struct view v;
		int64_t n = 0;
		char text[21];
		if (!key_find(a, 0, &d->key[i], &v) || !parse_i64(v.value, v.len, &n))
			return 1;
		struct arg value = {text, format_i64(text, i ? n + d->amount : n - d->amount)};
		if (!key_set_string(a, 0, &d->key[i], value.p, value.n, ENC_INT, DUE_NONE))
			return 1;
		effect(a, 0, 3, (struct arg[]){ARG("SET"), d->key[i], value});
	}
	return 0;
}

static void account_name(char out[12], unsigned i)
{
	snprintf(out, 12, "account%02u", i);
}

static int transferring(void *arg)
{
	dice_state ^= (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull;
	for (;;) {
		struct transfer d = {.amount = (int64_t)dice(20)};
		unsigned from = (unsigned)dice(ACCOUNTS), to = (from + 1 + (unsigned)dice(ACCOUNTS - 1)) % ACCOUNTS;
		account_name(d.name[0], from), account_name(d.name[1], to);
		d.key[0] = ARG(d.name[0]), d.key[1] = ARG(d.name[1]);
		const struct arg *keys[] = {&d.key[0], &d.key[1]};
		struct plan p = {.kind = PLAN_WRITE, .now = fixture_now, .nkeys = 2, .keys = keys};
		if (access_run(&p, transfer_body, &d) != 0)
			return 1;
	}
}

/* The accounts as the stream up to `offset` makes them. */
static int64_t model[ACCOUNTS];
static uint64_t replayed; /* bytes of `stream` */

static struct arg word(size_t *at)
{
	char *end;
	size_t n = strtoul(stream.data + *at + 1, &end, 10);
	struct arg a = {end + 2, n};
	*at = (size_t)(end + 2 - stream.data) + n + 2;
	return a;
}

static void replay(uint64_t offset)
{
	size_t at = replayed;
	while (stream_at + at < offset) {
		long argc = strtol(stream.data + at + 1, NULL, 10);
		at += 4;
		struct arg w[3] = {{NULL, 0}};
		for (long i = 0; i < argc && i < 3; i++)
			w[i] = word(&at);
		if (argc == 3) {
			unsigned i = (unsigned)strtoul(w[1].p + 7, NULL, 10);
			REQUIRE(i < ACCOUNTS && parse_i64(w[2].p, w[2].n, &model[i]));
		}
	}
	CHECK_UINT(stream_at + at, offset);
	replayed = at;
}

static bool compare_account(void *arg, const char *key, size_t klen, const struct view *v)
{
	int64_t n, *sum = arg;
	if (klen != 9 || memcmp(key, "account", 7))
		return true;
	unsigned i = (unsigned)(key[7] - '0') * 10 + (unsigned)(key[8] - '0');
	CHECK(parse_i64(v->value, v->len, &n));
	CHECKF(n == model[i], "account %u has %lld in the snapshot, %lld by the log", i, (long long)n, (long long)model[i]);
	*sum += n;
	return true;
}

static uint64_t snapshot_offset;

static int snapshot_body(struct access *a, void *arg)
{
	int64_t sum = 0;
	(void)arg;
	/* Others go on; then the log up to the cut is looked at. */
	usleep((useconds_t)dice(3000));
	take();
	replay(snapshot_offset);
	db_walk(a, 0, compare_account, &sum);
	CHECK_INT(sum, ACCOUNTS * SHARE);
	return 0;
}

/* Writers, some of them killed, beside snapshots: each shows exactly what the log up to its cut has made. */
static void test_cuts(void)
{
	pid_t p[WRITERS];
	char name[12];
	unsigned killed = 0;
	/* The log is switched on under load; the first snapshot is what it builds on. */
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		account_name(name, i);
		CHECK_INT(set_one(0, name, "1000", 4), 0);
		model[i] = SHARE;
	}
	begin_log();
	replayed = 0;
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(3 + i, transferring, (void *)(uintptr_t)(i + 1));
	for (unsigned round = 0; round < 150; round++) {
		usleep((useconds_t)dice(4000));
		CHECK_INT(access_snapshot(round % 5 == 0, &snapshot_offset, snapshot_body, NULL), 0);
		if (round % 4 == 0) {
			uint32_t i = (uint32_t)dice(WRITERS), slot = 3 + i;
			kill(p[i], SIGKILL);
			killed += reap_child(p[i]) == 1000 + SIGKILL;
			recover_slots(&slot, 1);
			p[i] = fork_as(slot, transferring, (void *)(uintptr_t)(100 + round));
		}
		take();
	}
	CHECK_UINT(killed, 38);
	for (unsigned i = 0; i < WRITERS; i++) {
		uint32_t slot = 3 + i;
		kill(p[i], SIGKILL);
		reap_child(p[i]);
		recover_slots(&slot, 1);
	}
	CHECK_INT(access_snapshot(false, &snapshot_offset, snapshot_body, NULL), 0);
	CHECK(replayed > 100000);
	end_log();
}

static bool take_account(void *arg, const char *key, size_t klen, const struct view *v)
{
	(void)arg;
	if (klen == 9 && !memcmp(key, "account", 7))
		CHECK(parse_i64(v->value, v->len, &model[(key[7] - '0') * 10 + (key[8] - '0')]));
	return true;
}

static int base_body(struct access *a, void *arg)
{
	(void)arg;
	db_walk(a, 0, take_account, NULL);
	replayed = snapshot_offset - stream_at;
	return 0;
}

/* Switched on under load: a snapshot taken afterwards, and the log from there on, have all of it. */
static void test_switched_on_under_load(void)
{
	pid_t p[WRITERS];
	char name[12];
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		account_name(name, i);
		CHECK_INT(set_one(0, name, "1000", 4), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		p[i] = fork_as(3 + i, transferring, (void *)(uintptr_t)(i + 7));
	for (unsigned round = 0; round < 40; round++) {
		usleep((useconds_t)dice(1000));
		begin_log();
		CHECK_INT(access_snapshot(true, &snapshot_offset, base_body, NULL), 0);
		CHECK_INT(access_snapshot(false, &snapshot_offset, snapshot_body, NULL), 0);
		ring_switch_off();
		take();
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		uint32_t slot = 3 + i;
		kill(p[i], SIGKILL);
		reap_child(p[i]);
		recover_slots(&slot, 1);
	}
	end_log();
}

int main(void)
{
	fixture_open(16);
	RUN(test_text);
	RUN(test_turning_over);
	RUN(test_large);
	RUN(test_full);
	RUN(test_death_over_a_block);
	RUN(test_failed);
	RUN(test_what_is_seen);
	RUN(test_seen_under_a_pin);
	RUN(test_cuts);
	RUN(test_switched_on_under_load);
	return test_done();
}
