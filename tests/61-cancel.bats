#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Ending what runs: CLIENT KILL, command-timeout, lock-timeout, and a machine that stands still.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }
teardown() { [[ -z ${OWN_PID:-} ]] || kill -KILL "$OWN_PID" 2>/dev/null || true; }

own_server() { start_server "$@" && OWN_PID=$SERVER_PID; }
scenario() { timeout 100 "$ROOT/tests/lib/cancel" "$1" "$PORT" "$SERVER_PID" 3>&-; }

# ---- CLIENT KILL ----

@test "CLIENT KILL takes the filters of redis-server and answers like it" {
    same "$("$ROOT/tests/lib/kill_forms" redis-server)" "$("$ROOT/tests/lib/kill_forms" "$BULKHEAD_SERVER")"
}

@test "CLIENT KILL: options" {
    expect '(error) ERR No such client' CLIENT KILL 127.0.0.1:1
    expect '(integer) 0' CLIENT KILL ID 999999
    expect '(integer) 0' CLIENT KILL TYPE pubsub
    expect '(error) ERR client-id should be greater than 0' CLIENT KILL ID 0
    expect '(error) ERR Unknown client type '\''x'\' CLIENT KILL TYPE x
    expect '(error) ERR No such user '\''x'\' CLIENT KILL USER x
    expect '(error) ERR syntax error' CLIENT KILL SKIPME maybe
}

@test "CLIENT KILL: a client that kills itself is answered first" {
    # Who asked before may still be on its way out.
    [[ $(session <<<'CLIENT KILL TYPE normal SKIPME no') == '(integer) '[1-9] ]]
}

@test "CLIENT KILL in the middle of an MSET: undone, and in effect when it answers" {
    only_bulkhead
    scenario kill_mset
}

@test "CLIENT KILL in the middle of a DEL: undone, and in effect when it answers" {
    only_bulkhead
    scenario kill_del
}

@test "CLIENT KILL of a hundred clients, idle, busy and stopped: the next INFO counts one" {
    only_bulkhead
    scenario kill_many
}

@test "clients that kill each other hang nobody" { only_bulkhead && scenario each_other; }

@test "a client that was killed is no accident in the log, nor in INFO" {
    only_bulkhead
    own_server
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    clients_are 2
    # Not by type: who has asked last may still be on its way out.
    expect '(integer) 1' CLIENT KILL ID "$(q CLIENT LIST | sed -n '1s/^id=\([0-9]*\) .*/\1/p')"
    exec {FD}>&-
    [[ $(q INFO processes) =~ worker:[^$'\n']*died=0 ]]
    not grep 'was ended by signal' "$SERVER_LOG"
    stop_server
}

# ---- command-timeout ----

@test "command-timeout: a write is undone, the connection stays" { only_bulkhead && scenario timeout_writes; }
@test "command-timeout: KEYS, SCAN, MGET, DEBUG SLEEP" { only_bulkhead && scenario timeout_reads; }
@test "command-timeout: values of 512 MB" { only_bulkhead && scenario timeout_long_values; }
@test "command-timeout: waiting for a lock" { only_bulkhead && scenario timeout_waiting; }
@test "command-timeout: FLUSHALL has happened or has not" { only_bulkhead && scenario timeout_flush; }
@test "command-timeout: lowered while a command runs, it cancels that one" { only_bulkhead && scenario timeout_lowered; }
@test "command-timeout: DEBUG FSCK" { only_bulkhead && scenario timeout_fsck; }
@test "command-timeout: short commands in a row are not one long one" { only_bulkhead && scenario timeout_busy; }

@test "command-timeout 0: a command runs as long as it likes" {
    only_bulkhead
    expect OK CONFIG SET command-timeout 20
    same '(error) TIMEOUT The command ran longer than command-timeout and was undone.' "$(r DEBUG SLEEP 0.5)"
    expect OK CONFIG SET command-timeout 0
    expect OK DEBUG SLEEP 0.2
}

# ---- lock-timeout ----

@test "a process that is stopped while others wait for its locks is killed after lock-timeout" {
    only_bulkhead
    own_server
    scenario stopped_holder
    grep -q 'has been stopped for .* while others wait' "$SERVER_LOG"
    stop_server
}

@test "lock-timeout 0: it is left alone" {
    only_bulkhead
    own_server --lock-timeout 0
    scenario left_alone
    not grep 'has been stopped for' "$SERVER_LOG"
    stop_server
}

@test "a process that is stopped without a lock that others want is left alone" { only_bulkhead && scenario stopped_without_lock; }
@test "a holder that is slow, or stepped through, is left alone" { only_bulkhead && scenario slow_holder; }

@test "a medic that is stopped while others wait for what it is to free is killed" {
    only_bulkhead
    own_server
    scenario stopped_medic
    stop_server
}

@test "all processes stopped for 5 s and continued in any order: nobody is killed" {
    only_bulkhead
    own_server
    scenario frozen
    not grep -E 'was ended|is killed' "$SERVER_LOG"
    stop_server
}
