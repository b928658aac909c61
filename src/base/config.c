/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The values of the configuration: checking, setting, showing them (base/config.h). config_load.c reads files.
 *
 * The supervisor writes; every process reads, children through a read-only mapping. Owns the secrets, which are in pages
 * that the kernel empties in a child (MADV_WIPEONFORK). Takes no locks: numbers change by one store each, texts are read
 * again when `generation` has moved. Death of the supervisor in the middle of a CONFIG SET ends its children too.
 */
#include "base/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/glob.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/title_template.h"
#include "config_rows.h"

#define PASSWORD_MAX 512u
#define ARENA (128u << 10)
#define MAPPINGS 8u /* of secret memory: one, and another for what does not fit */
#define READ_TRIES 1000

static const char *const words_maxmemory_policy[] = {"noeviction", NULL};
static const char *const words_enable_debug_command[] = {"no", "yes", "local", NULL};
static const char *const words_loglevel[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const words_supervised[] = {"upstart", "systemd", "auto", "no", NULL};
static const char *const words_oom_score_adj[] = {"no", "yes", "relative", "absolute", NULL};
static const char *const words_syslog_facility[] = {"local0", "local1", "local2", "local3", "local4",
						    "local5", "local6", "local7", "user",   NULL};

#define AT(field) offsetof(struct config, field)
#define ROW_BOOL(f, d, lo, hi) AT(f), d, "", lo, hi, NULL
#define ROW_INT(f, d, lo, hi) AT(f), d, "", lo, hi, NULL
#define ROW_OCTAL(f, d, lo, hi) AT(f), d, "", lo, hi, NULL
#define ROW_MEMORY(f, d, lo, hi) AT(f), d, "", lo, hi, NULL
#define ROW_ENUM(f, d, lo, hi) AT(f), d, "", lo, hi, words_##f
#define ROW_TEXT(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_WORDS(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_SECRET(f, d, lo, hi) 0, 0, d, lo, hi, NULL
#define ROW_ONLY(f, d, lo, hi) 0, 0, d, lo, hi, NULL

static const struct param params[] = {
#define PARAM(name, TYPE, field, def, min, max, flags) {name, PARAM_##TYPE, flags, ROW_##TYPE(field, def, min, max)},
#include "base/params.def"
#undef PARAM
};
#define PARAMS (sizeof params / sizeof params[0])

const struct config *config;
static struct config *own; /* the supervisor's writable view */
static struct config_draft *adopted; /* where config_load left it, until there is a control region */

/* In secret memory. */
static struct secrets {
	size_t len;
	char password[PASSWORD_MAX + 1];
	char draft[PASSWORD_MAX + 1];
} *secrets;

static struct mapping {
	char *at;
	size_t n;
} mappings[MAPPINGS]; /* of secret memory */
static unsigned nmappings;

static char *map_secret(size_t n)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nmappings == MAPPINGS || p == MAP_FAILED || madvise(p, n, MADV_WIPEONFORK))
		fatal("No memory for what children must not see");
	madvise(p, n, MADV_DONTDUMP);
	mappings[nmappings++] = (struct mapping){p, n};
	return p;
}

void *config_secret_memory(size_t n)
{
	static char *arena;
	static size_t left;
	n = (n + 4095) / 4096 * 4096;
	if (n > ARENA)
		return map_secret(n);
	/* From one mapping, since each is a little work in every fork. */
	if (n > left) {
		arena = map_secret(ARENA);
		left = ARENA;
	}
	left -= n;
	return arena + left;
}

const struct param *config_param(const char *name, size_t n)
{
	for (size_t i = 0; i < PARAMS; i++)
		if (str_ieq(name, n, params[i].name))
			return &params[i];
	return NULL;
}

static char complaint[256];

static const char *complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(complaint, sizeof complaint, fmt, ap);
	va_end(ap);
	return complaint;
}

/* ---- setting one value ---- */

static const char *assign_bool(bool *field, const struct arg *v)
{
	if (!arg_ieq(v, "yes") && !arg_ieq(v, "no"))
		return "argument must be 'yes' or 'no'";
	*field = arg_ieq(v, "yes");
	return NULL;
}

static const char *assign_enum(int32_t *field, const struct param *p, const struct arg *v)
{
	for (int i = 0; p->words[i]; i++) {
		if (arg_ieq(v, p->words[i])) {
			*field = i;
			return NULL;
		}
	}
	size_t n = (size_t)snprintf(complaint, sizeof complaint, "argument(s) must be one of the following: ");
	for (int i = 0; p->words[i] && n < sizeof complaint; i++)
		n += (size_t)snprintf(complaint + n, sizeof complaint - n, "%s%s", i ? ", " : "", p->words[i]);
	return complaint;
}

static const char *assign_int(int64_t *field, const struct param *p, const struct arg *v)
{
	int64_t n;
	if (!parse_i64(v->p, v->n, &n))
		return "argument couldn't be parsed into an integer";
	if (n < p->min || n > (int64_t)p->max)
		return complain("argument must be between %lld and %lld inclusive", (long long)p->min, (long long)p->max);
	*field = n;
	return NULL;
}

static const char *assign_octal(int64_t *field, const struct param *p, const struct arg *v)
{
	int64_t n = 0;
	bool good = v->n > 0 && v->n < 20;
	for (size_t i = 0; good && i < v->n; i++) {
		good = v->p[i] >= '0' && v->p[i] <= '7';
		n = n * 8 + (v->p[i] - '0');
	}
	if (!good)
		return "argument couldn't be parsed as an octal number";
	if (n < p->min || n > (int64_t)p->max)
		return complain("argument must be between %llo and %llo inclusive", (unsigned long long)p->min,
				(unsigned long long)p->max);
	*field = n;
	return NULL;
}

static const char *assign_memory(uint64_t *field, const struct param *p, const struct arg *v)
{
	uint64_t n;
	if (!parse_memory(v->p, v->n, &n))
		return "argument must be a memory value";
	if (n < (uint64_t)p->min || n > p->max)
		return complain("argument must be between %llu and %llu inclusive", (unsigned long long)p->min,
				(unsigned long long)p->max);
	*field = n;
	return NULL;
}

static const char *assign_text(char *field, const struct param *p, const struct arg *v)
{
	if (v->n > p->max)
		return complain("argument is longer than %llu bytes", (unsigned long long)p->max);
	if (memchr(v->p, 0, v->n))
		return "argument contains a NUL byte";
	memset(field, 0, CONFIG_TEXT);
	memcpy(field, v->p, v->n);
	return NULL;
}

/* The words of all values, one space between them; a value may itself hold several words (CONFIG SET bind "a b"). */
static const char *assign_words(char *field, const struct param *p, const struct arg *values, size_t n)
{
	char text[CONFIG_TEXT] = "";
	size_t len = 0, words = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t at = 0; at < values[i].n;) {
			size_t start = at;
			while (at < values[i].n && !str_is_space((unsigned char)values[i].p[at]))
				at++;
			if (at > start && ++words > p->max)
				return complain("Too many arguments, at most %llu are possible", (unsigned long long)p->max);
			if (len + 1 + (at - start) >= sizeof text)
				return "arguments are too long";
			if (at > start) {
				if (len)
					text[len++] = ' ';
				memcpy(text + len, values[i].p + start, at - start);
				len += at - start;
			}
			at += at < values[i].n;
		}
	}
	if (memchr(text, 0, len))
		return "argument contains a NUL byte";
	memset(field, 0, CONFIG_TEXT);
	memcpy(field, text, len);
	return NULL;
}

static const char *assign_secret(struct config_draft *d, const struct param *p, const struct arg *v)
{
	if (v->n > p->max)
		return "Password is longer than CONFIG_AUTHPASS_MAX_LEN";
	memset(d->password, 0, PASSWORD_MAX + 1);
	memcpy(d->password, v->p, v->n);
	d->password_len = v->n;
	d->password_changed = true;
	d->values.password_set = v->n > 0;
	return NULL;
}

/* What promises to keep data on disk, before there is anything that does. */
static const char *assign_only(const struct param *p, const struct arg *values, size_t n)
{
	if ((n == 0 && !*p->text) || (n == 1 && str_ieq(values->p, values->n, p->text)))
		return NULL;
	return complain("this version keeps no data on disk: the only value is \"%s\"", p->text);
}

static const char *assign(struct config_draft *d, const struct param *p, const struct arg *values, size_t n)
{
	void *field = (char *)&d->values + p->offset;
	if (p->type == PARAM_ONLY)
		return assign_only(p, values, n);
	if (p->type == PARAM_WORDS && n >= 1)
		return assign_words(field, p, values, n);
	if (n != 1)
		return "wrong number of arguments";
	switch (p->type) {
	case PARAM_BOOL:
		return assign_bool(field, values);
	case PARAM_ENUM:
		return assign_enum(field, p, values);
	case PARAM_INT:
		return assign_int(field, p, values);
	case PARAM_OCTAL:
		return assign_octal(field, p, values);
	case PARAM_MEMORY:
		return assign_memory(field, p, values);
	case PARAM_TEXT:
		return assign_text(field, p, values);
	case PARAM_SECRET:
		return assign_secret(d, p, values);
	default:
		panic("parameter %s has an unknown type", p->name);
	}
}

/* ---- values that are more than their type says ---- */

static bool are_scores(const char *text, bool *within)
{
	*within = true;
	for (int i = 0; i < 3; i++) {
		int64_t v;
		size_t n = strcspn(text, " ");
		if (!parse_i64(text, n, &v))
			return false;
		*within = *within && v >= -2000 && v <= 2000;
		text += n + (text[n] == ' ');
	}
	return true;
}

static const char *check(const struct config *values, const struct param *p)
{
	char title[CONFIG_TEXT];
	bool within;
	if (str_ieq(p->name, strlen(p->name), "proc-title-template") &&
	    !title_expand(values->proc_title_template, "title", values, title, sizeof title))
		return "template format is invalid or contains unknown variables";
	if (str_ieq(p->name, strlen(p->name), "oom-score-adj-values")) {
		if (!are_scores(values->oom_score_adj_values, &within))
			return "wrong number of arguments";
		if (!within)
			return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
	}
	return NULL;
}

const char *config_assign(struct config_draft *d, const struct param *p, const struct arg *values, size_t n)
{
	const char *why = assign(d, p, values, n);
	return why ? why : check(&d->values, p);
}

/* ---- the whole configuration ---- */

void config_defaults(struct config_draft *d)
{
	for (size_t i = 0; i < PARAMS; i++) {
		const struct param *p = &params[i];
		void *field = (char *)&d->values + p->offset;
		if (p->type == PARAM_BOOL)
			*(bool *)field = p->number;
		else if (p->type == PARAM_ENUM)
			*(int32_t *)field = (int32_t)p->number;
		else if (p->type == PARAM_TEXT || p->type == PARAM_WORDS)
			strcpy(field, p->text);
		else if (p->type != PARAM_SECRET && p->type != PARAM_ONLY)
			*(int64_t *)field = p->number;
	}
}

struct config_draft *config_draft_create(void)
{
	struct config_draft *d = mmap(NULL, sizeof *d, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d == MAP_FAILED)
		return NULL;
	if (!secrets)
		secrets = config_secret_memory(sizeof *secrets);
	d->password = secrets->draft;
	return d;
}

static void keep_password(const struct config_draft *d)
{
	if (!d->password_changed)
		return;
	memcpy(secrets->password, d->password, sizeof secrets->password);
	secrets->len = d->password_len;
	memset(d->password, 0, PASSWORD_MAX + 1);
}

void config_adopt(struct config_draft *d)
{
	keep_password(d);
	adopted = d;
	config = own = &d->values;
}

void config_place(struct config *where, const struct config *view)
{
	*where = *own;
	own = where;
	config = view;
	munmap(adopted, sizeof *adopted);
}

void config_touch(void)
{
	atomic_fetch_add_explicit(&own->generation, 2, memory_order_release);
}

/* Everything but the generation, which is odd meanwhile. */
static void publish(const struct config *values)
{
	uint64_t g = atomic_load_explicit(&own->generation, memory_order_relaxed);
	size_t skip = sizeof own->generation;
	atomic_store_explicit(&own->generation, g + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	memcpy((char *)own + skip, (const char *)values + skip, sizeof *own - skip);
	atomic_store_explicit(&own->generation, g + 2, memory_order_release);
}

static void refuse(char *err, size_t cap, const struct arg *name, const char *why)
{
	snprintf(err, cap, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", (int)name->n, name->p, why);
}

/* All names must be known, settable and different before any value is looked at. */
static bool check_names(const struct arg *pairs, size_t n, char *err, size_t cap)
{
	for (size_t i = 0; i < n; i += 2) {
		const struct param *p = config_param(pairs[i].p, pairs[i].n);
		if (!p) {
			snprintf(err, cap, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
				 (int)pairs[i].n, pairs[i].p);
			return false;
		}
		if (!(p->flags & PARAM_MUTABLE)) {
			refuse(err, cap, &pairs[i], "can't set immutable config");
			return false;
		}
		for (size_t j = 0; j < i; j += 2) {
			if (config_param(pairs[j].p, pairs[j].n) == p) {
				refuse(err, cap, &pairs[i], "duplicate parameter");
				return false;
			}
		}
	}
	return true;
}

/* The pair that sets a parameter; the first one if none does. */
static const struct arg *pair_of(const struct arg *pairs, size_t n, const char *parameter)
{
	for (size_t i = 0; i < n; i += 2)
		if (arg_ieq(&pairs[i], parameter))
			return &pairs[i];
	return pairs;
}

bool config_set(const struct arg *pairs, size_t n, config_apply *apply, char *err, size_t cap)
{
	if (!check_names(pairs, n, err, cap))
		return false;
	struct config_draft *d = config_draft_create();
	if (!d) {
		snprintf(err, cap, "ERR CONFIG SET failed - out of memory");
		return false;
	}
	d->values = *own;
	const char *why = NULL, *parameter = "";
	const struct arg *blamed = &pairs[0];
	for (size_t i = 0; i < n && !why; i += 2) {
		const struct param *p = config_param(pairs[i].p, pairs[i].n);
		blamed = &pairs[i];
		why = config_assign(d, p, &pairs[i + 1], 1);
	}
	if (!why && (why = apply(own, &d->values, &parameter)) != NULL)
		blamed = pair_of(pairs, n, parameter);
	if (why) {
		refuse(err, cap, blamed, why);
	} else {
		keep_password(d);
		publish(&d->values);
	}
	munmap(d, sizeof *d);
	return !why;
}

/* ---- showing ---- */

static const char *show(const struct param *p, const struct config *c, char out[CONFIG_TEXT])
{
	const void *field = (const char *)c + p->offset;
	switch (p->type) {
	case PARAM_BOOL:
		return *(const bool *)field ? "yes" : "no";
	case PARAM_ENUM:
		return p->words[*(const int32_t *)field];
	case PARAM_INT:
		format_i64(out, *(const int64_t *)field);
		return out;
	case PARAM_OCTAL:
		snprintf(out, CONFIG_TEXT, "%llo", (unsigned long long)*(const int64_t *)field);
		return out;
	case PARAM_MEMORY:
		format_u64(out, *(const uint64_t *)field);
		return out;
	case PARAM_TEXT:
	case PARAM_WORDS:
		memcpy(out, field, CONFIG_TEXT);
		out[CONFIG_TEXT - 1] = 0;
		return out;
	case PARAM_SECRET:
		return c->password_set ? NULL : "";
	default:
		return p->text;
	}
}

static bool wanted(const struct param *p, const struct arg *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (glob_match(patterns[i].p, patterns[i].n, p->name, strlen(p->name), true))
			return true;
	return false;
}

void config_get(const struct arg *patterns, size_t n, config_visitor *each, void *arg)
{
	char text[CONFIG_TEXT];
	for (size_t i = 0; i < PARAMS; i++) {
		if (!wanted(&params[i], patterns, n))
			continue;
		const char *value = "";
		for (int tries = 0; tries < READ_TRIES; tries++) {
			uint64_t g = atomic_load_explicit(&config->generation, memory_order_acquire);
			value = show(&params[i], config, text);
			atomic_thread_fence(memory_order_acquire);
			if (!(g & 1) && g == atomic_load_explicit(&config->generation, memory_order_relaxed))
				break;
		}
		each(arg, params[i].name, value);
	}
}

/* ---- the password ---- */

bool config_password_is(const char *p, size_t n)
{
	unsigned char differs = n != secrets->len;
	for (size_t i = 0; i < n && i < PASSWORD_MAX; i++)
		differs |= (unsigned char)(p[i] ^ secrets->password[i]);
	return !differs && n <= PASSWORD_MAX;
}

void config_secrets_follow(bool on)
{
	for (unsigned i = 0; i < nmappings; i++)
		if (madvise(mappings[i].at, mappings[i].n, on ? MADV_KEEPONFORK : MADV_WIPEONFORK))
			fatal("Cannot keep secrets: %s", strerror(errno));
}

const char *config_password(size_t *n)
{
	*n = secrets->len;
	return secrets->password;
}
