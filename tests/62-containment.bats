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
    for pid in $kids; do eventually 5 dead "$pid"; done
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
