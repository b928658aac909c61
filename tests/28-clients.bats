#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What a client is told, may choose, and has to wait for: CLIENT and its subcommands, RESET, CLIENT PAUSE, limits of a connection.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }
teardown() {
    release
    [[ -z ${OWN_PID:-} ]] || kill -KILL "$OWN_PID" 2>/dev/null || true
    [[ -z ${KEPT_PORT:-} ]] || rm -f "/dev/shm/bulkhead.$KEPT_PORT.main"
}

own_server() { start_server "$@" && OWN_PID=$SERVER_PID; }
scenario() { timeout 100 "$ROOT/tests/lib/clients" "$1" "$PORT" "$SERVER_PID" 3>&-; }

# ---- CLIENT PAUSE ----

@test "CLIENT PAUSE WRITE: writes wait, reads go on, UNPAUSE lets go" { scenario pause_write; }
@test "CLIENT PAUSE ALL: everything waits, to the end of its time" { scenario pause_all; }
@test "CLIENT PAUSE twice: the longer end and the stricter mode" { scenario pause_twice; }
@test "CLIENT PAUSE: nothing expires" { scenario pause_holds_expiry; }

@test "CLIENT PAUSE: when it answers no write of others commits any more" {
    only_bulkhead
    scenario pause_stops_writers
}
@test "CLIENT PAUSE holds up DEBUG POPULATE in the middle" {
    only_bulkhead
    scenario pause_holds_populate
}
@test "CLIENT PAUSE undoes what is in the middle, though its process is stopped" {
    only_bulkhead
    own_server
    scenario pause_undoes
    expect OK DEBUG FSCK
    stop_server
}
@test "CLIENT PAUSE: who waits may hang up, be killed, or die" {
    only_bulkhead
    scenario pause_leavers
}
@test "CLIENT PAUSE: who asks for it dies before the answer" {
    only_bulkhead
    scenario pauser_dies
}

@test "CLIENT PAUSE: the server stops, and a client waits" {
    own_server
    expect OK SET x 1
    expect OK CLIENT PAUSE 600000 WRITE
    q SET x 2 >"$BATS_TEST_TMPDIR/waiting" 2>&1 3>&- &
    eventually 10 one_waits
    stop_server
    not grep -q OK "$BATS_TEST_TMPDIR/waiting"
}
one_waits() { [[ $(field blocked_clients) == 1 ]]; }

@test "CLIENT PAUSE does not outlive the server" {
    only_bulkhead
    own_server
    KEPT_PORT=$PORT
    expect OK SET x 1
    expect OK CLIENT PAUSE 600000 WRITE
    q SET x 2 >/dev/null 2>&1 3>&- &
    eventually 10 one_waits
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null || true
    launch --port "$KEPT_PORT" --dir "$SERVER_DIR" --save "" --enable-debug-command yes
    OWN_PID=$SERVER_PID
    expect '"1"' GET x
    expect OK SET x 3
    expect OK DEBUG FSCK
    stop_server
}

@test "CLIENT PAUSE: the time of waiting is not the command's, nor command-timeout's" {
    only_bulkhead
    own_server --command-timeout 100
    expect OK CLIENT PAUSE 400 WRITE
    expect OK SET x 1
    stop_server
}

@test "CLIENT UNBLOCK: nobody is blocked" {
    expect '(integer) 0' CLIENT UNBLOCK 1
    expect '(integer) 0' CLIENT UNBLOCK 999999 ERROR
    expect '(error) ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR' CLIENT UNBLOCK 1 x
}

# ---- what a connection chooses ----

@test "CLIENT REPLY" {
    same +PONG "$(wire 'CLIENT REPLY SKIP\r\nFOO\r\nPING\r\n')"
    same $'+OK\n+PONG' "$(wire 'CLIENT REPLY OFF\r\nPING\r\nGET\r\nCLIENT REPLY ON\r\nPING\r\n')"
    same $'+RESET\n+PONG' "$(wire 'CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING\r\n')"
    same '-ERR syntax error' "$(wire 'CLIENT REPLY x\r\n')"
}

@test "CLIENT REPLY OFF: an unheard QUIT, and an unheard protocol error, still end the connection" {
    only_bulkhead
    same '' "$(wire 'CLIENT REPLY OFF\r\nQUIT\r\nPING\r\n')"
    same '' "$(wire 'CLIENT REPLY OFF\r\n*x\r\nPING\r\n')"
}

@test "CLIENT NO-EVICT and NO-TOUCH show in CLIENT INFO" {
    only_bulkhead
    same $'OK\nOK\nflags=eT' "$(session <<<$'CLIENT NO-EVICT ON\nCLIENT NO-TOUCH ON\nCLIENT INFO' | sed 's/.*\(flags=[A-Za-z]*\).*/\1/')"
    same flags=N "$(session <<<$'CLIENT NO-EVICT ON\nCLIENT NO-TOUCH ON\nRESET\nCLIENT NO-EVICT OFF\nCLIENT INFO' | tail -n1 |
        sed 's/.*\(flags=[A-Za-z]*\).*/\1/')"
    expect '(error) ERR syntax error' CLIENT NO-EVICT x
    expect '(error) ERR syntax error' CLIENT NO-TOUCH x
}

@test "CLIENT NO-TOUCH: what is read does not count as used" {
    only_bulkhead
    expect OK SET x 1
    eventually 10 idle_for 2
    session <<<$'CLIENT NO-TOUCH ON\nGET x\nMGET x x' >/dev/null
    idle_for 2 || fail "$(q OBJECT IDLETIME x)"
    session <<<$'CLIENT NO-TOUCH ON\nCLIENT NO-TOUCH OFF\nGET x' >/dev/null
    ! idle_for 2 || fail "$(q OBJECT IDLETIME x)"
}
idle_for() { (($(q OBJECT IDLETIME x) >= $1)); }

@test "CLIENT TRACKING: off, and to turn it on is an error" {
    expect OK CLIENT TRACKING OFF
    expect '(integer) -1' CLIENT GETREDIR
    expect $'1) "flags"\n2) 1) "off"\n3) "redirect"\n4) (integer) -1\n5) "prefixes"\n6) (empty array)' CLIENT TRACKINGINFO
    matches '\(error\) ERR CLIENT CACHING .*' CLIENT CACHING YES
    only_bulkhead
    matches '\(error\) ERR CLIENT TRACKING is not supported.*' CLIENT TRACKING ON
}

@test "RESET makes the connection what it was" {
    same $'OK\nOK\nRESET\n(nil)\n(nil)' "$(session <<<$'SELECT 3\nCLIENT SETNAME me\nRESET\nCLIENT GETNAME\nGET x')"
    only_bulkhead
    same 'name= db=0 resp=2' "$(session <<<$'SELECT 3\nCLIENT SETNAME me\nHELLO 3\nRESET\nCLIENT INFO' | tail -n1 |
        sed 's/.*\(name=[^ ]*\).*\( db=[0-9]*\).*\( resp=[0-9]\).*/\1\2\3/')"
}

@test "READONLY, READWRITE, ASKING: there is no cluster" {
    for word in READONLY READWRITE ASKING; do
        expect '(error) ERR This instance has cluster support disabled' "$word"
    done
}

# ---- every process acts on it ----

@test "FLUSHALL and SWAPDB: whoever asks after the answer sees what they did" { scenario everybody_sees_flush; }

# ---- limits of a connection ----

@test "client-output-buffer-limit: a reply over the hard limit" {
    own_server
    scenario output_hard
    stop_server
}
@test "client-output-buffer-limit: over the soft limit for too long" {
    own_server
    scenario output_soft
    stop_server
}
@test "client-query-buffer-limit" {
    own_server
    scenario query_buffer
    stop_server
}
@test "timeout: who is idle or does not read is closed, who waits for the end of a pause is not" {
    own_server
    scenario timeout
    stop_server
}
@test "tcp-keepalive" {
    own_server
    scenario keepalive
    stop_server
}

@test "maxclients lowered below what is there: who is there stays, nobody else comes in" {
    own_server --maxclients 10
    hold 6
    expect OK CONFIG SET maxclients 3
    expect '(error) ERR max number of clients reached' PING
    alive "$HOLDER"
    release
    eventually 10 ping_answers
    stop_server
}
ping_answers() { [[ $(q PING 2>&1) == PONG ]]; }

@test "protected-mode: without a password only this machine is let in" {
    local address
    read -r address _ <<<"$(hostname -I)"
    [[ -n $address ]] || skip "the machine has no address but loopback"
    own_server
    from_outside() { redis-cli -h "$address" -p "$PORT" "$@" 2>&1; }
    [[ $(from_outside PING) == *DENIED* ]]
    expect PONG PING
    expect OK CONFIG SET protected-mode no
    same PONG "$(from_outside PING)"
    expect OK CONFIG SET protected-mode yes
    expect OK CONFIG SET requirepass secret
    [[ $(from_outside PING) == NOAUTH* ]]
    same PONG "$(from_outside --no-auth-warning -a secret PING)"
    stop_server
}
