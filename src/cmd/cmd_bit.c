/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings as rows of bits: GETBIT SETBIT BITCOUNT BITPOS. BITOP is in cmd_bitop.c, BITFIELD in cmd_bitfield.c.
 *
 * Run in workers, under the access their rows ask for. One bit costs the same in a string of any length: it is read, and overwritten, where
 * it is. What looks at more than a megabyte does so under a pin. Own nothing; what a death leaves is the transaction's business.
 */
#include "bits.h"

#include "base/config.h"
#include "base/num.h"
#include "base/stop.h"

#define STEP (64u << 10) /* bytes between two looks whether it is still worth going on */

/* ---- one bit ---- */

bool want_bit_offset(struct cmd *c, const struct arg *a, unsigned width, uint64_t *out)
{
	bool counted = width > 0 && a->n > 0 && a->p[0] == '#';
	int64_t n;

	if (parse_i64(a->p + counted, a->n - counted, &n)) {
		/* What leaves 64 bits comes back at the other end, as it does in Redis. */
		n = counted ? (int64_t)((uint64_t)n * width) : n;
		if (n >= 0 && (uint64_t)n >> 3 < config->proto_max_bulk_len) {
			*out = (uint64_t)n;
			return true;
		}
	}
	reply_error(c->out, "ERR bit offset is not an integer or out of range");
	return false;
}

enum find patch_bits(struct cmd *c, uint64_t last, uint64_t n, struct patch *p, size_t *len)
{
	const struct arg *key = &c->argv[1];
	struct view v = {.due = DUE_NONE};
	enum find found = find_string(c, key, &v, true);

	if (found == FIND_WRONG_TYPE)
		return found;
	*len = v.len;
	uint64_t need = last / 8 + 1;
	return key_patch(c->access, cmd_db(c), key, found == FIND_STRING ? &v : NULL, need > v.len ? need : v.len, n, p) ? FIND_STRING
															 : FIND_NONE;
}

static unsigned bit_of(const char *bytes, uint64_t at)
{
	return (unsigned char)bytes[at / 8] >> (7 - at % 8) & 1;
}

enum cmd_result cmd_getbit(struct cmd *c)
{
	struct view v;
	uint64_t at;

	if (!want_bit_offset(c, &c->argv[2], 0, &at))
		return CMD_DONE;
	enum find found = find_string(c, &c->argv[1], &v, false);
	if (found != FIND_WRONG_TYPE)
		reply_i64(c->out, found == FIND_STRING && at / 8 < v.len ? bit_of(v.value, at) : 0);
	return CMD_DONE;
}

enum cmd_result cmd_setbit(struct cmd *c)
{
	struct patch p;
	uint64_t at;
	int64_t on;
	size_t len;

	if (!want_bit_offset(c, &c->argv[2], 0, &at))
		return CMD_DONE;
	if (!parse_i64(c->argv[3].p, c->argv[3].n, &on) || (on & ~1)) {
		reply_error(c->out, "ERR bit is not an integer or out of range");
		return CMD_DONE;
	}
	enum find found = patch_bits(c, at, 1, &p, &len);
	if (found == FIND_WRONG_TYPE)
		return CMD_DONE;
	if (found == FIND_NONE)
		return reply_oom(c);
	unsigned old = bit_of(p.value, at);
	char byte = (char)(p.value[at / 8] ^ (old != (unsigned)on) << (7 - at % 8));
	if (old != (unsigned)on && !patch_write(&p, at / 8, &byte, 1))
		return reply_oom(c);
	if (old != (unsigned)on || at / 8 >= len)
		effect_self(c);
	else
		effect_none(c->access);
	reply_i64(c->out, old);
	return CMD_DONE;
}

/* ---- ranges ---- */

/* The bits from `first` to before `end` of a string. */
struct range {
	uint64_t first, end;
	bool open; /* the end was not given */
};

/*
 * Reads [start [end [BYTE | BIT]]], argv[at] being the start, for a string of `len` bytes. Nothing left of it: first == end.
 * False after an error reply.
 */
static bool take_range(struct cmd *c, int at, size_t len, struct range *r)
{
	int64_t start = 0, end = -1, unit = 8;

	if (at < c->argc && !want_i64(c, &c->argv[at], &start))
		return false;
	if (at + 2 < c->argc) {
		if (arg_ieq(&c->argv[at + 2], "BIT")) {
			unit = 1;
		} else if (!arg_ieq(&c->argv[at + 2], "BYTE")) {
			reply_syntax(c);
			return false;
		}
	}
	r->open = at + 1 >= c->argc;
	if (!r->open && !want_i64(c, &c->argv[at + 1], &end))
		return false;
	int64_t total = (int64_t)(len * 8) / unit;
	start = start >= 0 ? start : start + total < 0 ? 0 : start + total;
	end = end >= 0 ? end : end + total < 0 ? 0 : end + total;
	end = end < total ? end : total - 1;
	*r = start <= end ? (struct range){(uint64_t)(start * unit), (uint64_t)((end + 1) * unit), r->open} : (struct range){.open = r->open};
	return true;
}

/* A byte of the string without its bits outside the range. */
static unsigned char clipped(const char *bytes, const struct range *r, uint64_t i)
{
	unsigned byte = (unsigned char)bytes[i];

	if (i == r->first / 8)
		byte &= 0xffu >> (r->first % 8);
	if (i == r->end / 8)
		byte &= ~(0xffu >> (r->end % 8));
	return (unsigned char)byte;
}

/* ---- BITCOUNT ---- */

static inline uint64_t word_at(const char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

static inline uint64_t ones_of(uint64_t w)
{
	w -= w >> 1 & 0x5555555555555555;
	w = (w & 0x3333333333333333) + (w >> 2 & 0x3333333333333333);
	return ((w + (w >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
}

static uint64_t count_words(const char *p, size_t words)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words; i++)
		n += ones_of(word_at(p + 8 * i));
	return n;
}

#ifdef __x86_64__
/* The same where the processor has an instruction for it. */
__attribute__((target("popcnt"))) static uint64_t count_words_fast(const char *p, size_t words)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words; i++)
		n += (uint64_t)__builtin_popcountll(word_at(p + 8 * i));
	return n;
}
#else
#define count_words_fast count_words
#endif

static uint64_t count_bytes(const char *p, size_t n)
{
	size_t words = n / 8;
	uint64_t ones, last = 0;

#ifdef __x86_64__
	ones = __builtin_cpu_supports("popcnt") ? count_words_fast(p, words) : count_words(p, words);
#else
	ones = count_words_fast(p, words);
#endif
	if (n % 8 > 0)
		memcpy(&last, p + 8 * words, n % 8);
	return ones + ones_of(last);
}

static uint64_t count_range(struct cmd *c, const char *bytes, const struct range *r)
{
	uint64_t first = r->first / 8, end = (r->end + 7) / 8, ones;

	/* The first and the last byte may be there in part. */
	ones = ones_of(clipped(bytes, r, first));
	if (end - first > 1)
		ones += ones_of(clipped(bytes, r, end - 1));
	for (uint64_t i = first + 1; i + 1 < end;) {
		size_t n = end - 1 - i < STEP ? end - 1 - i : STEP;
		ones += count_bytes(bytes + i, n);
		i += n;
		if (n == STEP && (!access_still_valid(c->access) || cancel_requested()))
			break; /* the reply will be thrown away */
	}
	return ones;
}

enum cmd_result cmd_bitcount(struct cmd *c)
{
	struct range r;
	struct view v;
	int64_t start, end;

	switch (find_string(c, &c->argv[1], &v, false)) {
	case FIND_STRING:
		break;
	case FIND_NONE:
		reply_i64(c->out, 0);
		return CMD_DONE;
	case FIND_WRONG_TYPE:
		return CMD_DONE;
	}
	if (c->argc == 3 || c->argc > 5) {
		reply_syntax(c);
		return CMD_DONE;
	}
	if (c->argc > 3) {
		/* Such a range is empty whatever the unit, even one that there is not. */
		if (!want_i64(c, &c->argv[2], &start) || !want_i64(c, &c->argv[3], &end))
			return CMD_DONE;
		if (start < 0 && end < 0 && start > end) {
			reply_i64(c->out, 0);
			return CMD_DONE;
		}
	}
	if (!take_range(c, 2, v.len, &r))
		return CMD_DONE;
	if (access_is_long(c->access, (r.end - r.first) / 8))
		return CMD_LONG;
	reply_i64(c->out, r.first < r.end ? (int64_t)count_range(c, v.value, &r) : 0);
	return CMD_DONE;
}

/* ---- BITPOS ---- */

/* The first bit that is `bit` in a byte of which the bits from `from` to before `to` count; 8: none. */
static unsigned find_in_byte(unsigned char byte, unsigned bit, unsigned from, unsigned to)
{
	unsigned wanted = (bit ? byte : ~(unsigned)byte) & 0xffu >> from & ~(0xffu >> to);

	return wanted ? (unsigned)__builtin_clz(wanted) - 24 : 8;
}

/* The first byte in [i, end) that has a bit that is `bit`, or `end`. */
static uint64_t skip(const char *bytes, uint64_t i, uint64_t end, unsigned bit)
{
	const char none = bit ? 0 : (char)0xff;
	const uint64_t none8 = bit ? 0 : ~0ull;

	for (; end - i >= 32; i += 32)
		if ((word_at(bytes + i) ^ none8) | (word_at(bytes + i + 8) ^ none8) | (word_at(bytes + i + 16) ^ none8) |
		    (word_at(bytes + i + 24) ^ none8))
			break;
	while (i < end && bytes[i] == none)
		i++;
	return i;
}

/* Where the first such bit of the range is; r->end: nowhere in it. *result is CMD_LONG when that takes long to find out. */
static uint64_t find_bit(struct cmd *c, const char *bytes, const struct range *r, unsigned bit, enum cmd_result *result)
{
	uint64_t first = r->first / 8, end = (r->end + 7) / 8, i = first;

	while (i < end) {
		uint64_t stop = end - i < STEP ? end : i + STEP;
		/* What the first and the last byte have outside the range may hold up the search, but not mislead it. */
		i = skip(bytes, i, stop, bit);
		if (i < stop) {
			unsigned from = i == first ? (unsigned)(r->first % 8) : 0, to = i == r->end / 8 ? (unsigned)(r->end % 8) : 8;
			unsigned at = find_in_byte((unsigned char)bytes[i], bit, from, to);
			if (at < 8)
				return i * 8 + at;
			i++;
		}
		if (access_is_long(c->access, i - first)) {
			*result = CMD_LONG;
			break;
		}
		if (i == stop && (!access_still_valid(c->access) || cancel_requested()))
			break; /* the reply will be thrown away */
	}
	return r->end;
}

enum cmd_result cmd_bitpos(struct cmd *c)
{
	enum cmd_result result = CMD_DONE;
	struct range r;
	struct view v;
	int64_t bit;

	if (!want_i64(c, &c->argv[2], &bit))
		return CMD_DONE;
	if (bit != 0 && bit != 1) {
		reply_error(c->out, "ERR The bit argument must be 1 or 0.");
		return CMD_DONE;
	}
	enum find found = find_string(c, &c->argv[1], &v, false);
	if (found == FIND_NONE)
		reply_i64(c->out, -bit);
	if (found != FIND_STRING)
		return CMD_DONE;
	if (c->argc > 6) {
		reply_syntax(c);
		return CMD_DONE;
	}
	if (!take_range(c, 3, v.len, &r))
		return CMD_DONE;
	uint64_t at = r.first < r.end ? find_bit(c, v.value, &r, (unsigned)bit, &result) : 0;
	if (r.first == r.end || (at == r.end && (bit == 1 || !r.open)))
		reply_i64(c->out, -1);
	else
		reply_i64(c->out, (int64_t)at);
	return result;
}
