#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Debian's prometheus-redis-exporter reads the server as it reads redis-server.

load lib/server

# The package is unpacked, not installed: it would start a service.
fetch_exporter() {
    EXPORTER=$(command -v prometheus-redis-exporter) && return
    (
        cd "$BATS_FILE_TMPDIR" || exit 1
        timeout 60 apt-get download -qq prometheus-redis-exporter ||
            { ((EUID == 0)) && timeout 100 apt-get update -qq && timeout 60 apt-get download -qq prometheus-redis-exporter; } || exit 1
        dpkg -x prometheus-redis-exporter_*.deb exporter
    ) >/dev/null 2>&1
    EXPORTER=$BATS_FILE_TMPDIR/exporter/usr/bin/prometheus-redis-exporter
    [[ -x $EXPORTER ]] || EXPORTER=
}

setup_file() {
    fetch_exporter
    export EXPORTER
    shared_server
}
teardown_file() { stop_server; }
setup() {
    [[ -n $EXPORTER ]] || skip "prometheus-redis-exporter cannot be had"
    empty_server
}

teardown() {
    [[ -z ${reference:-} ]] || kill "$reference" 2>/dev/null || true
}

fetch() { python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' "$1" 2>/dev/null; }
answers() { fetch "$1" >/dev/null; }

# scrape REDIS-PORT OUT [OPTION...]: what an exporter of that server shows.
scrape() {
    local port=$1 out=$2 web attempt exporter
    shift 2
    for attempt in 1 2 3 4 5; do
        web=$((30000 + SRANDOM % 2000))
        "$EXPORTER" -redis.addr "redis://127.0.0.1:$port" -web.listen-address "127.0.0.1:$web" "$@" >"$out.log" 2>&1 3>&- &
        exporter=$!
        if eventually 10 answers "http://127.0.0.1:$web/health"; then
            fetch "http://127.0.0.1:$web/metrics" >"$out"
            kill "$exporter" && wait "$exporter" || true
            return
        fi
        kill "$exporter" 2>/dev/null || true
        wait "$exporter" 2>/dev/null || true
    done
    fail "the exporter does not answer:" "$(cat "$out.log")"
}
metric() { sed -n "s/^$1 //p" "$BATS_TEST_TMPDIR/ours"; }

@test "the exporter scrapes without an error" {
    q MSET a 1 b 2 >/dev/null
    q SET c text EX 1000 >/dev/null
    q INCR c >/dev/null || true
    scrape "$PORT" "$BATS_TEST_TMPDIR/ours" -check-keys 'db0=a' -check-single-keys 'db0=b' -export-client-list -include-system-metrics
    same 1 "$(metric redis_up)"
    same 0 "$(metric 'redis_exporter_last_scrape_error{err=""}')"
    same 3 "$(metric 'redis_db_keys{db="db0"}')"
    same 1 "$(metric 'redis_db_keys_expiring{db="db0"}')"
    same 1 "$(metric 'redis_commands_total{cmd="mset"}')"
    same 1 "$(metric redis_connected_clients)"
    (($(metric redis_memory_used_bytes | python3 -c 'print(int(float(input())))') > 0))
    grep -q '^redis_instance_info{.*redis_version="7.0.15"' "$BATS_TEST_TMPDIR/ours"
    not grep -i 'level=err' "$BATS_TEST_TMPDIR/ours.log"
}

@test "the exporter finds the same metrics as with redis-server" {
    local port
    for port in $((22000 + SRANDOM % 1000)) $((22000 + SRANDOM % 1000)) $((22000 + SRANDOM % 1000)); do
        redis-server --port "$port" --save '' --dir "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/redis.log" 2>&1 3>&- &
        reference=$!
        eventually 10 grep -q 'Ready to accept' "$BATS_TEST_TMPDIR/redis.log" && break
    done
    q CONFIG RESETSTAT >/dev/null
    for p in "$PORT" "$port"; do redis-cli -p "$p" SET k v >/dev/null; done
    scrape "$PORT" "$BATS_TEST_TMPDIR/ours" -check-keys 'db0=k'
    scrape "$port" "$BATS_TEST_TMPDIR/theirs" -check-keys 'db0=k'
    names() { sed -n 's/^\(redis_[a-z0-9_]*\).*/\1/p' "$BATS_TEST_TMPDIR/$1" | sort -u; }
    same "$(names theirs)" "$(names ours)"
    # With an append only file, a save, a rewrite, and a limit that evicts.
    for p in "$PORT" "$port"; do
        redis-cli -p "$p" CONFIG SET appendonly yes maxmemory-policy allkeys-lru >/dev/null
        eventually 10 quiet "$p"
        redis-cli -p "$p" SET k w >/dev/null
        redis-cli -p "$p" SAVE >/dev/null
        redis-cli -p "$p" BGREWRITEAOF >/dev/null
        eventually 10 quiet "$p"
    done
    scrape "$PORT" "$BATS_TEST_TMPDIR/ours"
    scrape "$port" "$BATS_TEST_TMPDIR/theirs"
    same "$(names theirs)" "$(names ours)"
    same 1 "$(metric redis_aof_enabled)"
    same 0 "$(metric redis_rdb_changes_since_last_save)"
    (($(metric redis_rdb_last_save_timestamp_seconds | python3 -c 'print(int(float(input())))') > $(date +%s) - 100))
    for name in redis_aof_last_bgrewrite_status redis_aof_last_write_status redis_rdb_last_bgsave_status; do
        same "$(sed -n "s/^$name //p" "$BATS_TEST_TMPDIR/theirs")" "$(metric "$name")" "$name"
    done
}
quiet() { [[ $(redis-cli -p "$1" INFO persistence | tr -d '\r' | grep -cE '^(aof_rewrite_in_progress|aof_rewrite_scheduled|rdb_bgsave_in_progress):0$') == 3 ]]; }
