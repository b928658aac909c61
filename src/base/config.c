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
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/glob.h"
#include "base/log.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/seldom.h"
#include "base/title_template.h"
#include "config_rows.h"

#define ARENA (128u << 10)
#define MAPPINGS 8u /* of secret memory: one, and another for what does not fit */
#define READ_TRIES 1000
#define HOST_NAME_SIZE 256u /* with the NUL, as Redis has it */

#define WORDS(field, ...) static const struct config_word words_##field[] = {__VA_ARGS__, {NULL, 0}}
WORDS(maxmemory_policy, {"volatile-lru", POLICY_VOLATILE_LRU}, {"volatile-lfu", POLICY_VOLATILE_LFU},
      {"volatile-random", POLICY_VOLATILE_RANDOM}, {"volatile-ttl", POLICY_VOLATILE_TTL}, {"allkeys-lru", POLICY_ALLKEYS_LRU},
      {"allkeys-lfu", POLICY_ALLKEYS_LFU}, {"allkeys-random", POLICY_ALLKEYS_RANDOM}, {"noeviction", POLICY_NOEVICTION});
WORDS(enable_debug_command, {"no", ALLOWED_NO}, {"yes", ALLOWED_YES}, {"local", ALLOWED_LOCAL});
#define words_enable_module_command words_enable_debug_command
#define words_enable_protected_configs words_enable_debug_command
WORDS(loglevel, {"debug", 0}, {"verbose", 1}, {"notice", 2}, {"warning", 3});
WORDS(supervised, {"upstart", SUPERVISED_UPSTART}, {"systemd", SUPERVISED_SYSTEMD}, {"auto", SUPERVISED_AUTO},
      {"no", SUPERVISED_NO});
WORDS(syslog_facility, {"user", 0}, {"local0", 1}, {"local1", 2}, {"local2", 3}, {"local3", 4}, {"local4", 5}, {"local5", 6},
      {"local6", 7}, {"local7", 8});
WORDS(shutdown_on_sigterm, {"default", 0}, {"save", STOP_SAVE}, {"nosave", STOP_NOSAVE}, {"now", STOP_NOW},
      {"force", STOP_FORCE});
#define words_shutdown_on_sigint words_shutdown_on_sigterm
WORDS(oom_score_adj, {"no", OOM_ADJ_NO}, {"yes", OOM_ADJ_RELATIVE}, {"relative", OOM_ADJ_RELATIVE},
      {"absolute", OOM_ADJ_ABSOLUTE});
WORDS(acl_pubsub_default, {"allchannels", 0}, {"resetchannels", 1});
WORDS(appendfsync, {"everysec", FSYNC_EVERYSEC}, {"always", FSYNC_ALWAYS}, {"no", FSYNC_NO});
WORDS(sanitize_dump_payload, {"no", 0}, {"yes", 1}, {"clients", 2});
WORDS(repl_diskless_load, {"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2});
WORDS(propagation_error_behavior, {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2});
WORDS(tls_auth_clients, {"no", 0}, {"yes", 1}, {"optional", 2});
WORDS(cluster_preferred_endpoint_type, {"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2});

#define AT(field) offsetof(struct config, field)
#define ROW_BOOL(f, d, lo, hi) AT(f), d, NULL, lo, hi, NULL
#define ROW_INT(f, d, lo, hi) AT(f), d, NULL, lo, hi, NULL
#define ROW_OCTAL(f, d, lo, hi) AT(f), d, NULL, lo, hi, NULL
#define ROW_MEMORY(f, d, lo, hi) AT(f), d, NULL, lo, hi, NULL
#define ROW_PERCENT(f, d, lo, hi) AT(f), d, NULL, lo, hi, NULL
#define ROW_ENUM(f, d, lo, hi) AT(f), d, NULL, lo, hi, words_##f
#define ROW_BITS(f, d, lo, hi) AT(f), d, NULL, lo, hi, words_##f
#define ROW_EVENTS(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_LIMITS(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_SCORES(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_QUANTILES(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_POINTS(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_TEXT(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_WORDS(f, d, lo, hi) AT(f), 0, d, lo, hi, NULL
#define ROW_SECRET(f, d, lo, hi) AT(f##_set), 0, d, lo, hi, NULL
#define ROW_ALIAS(f, d, lo, hi) 0, 0, d, lo, hi, NULL

const struct param config_params[] = {
#define PARAM(name, TYPE, field, def, min, max, flags) {name, PARAM_##TYPE, flags, ROW_##TYPE(field, def, min, max)},
#include "base/params.def"
};
#define PARAMS (sizeof config_params / sizeof config_params[0])
const size_t config_nparams = PARAMS;

static const struct {
	const char *name, *why;
} promises[] = {
#define PROMISE(name, reason) {name, reason},
#include "base/params.def"
};

const struct config *config;
static struct config *own; /* the supervisor's writable view */
static struct config_draft *adopted; /* where config_load left it, until there is a control region */

/* In secret memory: the values, and those of a draft. */
static struct secrets {
	struct secret of[SECRETS], draft[SECRETS];
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

/* ---- rows ---- */

const struct param *config_row(const char *name, size_t n)
{
	for (size_t i = 0; i < PARAMS; i++)
		if (str_ieq(name, n, config_params[i].name))
			return &config_params[i];
	return NULL;
}

const struct param *config_meant(const struct param *p)
{
	return p->type == PARAM_ALIAS ? config_row(p->text, strlen(p->text)) : p;
}

/* Which of the secrets a row is. */
static unsigned secret_number(const struct param *p)
{
	unsigned n = 0;
	for (const struct param *q = config_params; q < p; q++)
		n += q->type == PARAM_SECRET;
	if (n >= SECRETS)
		panic("no room for the secret %s", p->name);
	return n;
}

/* ---- setting one value ---- */

static const char *assign_secret(struct config_draft *d, const struct param *p, const struct arg *v, size_t n)
{
	unsigned i = secret_number(p);
	if (n != 1)
		return "wrong number of arguments";
	if (v->n > p->max)
		return "Password is longer than CONFIG_AUTHPASS_MAX_LEN";
	memset(&d->secrets[i], 0, sizeof d->secrets[i]);
	memcpy(d->secrets[i].text, v->p, v->n);
	d->secrets[i].len = v->n;
	d->secrets_changed |= 1u << i;
	*(bool *)((char *)&d->values + p->offset) = v->n > 0;
	return NULL;
}

static const char *check_host_name(const char *s)
{
	size_t n = strlen(s);
	if (n >= HOST_NAME_SIZE)
		return "Hostnames must be less than 256 characters";
	if (strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != n)
		return "Hostnames may only contain alphanumeric characters, hyphens or dots";
	return NULL;
}

/* Whether this machine knows the locale; that of the environment is taken as it is. */
static bool is_locale(const char *name)
{
	locale_t l = *name ? newlocale(LC_COLLATE_MASK, name, (locale_t)0) : (locale_t)0;
	if (l)
		freelocale(l);
	return !*name || l;
}

/* "host port", or "no one" for none. */
static const char *check_master(char *text)
{
	const char *port = strchr(text, ' ');
	int64_t n;
	if (!*text)
		return NULL;
	if (!port)
		return "wrong number of arguments";
	if (str_ieq(text, strlen(text), "no one"))
		memset(text, 0, CONFIG_TEXT);
	else if (!parse_i64(port + 1, strlen(port + 1), &n) || n < 0 || n > 65535)
		return "Invalid master port";
	return NULL;
}

static int64_t between(int64_t v, int64_t least, int64_t most)
{
	return v < least ? least : v > most ? most : v;
}

/* What must be true of a value beyond its type; or the value is changed to the nearest that can be. */
static const char *settle(struct config *c, const struct param *p)
{
	const char *text = (const char *)c + p->offset;
	char title[CONFIG_TEXT];
	switch (p->offset) {
	case AT(hz):
		c->hz = between(c->hz, 1, 500);
		return NULL;
	case AT(watchdog_period):
		c->watchdog_period = c->watchdog_period ? between(c->watchdog_period, 200, INT32_MAX) : 0;
		return NULL;
	case AT(repl_backlog_size):
		c->repl_backlog_size = c->repl_backlog_size < 16384 ? 16384 : c->repl_backlog_size;
		return NULL;
	case AT(proc_title_template):
		return title_expand(text, "", c, title, sizeof title)
			   ? NULL
			   : "template format is invalid or contains unknown variables";
	case AT(replicaof):
		return check_master(c->replicaof);
	case AT(locale_collate):
		return is_locale(text) ? NULL : "Invalid locale name";
	case AT(cluster_announce_hostname):
		return check_host_name(text);
	case AT(dbfilename):
		return strchr(text, '/') ? "dbfilename can't be a path, just a filename" : NULL;
	case AT(appendfilename):
		return !*text		  ? "appendfilename can't be empty"
		       : strchr(text, '/') ? "appendfilename can't be a path, just a filename"
					   : NULL;
	case AT(appenddirname):
		return !*text		  ? "appenddirname can't be empty"
		       : strchr(text, '/') ? "appenddirname can't be a path, just a dirname"
					   : NULL;
	default:
		return NULL;
	}
}

static const char *reason_against(const struct param *p)
{
	for (size_t i = 0; i < sizeof promises / sizeof promises[0]; i++)
		if (strcmp(promises[i].name, p->name) == 0)
			return promises[i].why;
	return NULL;
}

/* The default as it is shown. Static memory. */
const char *config_default(const struct param *p)
{
	static SELDOM_USED char text[CONFIG_TEXT];
	static SELDOM_USED struct config numbers; /* one field of it at a time */
	if (p->text)
		return p->text;
	config_number(&numbers, p);
	return config_show(p, &numbers, text);
}

static void set_default(struct config_draft *d, const struct param *p)
{
	struct arg text = {p->text, p->text ? strlen(p->text) : 0};
	if (p->type == PARAM_ALIAS || p->type == PARAM_SECRET)
		return;
	if (!p->text)
		config_number(&d->values, p);
	else if (config_read_value(&d->values, p, &text, 1))
		panic("the default of parameter %s cannot be read", p->name);
}

/* Whether the value in the draft is the default. */
static bool is_default(const struct param *p, const struct config *c)
{
	char text[CONFIG_TEXT];
	return strcmp(config_show(p, c, text), config_default(p)) == 0;
}

const char *config_assign(struct config_draft *d, const struct param *p, const struct arg *values, size_t n)
{
	if (p->type == PARAM_SECRET)
		return assign_secret(d, p, values, n);
	const char *why = config_read_value(&d->values, p, values, n);
	if (!why)
		why = settle(&d->values, p);
	if (why || !reason_against(p))
		return why;
	return is_default(p, &d->values) ? NULL : reason_against(p);
}

/* ---- the whole configuration ---- */

void config_defaults(struct config_draft *d)
{
	for (size_t i = 0; i < PARAMS; i++)
		set_default(d, &config_params[i]);
}

struct config_draft *config_draft_create(void)
{
	struct config_draft *d = mmap(NULL, sizeof *d, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d == MAP_FAILED)
		return NULL;
	if (!secrets)
		secrets = config_secret_memory(sizeof *secrets);
	d->secrets = secrets->draft;
	return d;
}

static void keep_secrets(const struct config_draft *d)
{
	for (unsigned i = 0; i < SECRETS; i++)
		if (d->secrets_changed & 1u << i)
			secrets->of[i] = d->secrets[i];
	memset(secrets->draft, 0, sizeof secrets->draft);
}

void config_adopt(struct config_draft *d)
{
	keep_secrets(d);
	adopted = d;
	config = own = &d->values;
}

void config_place(struct config *where, const struct config *view)
{
	*where = *own;
	own = where;
	config = view;
	log_follow_level(&view->loglevel);
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

static const char *locked(const struct param *p, bool local)
{
	if (!(p->flags & PARAM_MUTABLE))
		return "can't set immutable config";
	if ((p->flags & PARAM_PROTECTED) && own->enable_protected_configs != ALLOWED_YES &&
	    !(own->enable_protected_configs == ALLOWED_LOCAL && local))
		return "can't set protected config";
	return NULL;
}

/* All names must be known, settable and different before any value is looked at. An alias differs from what it means. */
static bool check_names(const struct arg *pairs, size_t n, bool local, char *err, size_t cap)
{
	for (size_t i = 0; i < n; i += 2) {
		const struct param *p = config_row(pairs[i].p, pairs[i].n);
		const char *why = p ? locked(config_meant(p), local) : NULL;
		if (!p) {
			snprintf(err, cap, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
				 (int)pairs[i].n, pairs[i].p);
			return false;
		}
		for (size_t j = 0; j < i && !why; j += 2)
			if (config_row(pairs[j].p, pairs[j].n) == p)
				why = "duplicate parameter";
		if (why) {
			refuse(err, cap, &pairs[i], why);
			return false;
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

bool config_set(const struct arg *pairs, size_t n, bool local, config_apply *apply, char *err, size_t cap)
{
	if (!check_names(pairs, n, local, err, cap))
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
		const struct param *p = config_meant(config_row(pairs[i].p, pairs[i].n));
		blamed = &pairs[i];
		why = config_assign(d, p, &pairs[i + 1], 1);
	}
	if (!why && (why = apply(own, &d->values, &parameter)) != NULL)
		blamed = pair_of(pairs, n, parameter);
	if (why) {
		refuse(err, cap, blamed, why);
	} else {
		keep_secrets(d);
		publish(&d->values);
	}
	munmap(d, sizeof *d);
	return !why;
}

/* ---- showing ---- */

static bool wanted(const struct param *p, const struct arg *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct arg *a = &patterns[i];
		bool pattern = memchr(a->p, '*', a->n) || memchr(a->p, '?', a->n) || memchr(a->p, '[', a->n);
		if (pattern ? !(p->flags & PARAM_HIDDEN) && glob_match(a->p, a->n, p->name, strlen(p->name), true)
			    : arg_ieq(a, p->name))
			return true;
	}
	return false;
}

void config_get(const struct arg *patterns, size_t n, config_visitor *each, void *arg)
{
	char text[CONFIG_TEXT];
	for (size_t i = 0; i < PARAMS; i++) {
		if (!wanted(&config_params[i], patterns, n))
			continue;
		const struct param *p = config_meant(&config_params[i]);
		const char *value = "";
		for (int tries = 0; tries < READ_TRIES; tries++) {
			uint64_t g = atomic_load_explicit(&config->generation, memory_order_acquire);
			value = config_show(p, config, text);
			atomic_thread_fence(memory_order_acquire);
			if (!(g & 1) && g == atomic_load_explicit(&config->generation, memory_order_relaxed))
				break;
		}
		each(arg, config_params[i].name, value);
	}
}

/* ---- the password ---- */

static const struct secret *find_secret(const char *name)
{
	return &secrets->of[secret_number(config_row(name, strlen(name)))];
}

bool config_password_is(const char *p, size_t n)
{
	const struct secret *s = find_secret("requirepass");
	unsigned char differs = n != s->len;
	for (size_t i = 0; i < n && i < SECRET_MAX; i++)
		differs |= (unsigned char)(p[i] ^ s->text[i]);
	return !differs && n <= SECRET_MAX;
}

void config_secrets_follow(bool on)
{
	for (unsigned i = 0; i < nmappings; i++)
		if (madvise(mappings[i].at, mappings[i].n, on ? MADV_KEEPONFORK : MADV_WIPEONFORK))
			fatal("Cannot keep secrets: %s", strerror(errno));
}

const char *config_password(size_t *n)
{
	const struct secret *s = find_secret("requirepass");
	*n = s->len;
	return s->text;
}

const char *config_secret(const struct arg *name, size_t *n)
{
	const struct param *p = config_row(name->p, name->n);
	if (!p || p->type != PARAM_SECRET)
		return NULL;
	*n = secrets->of[secret_number(p)].len;
	return secrets->of[secret_number(p)].text;
}
