/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands on whole strings: reading them, setting them, several at once. Parts of strings are in cmd_range.c, numbers in cmd_number.c.
 *
 * Run in workers, under the access their rows ask for: the stripes of their keys are locked for a write, nothing is for
 * a read, which may then see torn data and be run again. Own nothing; what a death leaves is the transaction's
 * business.
 */
#include "args.h"

#include "base/config.h"
#include "base/num.h"

/* The string to be read. False: there is none, and what there is was replied. */
static bool find_value(struct cmd *c, struct view *out)
{
	enum find found = find_string(c, &c->argv[1], out, false);

	if (found == FIND_NONE)
		reply_null(c->out);
	return found == FIND_STRING;
}

enum cmd_result cmd_get(struct cmd *c)
{
	struct view v;

	return find_value(c, &v) ? reply_value(c, &v) : CMD_DONE;
}

/* ---- the options of SET and GETEX ---- */

struct options {
	bool nx, xx, get, keepttl, persist;
	const struct arg *value;
	const struct arg *expiry; /* its number, NULL: no expiry given */
	bool seconds, relative;
};

/* EX, PX, EXAT, PXAT: one kind of them at most, and not with the others. */
static bool take_expiry(struct options *o, const struct arg *word, const struct arg *number)
{
	static const struct {
		const char *word;
		bool seconds, relative;
	} kinds[] = {{"EX", true, true}, {"PX", false, true}, {"EXAT", true, false}, {"PXAT", false, false}};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (!arg_ieq(word, kinds[i].word))
			continue;
		if (number == NULL || o->keepttl || o->persist)
			return false;
		if (o->expiry != NULL && (o->seconds != kinds[i].seconds || o->relative != kinds[i].relative))
			return false;
		o->expiry = number;
		o->seconds = kinds[i].seconds;
		o->relative = kinds[i].relative;
		return true;
	}
	return false;
}

static bool take_set_word(struct options *o, const struct arg *word)
{
	if (arg_ieq(word, "NX"))
		o->nx = true;
	else if (arg_ieq(word, "XX"))
		o->xx = true;
	else if (arg_ieq(word, "GET"))
		o->get = true;
	else if (arg_ieq(word, "KEEPTTL"))
		o->keepttl = true;
	else
		return false;
	return !(o->nx && o->xx) && !(o->keepttl && o->expiry != NULL);
}

/* The options from argv[first] on; false after a syntax error. */
static bool take_options(struct cmd *c, int first, bool set, struct options *o)
{
	*o = (struct options){0};
	for (int i = first; i < c->argc; i++) {
		const struct arg *word = &c->argv[i];
		if (take_expiry(o, word, i + 1 < c->argc ? word + 1 : NULL)) {
			i++;
			continue;
		}
		if (set ? take_set_word(o, word) : arg_ieq(word, "PERSIST") && o->expiry == NULL) {
			o->persist = !set;
			continue;
		}
		reply_syntax(c);
		return false;
	}
	return true;
}

/* ---- SET ---- */

/* What SET did, as replicas hear it: the conditions were met, so only with a due time are they left out. */
static void effect_set(struct cmd *c, const struct options *o, int64_t due)
{
	struct arg words[7] = {c->argv[0], c->argv[1], *o->value};
	char text[21];
	int n = 3;

	if (o->expiry == NULL && !o->get) {
		effect_self(c);
		return;
	}
	if (o->expiry != NULL) {
		words[0] = arg_of("SET");
		words[n++] = arg_of("PXAT");
		words[n++] = (struct arg){text, format_i64(text, due)};
	} else {
		/* Without GET, which tells nothing; in the order they came, each once. */
		bool nx = o->nx, xx = o->xx, keepttl = o->keepttl;
		for (int i = 3; i < c->argc; i++) {
			bool *left = arg_ieq(&c->argv[i], "NX") ? &nx : arg_ieq(&c->argv[i], "XX") ? &xx : &keepttl;
			if (arg_ieq(&c->argv[i], "GET") || !*left)
				continue;
			*left = false;
			words[n++] = c->argv[i];
		}
	}
	effect(c->access, cmd_db(c), n, words);
	c->changes++;
}

/* With GET: replies the old value. False: wrong type, replied. */
static bool reply_old(struct cmd *c, enum cmd_result *result)
{
	struct view v;

	*result = CMD_DONE;
	switch (find_string(c, &c->argv[1], &v, false)) {
	case FIND_STRING:
		access_uses_again(c->access);
		*result = reply_value(c, &v);
		return true;
	case FIND_NONE:
		reply_null(c->out);
		return true;
	case FIND_WRONG_TYPE:
		break;
	}
	return false;
}

static bool set_string(struct cmd *c, const struct arg *value, int64_t due)
{
	return key_set_string(c->access, cmd_db(c), &c->argv[1], value->p, value->n, ENC_AUTO, due);
}

static enum cmd_result set_with_options(struct cmd *c, const struct options *o)
{
	enum cmd_result result;
	int64_t due = DUE_NONE;
	struct view v;

	if (o->expiry != NULL && !want_due(c, o->expiry, o->seconds, o->relative, &due))
		return CMD_DONE;
	if (o->get && !reply_old(c, &result))
		return CMD_DONE;
	if (o->nx || o->xx || o->keepttl) {
		bool found = key_find(c->access, cmd_db(c), &c->argv[1], &v);
		if ((o->nx && found) || (o->xx && !found)) {
			if (!o->get)
				reply_null(c->out);
			return CMD_DONE;
		}
		if (o->keepttl && found)
			due = v.due;
	}
	if (!set_string(c, o->value, due))
		return reply_oom(c);
	effect_set(c, o, due);
	if (!o->get)
		reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_set(struct cmd *c)
{
	struct options o;

	if (c->argc > 3) {
		if (!take_options(c, 3, true, &o))
			return CMD_DONE;
		o.value = &c->argv[2];
		return set_with_options(c, &o);
	}
	if (!set_string(c, &c->argv[2], DUE_NONE))
		return reply_oom(c);
	effect_self(c);
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_setex(struct cmd *c)
{
	return set_with_options(c, &(struct options){.value = &c->argv[3], .expiry = &c->argv[2], .seconds = true, .relative = true});
}

enum cmd_result cmd_psetex(struct cmd *c)
{
	return set_with_options(c, &(struct options){.value = &c->argv[3], .expiry = &c->argv[2], .relative = true});
}

enum cmd_result cmd_setnx(struct cmd *c)
{
	struct view v;
	bool found = key_find(c->access, cmd_db(c), &c->argv[1], &v);

	if (!found) {
		if (!set_string(c, &c->argv[2], DUE_NONE))
			return reply_oom(c);
		effect_self(c);
	}
	reply_i64(c->out, !found);
	return CMD_DONE;
}

enum cmd_result cmd_getset(struct cmd *c)
{
	enum cmd_result result;

	if (!reply_old(c, &result))
		return result;
	if (!set_string(c, &c->argv[2], DUE_NONE))
		return reply_oom(c);
	effect(c->access, cmd_db(c), 3, (struct arg[]){arg_of("SET"), c->argv[1], c->argv[2]});
	c->changes++;
	return CMD_DONE;
}

/* ---- GETDEL, GETEX ---- */

/* `lazily` only changes what it is called: nobody ever waits for what is freed. */
static enum cmd_result delete_key(struct cmd *c, bool lazily)
{
	bool oom = false;

	key_delete(c->access, cmd_db(c), &c->argv[1], &oom);
	if (oom)
		return reply_oom(c);
	effect_verb(c, lazily ? "UNLINK" : "DEL", &c->argv[1]);
	return CMD_DONE;
}

enum cmd_result cmd_getdel(struct cmd *c)
{
	struct view v;

	if (!find_value(c, &v))
		return CMD_DONE;
	reply_value(c, &v);
	return delete_key(c, config->lazyfree_lazy_user_del);
}

static enum cmd_result change_due(struct cmd *c, const struct options *o, int64_t old, int64_t due)
{
	if (o->expiry != NULL && access_already_due(c->access, due))
		return delete_key(c, config->lazyfree_lazy_expire);
	if (o->expiry == NULL && !(o->persist && old != DUE_NONE))
		return CMD_DONE;
	if (!key_set_due(c->access, cmd_db(c), &c->argv[1], due))
		return reply_oom(c);
	if (o->expiry != NULL)
		effect_verb_i64(c, "PEXPIREAT", &c->argv[1], due);
	else
		effect_verb(c, "PERSIST", &c->argv[1]);
	return CMD_DONE;
}

enum cmd_result cmd_getex(struct cmd *c)
{
	struct options o;
	struct view v;
	int64_t due = DUE_NONE;

	if (!take_options(c, 2, false, &o))
		return CMD_DONE;
	if (!find_value(c, &v))
		return CMD_DONE;
	if (o.expiry != NULL && !want_due(c, o.expiry, o.seconds, o.relative, &due))
		return CMD_DONE;
	int64_t old = v.due;
	reply_value(c, &v);
	return change_due(c, &o, old, due);
}

/* ---- several keys ---- */

enum cmd_result cmd_mget(struct cmd *c)
{
	struct view v;

	reply_array(c->out, (size_t)c->argc - 1);
	for (int i = 1; i < c->argc; i++) {
		if (!find_key(c, &c->argv[i], &v) || v.type != TYPE_STRING)
			reply_null(c->out);
		else if (reply_value(c, &v) == CMD_LONG)
			return CMD_LONG;
	}
	return CMD_DONE;
}

static bool set_pairs(struct cmd *c)
{
	for (int i = 1; i < c->argc; i += 2)
		if (!key_set_string(c->access, cmd_db(c), &c->argv[i], c->argv[i + 1].p, c->argv[i + 1].n, ENC_AUTO,
				    DUE_NONE))
			return false;
	effect_self(c);
	c->changes += (uint64_t)(c->argc - 1) / 2 - 1;
	return true;
}

enum cmd_result cmd_mset(struct cmd *c)
{
	if (c->argc % 2 == 0) {
		reply_arity(c);
		return CMD_DONE;
	}
	if (!set_pairs(c))
		return reply_oom(c);
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_msetnx(struct cmd *c)
{
	struct view v;

	if (c->argc % 2 == 0) {
		reply_arity(c);
		return CMD_DONE;
	}
	for (int i = 1; i < c->argc; i += 2) {
		if (key_find(c->access, cmd_db(c), &c->argv[i], &v)) {
			reply_i64(c->out, 0);
			return CMD_DONE;
		}
	}
	if (!set_pairs(c))
		return reply_oom(c);
	reply_i64(c->out, 1);
	return CMD_DONE;
}
