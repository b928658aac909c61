#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What a service manager sees of the server: its log, its state, its titles, its scripts.

bats_require_minimum_version 1.5.0
load lib/server

setup() { only_bulkhead; }
# Whatever a test started and did not stop.
teardown() {
    release
    [[ -z ${FD:-} ]] || exec {FD}>&-
    [[ -z ${SERVER_PID:-} ]] || ! alive "$SERVER_PID" || kill -KILL "$SERVER_PID" 2>/dev/null || true
    if [[ -n ${SERVER_PID:-} ]]; then
        # Its processes end with it; then its memory can go.
        wait "$SERVER_PID" 2>/dev/null || true
        rm -f "/dev/shm/bulkhead.$PORT.main"
    fi
}

# logged_server OPTION...: a server that logs to a file; sets LOG besides what start_server does.
logged_server() {
    local attempt
    SERVER_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/dir.XXXXXX") LOG=$SERVER_DIR/server.log SERVER_LOG=$LOG
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        : >"$LOG"
        setpriv --pdeathsig TERM "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --logfile server.log --save "" \
            --enable-debug-command yes "$@" >"$SERVER_DIR/out" 2>&1 </dev/null 3>&- &
        SERVER_PID=$!
        eventually 30 started_or_dead
        ! grep -qi 'ready to accept connections' "$LOG" || return 0
    done
    fail "the server did not start:" "$(tail -n 20 "$LOG" "$SERVER_DIR/out")"
}

children() { pgrep -P "$SERVER_PID" || true; }

# ---- log ----

# nobody_has FILE: no process of the server has it open.
nobody_has() {
    local pid
    for pid in "$SERVER_PID" $(children); do
        ! ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF -- "-> $1" || return 1
    done
}

@test "SIGHUP opens the log again, in every process" {
    logged_server --loglevel verbose
    hold 5
    clients_are 6
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
    grep -q 'SIGHUP' "$LOG"
    # A line of a process that was there before: its client makes a mistake in the protocol.
    release
    clients_are 1
    same 0 "$(grep -c 'crashed' "$LOG" || true)"
    stop_server
    grep -q 'bye bye' "$LOG"
    ! grep -q 'bye bye' "$LOG.1"
}

@test "a client's process that was there before SIGHUP writes to the new log" {
    logged_server --loglevel verbose
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    clients_are 2
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
    printf '*1\r\n!x\r\n' >&"$FD"
    eventually 5 grep -q 'Protocol error' "$LOG"
    ! grep -q 'Protocol error' "$LOG.1"
    # What its crash has to say too.
    exec {FD}>&-
    q DEBUG SEGFAULT || true
    eventually 5 grep -q 'crashed by signal: 11' "$LOG"
}

@test "a client that reads nothing does not keep the old log open" {
    logged_server
    head -c 1000000 /dev/zero | q -x SET big >/dev/null
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    for i in {1..40}; do printf 'GET big\r\n' >&"$FD"; done
    eventually 10 unsent
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
}
unsent() { q CLIENT LIST | grep 'cmd=get ' | grep -qv ' obl=0 '; }

@test "a log that is copied and truncated goes on at its beginning" {
    logged_server
    cp "$LOG" "$LOG.1"
    truncate -s 0 "$LOG"
    kill -HUP "$SERVER_PID"
    eventually 10 grep -q 'SIGHUP' "$LOG"
    (($(stat -c %s "$LOG") < 1000))
}

@test "a log that cannot be opened again goes on in the old file" {
    logged_server
    mv "$LOG" "$LOG.1"
    mkdir "$LOG"
    kill -HUP "$SERVER_PID"
    eventually 10 grep -q "Can't open the log file again" "$LOG.1"
    rmdir "$LOG"
    LOG=$LOG.1 SERVER_LOG=$LOG.1
    stop_server
    grep -q 'bye bye' "$LOG"
}
