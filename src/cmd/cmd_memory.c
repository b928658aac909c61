/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MEMORY: what takes memory, in all and by key.
 *
 * Runs in workers; USAGE reads one key, by version, the others need no access. Owns nothing.
 */
#include "args.h"
#include "base/config.h"
#include "base/num.h"
#include "help.h"
#include "info.h"
#include "shm/wake.h"
#include "store/access.h"

/* ---- USAGE ---- */

/* [SAMPLES n]...: a string has nothing to take samples of. */
static bool read_samples(struct cmd *c)
{
	for (int i = 3; i < c->argc; i += 2) {
		int64_t n;
		if (!arg_ieq(&c->argv[i], "SAMPLES") || i + 1 == c->argc) {
			reply_syntax(c);
			return false;
		}
		if (!want_i64(c, &c->argv[i + 1], &n))
			return false;
		if (n < 0) {
			reply_syntax(c);
			return false;
		}
	}
	return true;
}

enum cmd_result cmd_memory_usage(struct cmd *c)
{
	struct view v;

	if (!read_samples(c))
		return CMD_DONE;
	if (key_peek(c->access, cmd_db(c), &c->argv[2], &v))
		reply_i64(c->out, (int64_t)key_memory(&v));
	else
		reply_null(c->out);
	return CMD_DONE;
}

/* ---- STATS ---- */

static void integer(struct reply *r, const char *name, uint64_t v)
{
	reply_bulk_str(r, name);
	reply_i64(r, (int64_t)v);
}

/* Single precision is enough, and is what Redis shows. */
static void real(struct reply *r, const char *name, double v)
{
	reply_bulk_str(r, name);
	reply_double(r, (double)(float)v);
}

static double ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

/* "db.0": what its keys need beyond themselves. Returns whether it has any. */
static bool reply_database(struct reply *r, uint32_t db, uint64_t *keys)
{
	struct db_stats s;

	db_stats(db, &s);
	*keys += s.keys;
	if (s.keys == 0)
		return false;
	reply_bulkf(r, "db.%u", db);
	reply_map(r, 3);
	integer(r, "overhead.hashtable.main", s.index_bytes);
	integer(r, "overhead.hashtable.expires", s.due_bytes);
	integer(r, "overhead.hashtable.slot-to-keys", 0);
	return true;
}

/* "allocator-rss.ratio", "allocator-rss.bytes" */
static void more_than(struct reply *r, const char *ratio_name, const char *bytes_name, uint64_t more, uint64_t less)
{
	real(r, ratio_name, ratio(more, less));
	integer(r, bytes_name, more - less);
}

enum cmd_result cmd_memory_stats(struct cmd *c)
{
	static const char *const none[] = {"cluster.links", "aof.buffer", "lua.caches", "functions.caches"};
	struct reply *r = c->out;
	struct memory_figures m;
	uint64_t keys = 0;
	size_t n = 27, mark = reply_defer(r);

	info_memory(&m);
	integer(r, "peak.allocated", m.peak);
	integer(r, "total.allocated", m.used);
	integer(r, "startup.allocated", m.startup);
	integer(r, "replication.backlog", 0);
	integer(r, "clients.slaves", 0);
	integer(r, "clients.normal", m.clients);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		integer(r, none[i], 0);
	for (uint32_t db = 0; db < (uint32_t)config->databases; db++)
		n += reply_database(r, db, &keys);
	integer(r, "overhead.total", m.overhead);
	integer(r, "keys.count", keys);
	integer(r, "keys.bytes-per-key", keys ? (m.used - m.startup) / keys : 0);
	integer(r, "dataset.bytes", m.dataset);
	real(r, "dataset.percentage", ratio(m.dataset, m.used - m.startup) * 100);
	real(r, "peak.percentage", ratio(m.used, m.peak) * 100);
	integer(r, "allocator.allocated", m.used);
	integer(r, "allocator.active", m.active);
	integer(r, "allocator.resident", m.committed);
	more_than(r, "allocator-fragmentation.ratio", "allocator-fragmentation.bytes", m.active, m.used);
	more_than(r, "allocator-rss.ratio", "allocator-rss.bytes", m.committed, m.active);
	more_than(r, "rss-overhead.ratio", "rss-overhead.bytes", m.rss, m.committed);
	more_than(r, "fragmentation", "fragmentation.bytes", m.rss, m.used);
	reply_defer_map(r, mark, n);
	return CMD_DONE;
}

/* ---- DOCTOR, MALLOC-STATS, PURGE ---- */

#define LITTLE (5u << 20)      /* of less nothing can be told */
#define HOLES_MIN (10u << 20)  /* less than so much between blocks is no matter */
#define CLIENT_MANY (200u << 10)

static void append_problems(struct buf *b, const struct memory_figures *m, uint32_t clients)
{
	if (ratio(m->peak, m->used) > 1.5)
		buf_printf(b, " * Peak: it has held %.1f times what it holds now. Extents that became empty went back to the machine, the "
			      "holes in the others are filled first.\n", ratio(m->peak, m->used));
	if (ratio(m->active, m->used) > 1.4 && m->active - m->used > HOLES_MIN)
		buf_printf(b, " * Holes: slabs in use take %.1f times what their blocks do. Blocks of other sizes than before were "
			      "needed; it grows less again as keys come and go.\n", ratio(m->active, m->used));
	if (config->maxmemory && config->maxmemory_policy == POLICY_NOEVICTION && m->used > config->maxmemory / 10 * 9)
		buf_append_str(b, " * Limit: more than nine tenths of maxmemory are used.\n");
	if (clients && m->clients / clients > CLIENT_MANY)
		buf_printf(b, " * Clients: each has buffers of %llu bytes on average. CLIENT LIST shows who has most (tot-mem).\n",
			   (unsigned long long)(m->clients / clients));
	if (m->processes > m->used)
		buf_append_str(b, " * Processes: they take more memory than the data. INFO processes tells how many there are of which "
				  "kind.\n");
}

enum cmd_result cmd_memory_doctor(struct cmd *c)
{
	struct memory_figures m;
	struct process_counts processes;
	struct buf b;

	info_memory(&m);
	info_processes(&processes);
	buf_init(&b);
	if (m.used < LITTLE) {
		buf_append_str(&b, "There is hardly any data: nothing can be told from it.\n");
	} else {
		append_problems(&b, &m, processes.busy);
		if (b.len == 0)
			buf_append_str(&b, "No problem found with the memory.\n");
	}
	reply_verbatim(c->out, "txt", b.data, b.len);
	buf_deinit(&b);
	return CMD_DONE;
}

enum cmd_result cmd_memory_malloc_stats(struct cmd *c)
{
	struct memory_figures m;
	struct buf b;

	info_memory(&m);
	buf_init(&b);
	buf_printf(&b, "blocks and fixed parts: %llu bytes (%llu of them no data)\n", (unsigned long long)m.used,
		   (unsigned long long)m.overhead);
	buf_printf(&b, "slabs in use: %llu bytes\n", (unsigned long long)m.active);
	buf_printf(&b, "memory of the store: %llu bytes\n", (unsigned long long)m.committed);
	buf_printf(&b, "memory of the processes: %llu bytes\n", (unsigned long long)m.processes);
	store_heaps(&b);
	reply_verbatim(c->out, "txt", b.data, b.len);
	buf_deinit(&b);
	return CMD_DONE;
}

/* Empty memory goes back to the machine without being asked; this has it looked for at once. */
enum cmd_result cmd_memory_purge(struct cmd *c)
{
	wake_expirer();
	reply_ok(c->out);
	return CMD_DONE;
}

enum cmd_result cmd_memory_help(struct cmd *c)
{
	help_subcommands(c);
	return CMD_DONE;
}
