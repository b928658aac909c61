#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What the server counts: commandstats, errorstats, latencystats, SLOWLOG, LATENCY, MEMORY, the sums of INFO.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() {
    empty_server
    q CONFIG SET slowlog-log-slower-than 10000 slowlog-max-len 128 latency-monitor-threshold 0 latency-tracking yes >/dev/null
    q SLOWLOG RESET >/dev/null
    q LATENCY RESET >/dev/null
    q CONFIG RESETSTAT >/dev/null
}

# stat COMMAND FIELD: from commandstats; nothing if the command is not there.
stat() { q INFO commandstats | tr -d '\r' | sed -n "s/^cmdstat_$1:.*\b$2=\([0-9.]*\).*/\1/p"; }
stats() { echo "$(stat "$1" calls) $(stat "$1" rejected_calls) $(stat "$1" failed_calls)"; }

@test "commandstats: calls, rejected and failed ones, by subcommand" {
    q SET k v >/dev/null
    q GET k >/dev/null
    q GET nothing >/dev/null
    q INCR k >/dev/null
    q GET >/dev/null
    q CONFIG GET x >/dev/null
    q CONFIG GET >/dev/null
    q CONFIG >/dev/null
    q CONFIG NOSUCH >/dev/null
    q NOSUCH >/dev/null
    same "1 0 0" "$(stats set)"
    same "2 1 0" "$(stats get)"
    same "1 0 1" "$(stats incr)"
    same "1 1 0" "$(stats 'config|get')"
    same "0 1 0" "$(stats config)"
    same "" "$(stat del calls)"
}

@test "commandstats: a pipeline is counted exactly, whatever its rows" {
    { for i in {1..1000}; do printf 'SET k:%d v\r\nGET k:%d\r\nGET k:%d\r\n' $i $i $i; done; } | redis-cli -p "$PORT" --pipe >/dev/null
    same "1000 0 0" "$(stats set)"
    same "2000 0 0" "$(stats get)"
    (($(stat get usec) > 0))
    { for i in {1..5000}; do printf 'GET k:1\r\n'; done; printf 'DEL k:1\r\nGET\r\n'; } | redis-cli -p "$PORT" --pipe >/dev/null || true
    same "7000 1 0" "$(stats get)"
    same "1 0 0" "$(stats del)"
}

@test "commandstats: more different commands in one connection than a process has room for" {
    local commands=("SET k v" "GET k" "EXISTS k" "STRLEN k" "TYPE k" "TTL k" "PTTL k" "DEL k" "INCR n" "DECR n" "INCRBY n 2"
        "APPEND s x" "MGET k n" "MSET a 1 b 2" "RENAME a c" "EXPIRE k 100" "PERSIST k" "PING" "ECHO x" "TIME" "DBSIZE"
        "KEYS *" "SELECT 0" "RANDOMKEY" "UNLINK b")
    for round in 1 2 3; do printf '%s\n' "${commands[@]}"; done | redis-cli -p "$PORT" >/dev/null
    for name in set get exists strlen type ttl pttl del incr append mget mset expire persist ping time dbsize keys randomkey unlink; do
        same 3 "$(stat $name calls)" "$name"
    done
}

@test "commandstats: the time of a command that waits is its own, not its neighbours'" {
    printf 'PING\nPING\nDEBUG SLEEP 0.6\nPING\n' | tr '\n' '\0' | sed 's/\x00/\r\n/g' | redis-cli -p "$PORT" --pipe >/dev/null
    (($(stat debug usec) >= 500000 && $(stat debug usec) < 5000000))
    (($(stat ping usec) < 400000))
}

@test "commandstats: processes that have ended are counted, however they ended" {
    only_bulkhead
    for i in 1 2 3; do q SET k v >/dev/null; done
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'SET k v\r\nCLIENT ID\r\n' >&"$fd"
    read -r line <&"$fd" && read -r line <&"$fd"
    id=${line//[^0-9]/}
    same 4 "$(stat set calls)"
    pid=$(q CLIENT LIST ID "$id" | sed -n 's/.* pid=\([0-9]*\).*/\1/p')
    kill -KILL "$pid"
    exec {fd}>&-
    eventually 5 counts_clients 1
    same 4 "$(stat set calls)"
}

@test "errorstats: by the first word of the error" {
    q SET k v >/dev/null
    q INCR k >/dev/null
    q NOSUCH >/dev/null
    q GET >/dev/null
    same 3 "$(field total_error_replies)"
    same count=3 "$(field errorstat_ERR)"
    q AUTH nobody x >/dev/null
    same count=1 "$(field errorstat_WRONGPASS)"
    wire '*1\r\n$x\r\n' >/dev/null
    same count=4 "$(field errorstat_ERR)"
    same $'errorstat_ERR\nerrorstat_WRONGPASS' "$(q INFO errorstats | tr -d '\r' | sed -n 's/:.*//p')"
    same 0 "$(field unexpected_error_replies)"
}

@test "CONFIG RESETSTAT: everything that is counted begins anew, also of connections that exist" {
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    asked() { printf '%s\r\n' "$1" >&"$fd" && read -r line <&"$fd"; }
    for i in 1 2 3 4 5; do asked 'SET k v'; done
    asked 'GET'
    q GET k >/dev/null
    same 5 "$(stat set calls)"
    local changed
    changed=$(field rdb_changes_since_last_save)
    expect OK CONFIG RESETSTAT
    same "$changed" "$(field rdb_changes_since_last_save)"
    same "" "$(stat set calls)"
    same "" "$(stat get calls)"
    same "" "$(field errorstat_ERR)"
    same 0 "$(field keyspace_hits)"
    same 0 "$(field total_error_replies)"
    asked 'SET k v'
    same 1 "$(stat set calls)"
    same 1 "$(stat 'config|resetstat' calls)"
    exec {fd}>&-
}

@test "latencystats: percentiles as configured, none while tracking is off" {
    q DEBUG SLEEP 0.02 >/dev/null
    run field 'latency_percentiles_usec_debug'
    [[ $output =~ ^p50=([0-9]+)\.[0-9]{3},p99=([0-9]+)\.[0-9]{3},p99.9=[0-9]+\.[0-9]{3}$ ]] || fail "$output"
    ((BASH_REMATCH[1] > 10000 && BASH_REMATCH[1] < 600000)) || fail "$output"
    expect OK CONFIG SET latency-tracking-info-percentiles '0 33.30 100'
    run field 'latency_percentiles_usec_debug'
    [[ $output =~ ^p0=[0-9.]+,p33.3=[0-9.]+,p100=[0-9.]+$ ]] || fail "$output"
    # Half of the calls and all of them.
    for i in 1 2 3; do q DEBUG SLEEP 0 >/dev/null; done
    q DEBUG SLEEP 0.6 >/dev/null
    expect OK CONFIG SET latency-tracking-info-percentiles '50 100'
    run field 'latency_percentiles_usec_debug'
    [[ $output =~ ^p50=([0-9]+)\.[0-9]+,p100=([0-9]+)\.[0-9]+$ ]] || fail "$output"
    ((BASH_REMATCH[1] < 500000 && BASH_REMATCH[2] >= 500000)) || fail "$output"
    expect OK CONFIG SET latency-tracking-info-percentiles '50 99 99.9'
    expect OK CONFIG SET latency-tracking no
    q DEBUG SLEEP 0 >/dev/null
    same "" "$(q INFO latencystats | grep percentiles || true)"
    same 6 "$(stat debug calls)"
    expect OK CONFIG SET latency-tracking yes
    same $'debug\ncalls\n5' "$(q LATENCY HISTOGRAM debug | head -n 3)"
}

@test "LATENCY HISTOGRAM: cumulated by powers of two, by name, by container, all" {
    q SET k v >/dev/null
    q CONFIG GET x >/dev/null
    q DEBUG SLEEP 0.001 >/dev/null
    q DEBUG SLEEP 0.3 >/dev/null
    run q LATENCY HISTOGRAM debug
    same $'debug\ncalls\n2\nhistogram_usec' "$(printf '%s\n' "${lines[@]:0:4}")"
    [[ ${lines[4]} =~ ^(2113|4227|8454|16908|33816|67633|135266|270532)$ && ${lines[5]} == 1 ]] || fail "$output"
    [[ ${lines[6]} =~ ^(541065|1073741)$ && ${lines[7]} == 2 ]] || fail "$output"
    same 'config|get config|resetstat' "$(q LATENCY HISTOGRAM config | grep config | sort | xargs)"
    same 'set' "$(q LATENCY HISTOGRAM nosuch SET get 'config|nosuch' | head -n 1)"
    same '' "$(q LATENCY HISTOGRAM nosuch)"
    [[ $(q LATENCY HISTOGRAM) == *calls*calls*calls* ]]
}

@test "LATENCY: events are watched from the threshold on" {
    q DEBUG SLEEP 0.01 >/dev/null
    expect '(empty array)' LATENCY LATEST
    expect OK CONFIG SET latency-monitor-threshold 300
    q DEBUG SLEEP 0.5 >/dev/null
    run q LATENCY LATEST
    same command "${lines[0]}"
    ((lines[2] >= 490 && lines[3] >= lines[2]))
    run q LATENCY HISTORY command
    ((${#lines[@]} >= 2 && lines[1] >= 490))
    run q LATENCY GRAPH command
    [[ ${lines[0]} =~ ^command\ -\ high\ [0-9]+\ ms,\ low\ [0-9]+\ ms\ \(all\ time\ high\ [0-9]+\ ms\)$ ]] || fail "$output"
    [[ $(q LATENCY DOCTOR) == *command:*spikes* ]]
    expect '(empty array)' LATENCY HISTORY nosuch
    expect "ERR No samples available for event 'nosuch'" LATENCY GRAPH nosuch
    expect '(integer) 0' LATENCY RESET nosuch fast-command
    expect '(integer) 1' LATENCY RESET command nosuch
    expect '(integer) 0' LATENCY RESET
    expect '(empty array)' LATENCY LATEST
    [[ $(q LATENCY DOCTOR) == *'No latency spike'* ]] || only_bulkhead
}

@test "SLOWLOG: entries with client and words, the latest first" {
    expect OK CONFIG SET slowlog-log-slower-than 0
    printf 'CLIENT SETNAME me\nSET k %s\nDEL %s\n' "$(printf 'x%.0s' {1..300})" "$(seq -s ' ' 40)" | redis-cli -p "$PORT" >/dev/null
    expect OK CONFIG SET slowlog-log-slower-than 1000000
    length=$(q SLOWLOG LEN)
    ((length >= 4))
    run q --no-raw SLOWLOG GET -1
    [[ $output == *'1) "DEL"'*'31) "30"'*'32) "... (10 more arguments)"'*'5) "127.0.0.1:'*'6) "me"'*'3) "xxx'*'x... (172 more bytes)"'* ]] || fail "$output"
    [[ $output != *'(redacted)'* ]]
    ids=$(printf '%s\n' "$output" | sed -n 's/^ *[0-9]*) 1) (integer) //p')
    same "$length" "$(wc -l <<<"$ids")"
    same "$ids" "$(sort -rn <<<"$ids")"
    same "$(head -n 2 <<<"$ids")" "$(q --no-raw SLOWLOG GET 2 | sed -n 's/^ *[0-9]*) 1) (integer) //p')"
    expect '(empty array)' SLOWLOG GET 0
    last=$(head -n 1 <<<"$ids")
    expect OK SLOWLOG RESET
    expect '(integer) 0' SLOWLOG LEN
    expect '(empty array)' SLOWLOG GET
    # Ids go on.
    expect OK CONFIG SET slowlog-log-slower-than 300000
    q DEBUG SLEEP 0.4 >/dev/null
    same $((last + 1)) "$(q SLOWLOG GET 1 | head -n 1)"
}

@test "SLOWLOG: what is quick, or not run, does not come in; -1 switches it off" {
    expect OK CONFIG SET slowlog-log-slower-than 300000
    q SLOWLOG RESET >/dev/null
    q DEBUG SLEEP 0 >/dev/null
    q GET >/dev/null
    q NOSUCH >/dev/null
    expect '(integer) 0' SLOWLOG LEN
    expect OK CONFIG SET slowlog-log-slower-than -1
    q DEBUG SLEEP 0.4 >/dev/null
    expect '(integer) 0' SLOWLOG LEN
    expect OK CONFIG SET slowlog-log-slower-than 300000
    { for i in {1..20}; do printf 'PING\r\n'; done; printf 'DEBUG SLEEP 0.4\r\nPING\r\n'; } | redis-cli -p "$PORT" --pipe >/dev/null
    expect '(integer) 1' SLOWLOG LEN
    same $'DEBUG\nSLEEP\n0.4' "$(q SLOWLOG GET | sed -n 4,6p)"
}

@test "SLOWLOG: slowlog-max-len" {
    expect OK CONFIG SET slowlog-max-len 3 slowlog-log-slower-than 0
    for i in {1..10}; do q ECHO "$i" >/dev/null; done
    expect '(integer) 3' SLOWLOG LEN
    expect OK CONFIG SET slowlog-max-len 0
    q ECHO 1 >/dev/null
    expect '(integer) 0' SLOWLOG LEN
    expect OK CONFIG SET slowlog-log-slower-than 10000
    expect '(error) ERR count should be greater than or equal to -1' SLOWLOG GET -2
    expect '(error) ERR count should be greater than or equal to -1' SLOWLOG GET abc
}

@test "SLOWLOG never shows a password" {
    expect OK CONFIG SET slowlog-log-slower-than 0
    q AUTH s3cret >/dev/null
    q AUTH nobody s3cret >/dev/null
    q HELLO 3 AUTH default s3cret SETNAME shown >/dev/null
    q CONFIG SET maxmemory 0 requirepass s3cret >/dev/null
    REDISCLI_AUTH=s3cret q CONFIG SET requirepass '' >/dev/null
    q HELLO 3 SETNAME x AUTH default s3cret >/dev/null
    local secrets=(masterauth masteruser)
    target_is_redis || secrets+=(tls-key-file-pass tls-client-key-file-pass)
    for name in "${secrets[@]}"; do
        q CONFIG SET "$name" s3cret >/dev/null
        q CONFIG SET timeout 0 "$name" s3cret >/dev/null
        q CONFIG SET "$name" '' >/dev/null
    done
    expect OK CONFIG SET slowlog-log-slower-than 10000
    run q SLOWLOG GET -1
    [[ $output != *s3cret* ]] || fail "$output"
    [[ $output == *shown* && $output == *'(redacted)'* ]]
}

@test "MEMORY USAGE, STATS, DOCTOR, MALLOC-STATS, PURGE" {
    q SET k v >/dev/null
    q SET long "$(printf 'x%.0s' {1..1000})" EX 1000 >/dev/null
    small=$(q MEMORY USAGE k) large=$(q MEMORY USAGE long SAMPLES 5)
    ((small >= 20 && small <= 100 && large > 1000 && large < 1400)) || fail "$small $large"
    expect '(nil)' MEMORY USAGE nothing
    expect '(error) ERR syntax error' MEMORY USAGE k SAMPLES
    expect '(error) ERR syntax error' MEMORY USAGE k BOGUS 1
    expect '(error) ERR syntax error' MEMORY USAGE k SAMPLES -1
    expect '(error) ERR value is not an integer or out of range' MEMORY USAGE k SAMPLES x
    expect '(error) ERR wrong number of arguments for '"'memory|usage' command" MEMORY USAGE
    run q MEMORY STATS
    same $'peak.allocated\nkeys.count\n2' "$(printf '%s\n' "${lines[0]}"; printf '%s\n' "${lines[@]}" | grep -A 1 -x keys.count)"
    expect OK MEMORY PURGE
    [[ -n $(q MEMORY DOCTOR) && -n $(q MEMORY MALLOC-STATS) ]]
}

@test "HELP of SLOWLOG, LATENCY, MEMORY" {
    [[ $(q SLOWLOG HELP) == 'SLOWLOG <subcommand> '*RESET* ]]
    [[ $(q LATENCY HELP) == 'LATENCY <subcommand> '*HISTOGRAM* ]]
    [[ $(q MEMORY HELP) == 'MEMORY <subcommand> '*USAGE* ]]
}

@test "INFO: sections by name, by default, all" {
    sections() { q INFO "$@" | tr -d '\r' | sed -n 's/^# //p' | grep -v Processes | xargs; }
    same 'Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace' "$(sections)"
    same "$(sections)" "$(sections default)"
    same 'Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster Keyspace' \
        "$(sections everything)"
    same "$(sections everything)" "$(sections all)"
    same 'Server Commandstats Keyspace' "$(sections keyspace server COMMANDSTATS nosuch)"
    same '' "$(sections nosuch)"
}

@test "INFO: spare workers are no clients; what is instantaneous is of late" {
    clients_are 1
    same 1 "$(field connected_clients)"
    only_bulkhead
    # A sample of now, a busy half-second, and the rate since.
    q INFO stats >/dev/null
    sleep 0.6
    q INFO stats >/dev/null
    { for i in {1..2000}; do printf 'PING\r\n'; done; } | redis-cli -p "$PORT" --pipe >/dev/null
    sleep 0.6
    (($(field instantaneous_ops_per_sec) > 100))
    quiet() { sleep 0.6; (($(field instantaneous_ops_per_sec) < 50)); }
    eventually 10 quiet
}

@test "INFO: the peak of memory is remembered" {
    head -c 3000000 /dev/zero | tr '\0' x | redis-cli -p "$PORT" -x SET big >/dev/null
    used=$(field used_memory)
    q DEL big >/dev/null
    (($(field used_memory) < used && $(field used_memory_peak) >= used))
}

@test "INFO and LATENCY: what falls due at once" {
    expect OK CONFIG SET latency-monitor-threshold 1
    expect OK DEBUG SET-ACTIVE-EXPIRE 0
    seq 30000 | sed 's/.*/SET key:& v PX 1\r/' | redis-cli -p "$PORT" --pipe >/dev/null
    expect OK DEBUG SET-ACTIVE-EXPIRE 1
    expired() { (($(field expired_keys) == 30000)); }
    eventually 20 expired
    watched() { [[ $(q LATENCY LATEST) == *expire-cycle* ]]; }
    eventually 5 watched
    (($(field expire_cycle_cpu_milliseconds) >= 1))
    same '' "$(q INFO keyspace | grep ^db0 || true)"
}

@test "LATENCY and SLOWLOG: who had to wait for a lock of one that is stopped" {
    only_bulkhead
    start_server --latency-monitor-threshold 100 --slowlog-log-slower-than 100000
    timeout 100 "$ROOT/tests/lib/cancel" stopped_holder "$PORT" "$SERVER_PID" 3>&-
    run q LATENCY HISTORY lock-wait
    ((${#lines[@]} >= 2 && lines[1] >= 100)) || fail "$output"
    (($(field lock_waits) >= 1))
    (($(q SLOWLOG LEN) >= 1))
    [[ $(q LATENCY DOCTOR) == *lock-wait:* ]]
    stop_server
}

@test "INFO: processor time never goes backwards, whoever comes and goes" {
    local i n told=(0 0 0 0) now
    for i in {1..60}; do
        q SET k "$i" >/dev/null
        mapfile -t now < <(q INFO cpu | tr -d '\r.' | sed -n 's/^used_cpu_[a-z]*\(_main_thread\)\?:0*\([0-9]\)/\2/p')
        same 4 ${#now[@]}
        for n in 0 1 2 3; do ((now[n] >= told[n])) || fail "${told[*]}, then ${now[*]}"; done
        told=("${now[@]}")
    done
    ((told[0] + told[1] > 0))
}

@test "INFO: rdb_changes_since_last_save counts each key that a flush removes" {
    changes() {
        local before after
        before=$(field rdb_changes_since_last_save)
        q "$@" >/dev/null
        after=$(field rdb_changes_since_last_save)
        echo $((after - before))
    }
    q FLUSHALL >/dev/null
    same 0 "$(changes FLUSHALL)"
    same 3 "$(changes MSET a 1 b 2 c 3)"
    q -n 3 SET d 4 >/dev/null
    same 3 "$(changes FLUSHDB)"
    same 1 "$(changes FLUSHALL ASYNC)"
    same 0 "$(changes FLUSHDB)"
}
