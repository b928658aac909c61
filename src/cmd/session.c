/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session: the loop over the commands a client has sent, its protocol errors, its page for CLIENT LIST, and its
 * login.
 *
 * Runs in workers, one session per process. Owns the session's buffers. Takes no lock and holds none between commands,
 * so a worker that dies here leaves nothing but its slot.
 */
#include "cmd/session.h"

#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/seldom.h"
#include "cmd/command.h"
#include "dispatch.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "stats.h"
#include "store/access.h"

#define FLUSH_AT (64u << 10)
#define AHEAD 16u        /* commands of a pipeline that are looked at together, */
#define AHEAD_WORDS 64u  /* and their words, but for those of the last one */
#define EXPECT_MAX 256u  /* bytes; what is longer may be no key (ECHO), and takes longer to hash than to wait for */

void session_init(struct session *s, int fd, bool (*flush)(struct session *), bool (*wait)(struct session *, bool writes))
{
	memset(s, 0, sizeof *s);
	buf_init(&s->in);
	resp_parser_init(&s->parser);
	reply_init(&s->out);
	s->fd = fd;
	s->flush = flush;
	s->wait = wait;
	s->store_mapped = store_attached();
	s->authenticated = s->store_mapped && !config->password_set;

	client_info_begin();
	memcpy(my_page->client.cmd, "NULL", sizeof "NULL"); /* as Redis shows a client without a command yet */
	client_info_end();
}

void session_deinit(struct session *s)
{
	resp_parser_deinit(&s->parser);
	reply_deinit(&s->out);
	buf_deinit(&s->in);
	buf_deinit(&s->name);
}

static uint64_t bytes_of(const struct arg *argv, size_t argc)
{
	uint64_t n = 0;
	for (size_t i = 0; i < argc; i++)
		n += argv[i].n;
	return n;
}

uint64_t session_memory(const struct session *s)
{
	return s->in.cap + s->out.out.cap + s->parser.args.cap * sizeof(struct arg) + sizeof *s;
}

static void publish(struct session *s, const struct command *row, uint64_t argv_mem, uint64_t unsent)
{
	struct client_info *me = &my_page->client;
	client_info_begin();
	if (row != NULL && row != s->shown) {
		memcpy(me->cmd, row->name, (size_t)row->name_len + 1);
		s->shown = row;
	}
	if (s->now != 0)
		me->last_ms = s->now;
	me->db = s->db;
	me->resp = (uint32_t)s->out.proto;
	me->argv_mem = argv_mem;
	me->qbuf = s->in.len;
	me->qbuf_free = s->in.cap - s->in.len;
	me->obl = unsent;
	me->omem = s->out.out.cap;
	me->tot_mem = session_memory(s);
	client_info_end();
}

void session_publish(struct session *s, const struct command *row)
{
	publish(s, row, bytes_of(s->argv, s->argc), s->out.out.len);
}

void session_flag(uint32_t flag, bool on)
{
	client_info_begin();
	my_page->client.flags = on ? my_page->client.flags | flag : my_page->client.flags & ~flag;
	client_info_end();
}

void session_reset(struct session *s)
{
	s->db = 0;
	s->out.proto = 2;
	s->unheard &= UNHEARD_THIS;
	s->authenticated = s->store_mapped && !config->password_set;
	buf_clear(&s->name);
	access_touches(true);
	session_flag(CLIENT_FLAG_NO_TOUCH, false);
	client_info_begin();
	my_page->client.name[0] = 0;
	memcpy(my_page->client.user, "default", sizeof "default");
	client_info_end();
	if (s->user_changed)
		s->user_changed(s);
}

void session_hush(struct session *s, size_t start)
{
	if (s->unheard & (UNHEARD_ALL | UNHEARD_THIS))
		reply_rewind(&s->out, start);
	s->unheard = (s->unheard & UNHEARD_ALL) | (s->unheard & UNHEARD_NEXT ? UNHEARD_THIS : 0);
}

/* The stream has no sense any more: say why, once, and close. */
static void protocol_error(struct session *s)
{
	char addr[CONTROL_ADDR_MAX];

	client_addr_text(&my_page->client.peer, addr);
	log_verbose("Protocol error (%s) from client: id=%llu addr=%s", s->parser.error,
		    (unsigned long long)my_page->client.id, addr);
	size_t start = s->out.out.len;
	uint64_t before = s->out.errors;
	reply_errorf(&s->out, "ERR %s", s->parser.error);
	stats_errors(s, before, NULL, true);
	if (s->unheard)
		session_hush(s, start);
	s->close_after_flush = true;
}

/*
 * A browser that was made to speak to us, perhaps with commands in the body of its request. What it has asked so far (GET
 * / HTTP/1.1) goes unanswered too, as in Redis: web pages need not learn what they are talking to.
 */
static void security_error(struct session *s)
{
	char addr[CONTROL_ADDR_MAX];

	buf_clear(&s->out.out);
	client_addr_text(&my_page->client.peer, addr);
	log_warning("Possible SECURITY ATTACK detected: a POST or Host: line on the port for clients, as a web browser "
		    "would send it. Connection from %s aborted.",
		    addr);
	s->close_after_flush = true;
}

/* The page first: this is where a client that does not read may hang for a long time. */
static bool flush_if_full(struct session *s, const struct command *row)
{
	if (s->out.out.len < FLUSH_AT)
		return true;
	if (s->run != 0)
		stats_end_run(s, NULL);
	publish(s, row, 0, s->out.out.len);
	return s->flush(s);
}

/* A command that is next, and has not run yet. */
struct ready {
	const struct arg *argv;
	size_t argc;
};

/* Those of a pipeline. Who sends none does not touch it. */
static SELDOM_USED struct {
	struct ready v[AHEAD];
	struct arg words[AHEAD_WORDS];
} pipeline;

/* Takes those that follow the first one, of which there is one. Their number, the first one among them; *got: PARSE_COMMAND if there may be more. */
static uint32_t take_more(struct session *s, const struct resp_limits *limits, enum resp_result *got)
{
	uint32_t n = 1;
	size_t used = 0;

	while (s->parser.consumed != s->in.len && n < AHEAD && used + s->parser.argc <= AHEAD_WORDS) {
		/* The parser forgets the words of the last one; those of the very last stay with it. */
		struct ready *last = &pipeline.v[n - 1];
		last->argv = memcpy(pipeline.words + used, last->argv, last->argc * sizeof *last->argv);
		used += last->argc;
		*got = resp_parse(&s->parser, &s->in, limits);
		if (*got != PARSE_COMMAND)
			break;
		pipeline.v[n++] = (struct ready){s->parser.argv, s->parser.argc};
	}
	return n;
}

/* Most commands name a key first: where it would be is fetched for all of them at the same time. */
static void expect_keys(const struct session *s, uint32_t n)
{
	struct arg key[AHEAD];
	uint32_t keys = 0;

	if (!s->store_mapped)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (pipeline.v[i].argc > 1 && pipeline.v[i].argv[1].n <= EXPECT_MAX)
			key[keys++] = pipeline.v[i].argv[1];
	store_expect(s->db, key, keys);
}

/* Takes the next command, or the next ones of a pipeline, and says where they are. Their number; *got: PARSE_COMMAND if there may be more. */
static uint32_t take(struct session *s, struct ready *one, const struct ready **v, enum resp_result *got)
{
	struct resp_limits limits = {.authenticated = s->authenticated || !config->password_set,
				     .proto_max_bulk_len = (int64_t)config->proto_max_bulk_len};

	*got = resp_parse(&s->parser, &s->in, &limits);
	if (*got != PARSE_COMMAND)
		return 0;
	*one = (struct ready){s->parser.argv, s->parser.argc};
	*v = one;
	/* What comes after a login is read by other limits. */
	if (s->parser.consumed == s->in.len || !limits.authenticated)
		return 1;
	pipeline.v[0] = *one;
	*v = pipeline.v;
	uint32_t n = take_more(s, &limits, got);
	expect_keys(s, n);
	return n;
}

/* False: the connection is to be closed. *row: of the last command that has run. */
static bool run_ready(struct session *s, const struct ready *v, uint32_t n, const struct command **row)
{
	for (uint32_t i = 0; i < n; i++) {
		s->argv = v[i].argv;
		s->argc = v[i].argc;
		*row = dispatch(s, (int)s->argc, s->argv, i + 1 == n && s->parser.consumed == s->in.len);
		if (s->close_after_flush || !flush_if_full(s, *row))
			return false;
	}
	return true;
}

bool session_run(struct session *s)
{
	const struct command *row = NULL;
	enum resp_result r;

	s->now_uses = 0;
	do {
		struct ready one;
		const struct ready *v = NULL;
		uint32_t n = take(s, &one, &v, &r);
		if (!run_ready(s, v, n, &row))
			return false;
	} while (r == PARSE_COMMAND);
	if (r == PARSE_ERROR)
		protocol_error(s);
	else if (r == PARSE_SECURITY)
		security_error(s);
	else
		resp_parser_compact(&s->parser, &s->in);
	if (s->run != 0)
		stats_end_run(s, NULL);
	publish(s, row, 0, 0); /* nothing unsent, if the flush that follows does not say otherwise */
	return !s->close_after_flush;
}

/* ---- login ---- */

/*
 * A client that came while a password was needed is the default user while none is, but has not logged in by that: when
 * there is a password again, it needs it.
 */
bool session_authenticated(struct session *s)
{
	if (s->authenticated)
		return true;
	if (config->password_set)
		return false;
	if (!s->store_mapped && session_auth(s, &(struct arg){"default", 7}, &(struct arg){"", 0}) != NULL)
		return false;
	s->authenticated = false;
	return true;
}

static const char wrong_pass[] = "WRONGPASS invalid username-password pair or user is disabled.";

const char *session_auth(struct session *s, const struct arg *user, const struct arg *password)
{
	static char answer[512];
	struct buf text;
	int store = -1;

	if (user->n >= sizeof my_page->client.user || memchr(user->p, 0, user->n) != NULL ||
	    user->n + password->n + 1 > CHANNEL_TEXT_MAX)
		return wrong_pass;
	buf_init(&text);
	buf_append(&text, user->p, user->n);
	buf_append_char(&text, 0);
	buf_append(&text, password->p, password->n);
	long n = channel_call(REQUEST_AUTH, text.data, text.len, answer, sizeof answer - 1, &store);
	explicit_bzero(text.data, text.len);
	buf_deinit(&text);
	if (n < 0)
		return "ERR the server is shutting down";
	answer[n] = 0;
	if (answer[0] != '+') {
		io_close(&store);
		return answer;
	}
	if (store >= 0 && store_attached())
		io_close(&store);
	else if (store >= 0 && !store_attach(store))
		return "ERR no memory to attach to the store";
	s->store_mapped = store_attached();
	s->authenticated = s->store_mapped;
	client_info_begin();
	memcpy(my_page->client.user, user->p, user->n);
	my_page->client.user[user->n] = 0;
	client_info_end();
	if (s->user_changed)
		s->user_changed(s);
	return NULL;
}
