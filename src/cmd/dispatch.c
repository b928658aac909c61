/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch: what is the same for every command is done here, once. Row, arity, authentication, memory; then the
 * handler, under the access its row asks for; then statistics.
 *
 * Runs in workers. Owns nothing. Takes no lock itself: access_run does, and holds nothing when it returns. A death in here
 * leaves what access_run leaves, and the medic takes it from there.
 */
#include "dispatch.h"

#include <string.h>

#include "args.h"
#include "base/config.h"
#include "base/deadline.h"
#include "command_plan.h"
#include "shm/channel.h"
#include "shm/control.h"
#include "shm/pause.h"
#include "stats.h"
#include "store/access.h"
#include "store/evict.h"

#define PREVIEW 128u      /* bytes of a wrong command, and of its arguments, that its error repeats */
#define MANY_KEYS 1000u   /* more are read under a pin */

/* ---- finding the row ---- */

/* At most `max` bytes of a, up to its first NUL. */
static void append_preview(struct buf *b, const struct arg *a, size_t max)
{
	size_t n = a->n < max ? a->n : max;
	const char *nul = n == 0 ? NULL : memchr(a->p, 0, n);

	buf_append(b, a->p, nul == NULL ? n : (size_t)(nul - a->p));
}

static void reply_unknown(struct session *s, int argc, const struct arg *argv)
{
	struct buf text;

	buf_init(&text);
	buf_append_str(&text, "ERR unknown command '");
	append_preview(&text, &argv[0], PREVIEW);
	buf_append_str(&text, "', with args beginning with: ");
	size_t start = text.len;
	for (int i = 1; i < argc && text.len - start < PREVIEW; i++) {
		size_t room = PREVIEW - (text.len - start);
		buf_append_char(&text, '\'');
		append_preview(&text, &argv[i], room);
		buf_append_str(&text, "' ");
	}
	reply_error_n(&s->out, text.data, text.len);
	buf_deinit(&text);
}

static void reply_unknown_sub(struct session *s, const struct arg *container, const struct arg *word)
{
	struct buf text;

	buf_init(&text);
	buf_append_str(&text, "ERR unknown subcommand '");
	append_preview(&text, word, PREVIEW);
	buf_append_str(&text, "'. Try ");
	for (size_t i = 0; i < container->n; i++) {
		char letter = container->p[i];
		buf_append_char(&text, letter >= 'a' && letter <= 'z' ? (char)(letter - 32) : letter);
	}
	buf_append_str(&text, " HELP.");
	reply_error_n(&s->out, text.data, text.len);
	buf_deinit(&text);
}

static const struct command *find_row(struct session *s, int argc, const struct arg *argv)
{
	const struct command *row = command_find(argv[0].p, argv[0].n);

	if (row == NULL) {
		reply_unknown(s, argc, argv);
		return NULL;
	}
	if (argc > 1 && command_first_sub(row) != NULL) {
		const struct command *sub = command_find_sub(row, argv[1].p, argv[1].n);
		if (sub == NULL)
			reply_unknown_sub(s, &argv[0], &argv[1]);
		row = sub;
	}
	return row;
}

/* ---- may it run? ---- */

/* DEBUG, and what would load modules: whether this client may. False after the error. */
static bool unlocked(struct session *s, const struct command *row)
{
	bool debug = !command_is_sub(row);

	if (client_allowed(debug ? config->enable_debug_command : config->enable_module_command))
		return true;
	reply_errorf(&s->out,
		     "ERR %s command not allowed. If the enable-%s-command option is set to \"local\", you can run it from a "
		     "local connection, otherwise you need to set this option in the configuration file, and then restart the "
		     "server.",
		     debug ? "DEBUG" : "MODULE", debug ? "debug" : "module");
	return false;
}

#define LOADING_TEXT "LOADING Redis is loading the dataset in memory"

/* While files give trouble: whether that forbids this command. True after the error. */
static __attribute__((noinline)) bool in_trouble(struct session *s, const struct command *row, uint32_t trouble)
{
	if ((trouble & TROUBLE_LOADING) && !(row->flags & COMMAND_LOADING)) {
		reply_error(&s->out, LOADING_TEXT);
		return true;
	}
	if ((trouble & TROUBLE_SAVE) && (row->flags & COMMAND_WRITE || strcmp(row->name, "ping") == 0) &&
	    !(row->flags & COMMAND_DENYOOM && store_over_limit())) {
		reply_error(&s->out, "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
				     "Commands that may modify the data set are disabled, because this instance is configured to report errors "
				     "during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs "
				     "for details about the RDB error.");
		return true;
	}
	return false;
}

static inline uint32_t trouble_now(void)
{
	return atomic_load_explicit(&control->persistence.trouble, memory_order_relaxed);
}

/* Makes room, if there is none. False after the error. */
static bool has_room(struct session *s)
{
	deadline_begin();
	enum evict_result r = evict_for_command();
	deadline_end();
	if (r == EVICT_NOTHING)
		reply_error(&s->out, OOM_ERROR);
	else if (r == EVICT_CANCELLED)
		reply_error(&s->out, CANCELLED_ERROR);
	return r == EVICT_OK || r == EVICT_GOES_ON;
}

static bool permitted(struct session *s, const struct command *row, int argc)
{
	if (!command_arity_ok(row, argc))
		reply_errorf(&s->out, "ERR wrong number of arguments for '%s' command", row->name);
	else if (__builtin_expect(row->flags & COMMAND_PROTECTED, 0) && !unlocked(s, row))
		return false;
	else if (!(row->flags & COMMAND_NO_AUTH) && !session_authenticated(s))
		reply_error(&s->out, "NOAUTH Authentication required.");
	else if (__builtin_expect(trouble_now() != 0, 0) && in_trouble(s, row, trouble_now()))
		return false;
	else if ((row->flags & COMMAND_DENYOOM) && __builtin_expect(config->maxmemory != 0, 0) && !has_room(s))
		return false;
	else
		return true;
	return false;
}

/* ---- running it ---- */

/* Loading has begun since it was permitted. */
static void reply_loading(struct cmd *c)
{
	cmd_start_over(c);
	reply_error(c->out, LOADING_TEXT);
}

static bool lacks_memory(int result, const struct cmd *c)
{
	return result == ACCESS_NO_MEMORY || (result == CMD_ABORT && c->no_memory);
}

/* False: writers are paused, and nothing has happened. */
static bool run_in_access(struct cmd *c)
{
	struct command_plan p;

	command_plan(&p, c);
	p.plan.client = true;
	p.plan.pausable = c->row->flags & COMMAND_WRITE;
	if (!p.plan.pausable && (c->row->flags & COMMAND_LONG_READ || p.plan.nkeys > MANY_KEYS))
		p.plan.kind = PLAN_READ_LONG;

	int result = command_plan_run(&p, c);
	if (result == CMD_LONG) {
		p.plan.kind = PLAN_READ_LONG;
		result = command_plan_run(&p, c);
	}
	/* Nothing has happened: with some patience there may be room. */
	for (unsigned tries = 0; __builtin_expect(lacks_memory(result, c), 0) && evict_await_room(tries); tries++) {
		deadline_begin();
		result = command_plan_run(&p, c);
	}
	command_plan_over();
	if (result == ACCESS_PAUSED)
		cmd_start_over(c);
	else if (result == ACCESS_CANCELLED)
		reply_cancelled(c);
	else if (result == ACCESS_LOADING)
		reply_loading(c);
	else if (result == ACCESS_NOT_LOGGED)
		reply_not_logged(c);
	else if (result < 0)
		reply_oom(c);
	if (result != CMD_DONE)
		c->changes = 0;
	return result != ACCESS_PAUSED;
}

/* What is on disk, or on its way there, is to go too. If we die here, it stays until the next save. */
static void tell_all_gone(void)
{
	char answer[256];

	if (config->save.n > 0 || atomic_load(&control->persistence.save_since_ms) != 0)
		channel_call(REQUEST_SAVE, "flushall", strlen("flushall"), answer, sizeof answer, NULL);
}

/* False: it must wait, and nothing has happened. */
static bool run(struct cmd *c)
{
	bool ran = true;

	deadline_begin();
	if (c->row->flags & (COMMAND_WRITE | COMMAND_READONLY)) {
		ran = run_in_access(c);
	} else {
		cmd_start_over(c);
		c->row->handler(c);
	}
	if (c->sweep) {
		/* The flush has happened; whatever becomes of this, nobody sees the keys any more. */
		deadline_begin();
		db_sweep_retired();
	}
	deadline_end();
	return ran;
}

/* ---- CLIENT PAUSE ---- */

/* What a milder pause holds up too. */
static bool waits_as_writer(const struct command *row)
{
	return row->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE);
}

bool dispatch_wait_for_pause(struct cmd *c, bool writes)
{
	struct session *s = c->session;

	if (s->run != 0)
		stats_end_run(s, NULL);
	bool goes_on = s->flush(s);
	session_publish(s, c->row);
	if (!goes_on || !s->wait(s, writes)) {
		s->close_after_flush = true;
		return false;
	}
	/* The time it waited is not the command's. */
	s->now_uses = 0;
	stats_before(s, c->row);
	c->reply_start = s->out.out.len;
	return true;
}

static bool must_wait(const struct command *row)
{
	enum pause_mode mode = pause_mode();

	return mode == PAUSE_ALL || (mode == PAUSE_WRITE && waits_as_writer(row));
}

/* Runs it, when it may. A write finds a pause that has come meanwhile when it has its locks. False: it never began. */
static bool run_unpaused(struct cmd *c)
{
	if (must_wait(c->row) && !dispatch_wait_for_pause(c, waits_as_writer(c->row)))
		return false;
	while (!run(c))
		if (!dispatch_wait_for_pause(c, true))
			return false;
	return true;
}

const struct command *dispatch(struct session *s, int argc, const struct arg *argv, bool last)
{
	struct cmd c = {
	    .session = s,
	    .out = &s->out,
	    .argc = argc,
	    .argv = argv,
	    .reply_start = s->out.out.len,
	    .errors_before = s->out.errors,
	};
	const struct command *row = find_row(s, argc, argv);
	bool ran = false;

	stats_before(s, row);
	if (row != NULL && permitted(s, row, argc)) {
		c.row = row;
		/* A fast one is over before anybody can look; session_run shows the last of them. */
		if (s->shown != row && !(row->flags & COMMAND_FAST))
			session_publish(s, row);
		if (!run_unpaused(&c))
			return NULL;
		stats_after(&c, last);
		if (c.all_gone)
			tell_all_gone();
		ran = true;
	}
	if (s->out.errors != c.errors_before)
		stats_errors(s, c.errors_before, row, !ran);
	if (__builtin_expect(s->unheard, 0))
		session_hush(s, c.reply_start);
	return ran ? row : NULL;
}
