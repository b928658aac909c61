#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The log that the append only file is made of: who waits for it, and how long; the writer that takes from it stopped, dead, or without a disk.

bats_require_minimum_version 1.5.0
load lib/server

setup() { only_bulkhead; }
teardown() {
    [[ -z ${LOAD:-} ]] || kill "$LOAD" 2>/dev/null || true
    [[ -z ${SERVER_PID:-} ]] || kill -KILL "$SERVER_PID" 2>/dev/null || true
    eventually 10 unlocked || true
    rm -f "/dev/shm/bulkhead.${PORT:-none}.main"
}
unlocked() { [[ ! -e /dev/shm/bulkhead.$PORT.main ]] || flock -n "/dev/shm/bulkhead.$PORT.main" true; }
forget() { rm -f "/dev/shm/bulkhead.$PORT.main"; }
again() { launch --port "$PORT" --dir "$SERVER_DIR" --save "" --enable-debug-command yes --appendonly yes "$@"; }
crash() {
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null || true
    eventually 10 unlocked
}
writer() { pgrep -P "$SERVER_PID" -f 'bulkhead: aof writer'; }
workers() { pgrep -P "$SERVER_PID" -f 'bulkhead: worker '; }
info_is() { [[ $(field "$1" persistence) == "$2" ]]; }
# Ticks of processor time of all these processes together.
ticks() {
    local pid sum=0 stat
    for pid; do
        stat=$(<"/proc/$pid/stat")
        set -- ${stat##*) }
        sum=$((sum + ${12} + ${13}))
    done
    echo "$sum"
}
# idle MOST PID...: within a second these processes need no more ticks than that.
idle() {
    local most=$1 before
    shift
    (($# > 0)) || fail "no process"
    before=$(ticks "$@")
    sleep 1
    (($(ticks "$@") - before <= most)) || fail "needs $(($(ticks "$@") - before)) ticks a second"
}
# stalls: the commands on standard input, a connection each, at the same time: none is answered for a second.
stalls() {
    local command commands n=0
    mapfile -t commands
    for command in "${commands[@]}"; do
        echo "$command" | timeout 1 redis-cli -p "$PORT" >"$BATS_TEST_TMPDIR/reply.$n" 2>&1 3>&- &
        n=$((n + 1))
    done
    wait $(jobs -p | grep -vx "$SERVER_PID") || true
    for ((n = 0; n < ${#commands[@]}; n++)); do
        same "" "$(<"$BATS_TEST_TMPDIR/reply.$n")" "${commands[n]}" || return 1
    done
}
# many_writers N COUNT BYTES [KEYS]: clients, each of which sets values of that size, so many times.
many_writers() {
    redis-benchmark -p "$PORT" -q -c "$1" -n $(($1 * $2)) -d "$3" -r "${4:-100}" -t set >/dev/null 2>&1 3>&- &
    LOAD=$!
}

@test "appendfsync always: what nobody could rely on yet is told to nobody" {
    start_server --appendonly yes --appendfsync always
    expect OK SET old 1
    kill -STOP "$(writer)"
    stalls <<<'SET new 1'
    # What has been there before is not waited for.
    expect '"1"' GET old
    stalls <<'END'
GET new
MGET old new
EXISTS new
SETNX new 2
SET new 2 NX
EXPIRE new 100 XX
COPY new old
RENAMENX old new
INCRBYFLOAT new x
KEYS *
SCAN 0
RANDOMKEY
DBSIZE
OBJECT ENCODING new
DUMP new
DEBUG OBJECT new
END
    # In one pipeline a reply that need not wait is behind one that must.
    same "" "$(printf 'GET new\nGET old\nPING\nQUIT\n' | timeout 0.4 redis-cli -p "$PORT" 2>&1)"
    kill -CONT "$(writer)"
    expect '"1"' GET new
    stop_server
}

@test "clients that wait for the disk can be killed, and do not keep the server from ending; what they wrote is kept" {
    start_server --appendonly yes --appendfsync always --shutdown-timeout 2
    kill -STOP "$(writer)"
    timeout 20 redis-cli -p "$PORT" SET a 1 >"$BATS_TEST_TMPDIR/first" 2>&1 3>&- &
    local first=$! second
    eventually 5 waits set
    expect '(integer) 1' CLIENT KILL TYPE normal SKIPME yes
    eventually 5 dead "$first"
    timeout 20 redis-cli -p "$PORT" SET b 2 >"$BATS_TEST_TMPDIR/second" 2>&1 3>&- &
    second=$!
    eventually 5 waits set
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    eventually 5 dead "$second"
    not grep OK "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
    grep -q 'stays in shared memory' "$SERVER_LOG"
    again --appendfsync always
    expect '"1"' GET a
    expect '"2"' GET b
    stop_server
}
waits() { q CLIENT LIST | grep -q "cmd=$1 "; }

@test "a full ring: writers sleep, readers go on; a command has its time; the end of the server is no race for room" {
    start_server --appendonly yes --shutdown-timeout 2
    expect OK SET a 1
    kill -STOP "$(writer)"
    many_writers 30 10 60000
    eventually 20 standing_still
    expect '"1"' GET a
    expect OK CONFIG SET command-timeout 300
    matches '\(error\) TIMEOUT .*' SET a 2
    expect OK CONFIG SET command-timeout 0
    expect OK DEBUG FSCK
    idle 25 $(workers)
    kill -TERM "$SERVER_PID"
    idle 25 $(workers)
    eventually 15 dead "$SERVER_PID"
    again
    expect '"1"' GET a
    expect OK DEBUG FSCK
    stop_server
}
standing_still() {
    local before after
    before=$(field total_commands_processed) && sleep 0.2 && after=$(field total_commands_processed)
    ((after == before + 1 && after > 20))
}

@test "a disk that is full: the writer does not try without a pause, and PING tells of it" {
    start_server --appendonly yes
    expect OK SET a 1
    local pid
    pid=$(writer)
    prlimit --pid "$pid" --fsize=1000:unlimited
    kill -STOP "$pid"
    many_writers 10 5 60000
    eventually 20 more_than_half
    kill -CONT "$pid"
    eventually 10 info_is aof_last_write_status err
    expect '(error) MISCONF Errors writing to the AOF file: File too large' PING
    expect '(error) MISCONF Errors writing to the AOF file: File too large' PING text
    expect '"1"' GET a
    expect '(error) MISCONF Errors writing to the AOF file: File too large' DEBUG POPULATE 10
    # What logs nothing does not mind.
    expect OK DEBUG FSCK
    expect OK DEBUG SET-ACTIVE-EXPIRE 0
    expect OK DEBUG RELOAD
    expect '"1"' GET a
    expect OK DEBUG SET-ACTIVE-EXPIRE 1
    idle 25 "$pid"
    prlimit --pid "$pid" --fsize=unlimited:unlimited
    eventually 5 info_is aof_last_write_status ok
    expect PONG PING
    expect OK SET a 2
    stop_server
}
more_than_half() { (($(field aof_buffer_length persistence) > 2300000)); }

@test "a full ring beside a full store: the expirer waits for room too" {
    start_server --appendonly yes --maxmemory 10mb --maxmemory-policy allkeys-lru
    many_writers 10 200 20000 5000
    eventually 20 evicts
    kill -STOP "$(writer)"
    eventually 20 standing_still
    idle 25 $(pgrep -P "$SERVER_PID" -f 'bulkhead: expirer')
    kill -CONT "$(writer)"
    wait "$LOAD"
    LOAD=
    same "" "$(q INFO errorstats | grep OOM || true)"
    expect OK DEBUG FSCK
    stop_server
}
evicts() { (($(field evicted_keys stats) > 10)); }

@test "many large values at once: what is in blocks beside the ring stays bounded" {
    start_server --appendonly yes
    local before
    before=$(field used_memory memory)
    kill -STOP "$(writer)"
    redis-benchmark -p "$PORT" -q -c 15 -n 30 -d 10000000 SET one __data__ >/dev/null 2>&1 3>&- &
    LOAD=$!
    eventually 30 standing_still
    # The value, as much as may wait, and what was under way when that was full.
    (($(field used_memory memory) - before < 110000000)) || fail "$(field used_memory memory)"
    expect OK DEBUG FSCK
    kill -CONT "$(writer)"
    wait "$LOAD"
    LOAD=
    eventually 10 info_is aof_buffer_length 0
    (($(field used_memory memory) - before < 20000000)) || fail "$(field used_memory memory)"
    stop_server
}

rewritten() { info_is aof_rewrite_in_progress 0 && info_is aof_rewrite_scheduled 0 && info_is aof_last_write_status ok; }
# All is killed, its memory is lost: what the files hold is what was there.
loses_nothing() {
    local digest
    kill "$LOAD"
    wait "$LOAD" 2>/dev/null || true
    LOAD=
    eventually 10 no_workers
    expect OK DEBUG FSCK
    eventually 20 rewritten
    eventually 10 info_is aof_buffer_length 0
    digest=$(q DEBUG DIGEST)
    crash
    forget
    again
    same "$digest" "$(q DEBUG DIGEST)"
    expect OK DEBUG FSCK
    stop_server
}
no_workers() { (($(q CLIENT LIST | grep -c '^id=') == 1)); }

@test "switched on and off in a loop under load, its writer killed: what it holds in the end is what there is" {
    start_server --appendonly yes
    redis-benchmark -p "$PORT" -q -c 8 -P 4 -n 10000000 -r 500 -d 300 -t set,incr,mset >/dev/null 2>&1 3>&- &
    LOAD=$!
    local i
    for i in {1..12}; do
        expect OK CONFIG SET appendonly no
        ((i % 3)) || expect OK DEBUG FSCK
        expect OK CONFIG SET appendonly yes
        ((i % 2)) || kill -KILL $(writer) 2>/dev/null || true
        ((i % 4)) || expect OK SWAPDB 0 1
    done
    loses_nothing
}

@test "everything flushed and swapped while bases are written and the log is cut" {
    start_server --appendonly yes
    redis-benchmark -p "$PORT" -q -c 8 -P 4 -n 10000000 -r 2000 -d 100 -t set,incr,mset >/dev/null 2>&1 3>&- &
    LOAD=$!
    local i
    for i in {1..12}; do
        q BGREWRITEAOF >/dev/null
        expect OK SWAPDB 0 $((i % 3 + 1))
        ((i % 4)) || expect OK FLUSHALL
        ((i % 3)) || expect OK DEBUG FSCK
        eventually 20 rewritten
    done
    loses_nothing
}

@test "shared memory is gone on with though its append only file is gone: there is a new one" {
    start_server --appendonly yes --appendfsync always
    seq 50 | sed 's/.*/SET k:& v&/' | q >/dev/null
    local digest
    digest=$(q DEBUG DIGEST)
    crash
    rm -r "$SERVER_DIR/appendonlydir"
    again --appendfsync always
    same "$digest" "$(q DEBUG DIGEST)"
    # Who reads waits for nothing that will never come.
    same '"v1"' "$(timeout 10 redis-cli --no-raw -p "$PORT" GET k:1)"
    eventually 10 rewritten
    same OK "$(timeout 10 redis-cli -p "$PORT" SET k:1 again)"
    digest=$(q DEBUG DIGEST)
    crash
    forget
    again
    same "$digest" "$(q DEBUG DIGEST)"
    stop_server
}
