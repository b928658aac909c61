#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The data outlives the server process: what the next start does with what it finds, and replacing the running binary.

bats_require_minimum_version 1.5.0
load lib/server

setup() {
    ! target_is_redis || skip "redis-server's data ends with it"
    start_server
    KEPT_PORT=$PORT
}
teardown() {
    release
    [[ -z ${SERVER_PID:-} ]] || kill -KILL "$SERVER_PID" 2>/dev/null || true
    eventually 10 unlocked || true
    rm -f "/dev/shm/bulkhead.${KEPT_PORT:-none}.main"
}
object() { echo "/dev/shm/bulkhead.$KEPT_PORT.main"; }
# True when no process has the store any more.
unlocked() { [[ ! -e $(object) ]] || flock -n "$(object)" true; }

# again OPTION...: a start of the same instance; true once it is ready.
again() { launch --port "$KEPT_PORT" --dir "${NEXT_DIR:-$SERVER_DIR}" --save "" --enable-debug-command yes "$@"; }
crash() {
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null || true
}
logged() { grep -q "$1" "$SERVER_LOG" || fail "not in the log: $1" "$(tail -n 20 "$SERVER_LOG")"; }
# refused REGEX [OPTION...]: the start fails for that reason, and the object is left as it is.
refused() {
    local before
    before=$(stat -c '%i %Y %s' "$(object)")
    ! again "${@:2}" || fail "it started"
    wait "$SERVER_PID" && fail "status 0"
    logged "$1"
    same "$before" "$(stat -c '%i %Y %s' "$(object)")"
}
# patch OFFSET BYTES: into the object's superblock.
patch() { printf "$2" | dd of="$(object)" bs=1 seek="$1" conv=notrunc status=none; }
offset_of() { grep -obUa -m1 -- "$1" "$(object)" | head -n1 | cut -d: -f1; }
fill() { seq "$1" | sed 's/.*/SET k:& v&/' | q >/dev/null; }

@test "killed with its processes: the next start has all the data" {
    fill 2000
    expect OK SET due soon PX 600
    expect OK SET later x EX 1000
    printf 'SELECT 5\nSET five 5\n' | q >/dev/null
    crash
    again
    logged 'Adopted the data'
    expect '(integer) 2002' DBSIZE
    expect '"v777"' GET k:777
    same $'OK\n5' "$(printf 'SELECT 5\nGET five\n' | q)"
    ((990 < $(q TTL later) && $(q TTL later) <= 1000))
    eventually 5 gone
    expect OK SET new 1
    expect OK DEBUG FSCK
    stop_server
}
gone() { [[ $(q DBSIZE) == 2001 ]]; }

@test "twenty crashes in a row" {
    for i in {1..20}; do
        expect "(integer) $i" INCR counter
        crash
        again
    done
    expect '"20"' GET counter
    expect OK DEBUG FSCK
    stop_server
}

@test "a crash in the middle of commands leaves each done or not done" {
    fill 100
    for _ in 1 2 3 4 5; do
        for value in 1 2; do
            timeout 2 redis-cli -p "$PORT" -r 1000000 MSET a "$value" b "$value" c "$value" >/dev/null 2>&1 3>&- &
        done
        sleep 0.3
        crash
        again
        run q MGET a b c
        same "${lines[0]} ${lines[0]}" "${lines[1]} ${lines[2]}"
    done
    expect '(integer) 103' DBSIZE
    expect OK DEBUG FSCK
    clients_are 1
    expect OK FLUSHALL
    eventually 5 small
    stop_server
}
small() { (($(field used_memory_dataset) < 200000)); }

@test "an orderly stop leaves nothing" {
    fill 10
    stop_server
    again
    expect '(integer) 0' DBSIZE
    stop_server
}

# stop_slowly COMMAND...: the orderly stop that it begins waits for a worker that stands still, until kill -CONT "$STILL".
stop_slowly() {
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'INFO server\r\n' >&7
    timeout 5 grep -q -m1 process_id <&7
    STILL=$(q CLIENT LIST | sed -n 's/.*cmd=info .*pid=\([0-9]*\).*/\1/p')
    kill -STOP "$STILL"
    "$@"
    eventually 5 turned_away
}
turned_away() { ! q PING >/dev/null 2>&1; }

@test "a start while an orderly stop goes on does not bring back what that discards" {
    fill 10
    old=$SERVER_PID
    stop_slowly kill -TERM "$old"
    (sleep 1; kill -CONT "$STILL") 3>&- &
    again
    exec 7>&-
    wait "$old"
    expect '(integer) 0' DBSIZE
    [[ -e $(object) ]]
    stop_server
}

@test "SHUTDOWN WARM keeps the data, SHUTDOWN does not" {
    fill 10
    q SHUTDOWN WARM || true
    eventually 10 dead "$SERVER_PID"
    [[ -e $(object) ]]
    logged 'The data stays in shared memory'
    again
    expect '(integer) 10' DBSIZE
    expect '(error) ERR syntax error' SHUTDOWN WARM ABORT
    q SHUTDOWN NOSAVE || true
    eventually 10 dead "$SERVER_PID"
    [[ ! -e $(object) ]]
}

@test "SHUTDOWN WARM keeps the data although SIGTERM follows it, and SIGINT twice" {
    fill 10
    for signals in TERM "INT INT"; do
        stop_slowly eval 'q SHUTDOWN WARM || true'
        for signal in $signals; do
            kill -s "$signal" "$SERVER_PID"
            sleep 0.1
        done
        kill -CONT "$STILL" || true
        eventually 10 dead "$SERVER_PID"
        exec 7>&-
        logged 'The data stays in shared memory'
        again
        expect '(integer) 10' DBSIZE
    done
    stop_server
}

@test "warm-restart no: the leftover is removed" {
    fill 10
    crash
    again --warm-restart no
    logged 'Removing shared memory .* with all its data: warm-restart is off'
    expect '(integer) 0' DBSIZE
    stop_server
}

@test "data of another instance, or of before the machine's start, is not adopted" {
    fill 10
    crash
    NEXT_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/other.XXXXXX")
    again
    logged "it belongs to the server of port $KEPT_PORT in $SERVER_DIR"
    expect '(integer) 0' DBSIZE
    fill 10
    crash
    patch "$(offset_of "$(cat /proc/sys/kernel/random/boot_id)")" '00000000'
    again
    logged 'older than this start of the machine'
    expect '(integer) 0' DBSIZE
    stop_server
}

@test "another format: refused, both builds are named, nothing is lost" {
    fill 10
    crash
    patch 8 '\x63\x00\x00\x00'
    patch 12 '9.8.7\x00'
    refused 'made by Bulkhead 9.8.7, format 99; this is Bulkhead [0-9.]*, format [0-9]*'
    again --warm-restart no
    expect '(integer) 0' DBSIZE
    stop_server
}

@test "other settings than the data needs: refused, nothing is lost" {
    fill 10
    crash
    refused 'holds the data of a server with 16 databases' --databases 8
    again --maxclients 20000
    expect '(integer) 10' DBSIZE
    stop_server
}

@test "a foreign object of that name stops the start" {
    stop_server
    echo "somebody's notes, at least as long as a store's first words" >"$(object)"
    refused 'exists and is not a store'
    rm "$(object)"
    ln -s /etc/passwd "$(object)"
    not again
    logged 'Cannot open shared memory'
    rm "$(object)"
    ((EUID != 0)) && return
    : >"$(object)"
    chown nobody "$(object)"
    refused 'not a store of this user'
}

@test "what a start that died left is removed" {
    stop_server
    head -c 8192 /dev/zero >"$(object)"
    again
    logged 'which was never finished'
    expect PONG PING
    stop_server
}

@test "two servers never have one store" {
    ((EUID == 0)) || skip "needs a network of its own, so that the port is free"
    fill 10
    first=$SERVER_PID
    run -1 flock -n "$(object)" true
    SERVER_LOG=$(mktemp "$BATS_FILE_TMPDIR/log.XXXXXX")
    run -1 timeout 20 unshare -n "$BULKHEAD_SERVER" --port "$KEPT_PORT" --dir "$SERVER_DIR" --bind '*' --logfile "$SERVER_LOG"
    logged 'is in use by another server'
    expect '(integer) 10' DBSIZE
    SERVER_PID=$first
    stop_server
}

@test "the name is removed while it serves: a line in the log, and it goes on" {
    fill 10
    rm "$(object)"
    eventually 5 grep -q 'Somebody removed the name of shared memory' "$SERVER_LOG"
    expect '(integer) 10' DBSIZE
    expect "(error) ERR The data's shared memory has no name, so it cannot outlive the server" SHUTDOWN WARM
    echo "another's" >"$(object)"
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID"
    [[ -e $(object) ]]
    rm "$(object)"
    again
    expect '(integer) 0' DBSIZE
    stop_server
}

@test "SIGUSR2: the same process with the data, and no client is turned away" {
    fill 1000
    expect OK CONFIG SET spare-workers 2
    for i in {1..150}; do redis-cli -p "$PORT" INCR served || true; done >"$BATS_TEST_TMPDIR/clients" 2>&1 3>&- &
    clients=$!
    for n in 1 2 3; do
        kill -USR2 "$SERVER_PID"
        eventually 10 upgraded "$n"
    done
    wait "$clients"
    # Whoever was being served when the signal came is cut off; nobody is refused.
    cut=$(grep -v '^[0-9]*$' "$BATS_TEST_TMPDIR/clients" || true)
    same '' "$(grep -v 'closed\|reset' <<<"$cut" || true)"
    (($(wc -l <<<"$cut") <= 3))
    alive "$SERVER_PID"
    same "$SERVER_PID" "$(field process_id)"
    expect '(integer) 1001' DBSIZE
    expect OK DEBUG FSCK
    stop_server
}
upgraded() { (($(grep -c 'Ready to accept connections' "$SERVER_LOG") > $1)); }

@test "SIGUSR2 to a server in the background: it still knows its arguments and its password" {
    stop_server
    "$BULKHEAD_SERVER" --port "$KEPT_PORT" --dir "$SERVER_DIR" --requirepass secret --daemonize yes \
        --pidfile "$SERVER_DIR/pid" --logfile "$SERVER_DIR/log" 3>&-
    SERVER_LOG=$SERVER_DIR/log
    eventually 10 upgraded 0
    SERVER_PID=$(<"$SERVER_DIR/pid")
    export REDISCLI_AUTH=secret
    fill 10
    for n in 1 2; do
        kill -USR2 "$SERVER_PID"
        eventually 10 upgraded "$n"
        expect '(integer) 10' DBSIZE
    done
    unset REDISCLI_AUTH
    expect '(error) NOAUTH Authentication required.' DBSIZE
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
}

@test "SIGUSR2: connections wait in the queue meanwhile" {
    hold 30
    kill -USR2 "$SERVER_PID"
    for _ in {1..30}; do expect PONG PING; done
    eventually 10 upgraded 1
    release
    stop_server
}

@test "SIGUSR2 with a binary that cannot go on: refused, the service goes on" {
    stop_server
    mkdir "$BATS_TEST_TMPDIR/bin"
    cp "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/bin/server"
    SERVER_BINARY=$BATS_TEST_TMPDIR/bin/server
    again
    fill 10
    mv "$SERVER_BINARY" "$SERVER_BINARY.old"
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q 'Not upgrading: .* No such file' "$SERVER_LOG"
    printf '#!/bin/sh\necho "9.8.7, format 99"\n' >"$SERVER_BINARY"
    chmod +x "$SERVER_BINARY"
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q 'Not upgrading: .* is Bulkhead 9.8.7, format 99; the data in memory is of Bulkhead' "$SERVER_LOG"
    expect '(integer) 10' DBSIZE
    # It says that it can, twice, and then cannot be executed: the server goes on as it was.
    printf '#!/bin/sh\n[ -e "$0.asked" ] && chmod -x "$0"; touch "$0.asked"; "$0.old" "$@"\n' >"$SERVER_BINARY"
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q 'Not upgraded' "$SERVER_LOG"
    eventually 5 ten_keys
    mv "$SERVER_BINARY.old" "$SERVER_BINARY"
    kill -USR2 "$SERVER_PID"
    eventually 10 upgraded 1
    expect '(integer) 10' DBSIZE
    stop_server
}
ten_keys() { [[ $(q DBSIZE) == 10 ]]; }

@test "SIGUSR2 with a configuration that cannot be read: refused, the service goes on" {
    stop_server
    local conf=$BATS_TEST_TMPDIR/conf
    echo "maxclients 100" >"$conf"
    "$BULKHEAD_SERVER" "$conf" --port "$KEPT_PORT" --dir "$SERVER_DIR" --daemonize yes --pidfile "$SERVER_DIR/pid" --logfile "$SERVER_DIR/log" 3>&-
    SERVER_LOG=$SERVER_DIR/log
    eventually 10 upgraded 0
    SERVER_PID=$(<"$SERVER_DIR/pid")
    fill 10
    echo "no-such-thing 1" >>"$conf"
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q "Not upgrading: .* at line 2 of $conf .*no-such-thing" "$SERVER_LOG"
    expect '(integer) 10' DBSIZE
    rm "$conf"
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q "Not upgrading: .*$conf.* No such file" "$SERVER_LOG"
    expect '(integer) 10' DBSIZE
    echo "maxclients 101" >"$conf"
    kill -USR2 "$SERVER_PID"
    eventually 10 upgraded 1
    expect '(integer) 10' DBSIZE
    same 101 "$(q CONFIG GET maxclients | tail -n 1)"
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
}

@test "SIGUSR2 with a configuration by which the data would be another: refused, the service goes on" {
    stop_server
    local file=$BATS_TEST_TMPDIR/server.conf
    right() { printf 'port %s\ndir %s\nsave ""\nenable-protected-configs yes\n' "$KEPT_PORT" "$SERVER_DIR" >"$file"; }
    unable() { # LINE REGEX
        right
        echo "$1" >>"$file"
        kill -USR2 "$SERVER_PID"
        eventually 10 grep -q "Not upgrading: $2" "$SERVER_LOG"
        expect '(integer) 10' DBSIZE
    }
    right
    launch "$file"
    fill 10
    unable "dir $BATS_TEST_TMPDIR" "the data is that of the server of port $KEPT_PORT in $SERVER_DIR, .* is that of port $KEPT_PORT in $BATS_TEST_TMPDIR,"
    unable "port 7" ".* the next one is that of port 7 in "
    unable "databases 5" ".* with 16 databases .* wants 5 and "
    right
    expect OK CONFIG SET dir "$BATS_TEST_TMPDIR"
    expect OK CONFIG REWRITE
    kill -USR2 "$SERVER_PID"
    eventually 10 refused_again
    same 0 "$(grep -c 'Executing' "$SERVER_LOG")"
    right
    echo "timeout 7" >>"$file"
    kill -USR2 "$SERVER_PID"
    eventually 10 upgraded 1
    expect '(integer) 10' DBSIZE
    same 7 "$(q CONFIG GET timeout | tail -n 1)"
    stop_server
}
refused_again() { (($(grep -c 'Not upgrading' "$SERVER_LOG") == 4)); }

@test "SIGUSR2 after CONFIG SET requirepass: refused, for the next binary would not know it" {
    expect OK CONFIG SET requirepass secret
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q 'Not upgrading: requirepass was changed' "$SERVER_LOG"
    expect '(error) NOAUTH Authentication required.' PING
    same OK "$(q --pass secret --no-auth-warning CONFIG SET requirepass '')"
    kill -USR2 "$SERVER_PID"
    eventually 10 upgraded 1
    stop_server
}

@test "SIGUSR2 with the configuration from standard input: refused" {
    stop_server
    for arguments in "-" "- --maxclients 100"; do
        SERVER_LOG=$(mktemp "$BATS_FILE_TMPDIR/log.XXXXXX")
        # shellcheck disable=SC2086
        "$BULKHEAD_SERVER" $arguments <<<"port $KEPT_PORT
dir $SERVER_DIR" >"$SERVER_LOG" 2>&1 3>&- &
        SERVER_PID=$!
        eventually 10 started_or_dead
        kill -USR2 "$SERVER_PID"
        eventually 10 grep -q 'Not upgrading: the configuration was read from standard input' "$SERVER_LOG"
        expect PONG PING
        stop_server
    done
}

@test "memory without a name: a warm end is refused, an upgrade is not" {
    ((EUID == 0)) || skip "needs a small file system of its own"
    stop_server
    small=$(mktemp -d "$BATS_TEST_TMPDIR/small.XXXXXX")
    mount -t tmpfs -o size=1m none "$small" || skip "no file system can be mounted here"
    again --shm-dir "$small"
    logged 'the data cannot outlive the server process'
    fill 10
    expect "(error) ERR The data's shared memory has no name, so it cannot outlive the server" SHUTDOWN WARM
    kill -USR2 "$SERVER_PID"
    eventually 10 upgraded 1
    expect '(integer) 10' DBSIZE
    stop_server
    umount "$small"
}
