/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INFO: facts and figures by section, in the shape that Redis's clients and monitors read. Fields of things that do not
 * exist here are left out; those that are always so have their value.
 *
 * Runs in workers, without an access: sums over the pages of all processes, which are right to within what changes
 * meanwhile.
 */
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "args.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/version.h"
#include "info.h"
#include "store/access.h"

#define RATE_MS 100 /* the shortest time that a rate is told from */

static void field_u64(struct buf *b, const char *name, uint64_t v)
{
	buf_printf(b, "%s:%llu\r\n", name, (unsigned long long)v);
}

/* The amount in bytes, and again for people. */
static void field_memory(struct buf *b, const char *name, uint64_t v)
{
	static const char units[] = "BKMGTP";
	double d = (double)v;
	int unit = 0;

	field_u64(b, name, v);
	for (; d >= 1024 && unit < 5; unit++)
		d /= 1024;
	buf_printf(b, unit ? "%s_human:%.2f%c\r\n" : "%s_human:%.0f%c\r\n", name, d, units[unit]);
}

static double ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

static void append_value(void *arg, const char *name, const char *value)
{
	(void)name;
	buf_append_str(arg, value ? value : "");
}

/* A parameter as CONFIG GET prints it. */
static void field_config(struct buf *b, const char *field, const char *parameter)
{
	struct arg name = arg_of(parameter);

	buf_printf(b, "%s:", field);
	config_get(&name, 1, append_value, b);
	buf_append_str(b, "\r\n");
}

/* ---- the sections ---- */

static void section_server(struct buf *b)
{
	struct utsname os;
	int64_t now = clock_wall_us(), up = (now / 1000 - control->start_ms) / 1000;

	uname(&os);
	buf_printf(b, "redis_version:%s\r\nbulkhead_version:%s\r\nredis_mode:standalone\r\n", REDIS_COMPAT_VERSION,
		   BULKHEAD_VERSION);
	buf_printf(b, "os:%s %s %s\r\narch_bits:%zu\r\nmonotonic_clock:POSIX clock_gettime\r\n", os.sysname, os.release,
		   os.machine, sizeof(void *) * 8);
	buf_printf(b, "multiplexing_api:process per client\r\natomicvar_api:c11-builtin\r\ngcc_version:%s\r\n",
		   __VERSION__);
	buf_printf(b, "process_id:%d\r\nrun_id:%s\r\ntcp_port:%lld\r\n", control->supervisor_pid, control->run_id,
		   (long long)config->port);
	buf_printf(b, "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\n", (long long)now,
		   (long long)up, (long long)up / 86400);
	buf_printf(b, "executable:%s\r\nconfig_file:%s\r\n", config->executable, config->file);
}

static void section_clients(struct buf *b)
{
	struct process_counts n;

	info_refresh();
	info_processes(&n);
	field_u64(b, "connected_clients", n.busy);
	field_u64(b, "cluster_connections", 0);
	field_u64(b, "maxclients", (uint64_t)config->maxclients);
	field_u64(b, "blocked_clients", 0);
	field_u64(b, "tracking_clients", 0);
	field_u64(b, "clients_in_timeout_table", 0);
}

static void section_memory(struct buf *b)
{
	struct store_memory m;
	struct sysinfo machine;

	store_memory(&m);
	uint64_t private = info_private_memory(), rss = m.committed + private, peak = m.peak > m.used ? m.peak : m.used;
	field_memory(b, "used_memory", m.used);
	field_memory(b, "used_memory_rss", rss);
	field_memory(b, "used_memory_peak", peak);
	buf_printf(b, "used_memory_peak_perc:%.2f%%\r\n", ratio(m.used, peak) * 100);
	field_u64(b, "used_memory_overhead", m.overhead);
	field_u64(b, "used_memory_dataset", m.dataset);
	buf_printf(b, "used_memory_dataset_perc:%.2f%%\r\n", ratio(m.dataset, m.used) * 100);
	field_u64(b, "used_memory_store", m.committed);
	field_u64(b, "used_memory_processes", private);
	if (sysinfo(&machine) == 0)
		field_memory(b, "total_system_memory", (uint64_t)machine.totalram * machine.mem_unit);
	field_memory(b, "maxmemory", config->maxmemory);
	field_config(b, "maxmemory_policy", "maxmemory-policy");
	buf_printf(b, "mem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%lld\r\n", ratio(rss, m.used),
		   (long long)(rss - m.used));
	buf_append_str(b, "mem_allocator:slab\r\n");
}

static void section_persistence(struct buf *b)
{
	field_u64(b, "loading", 0);
	field_u64(b, "async_loading", 0);
	field_u64(b, "rdb_changes_since_last_save", count_total(COUNTER_WRITE_COMMANDS));
	field_u64(b, "rdb_bgsave_in_progress", 0);
	field_u64(b, "aof_enabled", 0);
	field_u64(b, "aof_rewrite_in_progress", 0);
}

/*
 * What happens a second: since this process was asked last, if that is long enough ago to tell; the first time since
 * the server's start. Nobody keeps a sample for those who never ask.
 */
static void append_rates(struct buf *b)
{
	static const enum counter counters[] = {COUNTER_COMMANDS, COUNTER_NET_IN, COUNTER_NET_OUT};
	static uint64_t since[3];
	static double rates[3];
	static int64_t since_ms;
	int64_t now = clock_wall_ms();

	if (since_ms == 0)
		since_ms = control->start_ms;
	if (now - since_ms >= RATE_MS) {
		for (int i = 0; i < 3; i++) {
			uint64_t total = count_total(counters[i]);
			rates[i] = total > since[i] ? (double)(total - since[i]) * 1000 / (double)(now - since_ms) : 0;
			since[i] = total;
		}
		since_ms = now;
	}
	field_u64(b, "instantaneous_ops_per_sec", (uint64_t)rates[0]);
	buf_printf(b, "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n", rates[1] / 1024,
		   rates[2] / 1024);
}

static void section_stats(struct buf *b)
{
	static const char *const names[] = {
#define COUNTER(id, field) [COUNTER_##id] = field,
#include "shm/counters.def"
#undef COUNTER
	};

	for (int i = 0; i < COUNTERS; i++)
		if (i != COUNTER_WRITE_COMMANDS) /* belongs to persistence */
			field_u64(b, names[i], count_total((enum counter)i));
	append_rates(b);
	field_u64(b, "evicted_keys", 0);
	field_u64(b, "pubsub_channels", 0);
	field_u64(b, "pubsub_patterns", 0);
	field_u64(b, "total_forks", 0); /* for snapshots: there are none */
}

static void section_replication(struct buf *b)
{
	buf_append_str(b, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n");
}

static void field_time(struct buf *b, const char *name, int64_t us)
{
	buf_printf(b, "%s:%lld.%06lld\r\n", name, (long long)us / 1000000, (long long)us % 1000000);
}

static void section_cpu(struct buf *b)
{
	struct cpu_times t;

	info_cpu(&t);
	field_time(b, "used_cpu_sys", t.sys + t.ended_sys);
	field_time(b, "used_cpu_user", t.user + t.ended_user);
	field_time(b, "used_cpu_sys_children", t.ended_sys);
	field_time(b, "used_cpu_user_children", t.ended_user);
}

/* A line per kind: how many there are, how many were started, and how many ended by a signal or a failure. */
static void section_processes(struct buf *b)
{
	enum { RESTART_NEVER, RESTART_UNCLEAN, RESTART_ALWAYS };
	static const struct {
		const char *name;
		int restart;
	} kinds[] = {
#define PROCESS(id, name, title, main_fn, maps_store, restart) [PROC_##id] = {name, restart},
#include "shm/processes.def"
#undef PROCESS
	};
	struct process_counts n;

	info_refresh();
	info_processes(&n);
	for (int k = 0; k < PROC_KINDS; k++) {
		uint64_t started = atomic_load_explicit(&control->started[k], memory_order_relaxed);
		uint64_t died = atomic_load_explicit(&control->died[k], memory_order_relaxed);
		if (k == PROC_SUPERVISOR)
			started = 1;
		buf_printf(b, "%s:count=%u", kinds[k].name, n.now[k]);
		if (k == PROC_WORKER)
			buf_printf(b, ",busy=%u,spare=%u", n.busy, n.now[k] - n.busy);
		buf_printf(b, ",started=%llu,died=%llu,restarts=%llu\r\n", (unsigned long long)started,
			   (unsigned long long)died,
			   (unsigned long long)(kinds[k].restart == RESTART_ALWAYS && started ? started - 1
						: kinds[k].restart == RESTART_UNCLEAN         ? died
											      : 0));
	}
}

static void section_cluster(struct buf *b)
{
	field_u64(b, "cluster_enabled", 0);
}

static void section_keyspace(struct buf *b)
{
	struct db_stats s;

	for (uint32_t db = 0; db < (uint32_t)config->databases; db++) {
		db_stats(db, &s);
		if (s.keys)
			buf_printf(b, "db%u:keys=%llu,expires=%llu,avg_ttl=%lld\r\n", db, (unsigned long long)s.keys,
				   (unsigned long long)s.expires, (long long)s.avg_ttl);
	}
}

static void section_modules(struct buf *b)
{
	(void)b;
}

/* In the order they are shown; all of them are shown by default. */
static const struct section {
	const char *name, *title;
	void (*append)(struct buf *b);
} sections[] = {
    {"server", "Server", section_server},
    {"clients", "Clients", section_clients},
    {"memory", "Memory", section_memory},
    {"persistence", "Persistence", section_persistence},
    {"stats", "Stats", section_stats},
    {"replication", "Replication", section_replication},
    {"cpu", "CPU", section_cpu},
    {"modules", "Modules", section_modules},
    {"processes", "Processes", section_processes},
    {"cluster", "Cluster", section_cluster},
    {"keyspace", "Keyspace", section_keyspace},
};

static bool wanted(const struct cmd *c, const struct section *s)
{
	for (int i = 1; i < c->argc; i++) {
		const struct arg *a = &c->argv[i];
		if (arg_ieq(a, s->name) || arg_ieq(a, "default") || arg_ieq(a, "everything") ||
		    (arg_ieq(a, "all") && s->append != section_modules))
			return true;
	}
	return c->argc == 1;
}

enum cmd_result cmd_info(struct cmd *c)
{
	struct buf text;

	buf_init(&text);
	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		if (!wanted(c, &sections[i]))
			continue;
		buf_printf(&text, "%s# %s\r\n", text.len ? "\r\n" : "", sections[i].title);
		sections[i].append(&text);
	}
	reply_verbatim(c->out, "txt", text.data, text.len);
	buf_deinit(&text);
	return CMD_DONE;
}
