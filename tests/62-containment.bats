#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Damage stays where it is: checks of the store, reports of crashes, and who is kept out after too many of them.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { only_bulkhead; empty_server; }
# Whatever a test started and did not stop.
teardown() {
    release
    [[ -z ${OWN_PID:-} ]] || kill -KILL "$OWN_PID" 2>/dev/null || true
    [[ -z ${OWN_PORT:-} ]] || rm -f "/dev/shm/bulkhead.$OWN_PORT.main"
}

# own_server OPTION...: a server of this test.
own_server() { start_server "$@" && OWN_PID=$SERVER_PID OWN_PORT=$PORT; }
children() { pgrep -P "$SERVER_PID" || true; }
# kill_server: with all its processes, and waits until they are gone; the store stays.
kill_server() {
    local kids pid
    kids=$(children)
    kill -KILL "$SERVER_PID"
    eventually 5 dead "$SERVER_PID"
    # The gatherer may be in a call of the kernel's that takes long on a busy machine.
    for pid in $kids; do eventually 30 dead "$pid"; done
}
fill() { for i in $(seq "$1"); do echo "SET key:$i value:$i"; done | redis-cli -p "$PORT" | grep -c OK; }

# ---- checks ----

@test "DEBUG FSCK on a store in use" {
    same 500 "$(fill 500)"
    expect OK SET soon x PX 100000
    expect OK DEBUG FSCK
    "$ROOT/tests/lib/hammer" "$PORT" 3>&- &
    hammer=$!
    for i in {1..30}; do expect OK DEBUG FSCK; done
    kill "$hammer"
    wait "$hammer" || true
    expect OK DEBUG FSCK
}

@test "--check of a store that no server has, also one that died in the middle" {
    own_server
    same 300 "$(fill 300)"
    "$ROOT/tests/lib/hammer" "$PORT" 3>&- &
    hammer=$!
    sleep 0.3
    kill_server
    wait "$hammer" || true
    object=/dev/shm/bulkhead.$PORT.main
    before=$(sha256sum <"$object")
    for instance in "$PORT" "bulkhead.$PORT.main" "$object"; do
        run -0 --separate-stderr "$BULKHEAD_SERVER" --check "$instance"
        [[ $output =~ ^OK\ 30[0-9]\ keys,\ [0-9]+\ bytes,\ [0-9]+\ slots\ recovered$ ]] || fail "$output"
    done
    same "$before" "$(sha256sum <"$object")" "the check changed the store"
}

# word OFFSET; put_word OFFSET NUMBER: 64 bits of a copy of a store.
word() { od -An -td8 -N8 -j"$1" "$BATS_TEST_TMPDIR/copy"; }
put_word() {
    local i bytes=
    for i in {0..7}; do printf -v bytes '%s\\x%02x' "$bytes" $(($2 >> i * 8 & 255)); done
    printf "$bytes" | dd of="$BATS_TEST_TMPDIR/copy" bs=8 seek="$1" oflag=seek_bytes conv=notrunc status=none
}

@test "--check says what is damaged" {
    own_server
    same 300 "$(fill 300)"
    kill_server
    object=/dev/shm/bulkhead.$PORT.main
    # Wild bytes over some keys and what is beside them.
    for key in key:7 key:150 key:299; do
        at=$(grep -obUa "${key}value:" "$object" | head -1 | cut -d: -f1)
        cp "$object" "$BATS_TEST_TMPDIR/copy"
        head -c 64 /dev/urandom | dd of="$BATS_TEST_TMPDIR/copy" bs=1 seek="$at" conv=notrunc status=none
        run -1 --separate-stderr "$BULKHEAD_SERVER" --check "$BATS_TEST_TMPDIR/copy"
        [[ $output =~ ^DAMAGED\ at\ 0x[0-9a-f]+:\ .+ ]] || fail "$output"
    done
    # A lock word that names nobody's slot would be waited for.
    cp "$object" "$BATS_TEST_TMPDIR/copy"
    printf '\x07\x00\x00\x00' | dd of="$BATS_TEST_TMPDIR/copy" bs=1 seek=4096 conv=notrunc status=none
    run -1 --separate-stderr timeout 10 "$BULKHEAD_SERVER" --check "$BATS_TEST_TMPDIR/copy"
    [[ $output =~ ^DAMAGED\ at\ 0x1000:\ the\ lock\ of\ heap\ 0\ is\ held\ by\ slot\ 7 ]] || fail "$output"
    # A journal whose first segment follows itself would be read for ever.
    cp "$object" "$BATS_TEST_TMPDIR/copy"
    slot=$(($(word 160) + 4096)) segment=$(($(word 64) + 65536))
    for pair in "$((slot + 8)) 1" "$((slot + 72)) $segment" "$segment $segment" "$((segment + 8)) 0"; do put_word $pair; done
    run -1 --separate-stderr timeout 10 "$BULKHEAD_SERVER" --check "$BATS_TEST_TMPDIR/copy"
    [[ $output =~ ^DAMAGED\ at\ .*\ the\ journal\ of\ a\ slot ]] || fail "$output"
}

@test "--check says why it cannot" {
    check() { run -2 --separate-stderr "$BULKHEAD_SERVER" --check "$@"; }
    check
    [[ $stderr == *'which instance?'* ]]
    check "$PORT" more
    [[ $stderr == *"'more'"* ]]
    check nonsense
    [[ $stderr == *"'nonsense'"* ]]
    check 1
    [[ $stderr == *'there is no store'* ]]
    check /etc/passwd
    [[ $stderr == *'not a store'* ]]
    check "$PORT"
    [[ $stderr == *"in use by process $SERVER_PID"* ]]
    head -c 4096 "/dev/shm/bulkhead.$PORT.main" >"$BATS_TEST_TMPDIR/other"
    printf '\x63\x00\x00\x000.9.9\x00' | dd of="$BATS_TEST_TMPDIR/other" bs=1 seek=8 conv=notrunc status=none
    check "$BATS_TEST_TMPDIR/other"
    [[ $stderr == *'made by Bulkhead 0.9.9, format 99; this is Bulkhead '*', format '* ]]
}

@test "an adopted store is checked while it is served" {
    own_server
    same 300 "$(fill 300)"
    kill_server
    again
    eventually 10 logged 'Check of the store: 300 keys, no damage'
    eventually 5 none_called checker
    expect '"value:7"' GET key:7
    kill_server
    # A byte of a key: it is not where it belongs any more. Said, and the rest is served.
    object=/dev/shm/bulkhead.$PORT.main
    at=$(grep -obUa 'key:150value:' "$object" | head -1 | cut -d: -f1)
    printf '#' | dd of="$object" bs=1 seek="$at" conv=notrunc status=none
    again
    eventually 10 logged '# Check of the store: damaged: at 0x[0-9a-f]+: an item in the wrong place'
    expect '"value:7"' GET key:7
    end_server
}
again() { launch --port "$PORT" --dir "$SERVER_DIR" --save '' && OWN_PID=$SERVER_PID; }
# called NAME: the processes of the server that ps shows so.
called() {
    local p
    for p in $(children); do
        if grep -qa "$1" "/proc/$p/cmdline" 2>/dev/null; then echo "$p"; fi
    done
}
none_called() { [[ -z $(called "$1") ]]; }

# ---- helpers ----

@test "a helper that dies five times in ten seconds is reported, the rest keeps serving" {
    own_server
    expect OK SET k v
    for i in {1..4}; do kill_expirer; done
    if logged 'times within'; then fail "reported too early"; fi
    kill_expirer
    eventually 5 logged 'The expirer died 5 times within [0-9]+ ms'
    expect OK SET k v PX 50
    eventually 5 expirer_is_there
    eventually 5 nothing_left
    # Each time it waited longer: 0, 10, 100, 1000 ms.
    ((SECONDS - start >= 1)) || fail "no back-off"
    expect OK DEBUG FSCK
    stop_server
}
kill_expirer() {
    : "${start:=$SECONDS}"
    eventually 5 expirer_is_there
    local pid
    pid=$(called expirer)
    kill -KILL "$pid"
    eventually 5 dead "$pid"
}
expirer_is_there() { [[ $(called expirer) =~ ^[0-9]+$ ]]; }
nothing_left() { [[ $(q DBSIZE) == 0 ]]; }

# ---- counting ----

@test "100 workers killed from outside: the next INFO counts one client" {
    own_server
    for round in 1 2 3; do
        hold 100
        workers=$(q CLIENT LIST | sed -n '/cmd=client/!s/.* pid=\([0-9]*\).*/\1/p')
        same 100 "$(wc -w <<<"$workers")"
        # The asking client is there before the others die, so that nothing but the request itself takes time.
        exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'PING\r\n' >&"$FD"
        read -r -t 5 _ <&"$FD"
        # shellcheck disable=SC2086
        kill -KILL $workers
        printf 'INFO clients\r\n' >&"$FD"
        while read -r -t 5 line <&"$FD"; do
            [[ $line != connected_clients:* ]] || break
        done
        same connected_clients:1 "${line%$'\r'}"
        exec {FD}>&-
        eventually 5 counts_clients 1
        release
    done
    stop_server
}

# ---- crashes ----

# end_server: after crashes that were meant, so the log is not asked.
end_server() {
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    same '' "$(shm_objects "$PORT")"
}
crash() { r DEBUG SEGFAULT 2>&1 || true; }
logged() { grep -qE -- "$1" "$SERVER_LOG"; }
# connect: an open connection that has been served; sets FD and PID, its worker.
connect() {
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'CLIENT ID\r\n' >&"$FD"
    local id
    read -r -t 5 id <&"$FD"
    id=${id//[^0-9]/}
    PID=$(q CLIENT LIST ID "$id" | sed 's/.* pid=\([0-9]*\).*/\1/')
}

@test "the report of a crash says who, what and where, and no value" {
    own_server
    expect OK SET secret-key secret-value
    [[ $(crash) == *'closed'* ]]
    eventually 5 logged 'The worker [0-9]* was ended by signal 11'
    logged 'crashed by signal: 11, si_code: 1, address: 0x0$'
    logged 'While serving client id=[0-9]+ addr=127\.0\.0\.1:[0-9]+, command debug$'
    logged 'Addresses in the program: 0x[0-9a-f]+ 0x'
    same 1 "$(grep -c 'crashed by signal' "$SERVER_LOG")"
    [[ $(r DEBUG PANIC 2>&1) == *closed* ]]
    eventually 5 logged 'The worker [0-9]* was ended by signal 6'
    logged 'panic at src/cmd/cmd_debug.c:[0-9]*: DEBUG PANIC was called'
    connect
    kill -SEGV "$PID"
    eventually 5 dead "$PID"
    same 3 "$(grep -c 'Addresses in the program' "$SERVER_LOG")"
    if logged secret; then fail "the log has it"; fi
    expect '"secret-value"' GET secret-key
    expect OK DEBUG FSCK
    end_server
}

@test "ten crashes within a minute from one address: it is refused, others are not" {
    own_server --unixsocket "$BATS_TEST_TMPDIR/s"
    for i in {1..9}; do
        [[ $(crash) == *closed* ]]
        expect PONG PING
    done
    crash
    eventually 5 refused
    logged '10 crashes within a minute by clients from 127\.0\.0\.1: refusing that address for a minute'
    for i in {1..5}; do refused; done
    same PONG "$(redis-cli -s "$BATS_TEST_TMPDIR/s" PING)"
    same +PONG "$(from_address 127.0.0.2)"
    same 1 "$(grep -c 'refusing that address' "$SERVER_LOG")"
    rejected=$(redis-cli -s "$BATS_TEST_TMPDIR/s" INFO stats | tr -d '\r' | sed -n 's/^rejected_connections://p')
    ((rejected >= 6)) || fail "$rejected rejected"
    # Who may set the parameter can let the address in again.
    same OK "$(redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET crash-limit 0)"
    eventually 5 served
    for i in {1..12}; do crash; done
    expect PONG PING
    # Clients of the unix socket have no address.
    same OK "$(redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET crash-limit 3)"
    for i in {1..5}; do redis-cli -s "$BATS_TEST_TMPDIR/s" DEBUG SEGFAULT || true; done
    same PONG "$(redis-cli -s "$BATS_TEST_TMPDIR/s" PING)"
    end_server
}
refused() { [[ $(r PING 2>&1) == *'too many processes have crashed'* ]]; }
served() { [[ $(r PING 2>&1) == PONG ]]; }
from_address() {
    python3 -c "
import socket, sys
s = socket.create_connection(('127.0.0.1', $PORT), 5, ('$1', 0))
s.sendall(b'PING\r\n')
print(s.recv(100).decode().strip())"
}

@test "workers that somebody kills are no crashes" {
    own_server --crash-limit 5
    for signal in KILL SEGV ABRT BUS; do
        for i in {1..6}; do
            connect
            kill -"$signal" "$PID"
            eventually 5 dead "$PID"
            exec {FD}>&-
        done
    done
    expect PONG PING
    if logged 'refusing that address'; then fail "the log has it"; fi
    end_server
}
