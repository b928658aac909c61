/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INFO: facts and figures by section, in the shape that Redis's clients and monitors read: its sections and fields in its order, ours
 * after them. Fields of things that do not exist here show what redis-server shows while the thing is off or idle.
 *
 * Runs in workers, without an access: sums over the pages of all processes, which are right to within what changes
 * meanwhile.
 */
#include <inttypes.h>
#include <sys/utsname.h>

#include "args.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/version.h"
#include "info.h"
#include "shm/ring.h"
#include "store/access.h"

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
	static const uint64_t key[2];
	static const char build[] = BULKHEAD_STORE_BUILD " " __VERSION__;
	struct utsname os;
	int64_t now = clock_wall_us(), up = (now / 1000 - control->start_ms) / 1000;

	uname(&os);
	buf_printf(b, "redis_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:%llx\r\n",
		   REDIS_COMPAT_VERSION, (unsigned long long)hash_bytes(build, sizeof build, key));
	buf_printf(b, "redis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n", os.sysname, os.release, os.machine,
		   sizeof(void *) * 8);
	buf_printf(b, "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:process per client\r\n"
		      "atomicvar_api:c11-builtin\r\ngcc_version:%s\r\n", __VERSION__);
	buf_printf(b, "process_id:%d\r\n", control->supervisor_pid);
	field_config(b, "process_supervised", "supervised");
	buf_printf(b, "run_id:%s\r\ntcp_port:%lld\r\n", control->run_id, (long long)config->port);
	buf_printf(b, "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\n", (long long)now,
		   (long long)up, (long long)up / 86400);
	field_config(b, "hz", "hz");
	field_config(b, "configured_hz", "hz");
	field_u64(b, "lru_clock", (uint64_t)(now / 1000000) & 0xffffff);
	buf_printf(b, "executable:%s\r\nconfig_file:%s\r\n", config->executable, config->file);
	field_u64(b, "io_threads_active", 0);
	buf_printf(b, "bulkhead_version:%s\r\n", BULKHEAD_VERSION);
}

static void section_clients(struct buf *b)
{
	struct process_counts n;
	struct client_sums clients;

	info_refresh();
	info_processes(&n);
	info_clients(&clients);
	field_u64(b, "connected_clients", n.busy);
	field_u64(b, "cluster_connections", 0);
	field_u64(b, "maxclients", (uint64_t)config->maxclients);
	field_u64(b, "client_recent_max_input_buffer", clients.max_input);
	field_u64(b, "client_recent_max_output_buffer", clients.max_output);
	field_u64(b, "blocked_clients", clients_waiting());
	field_u64(b, "tracking_clients", 0);
	field_u64(b, "clients_in_timeout_table", 0);
}

static void fields_zero(struct buf *b, const char *const *names)
{
	for (; *names != NULL; names++)
		field_u64(b, *names, 0);
}

/* Scripts and functions: their memory, of which there is none. */
static void append_scripts(struct buf *b)
{
	field_u64(b, "used_memory_lua", 0);
	field_u64(b, "used_memory_vm_eval", 0);
	buf_append_str(b, "used_memory_lua_human:0B\r\n");
	fields_zero(b, (const char *[]){"used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions",
					"number_of_libraries", "used_memory_vm_functions", NULL});
	field_memory(b, "used_memory_vm_total", 0);
	field_u64(b, "used_memory_functions", 0);
	field_memory(b, "used_memory_scripts", 0);
}

/* "allocator_frag_ratio", "allocator_frag_bytes": how much more a is than b. */
static void field_overhead(struct buf *b, const char *ratio_name, const char *bytes_name, uint64_t more, uint64_t less)
{
	buf_printf(b, "%s:%.2f\r\n%s:%lld\r\n", ratio_name, ratio(more, less), bytes_name, (long long)(more - less));
}

static void section_memory(struct buf *b)
{
	struct memory_figures m;

	info_memory(&m);
	field_memory(b, "used_memory", m.used);
	field_memory(b, "used_memory_rss", m.rss);
	field_memory(b, "used_memory_peak", m.peak);
	buf_printf(b, "used_memory_peak_perc:%.2f%%\r\n", ratio(m.used, m.peak) * 100);
	field_u64(b, "used_memory_overhead", m.overhead);
	field_u64(b, "used_memory_startup", m.startup);
	field_u64(b, "used_memory_dataset", m.dataset);
	buf_printf(b, "used_memory_dataset_perc:%.2f%%\r\n", ratio(m.dataset, m.used - m.startup) * 100);
	field_u64(b, "allocator_allocated", m.used);
	field_u64(b, "allocator_active", m.active);
	field_u64(b, "allocator_resident", m.committed);
	field_memory(b, "total_system_memory", m.machine);
	append_scripts(b);
	field_memory(b, "maxmemory", config->maxmemory);
	field_config(b, "maxmemory_policy", "maxmemory-policy");
	field_overhead(b, "allocator_frag_ratio", "allocator_frag_bytes", m.active, m.used);
	field_overhead(b, "allocator_rss_ratio", "allocator_rss_bytes", m.committed, m.active);
	field_overhead(b, "rss_overhead_ratio", "rss_overhead_bytes", m.rss, m.committed);
	field_overhead(b, "mem_fragmentation_ratio", "mem_fragmentation_bytes", m.rss, m.used);
	field_u64(b, "mem_not_counted_for_evict", m.not_counted);
	fields_zero(b, (const char *[]){"mem_replication_backlog",
					"mem_total_replication_buffers", "mem_clients_slaves", NULL});
	field_u64(b, "mem_clients_normal", m.clients);
	field_u64(b, "mem_cluster_links", 0);
	field_u64(b, "mem_aof_buffer", 0);
	buf_append_str(b, "mem_allocator:slab\r\n");
	fields_zero(b, (const char *[]){"active_defrag_running", "lazyfree_pending_objects", "lazyfreed_objects", NULL});
	field_u64(b, "used_memory_store", m.committed);
	field_u64(b, "used_memory_processes", m.processes);
}

/* Only while it lasts. */
static void append_loading(struct buf *b)
{
	const struct persistence_notes *n = &control_commons->persistence;
	int64_t began = atomic_load(&control->persistence.loading_since_ms) / 1000, elapsed = clock_wall_ms() / 1000 - began;
	uint64_t done = atomic_load(&n->load_bytes), total = atomic_load(&n->load_total);
	/* As redis-server: from the bytes and seconds so far, 1 before there are any. */
	int64_t eta = elapsed > 0 && done > 0 && total >= done ? (int64_t)((double)elapsed * (double)(total - done) / (double)done) : 1;

	buf_printf(b, "loading_start_time:%" PRId64 "\r\n", began);
	field_u64(b, "loading_total_bytes", total);
	field_u64(b, "loading_rdb_used_mem", atomic_load(&n->load_used_mem));
	field_u64(b, "loading_loaded_bytes", done);
	buf_printf(b, "loading_loaded_perc:%.2f\r\nloading_eta_seconds:%" PRId64 "\r\n",
		   total ? 100.0 * (double)done / (double)total : 0.0, eta);
}

/* Nothing is copied on write; what takes its place is what a snapshot keeps of what is overwritten. */
static void section_kept(struct buf *b)
{
	bool runs = atomic_load(&control->persistence.save_since_ms) != 0;

	field_u64(b, "current_cow_peak", runs ? atomic_load(&control_commons->persistence.save_retained) : 0);
	field_u64(b, "current_cow_size", runs && store_attached() ? store_retained() : 0);
	field_u64(b, "current_cow_size_age", 0);
}

static void section_saving(struct buf *b)
{
	const struct persistence *p = &control->persistence;
	const struct persistence_notes *n = &control_commons->persistence;
	int64_t since = atomic_load(&p->save_since_ms);
	bool saving = atomic_load(&p->saving);
	uint64_t counts[COUNTERS], saved = atomic_load(&p->changes_saved);

	counts_read(counts);
	uint64_t keys = since ? atomic_load(&n->save_keys) : 0, total = since ? atomic_load(&n->save_total) : 0;
	buf_printf(b, "current_fork_perc:%.2f\r\n", total ? 100.0 * (double)(keys < total ? keys : total) / (double)total : 0.0);
	field_u64(b, "current_save_keys_processed", keys);
	field_u64(b, "current_save_keys_total", total);
	field_u64(b, "rdb_changes_since_last_save", counts[COUNTER_WRITE_COMMANDS] - saved);
	field_u64(b, "rdb_bgsave_in_progress", saving);
	field_u64(b, "rdb_last_save_time", (uint64_t)atomic_load(&p->last_save_s));
	buf_printf(b, "rdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%lld\r\nrdb_current_bgsave_time_sec:%lld\r\n",
		   atomic_load(&p->save_failed) ? "err" : "ok", (long long)atomic_load(&p->last_took_s),
		   saving ? (long long)(clock_wall_ms() - since) / 1000 : -1);
	field_u64(b, "rdb_saves", atomic_load(&p->saves));
}

static void append_aof(struct buf *b)
{
	const struct persistence *p = &control->persistence;
	bool rewriting = p->aof_rewriting, failed = store_attached() && atomic_load(&ring()->failed);

	field_u64(b, "aof_enabled", config->appendonly);
	field_u64(b, "aof_rewrite_in_progress", rewriting);
	field_u64(b, "aof_rewrite_scheduled", p->aof_scheduled);
	buf_printf(b, "aof_last_rewrite_time_sec:%lld\r\naof_current_rewrite_time_sec:%lld\r\n", (long long)p->aof_rewrite_s,
		   rewriting ? (long long)(clock_mono_ms() - p->aof_rewrite_began_ms) / 1000 : -1);
	buf_printf(b, "aof_last_bgrewrite_status:%s\r\n", p->aof_rewrite_failed ? "err" : "ok");
	field_u64(b, "aof_rewrites", p->aof_rewrites);
	field_u64(b, "aof_rewrites_consecutive_failures", p->aof_failures);
	buf_printf(b, "aof_last_write_status:%s\r\n", failed ? "err" : "ok");
}

static void append_aof_sizes(struct buf *b)
{
	struct ring *r = ring();
	bool there = store_attached();

	field_u64(b, "aof_current_size", there ? atomic_load(&r->aof_size) : 0);
	field_u64(b, "aof_base_size", there ? atomic_load(&r->aof_rewrite_size) : 0);
	field_u64(b, "aof_pending_rewrite", 0);
	field_u64(b, "aof_buffer_length", there ? atomic_load(&r->tail) - atomic_load(&r->consumed) : 0);
	field_u64(b, "aof_pending_bio_fsync", there ? atomic_load(&r->aof_syncing) : 0);
	field_u64(b, "aof_delayed_fsync", there ? atomic_load(&r->aof_delayed) : 0);
}

static void section_persistence(struct buf *b)
{
	field_u64(b, "loading", control_is_loading() != 0);
	field_u64(b, "async_loading", 0);
	section_kept(b);
	section_saving(b);
	field_u64(b, "rdb_last_cow_size", atomic_load(&control->persistence.last_kept));
	field_u64(b, "rdb_last_load_keys_expired", atomic_load(&control_commons->persistence.load_expired));
	field_u64(b, "rdb_last_load_keys_loaded", atomic_load(&control_commons->persistence.load_keys));
	append_aof(b);
	fields_zero(b, (const char *[]){"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size", NULL});
	if (config->appendonly)
		append_aof_sizes(b);
	if (control_is_loading())
		append_loading(b);
}

static void field_counter(struct buf *b, const uint64_t counts[COUNTERS], enum counter c)
{
	static const char *const names[] = {
#define COUNTER(id, field) [COUNTER_##id] = field,
#include "shm/counters.def"
#undef COUNTER
	};
	field_u64(b, names[c], counts[c]);
}

static void append_rates(struct buf *b, const struct rates *r)
{
	buf_printf(b, "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n", r->input / 1024,
		   r->output / 1024);
	buf_append_str(b, "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n");
}

/* How long the store has been above its limit without help, ms: in all, and now. */
static void append_over_limit(struct buf *b, uint64_t us)
{
	uint64_t since = atomic_load(&control_commons->over_limit_since), now = clock_mono_ns() / 1000;
	uint64_t current = since != 0 && now > since ? now - since : 0;

	field_u64(b, "total_eviction_exceeded_time", (us + current) / 1000);
	field_u64(b, "current_eviction_exceeded_time", current / 1000);
}

static void section_stats(struct buf *b)
{
	struct rates r;
	uint64_t counts[COUNTERS];

	counts_read(counts);
	info_rates(&r);
	field_counter(b, counts, COUNTER_CONNECTIONS);
	field_counter(b, counts, COUNTER_COMMANDS);
	field_u64(b, "instantaneous_ops_per_sec", (uint64_t)r.commands);
	field_counter(b, counts, COUNTER_NET_IN);
	field_counter(b, counts, COUNTER_NET_OUT);
	fields_zero(b, (const char *[]){"total_net_repl_input_bytes", "total_net_repl_output_bytes", NULL});
	append_rates(b, &r);
	field_counter(b, counts, COUNTER_REJECTED);
	fields_zero(b, (const char *[]){"sync_full", "sync_partial_ok", "sync_partial_err", NULL});
	field_counter(b, counts, COUNTER_EXPIRED);
	/* What is due is deleted in time, not found by sampling. */
	buf_append_str(b, "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n");
	field_u64(b, "expire_cycle_cpu_milliseconds", counts[COUNTER_EXPIRE_US] / 1000);
	field_counter(b, counts, COUNTER_EVICTED);
	field_counter(b, counts, COUNTER_EVICTED_CLIENTS);
	append_over_limit(b, counts[COUNTER_OVER_LIMIT_US]);
	field_counter(b, counts, COUNTER_HITS);
	field_counter(b, counts, COUNTER_MISSES);
	fields_zero(b, (const char *[]){"pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec",
					"total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
					"active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
					"active_defrag_key_misses", "total_active_defrag_time",
					"current_active_defrag_time", "tracking_total_keys", "tracking_total_items",
					"tracking_total_prefixes", "unexpected_error_replies", NULL});
	field_counter(b, counts, COUNTER_ERRORS);
	field_u64(b, "dump_payload_sanitizations", 0);
	field_counter(b, counts, COUNTER_READS);
	field_counter(b, counts, COUNTER_WRITES);
	fields_zero(b, (const char *[]){"io_threaded_reads_processed", "io_threaded_writes_processed",
					"reply_buffer_shrinks", "reply_buffer_expands", NULL});
	for (int c = COUNTER_READ_RETRIES; c < COUNTERS; c++)
		field_counter(b, counts, (enum counter)c);
}

static void section_replication(struct buf *b)
{
	buf_append_str(b, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n");
	buf_printf(b, "master_replid:%s\r\nmaster_replid2:%040d\r\n", control->replication_id, 0);
	buf_append_str(b, "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n");
	field_config(b, "repl_backlog_size", "repl-backlog-size");
	buf_append_str(b, "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
}

static void field_time(struct buf *b, const char *name, int64_t us)
{
	buf_printf(b, "%s:%lld.%06lld\r\n", name, (long long)us / 1000000, (long long)us % 1000000);
}

static void section_cpu(struct buf *b)
{
	struct cpu_times t;

	info_cpu(&t);
	field_time(b, "used_cpu_sys", t.sys);
	field_time(b, "used_cpu_user", t.user);
	field_time(b, "used_cpu_sys_children", t.ended_sys);
	field_time(b, "used_cpu_user_children", t.ended_user);
	field_time(b, "used_cpu_sys_main_thread", t.supervisor_sys);
	field_time(b, "used_cpu_user_main_thread", t.supervisor_user);
}

/* ---- ours ---- */

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

/* In the order they are shown. */
static const struct section {
	const char *name, *title;
	void (*append)(struct buf *b);
	bool rest; /* only when asked for, or all are */
} sections[] = {
    {"server", "Server", section_server, false},
    {"clients", "Clients", section_clients, false},
    {"memory", "Memory", section_memory, false},
    {"persistence", "Persistence", section_persistence, false},
    {"stats", "Stats", section_stats, false},
    {"replication", "Replication", section_replication, false},
    {"cpu", "CPU", section_cpu, false},
    {"modules", "Modules", section_modules, false},
    {"commandstats", "Commandstats", info_commandstats, true},
    {"errorstats", "Errorstats", info_errorstats, false},
    {"latencystats", "Latencystats", info_latencystats, true},
    {"cluster", "Cluster", section_cluster, false},
    {"keyspace", "Keyspace", section_keyspace, false},
    {"processes", "Processes", section_processes, false},
};

static bool wanted(const struct cmd *c, const struct section *s)
{
	for (int i = 1; i < c->argc; i++) {
		const struct arg *a = &c->argv[i];
		if (arg_ieq(a, s->name) || (arg_ieq(a, "default") && !s->rest) || arg_ieq(a, "everything") || arg_ieq(a, "all"))
			return true;
	}
	return c->argc == 1 && !s->rest;
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
