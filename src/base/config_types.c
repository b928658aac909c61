/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types of params.def: reading a value from text, and showing it as Redis does.
 *
 * Runs in the supervisor (reading) and in every process (showing). Owns nothing but the text of the last complaint; takes no
 * locks. Works on a draft or on the values as they are; what makes a draft the configuration is in config.c.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/panic.h"
#include "config_rows.h"

#define WORDS_MAX 64

static char complaint[320];

static const char *complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(complaint, sizeof complaint, fmt, ap);
	va_end(ap);
	return complaint;
}

/* ---- numbers ---- */

static const char *assign_bool(bool *field, const struct arg *v)
{
	if (!arg_ieq(v, "yes") && !arg_ieq(v, "no"))
		return "argument must be 'yes' or 'no'";
	*field = arg_ieq(v, "yes");
	return NULL;
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
	bool good = v->n < 20; /* no digit at all is 0 */
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

static const char *assign_percent(int64_t *field, const struct param *p, const struct arg *v)
{
	uint64_t n;
	int64_t percent;
	if (v->n && v->p[v->n - 1] == '%') {
		if (!parse_i64(v->p, v->n - 1, &percent) || percent < 0)
			return "argument must be a memory or percent value";
		if (percent > 100)
			return "percentage argument must be less or equal to 100";
		*field = -percent;
		return NULL;
	}
	if (!parse_memory(v->p, v->n, &n))
		return "argument must be a memory or percent value";
	if (n > p->max)
		return complain("argument must be between %llu and %llu inclusive", (unsigned long long)p->min,
				(unsigned long long)p->max);
	*field = (int64_t)n;
	return NULL;
}

/* ---- words ---- */

static const struct config_word *find_word(const struct param *p, const struct arg *v)
{
	for (const struct config_word *w = p->words; w->name; w++)
		if (arg_ieq(v, w->name))
			return w;
	return NULL;
}

static const char *list_words(const struct param *p)
{
	size_t n = (size_t)snprintf(complaint, sizeof complaint, "argument(s) must be one of the following: ");
	for (const struct config_word *w = p->words; w->name && n < sizeof complaint; w++)
		n += (size_t)snprintf(complaint + n, sizeof complaint - n, "%s%s", w == p->words ? "" : ", ", w->name);
	return complaint;
}

static const char *assign_enum(int32_t *field, const struct param *p, const struct arg *v)
{
	const struct config_word *w = find_word(p, v);
	if (!w)
		return list_words(p);
	*field = w->value;
	return NULL;
}

static const char *assign_bits(uint32_t *field, const struct param *p, const struct arg *v, size_t n)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		const struct config_word *w = find_word(p, &v[i]);
		if (!w)
			return list_words(p);
		bits |= (uint32_t)w->value;
	}
	if (!n)
		return list_words(p);
	if ((bits & STOP_SAVE) && (bits & STOP_NOSAVE))
		return "shutdown options SAVE and NOSAVE can't be used simultaneously";
	*field = bits;
	return NULL;
}

static const char event_letters[] = "g$lshzxetdnKEm";

static const char *assign_events(uint32_t *field, const struct arg *v)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < v->n; i++) {
		const char *at = memchr(event_letters, v->p[i], sizeof event_letters - 1);
		if (v->p[i] == 'A')
			bits |= EVENT_ALL;
		else if (at)
			bits |= 1u << (at - event_letters);
		else
			return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
	}
	*field = bits;
	return NULL;
}

/* ---- lists of numbers ---- */

static int client_class(const struct arg *v)
{
	static const struct {
		const char *name;
		int class;
	} names[] = {{"normal", CLIENT_CLASS_NORMAL},
		     {"slave", CLIENT_CLASS_REPLICA},
		     {"replica", CLIENT_CLASS_REPLICA},
		     {"pubsub", CLIENT_CLASS_PUBSUB}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (arg_ieq(v, names[i].name))
			return names[i].class;
	return -1;
}

static const char *assign_limits(struct client_limit *field, const struct arg *v, size_t n)
{
	struct client_limit limits[CLIENT_CLASSES];
	if (n % 4)
		return "Wrong number of arguments in buffer limit configuration.";
	memcpy(limits, field, sizeof limits);
	for (size_t i = 0; i < n; i += 4) {
		struct client_limit l;
		int class = client_class(&v[i]);
		if (class < 0)
			return "Invalid client class specified in buffer limit configuration.";
		if (!parse_memory(v[i + 1].p, v[i + 1].n, &l.hard) || !parse_memory(v[i + 2].p, v[i + 2].n, &l.soft) ||
		    !parse_i64(v[i + 3].p, v[i + 3].n, &l.seconds) || l.seconds < 0)
			return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
		limits[class] = l;
	}
	memcpy(field, limits, sizeof limits);
	return NULL;
}

static const char *assign_scores(int32_t *field, const struct param *p, const struct arg *v, size_t n)
{
	int64_t scores[3];
	if (n != 3)
		return "wrong number of arguments";
	for (int i = 0; i < 3; i++)
		if (!parse_i64(v[i].p, v[i].n, &scores[i]) || scores[i] < p->min || scores[i] > (int64_t)p->max)
			return complain("Invalid %s, elements must be between %lld and %lld.", p->name, (long long)p->min,
					(long long)p->max);
	for (int i = 0; i < 3; i++)
		field[i] = (int32_t)scores[i];
	return NULL;
}

static const char *assign_quantiles(struct quantiles *field, const struct param *p, const struct arg *v, size_t n)
{
	struct quantiles q = {.n = (uint32_t)n};
	if (n > QUANTILES_MAX)
		return complain("at most %u %s are possible", QUANTILES_MAX, p->name);
	for (size_t i = 0; i < n; i++) {
		if (!parse_double(v[i].p, v[i].n, &q.at[i]))
			return complain("Invalid %s parameters", p->name);
		if (q.at[i] < 0 || q.at[i] > 100)
			return complain("%s parameters should sit between [0.0,100.0]", p->name);
	}
	*field = q;
	return NULL;
}

static const char *assign_points(struct save_points *field, const struct arg *v, size_t n)
{
	struct save_points points = {.n = (uint32_t)n / 2};
	if (n % 2)
		return "Invalid save parameters";
	if (points.n > SAVE_POINTS_MAX)
		return complain("at most %u save points are possible", SAVE_POINTS_MAX);
	for (size_t i = 0; i < n; i += 2) {
		int64_t changes = 0; /* as the reference has it, also of an empty word */
		struct save_point *at = &points.at[i / 2];
		if (!parse_i64(v[i].p, v[i].n, &at->seconds) || (v[i + 1].n && !parse_i64(v[i + 1].p, v[i + 1].n, &changes)) ||
		    at->seconds < 1 || changes < 0 || changes > INT32_MAX)
			return "Invalid save parameters";
		at->changes = (int32_t)changes;
	}
	*field = points;
	return NULL;
}

/* ---- texts ---- */

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

static const char *assign_words(char *field, const struct param *p, const struct arg *v, size_t n)
{
	char text[CONFIG_TEXT] = "";
	size_t len = 0;
	if (n > p->max)
		return "Too many bind addresses specified.";
	for (size_t i = 0; i < n; i++) {
		if (len + 1 + v[i].n >= sizeof text)
			return "arguments are too long";
		if (memchr(v[i].p, 0, v[i].n))
			return "argument contains a NUL byte";
		if (i)
			text[len++] = ' ';
		memcpy(text + len, v[i].p, v[i].n);
		len += v[i].n;
	}
	memset(field, 0, CONFIG_TEXT);
	memcpy(field, text, len);
	return NULL;
}

/* ---- all of them ---- */

static bool takes_several(const struct param *p)
{
	switch (p->type) {
	case PARAM_BITS:
	case PARAM_LIMITS:
	case PARAM_SCORES:
	case PARAM_QUANTILES:
	case PARAM_POINTS:
	case PARAM_WORDS:
		return true;
	default:
		return false;
	}
}

/* One value may hold several words: a space ends each, so two of them have an empty word in between. */
static size_t split(const struct arg *v, struct arg *out, size_t cap)
{
	size_t n = 0;
	const char *p = v->p, *end = v->p + v->n;
	if (!v->n)
		return 0;
	for (;;) {
		const char *stop = memchr(p, ' ', (size_t)(end - p));
		if (n == cap)
			return n + 1;
		out[n++] = (struct arg){p, (size_t)((stop ? stop : end) - p)};
		if (!stop)
			return n;
		p = stop + 1;
	}
}

static const char *assign_several(void *field, const struct param *p, const struct arg *v, size_t n)
{
	struct arg words[WORDS_MAX];
	if (n == 1) {
		n = split(v, words, WORDS_MAX);
		v = words;
	}
	if (n > WORDS_MAX)
		return "wrong number of arguments";
	switch (p->type) {
	case PARAM_BITS:
		return assign_bits(field, p, v, n);
	case PARAM_LIMITS:
		return assign_limits(field, v, n);
	case PARAM_SCORES:
		return assign_scores(field, p, v, n);
	case PARAM_QUANTILES:
		return assign_quantiles(field, p, v, n);
	case PARAM_POINTS:
		return assign_points(field, v, n);
	default:
		return assign_words(field, p, v, n);
	}
}

const char *config_read_value(struct config *c, const struct param *p, const struct arg *v, size_t n)
{
	void *field = (char *)c + p->offset;
	if (takes_several(p))
		return assign_several(field, p, v, n);
	if (n != 1)
		return "wrong number of arguments";
	switch (p->type) {
	case PARAM_BOOL:
		return assign_bool(field, v);
	case PARAM_ENUM:
		return assign_enum(field, p, v);
	case PARAM_INT:
		return assign_int(field, p, v);
	case PARAM_OCTAL:
		return assign_octal(field, p, v);
	case PARAM_MEMORY:
		return assign_memory(field, p, v);
	case PARAM_PERCENT:
		return assign_percent(field, p, v);
	case PARAM_EVENTS:
		return assign_events(field, v);
	case PARAM_TEXT:
		return assign_text(field, p, v);
	default:
		panic("parameter %s has an unknown type", p->name);
	}
}

void config_number(struct config *c, const struct param *p)
{
	void *field = (char *)c + p->offset;
	switch (p->type) {
	case PARAM_BOOL:
		*(bool *)field = p->number;
		return;
	case PARAM_ENUM:
		*(int32_t *)field = (int32_t)p->number;
		return;
	case PARAM_BITS:
		*(uint32_t *)field = (uint32_t)p->number;
		return;
	default:
		*(int64_t *)field = p->number;
	}
}

/* ---- showing ---- */

static const char *show_enum(const struct param *p, int32_t value)
{
	for (const struct config_word *w = p->words; w->name; w++)
		if (w->value == value)
			return w->name;
	return "";
}

static const char *show_bits(const struct param *p, uint32_t bits, char *out)
{
	if (!bits)
		return show_enum(p, 0);
	*out = 0;
	for (const struct config_word *w = p->words; w->name; w++)
		if (bits & (uint32_t)w->value)
			sprintf(out + strlen(out), "%s%s", *out ? " " : "", w->name);
	return out;
}

static const char *show_events(uint32_t bits, char *out)
{
	size_t n = 0;
	bool all = (bits & EVENT_ALL) == EVENT_ALL;
	if (all)
		out[n++] = 'A';
	for (size_t i = 0; i < sizeof event_letters - 1; i++)
		if ((bits & 1u << i) && !(all && (1u << i) <= EVENT_NEW))
			out[n++] = event_letters[i];
	out[n] = 0;
	return out;
}

static const char *show_limits(const struct client_limit *l, char *out)
{
	static const char *const names[CLIENT_CLASSES] = {"normal", "slave", "pubsub"};
	size_t n = 0;
	for (int i = 0; i < CLIENT_CLASSES; i++)
		n += (size_t)snprintf(out + n, CONFIG_TEXT - n, "%s%s %llu %llu %lld", i ? " " : "", names[i],
				      (unsigned long long)l[i].hard, (unsigned long long)l[i].soft,
				      (long long)l[i].seconds);
	return out;
}

static const char *show_quantiles(const struct quantiles *q, char *out)
{
	size_t n = 0;
	*out = 0;
	for (uint32_t i = 0; i < q->n && i < QUANTILES_MAX; i++) {
		n += (size_t)snprintf(out + n, CONFIG_TEXT - n, "%s%f", i ? " " : "", q->at[i]);
		while (out[n - 1] == '0')
			n--;
		n -= out[n - 1] == '.';
		out[n] = 0;
	}
	return out;
}

static const char *show_points(const struct save_points *s, char *out)
{
	size_t n = 0;
	*out = 0;
	for (uint32_t i = 0; i < s->n && i < SAVE_POINTS_MAX; i++)
		n += (size_t)snprintf(out + n, CONFIG_TEXT - n, "%s%lld %d", i ? " " : "", (long long)s->at[i].seconds,
				      (int)s->at[i].changes);
	return out;
}

const char *config_show(const struct param *p, const struct config *c, char out[CONFIG_TEXT])
{
	const void *field = (const char *)c + p->offset;
	const int32_t *scores = field;
	int64_t percent;
	switch (p->type) {
	case PARAM_BOOL:
		return *(const bool *)field ? "yes" : "no";
	case PARAM_ENUM:
		return show_enum(p, *(const int32_t *)field);
	case PARAM_BITS:
		return show_bits(p, *(const uint32_t *)field, out);
	case PARAM_EVENTS:
		return show_events(*(const uint32_t *)field, out);
	case PARAM_INT:
		format_i64(out, *(const int64_t *)field);
		return out;
	case PARAM_OCTAL:
		snprintf(out, CONFIG_TEXT, "%llo", (unsigned long long)*(const int64_t *)field);
		return out;
	case PARAM_MEMORY:
		format_u64(out, *(const uint64_t *)field);
		return out;
	case PARAM_PERCENT:
		percent = *(const int64_t *)field;
		snprintf(out, CONFIG_TEXT, percent < 0 ? "%lld%%" : "%lld", (long long)(percent < 0 ? -percent : percent));
		return out;
	case PARAM_LIMITS:
		return show_limits(field, out);
	case PARAM_SCORES:
		snprintf(out, CONFIG_TEXT, "%d %d %d", (int)scores[0], (int)scores[1], (int)scores[2]);
		return out;
	case PARAM_QUANTILES:
		return show_quantiles(field, out);
	case PARAM_POINTS:
		return show_points(field, out);
	case PARAM_SECRET:
		return *(const bool *)field ? NULL : "";
	default:
		memcpy(out, field, CONFIG_TEXT);
		out[CONFIG_TEXT - 1] = 0;
		return out;
	}
}
