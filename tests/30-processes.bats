#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Who runs: a process for each client, sockets, limits, and every way to stop.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }
# Whatever a test started and did not stop.
teardown() {
    release
    [[ -z ${OWN_PID:-} ]] || kill -KILL "$OWN_PID" 2>/dev/null || true
}

# own_server OPTION...: a server of this test.
own_server() { start_server "$@" && OWN_PID=$SERVER_PID; }

# children: the processes of the server, spare workers and helpers included.
children() { pgrep -P "$SERVER_PID" || true; }
client_pid() { q CLIENT LIST | sed -n "s/.* name=$1 .* pid=\([0-9]*\).*/\1/p"; }

# connect NAME: an open connection that has been served; sets FD.
connect() {
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'CLIENT SETNAME %s\r\n' "$1" >&"$FD"
    local line
    read -r -t 5 line <&"$FD"
    same +OK "${line%$'\r'}"
}
# ask COMMAND: over that connection; prints one line of reply.
ask() {
    printf '%s\r\n' "$*" >&"$FD"
    local line
    read -r -t 10 line <&"$FD" || return 1
    echo "${line%$'\r'}"
}

@test "every client has a process of its own" {
    only_bulkhead
    connect one
    first=$FD one=$(client_pid one)
    connect two
    two=$(client_pid two)
    ((one != two && one != SERVER_PID && two != SERVER_PID))
    alive "$one"
    alive "$two"
    exec {first}>&-
    eventually 5 dead "$one"
    alive "$two"
    exec {FD}>&-
    eventually 5 dead "$two"
}

@test "a worker with a client has its connection, the log, the store and the channel, nothing else" {
    only_bulkhead
    connect one
    fds=$(find "/proc/$(client_pid one)/fd" -mindepth 1 -printf '%f %l\n' | grep -v '^[012] ')
    same 3 "$(wc -l <<<"$fds")" "$fds"
    same 2 "$(grep -c socket <<<"$fds")" "$fds"
    exec {FD}>&-
}

@test "ps says who is who" {
    only_bulkhead
    connect shown
    run ps -o args= -p "$(client_pid shown)"
    [[ $output =~ bulkhead:\ worker\ 127\.0\.0\.1:[0-9]+.*user=default.*store=main ]]
    exec {FD}>&-
}

@test "spare workers are forked ahead" {
    only_bulkhead
    own_server
    eventually 5 spares_are_there
    hold 20
    eventually 5 spares_are_there
    release
    stop_server
}
spares_are_there() {
    local clients all
    clients=$(q CLIENT LIST | grep -c '^id=') all=$(children | wc -l)
    ((all > clients))
}

@test "fewer spare workers when spare-workers is lowered" {
    only_bulkhead
    own_server
    expect OK CONFIG SET spare-workers 40
    eventually 10 children_are_at_least 41
    expect OK CONFIG SET spare-workers 4
    eventually 20 children_are_at_most 25
    stop_server
}
children_are_at_least() { (($(children | wc -l) >= $1)); }
children_are_at_most() { (($(children | wc -l) <= $1)); }

@test "a worker that is killed takes only its client along" {
    only_bulkhead
    connect victim
    victim=$FD pid=$(client_pid victim)
    connect other
    same +OK "$(ask SET before 1)"
    kill -KILL "$pid"
    eventually 5 dead "$pid"
    for i in {1..20}; do same +OK "$(ask SET after "$i")"; done
    expect '"1"' GET before
    # The victim's connection is closed.
    run -1 read -r -t 5 -u "$victim" _
    eventually 5 not_listed victim
    exec {victim}>&- {FD}>&-
}
not_listed() { [[ -z $(client_pid "$1") ]]; }

@test "workers killed in the middle of writing leave whole values and no lock" {
    only_bulkhead
    for round in {1..15}; do
        "$ROOT/tests/lib/hammer" "$PORT" 3>&- &
        hammer=$!
        eventually 10 all_hammer
        for pid in $(hammers); do kill -KILL "$pid"; done
        wait "$hammer" || true
        # Each MSET wrote the same value to its keys.
        [[ $(timeout 10 redis-cli -p "$PORT" MGET h:1 h:2 h:3 h:4 | sort -u | wc -l) == 1 ]] || fail "round $round: half a command"
        same OK "$(timeout 10 redis-cli -p "$PORT" MSET h:1 x h:2 x h:3 x h:4 x)"
    done
}

hammers() { q CLIENT LIST | sed -n 's/.* name=hammer.* pid=\([0-9]*\).*/\1/p'; }
all_hammer() { [[ $(hammers | wc -l) == 4 ]]; }

@test "a helper that died is followed by another one when a medic has been there, not before" {
    only_bulkhead
    own_server --appendonly yes
    for kind in expirer 'aof writer'; do
        medic=$("$ROOT/tests/lib/stop_medic" "$PORT" "$SERVER_PID" "$kind" 3>&-)
        sleep 0.5
        alive "$medic"
        run ! pgrep -P "$SERVER_PID" -f "bulkhead: $kind"
        kill -CONT "$medic"
        eventually 5 pgrep -P "$SERVER_PID" -f "bulkhead: $kind"
    done
    same OK "$(timeout 10 redis-cli -p "$PORT" SET a 1)"
    stop_server
}

@test "a medic that is stuck is killed, and another sees to its patients" {
    only_bulkhead
    own_server
    connect other
    medic=$("$ROOT/tests/lib/stop_medic" "$PORT" "$SERVER_PID" 3>&-)
    # Nobody is waiting yet, so it may take its time. The next death may have to do with what it waits for.
    alive "$medic"
    kill -KILL "$(client_pid other)"
    eventually 5 dead "$medic"
    grep -q "The medic $medic was ended by signal 9" "$SERVER_LOG"
    same OK "$(timeout 10 redis-cli -p "$PORT" MSET h:1 x h:2 x h:1999 x h:2000 x)"
    # Nobody is sick any more: no medic is on its way, and none was needed again.
    eventually 5 no_medic
    same 1 "$(grep -c 'The medic .* was ended' "$SERVER_LOG")"
    exec {FD}>&-
    stop_server
}
no_medic() {
    local p
    for p in $(children); do
        if grep -qa medic "/proc/$p/cmdline" 2>/dev/null; then return 1; fi
    done
}

@test "a spare worker that is killed is replaced" {
    only_bulkhead
    own_server
    eventually 5 spares_are_there
    for pid in $(children); do
        if grep -qa worker "/proc/$pid/cmdline" 2>/dev/null; then kill -KILL "$pid" || true; fi
    done
    for i in {1..20}; do eventually 5 ping_answers; done
    hold 10
    release
    stop_server
}
ping_answers() { [[ $(timeout 5 redis-cli -p "$PORT" PING) == PONG ]]; }

@test "the unix socket and its permissions" {
    own_server --unixsocket "$BATS_TEST_TMPDIR/s" --unixsocketperm 700
    same 700 "$(stat -c %a "$BATS_TEST_TMPDIR/s")"
    same PONG "$(redis-cli -s "$BATS_TEST_TMPDIR/s" PING)"
    same OK "$(redis-cli -s "$BATS_TEST_TMPDIR/s" SET k v)"
    expect '"v"' GET k
    [[ $(redis-cli -s "$BATS_TEST_TMPDIR/s" CLIENT LIST) == *"addr=$BATS_TEST_TMPDIR/s:0 "* ]]
    stop_server
    [ ! -e "$BATS_TEST_TMPDIR/s" ]
}

@test "the unix socket alone" {
    SERVER_DIR=$(mktemp -d "$BATS_FILE_TMPDIR/dir.XXXXXX")
    before=$(ls /dev/shm)
    launch --port 0 --unixsocket "$SERVER_DIR/s" --dir "$SERVER_DIR" --save ''
    OWN_PID=$SERVER_PID
    same PONG "$(redis-cli -s "$SERVER_DIR/s" PING)"
    same OK "$(redis-cli -s "$SERVER_DIR/s" SET k v)"
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    no_crash "$SERVER_LOG"
}

@test "bind and IPv6" {
    own_server --bind 127.0.0.1
    same PONG "$(redis-cli -h 127.0.0.1 -p "$PORT" PING)"
    run redis-cli -h ::1 -p "$PORT" PING
    [[ $output == *"Connection refused"* ]]
    stop_server
    if [[ -e /proc/net/if_inet6 ]] && grep -q '^0*1 ' /proc/net/if_inet6; then
        own_server --bind '::1'
        same PONG "$(redis-cli -h ::1 -p "$PORT" PING)"
        run redis-cli -h 127.0.0.1 -p "$PORT" PING
        [[ $output == *"Connection refused"* ]]
        stop_server
    fi
    own_server --bind '127.0.0.1 -192.0.2.1'
    same PONG "$(redis-cli -p "$PORT" PING)"
    stop_server
}

@test "a port that is taken stops the start with the reason" {
    run timeout 10 "$BULKHEAD_SERVER" --port "$PORT" --dir "$BATS_TEST_TMPDIR" --save ''
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"Failed listening on port $PORT"* ]]
    expect PONG PING
}

@test "the log has the lines that scripts look for" {
    grep -q "PID: $SERVER_PID" "$SERVER_LOG" || grep -q "pid=$SERVER_PID" "$SERVER_LOG"
    grep -q 'Ready to accept connections' "$SERVER_LOG"
}

@test "the pid file and the log file" {
    own_server --pidfile "$BATS_TEST_TMPDIR/pid" --logfile '' --daemonize no
    stop_server
    SERVER_DIR=$(mktemp -d "$BATS_FILE_TMPDIR/dir.XXXXXX") PORT=$((10000 + SRANDOM % 20000))
    "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --save '' --daemonize yes --pidfile "$SERVER_DIR/pid" --logfile "$SERVER_DIR/log" 3>&-
    eventually 10 ping_answers
    OWN_PID=$(cat "$SERVER_DIR/pid")
    same "$(field process_id)" "$OWN_PID"
    grep -q 'Ready to accept connections' "$SERVER_DIR/log"
    stop_server "$OWN_PID" "$PORT" "$SERVER_DIR/log"
    [ ! -e "$SERVER_DIR/pid" ]
}

@test "CONFIG SET dir does not make the server forget its pid file and its socket" {
    only_bulkhead
    mkdir "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
    OWN_DIR=$BATS_TEST_TMPDIR/a own_server --pidfile pid --unixsocket socket --enable-protected-configs yes
    same 'pid socket' "$(cd "$BATS_TEST_TMPDIR/a" && echo *)"
    expect OK CONFIG SET dir "$BATS_TEST_TMPDIR/b"
    stop_server
    same '' "$(ls "$BATS_TEST_TMPDIR/a")"
}

@test "maxclients" {
    own_server --maxclients 5
    hold 5
    expect '(error) ERR max number of clients reached' PING
    release
    eventually 5 ping_answers
    expect OK CONFIG SET maxclients 2
    hold 2
    expect '(error) ERR max number of clients reached' PING
    release
    eventually 5 ping_answers
    (($(field rejected_connections) >= 2))
    stop_server
}

@test "descriptors that who started the server left open, or closed" {
    only_bulkhead
    printf '#!/bin/bash\nfor fd in {3..40}; do eval "exec $fd</dev/null"; done\nexec 0<&- 2>&- "%s" "$@"\n' "$BULKHEAD_SERVER" \
        >"$BATS_TEST_TMPDIR/start"
    chmod +x "$BATS_TEST_TMPDIR/start"
    SERVER_BINARY=$BATS_TEST_TMPDIR/start own_server
    connect one
    same +OK "$(ask CONFIG SET timeout 100)"
    for pid in $(children); do
        [[ $(find "/proc/$pid/fd" -mindepth 1 -name '[012]' | wc -l) == 3 ]]
        [[ $(find "/proc/$pid/fd" -mindepth 1 -lname /dev/null | wc -l) -le 2 ]]
    done
    exec {FD}>&-
    stop_server
}

@test "SIGCHLD ignored by who started the server" {
    only_bulkhead
    printf '#!/bin/bash\ntrap "" CHLD\nexec "%s" "$@"\n' "$BULKHEAD_SERVER" >"$BATS_TEST_TMPDIR/start"
    chmod +x "$BATS_TEST_TMPDIR/start"
    SERVER_BINARY=$BATS_TEST_TMPDIR/start own_server --maxclients 3
    # Each client that leaves gives its permit back.
    for _ in {1..10}; do same PONG "$(timeout 5 redis-cli -p "$PORT" PING)"; done
    stop_server
}

@test "timeout closes idle clients, and only them" {
    own_server --timeout 1
    connect idle
    idle=$FD
    connect busy
    for _ in {1..8}; do
        sleep 0.3
        same +PONG "$(ask PING)"
    done
    run -1 read -r -t 1 -u "$idle" _
    exec {idle}>&- {FD}>&-
    stop_server
}

@test "200 clients at once" {
    hold 200
    expect OK SET k v
    clients_are 201
    expect '"v"' GET k
    release
    clients_are 1 10
}

@test "SIGTERM: an orderly stop, nothing is left" {
    own_server
    hold 10
    expect OK SET k v
    kids=$(children)
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    for pid in $kids; do eventually 30 dead "$pid"; done
    same '' "$(shm_objects "$PORT")"
    no_crash "$SERVER_LOG"
    run -0 wait "$SERVER_PID"
}

@test "SIGINT to the whole group, as Ctrl-C sends it" {
    SERVER_DIR=$(mktemp -d "$BATS_FILE_TMPDIR/dir.XXXXXX") PORT=$((10000 + SRANDOM % 20000)) SERVER_LOG=$BATS_TEST_TMPDIR/log
    # A shell gives its background jobs SIGINT ignored; a terminal does not.
    python3 - "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --save '' >"$SERVER_LOG" 2>&1 3>&- <<'END' &
import os, signal, sys
os.setpgid(0, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
END
    OWN_PID=$! SERVER_PID=$OWN_PID
    eventually 10 ping_answers
    hold 3
    kids=$(children)
    kill -INT -- "-$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    for pid in $kids; do eventually 30 dead "$pid"; done
    same '' "$(shm_objects "$PORT")"
    no_crash "$SERVER_LOG"
}

@test "SHUTDOWN" {
    own_server
    expect OK SET k v
    run timeout 10 redis-cli -p "$PORT" SHUTDOWN NOSAVE
    same '' "$output"
    eventually 10 dead "$SERVER_PID"
    same '' "$(shm_objects "$PORT")"
    run redis-cli -p "$PORT" PING
    [[ $output == *"Connection refused"* ]]
}

@test "replies that are queued when the server stops are still sent" {
    own_server
    connect last
    printf 'SET k v\r\nGET k\r\nECHO end\r\n' >&"$FD"
    sleep 0.2
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    same $'+OK\n$1\nv\n$3\nend' "$(timeout 5 cat <&"$FD" | tr -d '\r')"
    exec {FD}>&-
}

@test "a client that is still reading when the server stops gets all of it" {
    only_bulkhead
    own_server
    expect OK SET k "$(printf '%060000d' 7)"
    connect slow
    yes $'GET k\r' | head -n 300 >&"$FD"
    sleep 0.3
    kill -TERM "$SERVER_PID"
    sleep 0.1
    # $60000, the value, and three ends of line, 300 times.
    same 18003000 "$(timeout 10 cat <&"$FD" | wc -c)"
    eventually 10 dead "$SERVER_PID"
    exec {FD}>&-
}

@test "clients that do not read do not hold up the stop" {
    own_server
    expect OK SET k "$(printf '%060000d' 7)"
    fds=()
    for i in {1..5}; do
        connect "deaf$i"
        yes $'GET k\r' | head -n 300 >&"$FD"
        fds+=("$FD")
    done
    sleep 0.3
    kill -TERM "$SERVER_PID"
    eventually 4 dead "$SERVER_PID"
    for fd in "${fds[@]}"; do exec {fd}>&-; done
}

@test "the server's own death ends its processes" {
    only_bulkhead
    own_server
    hold 5
    kids=$(children)
    kill -KILL "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    for pid in $kids; do eventually 30 dead "$pid"; done
    # What it left in /dev/shm is taken over or removed by the next start on that port.
    launch --port "$PORT" --dir "$SERVER_DIR" --save '' || fail "no start after a crash" "$(cat "$SERVER_LOG")"
    OWN_PID=$SERVER_PID
    expect PONG PING
    expect OK SET k v
    stop_server
}

@test "the next start waits a moment for a server that is dying" {
    only_bulkhead
    own_server --unixsocket "$BATS_TEST_TMPDIR/s"
    { sleep 0.3; kill -KILL "$SERVER_PID"; } 3>&- &
    killer=$!
    launch --port "$PORT" --dir "$SERVER_DIR" --save '' --unixsocket "$BATS_TEST_TMPDIR/s" || fail "no start" "$(cat "$SERVER_LOG")"
    OWN_PID=$SERVER_PID
    wait "$killer"
    same PONG "$(redis-cli -s "$BATS_TEST_TMPDIR/s" PING)"
    expect PONG PING
    stop_server
}

@test "a killed helper is started again" {
    only_bulkhead
    own_server
    pid=$(expirers)
    [[ $pid =~ ^[0-9]+$ ]]
    kill -KILL "$pid"
    eventually 10 another_expirer "$pid"
    expect OK SET k v PX 50
    eventually 5 nothing_left
    stop_server
}
expirers() {
    local p
    for p in $(children); do
        if grep -qa expirer "/proc/$p/cmdline" 2>/dev/null; then echo "$p"; fi
    done
}
another_expirer() { [[ -n $(expirers) && $(expirers) != "$1" ]]; }
nothing_left() { [[ $(q DBSIZE) == 0 ]]; }

@test "100 connections opened and closed at once" {
    for _ in {1..5}; do
        hold 100
        release
    done
    clients_are 1 10
    expect PONG PING
}

@test "200 idle clients cost no CPU" {
    own_server
    hold 200
    sleep 1
    before=$(cpu_ns)
    sleep 3
    used=$(($(cpu_ns) - before))
    release
    # 2% of a core.
    ((used < 60000000)) || fail "$used ns in 3 s"
    stop_server
}
# cpu_ns: what all processes of the server have used so far.
cpu_ns() {
    local pid total=0 ran
    for pid in "$SERVER_PID" $(children); do
        read -r ran _ <"/proc/$pid/schedstat" && total=$((total + ran))
    done 2>/dev/null
    echo "$total"
}

@test "two servers on one machine do not see each other's data" {
    expect OK SET k first
    own_server
    expect '(nil)' GET k
    expect OK SET k second
    stop_server
}

@test "the store can be read by nobody else" {
    only_bulkhead
    objects=$(shm_objects "$PORT")
    [[ -n $objects ]]
    for object in $objects; do same 600 "$(stat -c %a "$object")"; done
}
