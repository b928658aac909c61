#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The machine gives no more: shared memory, memory, processes, descriptors. Whoever asks gets a clear error, nothing is lost, and when
# there is something again, service goes on. tests/33-limits.bats has what is too much from the start.

bats_require_minimum_version 1.5.0
load lib/server

setup() { only_bulkhead; ((EUID == 0)) || skip "needs root"; }
# Whatever a test has not put back.
teardown() {
    release
    [[ -n ${BATS_TEST_COMPLETED:-} || -z ${SERVER_LOG:-} ]] || tail -n 30 "$SERVER_LOG"
    [[ -z ${OWN_PID:-} ]] || kill -KILL "$OWN_PID" 2>/dev/null || true
    [[ -z ${MOUNTED:-} ]] || umount --lazy "$MOUNTED" || true
    [[ -z ${USER_DIR:-} ]] || rm -rf "$USER_DIR"
}

own_server() { start_server "$@" && OWN_PID=$SERVER_PID; }
set_works() { [[ $(timeout 5 redis-cli -p "$PORT" SET after 1 2>&1) == OK ]]; }
ping_works() { [[ $(timeout 5 redis-cli -p "$PORT" PING 2>&1) == PONG ]]; }
client_pid() { q CLIENT LIST | sed -n "s/.* name=$1 .* pid=\([0-9]*\).*/\1/p"; }
# Values to look for afterwards.
remember() { for i in {0..49}; do echo "SET kept:$i $i-$1"; done | redis-cli -p "$PORT" >/dev/null; }
all_is_kept() {
    local want got
    want=$(for i in {0..49}; do echo "$i-$1"; done)
    got=$(for i in {0..49}; do echo "GET kept:$i"; done | redis-cli -p "$PORT")
    same "$want" "$got"
    expect OK DEBUG FSCK
}
# connect NAME: an open connection that has been served; sets FD. ask COMMAND: over it.
connect() {
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    same +OK "$(ask "CLIENT SETNAME $1")"
}
ask() {
    local line
    printf '%s\r\n' "$*" >&"$FD"
    read -r -t 10 line <&"$FD" || return 1
    echo "${line%$'\r'}"
}

# hammer [COMMAND...]: four clients write as fast as they can, and after the command their workers are killed.
hammer() {
    local hammer pid pids
    "$ROOT/tests/lib/hammer" "$PORT" 3>&- 2>/dev/null &
    hammer=$!
    eventually 10 all_hammer
    pids=$(hammers)
    "$@"
    for pid in $pids; do kill -KILL "$pid"; done
    wait "$hammer" || true
}
hammers() { timeout 5 redis-cli -p "$PORT" CLIENT LIST | sed -n 's/.* name=hammer.* pid=\([0-9]*\).*/\1/p'; }
all_hammer() { [[ $(hammers | wc -l) == 4 ]]; }

# full_server: a server whose shared memory is a file system that somebody else fills after its first keys.
full_server() {
    MOUNTED=$BATS_TEST_TMPDIR/shm
    mkdir "$MOUNTED"
    mount -t tmpfs -o size=64m tmpfs "$MOUNTED" || { MOUNTED=; skip "mount is not permitted"; }
    own_server --shm-dir "$MOUNTED"
    remember before
    dd if=/dev/zero of="$MOUNTED/brim" bs=64k 2>/dev/null || true
}

@test "shared memory filled to the brim by somebody else" {
    full_server
    # More than what the store has already.
    got=$("$ROOT/tests/lib/fill" "$PORT" 30000 1000 || true)
    [[ $got == *OOM* ]] || fail "$got"
    all_is_kept before
    # A worker that dies now is recovered without memory, and deleting needs none.
    for round in {1..5}; do
        connect victim
        kill -KILL "$(client_pid victim)"
        exec {FD}>&-
        same PONG "$(timeout 5 redis-cli -p "$PORT" PING)"
        same 1 "$(timeout 5 redis-cli -p "$PORT" DEL "fill:$round")"
    done
    all_is_kept before
    same PONG "$(q PING)"
    rm "$MOUNTED/brim"
    eventually 10 set_works
    run "$ROOT/tests/lib/fill" "$PORT" 5000 1000
    same '' "$output"
    all_is_kept before
    stop_server && OWN_PID=
}

@test "processes are killed while shared memory is full" {
    full_server
    "$ROOT/tests/lib/fill" "$PORT" 30000 1000 >/dev/null || true
    for round in {1..10}; do
        hammer
        [[ $(timeout 10 redis-cli -p "$PORT" MGET h:1 h:2 h:3 h:4 | sort -u | wc -l) == 1 ]] || fail "round $round: half a command"
    done
    all_is_kept before
    rm "$MOUNTED/brim"
    eventually 10 set_works
    stop_server && OWN_PID=
}

@test "a worker that gets no memory ends; nobody else notices" {
    own_server
    remember before
    connect other
    other=$FD
    connect greedy
    pid=$(client_pid greedy)
    # What it has, and a few MB.
    size=$(awk '/^VmSize/ {printf "%.0f", $2 * 1024}' "/proc/$pid/status")
    prlimit --pid "$pid" --as=$((size + 4000000))
    same +OK "$(ask SET small 1)"
    # The request does not fit.
    (printf '*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$30000000\r\n'; head -c 30000000 /dev/zero; printf '\r\n') >&"$FD" 2>/dev/null || true
    got=$(timeout 10 head -c 100 <&"$FD" | tr -d '\0' || true)
    [[ -z $got || $got == -* ]] || fail "$got"
    eventually 5 dead "$pid"
    exec {FD}>&-
    FD=$other
    same +OK "$(ask SET after 1)"
    all_is_kept before
    expect '(integer) 0' EXISTS big
    expect '"1"' GET small
    grep -qi 'memory' "$SERVER_LOG" || fail "$(tail "$SERVER_LOG")"
    exec {other}>&-
    stop_server && OWN_PID=
}

processes_allowed() {
    setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups prlimit --pid "$SERVER_PID" --nproc="$1:4000"
}

@test "fork is refused: also a medic must wait, then all goes on" {
    as_user 4000
    own_server
    remember before
    hammer processes_allowed 1
    eventually 5 grep -q 'Cannot start' "$SERVER_LOG"
    processes_allowed 4000
    eventually 10 set_works
    [[ $(timeout 10 redis-cli -p "$PORT" MGET h:1 h:2 h:3 h:4 | sort -u | wc -l) == 1 ]] || fail "half a command"
    same OK "$(timeout 10 redis-cli -p "$PORT" MSET h:1 x h:2 x h:3 x h:4 x)"
    all_is_kept before
    stop_server && OWN_PID=
}
@test "the supervisor has no descriptors left" {
    own_server
    remember before
    prlimit --pid "$SERVER_PID" --nofile=3:4096
    # Those forked before have their own limit; they are used up, and those forked now cannot accept.
    fds=()
    for i in {1..12}; do
        exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
        fds+=("$FD")
    done
    sleep 1
    alive "$SERVER_PID"
    for FD in "${fds[@]}"; do exec {FD}>&-; done
    prlimit --pid "$SERVER_PID" --nofile=4096:4096
    eventually 10 set_works
    # Not only by chance.
    for i in {1..30}; do
        same PONG "$(timeout 5 redis-cli -p "$PORT" PING 2>&1)" "connection $i"
    done
    all_is_kept before
    stop_server && OWN_PID=
}

@test "a worker has no descriptors left" {
    own_server
    remember before
    connect poor
    prlimit --pid "$(client_pid poor)" --nofile=3
    for i in {1..50}; do same +OK "$(ask SET "poor:$i" "$i")"; done
    expect '"50"' GET poor:50
    all_is_kept before
    exec {FD}>&-
    stop_server && OWN_PID=
}
