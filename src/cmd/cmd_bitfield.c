/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BITFIELD and BITFIELD_RO: whole numbers of any width at any bit of a string.
 *
 * Run in workers, under the access their rows ask for. Each operation sees what the ones before it did. All are checked before the first is
 * done; their arguments are read twice rather than kept. Own nothing; what a death leaves is the transaction's business.
 */
#include "bits.h"

#include "base/num.h"
#include "base/stop.h"

enum what { GET, SET, INCRBY };
enum overflow { WRAP, SAT, FAIL };

struct operation {
	enum what what;
	enum overflow overflow; /* what was last said of it */
	bool is_signed;
	unsigned width;   /* bits */
	uint64_t at;      /* the first one */
	int64_t operand;
};

/* Wide enough for the sum of any two numbers that may come. */
typedef __int128 wide;

/* ---- arguments ---- */

static bool want_type(struct cmd *c, const struct arg *a, struct operation *o)
{
	int64_t width;

	o->is_signed = a->n > 0 && a->p[0] == 'i';
	if (a->n > 1 && (a->p[0] == 'i' || a->p[0] == 'u') && parse_i64(a->p + 1, a->n - 1, &width) && width >= 1 &&
	    width <= (o->is_signed ? 64 : 63)) {
		o->width = (unsigned)width;
		return true;
	}
	reply_error(c->out, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
	return false;
}

static bool want_overflow(struct cmd *c, const struct arg *a, enum overflow *out)
{
	static const char *const names[] = {[WRAP] = "WRAP", [SAT] = "SAT", [FAIL] = "FAIL"};

	for (enum overflow o = WRAP; o <= FAIL; o++) {
		if (arg_ieq(a, names[o])) {
			*out = o;
			return true;
		}
	}
	reply_error(c->out, "ERR Invalid OVERFLOW type specified");
	return false;
}

/*
 * Reads the next operation, from argv[*i] on, past the words about overflow. 1: there is one; 0: there is none any more; -1: a mistake,
 * replied. What the ones before said of overflow holds on.
 */
static int next(struct cmd *c, int *i, struct operation *o)
{
	for (; *i < c->argc; *i += 2) {
		const struct arg *word = &c->argv[*i];
		int left = c->argc - *i - 1;
		if (arg_ieq(word, "OVERFLOW") && left >= 1) {
			if (!want_overflow(c, word + 1, &o->overflow))
				return -1;
			continue;
		}
		if (arg_ieq(word, "GET") && left >= 2) {
			o->what = GET;
		} else if (arg_ieq(word, "SET") && left >= 3) {
			o->what = SET;
		} else if (arg_ieq(word, "INCRBY") && left >= 3) {
			o->what = INCRBY;
		} else {
			reply_syntax(c);
			return -1;
		}
		if (!want_type(c, word + 1, o) || !want_bit_offset(c, word + 2, o->width, &o->at) ||
		    (o->what != GET && !want_i64(c, word + 3, &o->operand)))
			return -1;
		*i += o->what == GET ? 3 : 4;
		return 1;
	}
	return 0;
}

/* What all of them are about. */
struct survey {
	size_t count;
	bool writes;
	uint64_t last;  /* the highest bit that is written */
	uint64_t bytes; /* how many are, at most */
};

static bool survey(struct cmd *c, struct survey *s)
{
	struct operation o = {0};
	int i = 2, more;

	*s = (struct survey){0};
	while ((more = next(c, &i, &o)) > 0) {
		uint64_t last = o.at + o.width - 1;
		s->count++;
		if (o.what == GET)
			continue;
		s->writes = true;
		s->last = last > s->last ? last : s->last;
		s->bytes += last / 8 - o.at / 8 + 1;
	}
	return more == 0;
}

/* ---- numbers ---- */

/* The nine bytes a number may lie in; beyond the string they are zero. */
static void fetch(char bytes[9], const char *value, uint64_t len, const struct operation *o)
{
	uint64_t at = o->at / 8, n = at < len ? len - at : 0;

	memset(bytes, 0, 9);
	if (n > 0)
		memcpy(bytes, value + at, n < 9 ? n : 9);
}

static wide number(const char bytes[9], const struct operation *o)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < o->width; i++) {
		unsigned at = (unsigned)(o->at % 8) + i;
		n = n << 1 | ((unsigned char)bytes[at / 8] >> (7 - at % 8) & 1);
	}
	if (o->is_signed && n >> (o->width - 1) & 1)
		return (wide)n - ((wide)1 << o->width);
	return (wide)n;
}

static void put_number(char bytes[9], wide value, const struct operation *o)
{
	for (unsigned i = 0; i < o->width; i++) {
		unsigned at = (unsigned)(o->at % 8) + i, shift = 7 - at % 8;
		unsigned bit = (unsigned)((unsigned __int128)value >> (o->width - 1 - i)) & 1;
		bytes[at / 8] = (char)(((unsigned char)bytes[at / 8] & ~(1u << shift)) | bit << shift);
	}
}

/* Makes a number fit the field in the way that was asked for. False: it must not be. */
static bool fit(wide *n, const struct operation *o)
{
	wide max = ((wide)1 << (o->is_signed ? o->width - 1 : o->width)) - 1, min = o->is_signed ? -max - 1 : 0;

	if (*n >= min && *n <= max)
		return true;
	if (o->overflow == FAIL)
		return false;
	if (o->overflow == SAT) {
		/* What SET is given and lies further below the maximum than 64 bits can tell counts as above it, as it does in Redis. */
		bool above = *n > max || (o->what == SET && o->width < 64 && max - *n > INT64_MAX);
		*n = above ? max : min;
		return true;
	}
	unsigned __int128 mask = ((unsigned __int128)1 << o->width) - 1, low = (unsigned __int128)*n & mask;
	*n = o->is_signed && low >> (o->width - 1) & 1 ? (wide)(low | ~mask) : (wide)low;
	return true;
}

/* ---- doing it ---- */

static void read_one(struct cmd *c, const char *value, uint64_t len, const struct operation *o)
{
	char bytes[9];

	fetch(bytes, value, len, o);
	reply_i64(c->out, (int64_t)number(bytes, o));
}

/* SET or INCRBY. False: no memory. In a string that has grown for it, it counts as a change in any case. */
static bool write_one(struct cmd *c, struct patch *p, uint64_t len, const struct operation *o, bool grown)
{
	char bytes[9];

	fetch(bytes, p->value, len, o);
	wide old = number(bytes, o), given = o->is_signed ? (wide)o->operand : (wide)(uint64_t)o->operand;
	wide new = o->what == SET ? given : old + o->operand;
	if (!fit(&new, o)) {
		reply_null(c->out);
		return true;
	}
	reply_i64(c->out, (int64_t)(o->what == SET ? old : new));
	c->changes += grown || new != old;
	if (new == old)
		return true;
	put_number(bytes, new, o);
	return patch_write(p, o->at / 8, bytes, (o->at % 8 + o->width + 7) / 8);
}

static enum cmd_result read_all(struct cmd *c, const struct survey *s)
{
	struct view v = {.value = ""};
	struct operation o = {0};

	if (find_string(c, &c->argv[1], &v, false) == FIND_WRONG_TYPE)
		return CMD_DONE;
	reply_array(c->out, s->count);
	for (int i = 2; next(c, &i, &o) > 0 && !cancel_requested();)
		read_one(c, v.value, v.len, &o);
	return CMD_DONE;
}

static enum cmd_result do_all(struct cmd *c, const struct survey *s)
{
	struct operation o = {0};
	struct patch p;
	size_t old;

	enum find found = patch_bits(c, s->last, s->bytes, &p, &old);
	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if (found == FIND_NONE)
		return reply_oom(c);
	uint64_t len = s->last / 8 + 1 > old ? s->last / 8 + 1 : old;
	reply_array(c->out, s->count);
	for (int i = 2; next(c, &i, &o) > 0 && !cancel_requested();) {
		if (o.what == GET)
			read_one(c, p.value, len, &o);
		else if (!write_one(c, &p, len, &o, len > old))
			return reply_oom(c);
	}
	if (c->changes > 0)
		effect(c->access, cmd_db(c), c->argc, c->argv);
	else
		effect_none(c->access);
	return CMD_DONE;
}

enum cmd_result cmd_bitfield(struct cmd *c)
{
	struct survey s;

	if (!survey(c, &s))
		return CMD_DONE;
	return s.writes ? do_all(c, &s) : read_all(c, &s);
}

enum cmd_result cmd_bitfield_ro(struct cmd *c)
{
	struct survey s;

	if (!survey(c, &s))
		return CMD_DONE;
	if (!s.writes)
		return read_all(c, &s);
	reply_error(c->out, "ERR BITFIELD_RO only supports the GET subcommand");
	return CMD_DONE;
}
