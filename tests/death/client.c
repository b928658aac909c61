/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client: it knows what must be in the server, up to the one command that was on its way when its connection broke.
 *
 * What it expects:
 *   counter   acknowledged increments, at most the ambiguous ones more, also of those that share a string; of its own counter each single
 *             number
 *   value     its own values byte for byte, the old or the new one after a break; those of others are whole
 *   sum       accounts written by one MSET always have the same sum
 *   token     of two names exactly one exists, whoever renames
 *   brief     a key with an expiry is there until then, and not afterwards
 *   group     one MSET, FLUSHDB and SWAPDB: all or nothing
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"

#define OWN 6
#define SHARED 8
#define LONGEST 100000
#define CHUNK 10  /* bytes of each APPEND */
#define APPENDS 300
#define FIELD_STEP 700 /* from one counter to the next in the string that has several, in counters */
#define FLOOD 8    /* pairs of MSETs in a pipeline */
#define PLACE 9   /* and the next one: databases that are flushed and swapped */
#define RECONNECT_NS (30 * 1000000000ll)

struct tally *mine;
static unsigned me;
static pid_t worker; /* that serves this client, 0: not known */
static int64_t delay_before; /* what processor_delay() said a few operations ago */
static unsigned until_delay; /* so many operations more until it is asked again */
static char last[24];        /* the command that was sent */
static char value[LONGEST + 1], other[LONGEST + 1];

/* A value of its own as this client knows it: what was acknowledged, and what may have come after it. */
struct version {
	bool exists;
	uint32_t seed;
	size_t len;
};
static struct {
	struct version sure, maybe;
	bool open;
} own[OWN];
static int64_t own_counter, counter_open, appended, append_open, seen[COUNTERS];
static bool token_moved, token_open, append_gone;

unsigned draw(unsigned below)
{
	return (unsigned)rand_r(&options.seed) % below;
}

void violation(const char *format, ...)
{
	va_list args;
	if (mine->violations < 5) {
		va_start(args, format);
		fputs("# ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
		va_end(args);
	}
	va_start(args, format);
	if (mine->violations++ == 0)
		vsnprintf(mine->first, sizeof mine->first, format, args);
	va_end(args);
}

/* ---- the connection ---- */

/* How long a process has waited for a processor, ms. */
static int64_t delay_of(const char *pid)
{
	char path[64];
	long long ran, waited = 0;
	snprintf(path, sizeof path, "/proc/%s/schedstat", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%lld %lld", &ran, &waited) != 2)
		waited = 0;
	fclose(f);
	return waited / 1000000;
}

/* The same of this process and its worker: what a busy machine adds to the time of an operation. */
static int64_t processor_delay(void)
{
	char pid[16];
	snprintf(pid, sizeof pid, "%d", worker);
	return delay_of("self") + delay_of(pid);
}

static bool connect_once(void)
{
	struct reply r;
	if (!wire_connect(options.port) || !ask(&r, "CLIENT INFO"))
		return false;
	if (r.type != '$') {
		mine->refused++;
		return false;
	}
	char *at = strstr(r.data, " pid=");
	worker = at ? atoi(at + 5) : 0;
	until_delay = 0;
	return true;
}

static void reconnect(void)
{
	int64_t began = now_ns();
	while (!connect_once()) {
		usleep(200);
		if (now_ns() - began > RECONNECT_NS) {
			violation("no connection for %lld s", RECONNECT_NS / 1000000000);
			_exit(1);
		}
	}
}

/* The connection broke. Only a client whose own worker was killed may see that. */
static void recover_from(int64_t began)
{
	int64_t broke = now_ns();
	const struct harm *h = worker ? harm_of(worker, began) : NULL;
	if (wire_timed_out())
		violation("no reply within %d s", HANG_S);
	else if (worker && !h && !options.supervisor)
		violation("the connection to worker %d broke, which nobody had killed", worker);
	mine->breaks++;
	reconnect();
	durations_add(&mine->recoveries, now_ns() - (h && h->at > began ? h->at : broke));
}

static void judge(int64_t from, int64_t to)
{
	int64_t limit = options.limit_ms, took = (to - from) / 1000000;
	if (took <= limit)
		return;
	const struct harm *h = harm_of(worker, from);
	if (h && h->stop) {
		mine->excused++;
		return;
	}
	if (options.for_ever)
		limit += 2 * options.lock_timeout_ms;
	int64_t still = machine_stood_still(from, to) / 1000000, waited = processor_delay() - delay_before;
	if (took - (still > waited ? still : waited) > limit)
		violation("%s took %lld ms; the machine stood still for %lld of them, a processor was waited for %lld", last,
			  (long long)took, (long long)still, (long long)waited);
	else
		mine->excused++;
}

static int64_t begin(void)
{
	if (until_delay-- == 0) {
		until_delay = 50;
		delay_before = processor_delay();
	}
	return now_ns();
}

/* The words are there: sends them. False: the connection broke, there is a new one, and nobody knows whether the command was executed. */
static bool run(struct reply *r)
{
	int64_t from = begin();
	bool ok = send_words(r);
	int64_t to = now_ns();
	if (!ok) {
		recover_from(from);
		return false;
	}
	if (r->type == '-' && strncmp(r->data, "ERR no such key", 15))
		violation("error reply: %.100s", r->data);
	const struct harm *h = options.stop ? harm_of(worker, from) : NULL;
	if (!h)
		durations_add(&mine->ops, to - from);
	judge(from, to);
	return true;
}

__attribute__((format(printf, 2, 3))) static bool tell(struct reply *r, const char *format, ...)
{
	char text[COMMAND_MAX], *rest = text;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(last, sizeof last, "%.23s", text);
	for (char *w; (w = strsep(&rest, " "));)
		word(w, strlen(w));
	return run(r);
}

/* ---- values that prove themselves ---- */

static void fill(char *to, uint32_t seed, size_t len)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + len + 1;
	char *begin = to;
	memset(to, 'a' + (int)(len % 26), len);
	if (len < 20)
		return;
	to += sprintf(to, "%08x%08zx", seed, len);
	for (; to + 8 <= begin + len; to += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(to, &x, 8);
	}
}

static bool is_whole(const char *v, size_t len)
{
	uint32_t seed = 0;
	size_t says = len;
	if (len > LONGEST || len == 0 || (len >= 20 && sscanf(v, "%8x%8zx", &seed, &says) != 2) || says != len)
		return false;
	fill(other, seed, len);
	return memcmp(v, other, len) == 0;
}

static size_t some_length(void)
{
	static const unsigned up_to[] = {19, 100, 100, 1000, 4000, 4000, 20000, LONGEST};
	return 1 + draw(up_to[draw(8)]);
}

/* ---- counters ---- */

/* Half of the shared ones lie far apart in one string that is changed where it is; its bytes between them stay zero. */
static bool is_field(unsigned i)
{
	return i % 2;
}

/* The one number of a reply, or -1. */
static int64_t number_of(const struct reply *r)
{
	return r->type == ':' ? r->n : r->type == '*' && r->n == 1 ? r->at[0].n : -1;
}

static void count_shared(void)
{
	struct reply r;
	unsigned i = draw(COUNTERS);
	bool done = is_field(i) ? tell(&r, "BITFIELD fields INCRBY u32 #%u 1", i * FIELD_STEP) : tell(&r, "INCR ctr:%u", i);
	if (!done) {
		mine->ambiguous[i]++;
		return;
	}
	mine->acknowledged[i]++;
	int64_t n = number_of(&r);
	if (n <= seen[i])
		violation("counter %u: %lld after %lld", i, (long long)n, (long long)seen[i]);
	seen[i] = n;
}

static void know_counter(int64_t n, int64_t at_least)
{
	if (n < at_least || n > at_least + counter_open)
		violation("own counter: %lld, %lld acknowledged and %lld open", (long long)n, (long long)at_least,
			  (long long)counter_open);
	own_counter = n;
	counter_open = 0;
}

static void count_own(void)
{
	struct reply r;
	if (tell(&r, "INCR own:%u", me))
		know_counter(r.n, own_counter + 1);
	else
		counter_open++;
}

/* ---- values ---- */

static bool is_version(const struct version *v, const struct reply *r)
{
	if (!v->exists || r->n < 0)
		return v->exists == (r->n >= 0);
	if ((size_t)r->n != v->len)
		return false;
	fill(other, v->seed, v->len);
	return memcmp(r->data, other, v->len) == 0;
}

static void read_own(unsigned k)
{
	struct reply r;
	if (!tell(&r, "GET val:%u:%u", me, k))
		return;
	if (own[k].open && is_version(&own[k].maybe, &r))
		own[k].sure = own[k].maybe;
	else if (!is_version(&own[k].sure, &r))
		violation("val:%u:%u: %ld bytes %.40s, not the %zu of %08x last written (%s)", me, k, r.n, r.n < 0 ? "-" : r.data,
			  own[k].sure.exists ? own[k].sure.len : 0, own[k].sure.seed, own[k].open ? "another one open" : "nothing open");
	own[k].open = false;
}

static void settle_own(unsigned k)
{
	while (own[k].open)
		read_own(k);
}

static void write_own(unsigned k)
{
	struct reply r;
	char key[32];
	struct version v = {true, draw(1u << 30), some_length()};
	settle_own(k);
	own[k].maybe = v;
	fill(value, v.seed, v.len);
	strcpy(last, "SET val");
	word("SET", 3);
	word(key, (size_t)sprintf(key, "val:%u:%u", me, k));
	word(value, v.len);
	own[k].open = !run(&r);
	if (!own[k].open)
		own[k].sure = v;
}

static void delete_own(unsigned k)
{
	struct reply r;
	settle_own(k);
	own[k].maybe.exists = false;
	own[k].open = !tell(&r, "%s val:%u:%u", draw(2) ? "DEL" : "UNLINK", me, k);
	if (own[k].open)
		return;
	if (r.n != own[k].sure.exists)
		violation("DEL val:%u:%u: %ld, but it %s", me, k, r.n, own[k].sure.exists ? "existed" : "did not exist");
	own[k].sure.exists = false;
}

/* A time to live that does not end, and is taken away again: the value stays as it is. */
static void touch_own(unsigned k)
{
	struct reply r;
	settle_own(k);
	if (tell(&r, draw(2) ? "EXPIRE val:%u:%u 1000" : "PEXPIRE val:%u:%u 2000000", me, k) && r.n != own[k].sure.exists)
		violation("EXPIRE val:%u:%u: %ld", me, k, r.n);
	if (tell(&r, "PERSIST val:%u:%u", me, k) && r.n > own[k].sure.exists)
		violation("PERSIST val:%u:%u: %ld", me, k, r.n);
	read_own(k);
}

static void write_shared(void)
{
	struct reply r;
	char key[32];
	size_t len = some_length();
	fill(value, draw(1u << 30), len);
	strcpy(last, "SET shared");
	word("SET", 3);
	word(key, (size_t)sprintf(key, "shared:%u", draw(SHARED)));
	word(value, len);
	run(&r);
}

static void read_whole(const char *what, unsigned k)
{
	struct reply r;
	if (tell(&r, "GET %s:%u", what, k) && r.n >= 0 && !is_whole(r.data, (size_t)r.n))
		violation("%s:%u is torn: %ld bytes %.40s", what, k, r.n, r.data);
}

static void copy_shared(void)
{
	struct reply r;
	unsigned k = draw(SHARED), to = draw(4);
	if (tell(&r, "COPY shared:%u copy:%u REPLACE", k, to))
		read_whole("copy", to);
}

/* ---- APPEND and GETDEL ---- */

static void check_appended(const struct reply *r, int64_t at_least, int64_t at_most)
{
	char chunk[32];
	int64_t n = r->n < 0 ? 0 : r->n / CHUNK;
	bool ok = n >= at_least && n <= at_most && (r->n < 0 || r->n % CHUNK == 0);
	for (int64_t i = 0; i < n && ok; i++) {
		snprintf(chunk, sizeof chunk, "%09lld.", (long long)i);
		ok = memcmp(r->data + i * CHUNK, chunk, CHUNK) == 0;
	}
	if (!ok)
		violation("log:%u: %ld bytes, between %lld and %lld expected", me, r->n, (long long)at_least * CHUNK,
			  (long long)at_most * CHUNK);
	appended = n;
	append_open = 0;
	append_gone = false;
}

static bool settle_log(void)
{
	struct reply r;
	if (!append_open && !append_gone)
		return true;
	if (!tell(&r, "GET log:%u", me))
		return false;
	if (append_gone && r.n < 0)
		appended = 0;
	check_appended(&r, appended, appended + append_open);
	return true;
}

static void append_log(void)
{
	struct reply r;
	if (!settle_log())
		return;
	if (appended >= APPENDS) {
		if (tell(&r, "GETDEL log:%u", me)) {
			check_appended(&r, appended, appended);
			appended = 0;
		} else {
			append_gone = true;
		}
		return;
	}
	if (!tell(&r, "APPEND log:%u %09lld.", me, (long long)appended))
		append_open = 1;
	else if (r.n != ++appended * CHUNK)
		violation("APPEND log:%u: %ld, not %lld", me, r.n, (long long)appended * CHUNK);
}

/* ---- sums, tokens, what ends by itself, whole databases ---- */

static int accounts_line(char *text)
{
	int left = ACCOUNTS_SUM;
	char *at = text + sprintf(text, "MSET");
	for (int i = 0; i < ACCOUNTS; i++) {
		int part = i + 1 < ACCOUNTS ? (int)draw(ACCOUNTS_SUM / ACCOUNTS) : left;
		at += sprintf(at, " acc:%d %d", i, part);
		left -= part;
	}
	return (int)(at - text);
}

static bool write_accounts(void)
{
	struct reply r;
	char text[COMMAND_MAX];
	accounts_line(text);
	return tell(&r, "%s", text);
}

static int accounts_question(char *text)
{
	char *at = text + sprintf(text, "MGET");
	for (int i = 0; i < ACCOUNTS; i++)
		at += sprintf(at, " acc:%d", i);
	return (int)(at - text);
}

static void check_accounts(const struct reply *r)
{
	long sum = 0;
	for (int i = 0; i < ACCOUNTS; i++)
		sum += r->type == '*' && r->n == ACCOUNTS && r->at[i].n > 0 ? atol(r->at[i].data) : 0;
	if (sum != ACCOUNTS_SUM)
		violation("the accounts' sum is %ld", sum);
}

static void read_accounts(void)
{
	struct reply r;
	char text[COMMAND_MAX];
	accounts_question(text);
	if (tell(&r, "%s", text))
		check_accounts(&r);
}

/* A worker that gets much at once is hardly ever outside a transaction: this is where deaths hurt. */
static void flood_accounts(void)
{
	static char text[2 * FLOOD * COMMAND_MAX];
	struct reply r;
	unsigned errors;
	size_t n = 0;
	for (int i = 0; i < 2; i++) {
		n += (size_t)accounts_line(text + n);
		n += (size_t)sprintf(text + n, "\r\n");
	}
	for (int i = 1; i < FLOOD; i++)
		memcpy(text + (size_t)i * n, text, n);
	n *= FLOOD;
	n += (size_t)accounts_question(text + n);
	n += (size_t)sprintf(text + n, "\r\n");
	strcpy(last, "pipeline");
	int64_t from = begin();
	if (!send_lines(text, n, 2 * FLOOD + 1, &r, &errors)) {
		recover_from(from);
		return;
	}
	judge(from, now_ns());
	if (errors)
		violation("%u errors in a pipeline", errors);
	check_accounts(&r);
}

static void move_token(void)
{
	struct reply r;
	bool back = draw(2);
	if (!tell(&r, back ? "RENAME token:b token:a" : "RENAME token:a token:b") || !tell(&r, "MGET token:a token:b"))
		return;
	if (r.type != '*' || (r.at[0].n >= 0) == (r.at[1].n >= 0))
		violation("%s names of the token exist", r.at[0].n >= 0 ? "both" : "none");
}

static void move_own_token(void)
{
	struct reply r;
	if (!tell(&r, token_moved ? "RENAME mine:%u:b mine:%u:a" : "RENAME mine:%u:a mine:%u:b", me, me)) {
		/* At the next attempt: it fails, if this one was executed. */
		token_open = true;
		return;
	}
	if (r.type == '-' && !token_open)
		violation("own token: %s", r.data);
	token_moved = !token_moved;
	token_open = false;
}

static void use_brief(void)
{
	struct reply r;
	unsigned ms = 1 + draw(40);
	int64_t before = now_ns(), after;
	if (!tell(&r, "SET brief:%u %u PX %u", me, ms, ms))
		return;
	after = now_ns();
	for (;;) {
		int64_t asked = now_ns();
		if (!tell(&r, "GET brief:%u", me))
			return;
		/* The server counts in milliseconds. */
		if (r.n < 0 && now_ns() - before < (int64_t)(ms - 1) * 1000000)
			violation("a key with %u ms to live was gone after %lld us", ms, (long long)(now_ns() - before) / 1000);
		if (r.n >= 0 && asked - after > (int64_t)(ms + 1) * 1000000)
			violation("a key with %u ms to live was there after %lld us", ms, (long long)(asked - after) / 1000);
		if (r.n < 0 || asked - after > (int64_t)(ms + 1) * 1000000)
			return;
		usleep(500 * ms);
	}
}

static void use_group(void)
{
	struct reply r;
	unsigned v = draw(1000000), what = draw(8);
	if (!tell(&r, "SELECT %d", PLACE))
		return;
	if (!tell(&r, "MSET g:0 %u g:1 %u g:2 %u", v, v, v) || !tell(&r, "MGET g:0 g:1 g:2"))
		return;
	if (r.type != '*' || r.at[0].n != r.at[1].n || r.at[0].n != r.at[2].n ||
	    (r.at[0].n > 0 && (strcmp(r.at[0].data, r.at[1].data) || strcmp(r.at[0].data, r.at[2].data))))
		violation("half a group");
	if (what == 0 && !tell(&r, "FLUSHDB"))
		return;
	if (what == 1 && !tell(&r, "SWAPDB %d %d", PLACE, PLACE + 1))
		return;
	tell(&r, "SELECT 0");
}

/* ---- the whole ---- */

bool client_prepare(void)
{
	struct reply r;
	if (!ask(&r, "SET token:a here") || !write_accounts())
		return false;
	for (int i = 0; i < options.clients; i++)
		if (!ask(&r, "SET mine:%d:a here", i))
			return false;
	return true;
}

static void one_operation(void)
{
	unsigned what = draw(100), k = draw(OWN);
	if (what < 15)
		count_shared();
	else if (what < 25)
		count_own();
	else if (what < 38)
		write_own(k);
	else if (what < 48)
		read_own(k);
	else if (what < 52)
		delete_own(k);
	else if (what < 55)
		touch_own(k);
	else if (what < 62)
		write_shared();
	else if (what < 67)
		read_whole("shared", draw(SHARED));
	else if (what < 72)
		copy_shared();
	else if (what < 79)
		append_log();
	else if (what < 85)
		write_accounts();
	else if (what < 90)
		read_accounts();
	else if (what < 93)
		move_token();
	else if (what < 96)
		move_own_token();
	else if (what < 97)
		use_brief();
	else
		use_group();
}

static void check_own(void)
{
	struct reply r;
	if (tell(&r, "GET own:%u", me))
		know_counter(r.n < 0 ? 0 : atol(r.data), own_counter);
	for (unsigned k = 0; k < OWN; k++)
		read_own(k);
	if (settle_log() && tell(&r, "GET log:%u", me))
		check_appended(&r, appended, appended);
	if (!tell(&r, "MGET mine:%u:a mine:%u:b", me, me))
		return;
	bool at_b = r.at[1].n >= 0;
	if ((r.at[0].n >= 0) == at_b || (!token_open && at_b != token_moved))
		violation("own token: at a: %ld, at b: %ld, open: %d", r.at[0].n, r.at[1].n, token_open);
}

_Noreturn void client_run(unsigned number)
{
	me = number;
	mine = &torture->tally[me];
	options.seed = options.seed * 31 + me * 7919 + 1;
	reconnect();
	while (!atomic_load(&torture->stop))
		me % 2 && draw(2) ? flood_accounts() : one_operation();
	check_own();
	wire_close();
	mine->finished = true;
	_exit(0);
}

void client_check_shared(void)
{
	struct reply r;
	uint64_t bits = 0;
	for (unsigned i = 0; i < COUNTERS; i++) {
		uint64_t sure = 0, open = 0;
		for (int c = 0; c < options.clients; c++) {
			sure += torture->tally[c].acknowledged[i];
			open += torture->tally[c].ambiguous[i];
		}
		uint64_t n = 0;
		if (is_field(i))
			n = ask(&r, "BITFIELD_RO fields GET u32 #%u", i * FIELD_STEP) ? (uint64_t)number_of(&r) : 0;
		else if (ask(&r, "GET ctr:%u", i) && r.n >= 0)
			n = strtoull(r.data, NULL, 10);
		bits += is_field(i) ? (uint64_t)__builtin_popcountll(n) : 0;
		if (n < sure || n > sure + open)
			violation("counter %u is %llu: %llu acknowledged, %llu open", i, (unsigned long long)n,
				  (unsigned long long)sure, (unsigned long long)open);
	}
	if (!ask(&r, "BITCOUNT fields") || (uint64_t)r.n != bits)
		violation("between the fields are %lld bits", (long long)r.n - (long long)bits);
	read_accounts();
	if (!ask(&r, "EXISTS token:a token:b") || r.n != 1)
		violation("%ld names of the token exist", r.n);
	for (unsigned k = 0; k < SHARED; k++)
		read_whole("shared", k), read_whole("copy", k);
}
