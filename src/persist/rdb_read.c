/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading an RDB file record by record, and the payload of DUMP.
 *
 * Run by the loader, by workers, by bulkhead-check-rdb. Owns nothing but the reader it is given. No locks; a death leaves nothing.
 */
#include "persist/rdb_read.h"

#include "base/crc64.h"
#include "base/hash.h"
#include "rdb_parts.h"

const char *rdb_type_name(uint8_t type)
{
	switch (type) {
#define X(id, number, name, encoding)                                                                                  \
	case number:                                                                                                   \
		return name;
		RDB_TYPES(X)
#undef X
	}
	return NULL;
}

const char *rdb_encoding_name(uint8_t type)
{
	switch (type) {
#define X(id, number, name, encoding)                                                                                  \
	case number:                                                                                                   \
		return encoding;
		RDB_TYPES(X)
#undef X
	}
	return NULL;
}

const char *rdb_doing_text(enum rdb_doing doing)
{
	static const char *const texts[] = {
		[RDB_AT_START] = "start",          [RDB_AT_TYPE] = "read-type",        [RDB_AT_EXPIRE] = "read-expire",
		[RDB_AT_KEY] = "read-key",         [RDB_AT_VALUE] = "read-object-value", [RDB_AT_SUM] = "check-sum",
		[RDB_AT_LENGTH] = "read-len",      [RDB_AT_AUX] = "read-aux",          [RDB_AT_MODULE] = "read-module-aux",
		[RDB_AT_FUNCTION] = "read-function",
	};
	return texts[doing];
}

/* What the sink said. */
static bool taken(struct rdb_reader *r, uint64_t at, const char *why)
{
	return !why || rdb_fail(r, RDB_REFUSED, at, "%s", why);
}

static bool read_head(struct rdb_reader *r)
{
	r->doing = RDB_AT_START;
	r->summing = true;
	const unsigned char *p = rdb_take(r, RDB_HEAD_BYTES);
	if (!p)
		return false;
	if (memcmp(p, RDB_MAGIC, strlen(RDB_MAGIC)))
		return rdb_fail(r, RDB_DAMAGED, 0, "it does not begin as an RDB file does");
	for (p += strlen(RDB_MAGIC); p < r->p + r->next; p++) {
		if (*p < '0' || *p > '9')
			return rdb_fail(r, RDB_DAMAGED, strlen(RDB_MAGIC), "its version is no number");
		r->version = 10 * r->version + (*p - '0');
	}
	if (r->version < 1 || r->version > RDB_VERSION_READ)
		return rdb_fail(r, RDB_DAMAGED, strlen(RDB_MAGIC), "version %u of the format cannot be read, only 1 to %u", r->version,
				RDB_VERSION_READ);
	return true;
}

/* What stands before the next key is forgotten with it. */
static void next_key(struct rdb_reader *r)
{
	r->key = (struct rdb_key){.db = r->key.db, .due = RDB_NO_DUE, .idle = -1, .freq = -1, .offset = rdb_offset(r)};
	r->in_key = false;
}

static bool read_string(struct rdb_reader *r)
{
	struct arg value;
	if (!rdb_string(r, &value, &r->scratch[0]))
		return false;
	r->keys++;
	r->expires += r->key.due != RDB_NO_DUE;
	return !r->sink->string || taken(r, r->key.offset, r->sink->string(r->sink->arg, &r->key, &value));
}

static bool read_key(struct rdb_reader *r, uint8_t type, uint64_t at)
{
	r->key.type = type;
	r->key.type_name = rdb_type_name(type);
	if (!r->key.type_name)
		return rdb_fail(r, RDB_DAMAGED, at, "a value of a type that is not known: %u", type);
	r->doing = RDB_AT_KEY;
	if (!rdb_string_kept(r, &r->key.name, &r->name))
		return false;
	r->in_key = true;
	r->doing = RDB_AT_VALUE;
	if (!(type == RDB_STRING ? read_string(r) : rdb_collection(r)))
		return false;
	next_key(r);
	return true;
}

static bool read_due(struct rdb_reader *r, bool seconds)
{
	r->doing = RDB_AT_EXPIRE;
	const unsigned char *p = rdb_take(r, seconds ? 4 : 8);
	if (p)
		r->key.due = seconds ? (int64_t)(int32_t)hash_load32(p) * 1000 : (int64_t)hash_load64(p);
	if (p && r->key.due == RDB_NO_DUE)
		r->key.due++; /* as long ago, and not "never" */
	return p;
}

static bool read_clock(struct rdb_reader *r, bool idle)
{
	uint64_t n, at = rdb_offset(r);
	unsigned char freq;
	if (!idle) {
		if (!rdb_byte(r, &freq))
			return false;
		r->key.freq = freq;
		return true;
	}
	if (!rdb_length(r, &n, NULL))
		return false;
	if (n > INT64_MAX)
		return rdb_fail(r, RDB_DAMAGED, at, "a key not used for %llu seconds", (unsigned long long)n);
	r->key.idle = (int64_t)n;
	return true;
}

static bool read_database(struct rdb_reader *r, uint64_t at)
{
	uint64_t db;
	r->doing = RDB_AT_LENGTH;
	if (!rdb_length(r, &db, NULL))
		return false;
	if (db > INT32_MAX)
		return rdb_fail(r, RDB_DAMAGED, at, "database %llu", (unsigned long long)db);
	r->key.db = (uint32_t)db;
	return !r->sink->database || taken(r, at, r->sink->database(r->sink->arg, r->key.db));
}

static bool read_sizes(struct rdb_reader *r, uint64_t at)
{
	uint64_t keys, expires;
	r->doing = RDB_AT_LENGTH;
	return rdb_length(r, &keys, NULL) && rdb_length(r, &expires, NULL) &&
	       (!r->sink->sizes || taken(r, at, r->sink->sizes(r->sink->arg, r->key.db, keys, expires)));
}

static bool read_aux(struct rdb_reader *r, uint64_t at)
{
	struct arg name, text;
	r->doing = RDB_AT_AUX;
	return rdb_string_kept(r, &name, &r->scratch[1]) && rdb_string(r, &text, &r->scratch[0]) &&
	       (!r->sink->aux || taken(r, at, r->sink->aux(r->sink->arg, &name, &text)));
}

static bool read_function(struct rdb_reader *r, uint64_t at)
{
	struct arg code;
	r->doing = RDB_AT_FUNCTION;
	return rdb_string(r, &code, &r->scratch[0]) && (!r->sink->function || taken(r, at, r->sink->function(r->sink->arg, &code)));
}

static bool read_module_aux(struct rdb_reader *r)
{
	char name[10];
	r->doing = RDB_AT_MODULE;
	if (!rdb_module(r, name, true))
		return false;
	if (r->sink->module)
		r->sink->module(r->sink->arg, NULL, name);
	return true;
}

static bool read_slots(struct rdb_reader *r)
{
	uint64_t n;
	r->doing = RDB_AT_LENGTH;
	return rdb_length(r, &n, NULL) && rdb_length(r, &n, NULL) && rdb_length(r, &n, NULL);
}

static bool read_record(struct rdb_reader *r, unsigned char op, uint64_t at)
{
	switch (op) {
	case RDB_OP_EXPIRE:
	case RDB_OP_EXPIRE_MS:
		return read_due(r, op == RDB_OP_EXPIRE);
	case RDB_OP_IDLE:
	case RDB_OP_FREQ:
		return read_clock(r, op == RDB_OP_IDLE);
	case RDB_OP_SELECTDB:
		return read_database(r, at);
	case RDB_OP_RESIZEDB:
		return read_sizes(r, at);
	case RDB_OP_AUX:
		return read_aux(r, at);
	case RDB_OP_FUNCTION2:
		return read_function(r, at);
	case RDB_OP_MODULE_AUX:
		return read_module_aux(r);
	case RDB_OP_SLOT_INFO:
		return read_slots(r);
	case RDB_OP_FUNCTION_PRE_GA:
		return rdb_fail(r, RDB_DAMAGED, at, "a library of functions in the form of release candidates, which cannot be read");
	}
	return read_key(r, op, at);
}

/* Behind the last record. */
static bool read_sum(struct rdb_reader *r)
{
	uint64_t sum = rdb_sum(r), noted, at = rdb_offset(r);
	r->doing = RDB_AT_SUM;
	r->summing = false;
	if (r->version < RDB_VERSION_SUM) {
		r->sum_was_off = true;
		return true;
	}
	if (!rdb_u64(r, &noted))
		return false;
	r->sum_was_off = noted == 0;
	if (!r->check_sum || noted == 0 || noted == sum)
		return true;
	return rdb_fail(r, RDB_BAD_SUM, at, "its checksum is %016llx, but should be %016llx", (unsigned long long)noted,
			(unsigned long long)sum);
}

static bool read_records(struct rdb_reader *r)
{
	next_key(r);
	for (;;) {
		uint64_t at = rdb_offset(r);
		unsigned char op;
		r->doing = RDB_AT_TYPE;
		if (!rdb_byte(r, &op))
			return false;
		if (op == RDB_OP_EOF)
			return read_sum(r);
		/* What belongs to the next key may stand before it; all else does not. */
		if (op >= RDB_OP_SLOT_INFO && op != RDB_OP_IDLE && op != RDB_OP_FREQ && op != RDB_OP_EXPIRE && op != RDB_OP_EXPIRE_MS) {
			if (!read_record(r, op, at))
				return false;
			if (r->key.due == RDB_NO_DUE && r->key.idle < 0 && r->key.freq < 0)
				r->key.offset = rdb_offset(r);
		} else if (!read_record(r, op, at)) {
			return false;
		}
	}
}

bool rdb_read(struct rdb_reader *r, const struct rdb_sink *sink)
{
	r->sink = sink;
	if (!read_head(r) || !read_records(r))
		return false;
	r->at = rdb_offset(r);
	if (sink->progress)
		sink->progress(sink->arg, r->at);
	return true;
}

bool rdb_read_value(struct rdb_reader *r, uint8_t type, const struct rdb_key *key, const struct rdb_sink *sink)
{
	r->sink = sink;
	r->key = *key;
	r->key.type = type;
	r->key.type_name = rdb_type_name(type);
	r->in_key = true;
	r->doing = RDB_AT_VALUE;
	if (!r->key.type_name)
		return rdb_fail(r, RDB_DAMAGED, 0, "a value of a type that is not known: %u", type);
	if (!(type == RDB_STRING ? read_string(r) : rdb_collection(r)))
		return false;
	r->at = rdb_offset(r);
	return true;
}

bool rdb_payload_ok(const void *payload, size_t n, bool sum)
{
	const unsigned char *p = payload;
	if (n < RDB_FOOTER_BYTES)
		return false;
	const unsigned char *foot = p + n - RDB_FOOTER_BYTES;
	if ((foot[0] | (unsigned)foot[1] << 8) > RDB_VERSION_READ)
		return false;
	return !sum || crc64(0, p, n - 8) == hash_load64(foot + 2);
}
