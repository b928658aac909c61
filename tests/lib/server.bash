# SPDX-License-Identifier: BSD-2-Clause
# Loaded by every bats file: starts and stops servers on free ports in temporary directories, and asserts exact replies.
#
#   BULKHEAD_SERVER   the server under test (default: the debug build, which checks its own invariants)
#   BULKHEAD_RELEASE  the release build, for the smoke test
#   BULKHEAD_LEDGER   a folder; each server's port and pid is noted there, so that scripts/test can prove nothing is left

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
: "${BULKHEAD_SERVER:=$ROOT/build/debug/bulkhead-server}"
: "${BULKHEAD_RELEASE:=$ROOT/build/bulkhead-server}"
: "${BULKHEAD_CLI:=$ROOT/build/bulkhead-cli}"

# Where the target is redis-server itself, what only Bulkhead has cannot be tested.
target_is_redis() { [[ ${BULKHEAD_SERVER##*/} == redis-server ]]; }
only_bulkhead() { ! target_is_redis || skip "redis-server has no such thing"; }

fail() { printf '%s\n' "$@" >&2; return 1; }

# not COMMAND...: the command must fail. (A bare "! command" in the middle of a test never fails it.)
not() { ! "$@" || fail "succeeded, and should not: $*"; }

# alive PID: true while the process runs (a zombie is dead).
alive() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    [[ ${stat:0:1} != [ZX] ]]
}

# eventually SECONDS COMMAND...: repeats a command until it succeeds. Of each round a second counts at most: a virtual
# machine may stand still for minutes.
eventually() {
    local left=$(($1 * 1000000)) before=${EPOCHREALTIME/[.,]/} now
    shift
    until "$@"; do
        ((left > 0)) || { echo "not within time: $*" >&2; return 1; }
        sleep 0.02
        now=${EPOCHREALTIME/[.,]/}
        left=$((left - (now - before < 1000000 ? now - before : 1000000)))
        before=$now
    done
}

# launch ARGUMENT...: one attempt; sets SERVER_PID and SERVER_LOG. True once the server is ready.
launch() {
    SERVER_LOG=$(mktemp "$BATS_FILE_TMPDIR/log.XXXXXX")
    # bats waits for everyone who holds its descriptor 3. Should bats be killed, the server is told to stop.
    setpriv --pdeathsig TERM "${SERVER_BINARY:-$BULKHEAD_SERVER}" "$@" >"$SERVER_LOG" 2>&1 </dev/null 3>&- &
    SERVER_PID=$!
    eventually 30 started_or_dead
    grep -qi 'ready to accept connections' "$SERVER_LOG"
}
started_or_dead() { grep -qi 'ready to accept connections' "$SERVER_LOG" || ! alive "$SERVER_PID"; }

# start_server [OPTION...]: a server on a free port. Sets PORT, SERVER_PID, SERVER_LOG, SERVER_DIR. Does not wait for
# the port to be free beforehand: whoever loses the race for one tries another. SERVER_BINARY and OWN_DIR (its working
# directory) may be set by a test.
start_server() {
    local attempt extra=(--save "" --enable-debug-command yes)
    SERVER_DIR=${OWN_DIR:-$(mktemp -d "$BATS_FILE_TMPDIR/dir.XXXXXX")}
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        if launch --port "$PORT" --dir "$SERVER_DIR" "${extra[@]}" "$@"; then
            [[ -z ${BULKHEAD_LEDGER:-} ]] || echo "$PORT $SERVER_PID $BATS_TEST_FILENAME" >>"$BULKHEAD_LEDGER/servers"
            export PORT SERVER_PID SERVER_LOG SERVER_DIR
            return
        fi
        grep -qi 'Failed listening\|Address already in use' "$SERVER_LOG" || break
    done
    kill -KILL "$SERVER_PID" 2>/dev/null || true
    fail "the server did not start:" "$(tail -n 20 "$SERVER_LOG")"
}

# shm_objects PORT: what the server of that port has in /dev/shm.
shm_objects() { find /dev/shm -maxdepth 1 -name "bulkhead.$1.*" -o -maxdepth 1 -name "bulkhead.$1"; }

# stop_server [PID PORT LOG]: orderly stop. Fails if the server does not go, leaves shared memory, or had a worker crash.
stop_server() {
    local pid=${1:-${SERVER_PID:-}} port=${2:-${PORT:-}} log=${3:-${SERVER_LOG:-}} left
    [[ -n $pid ]] || return 0
    if alive "$pid"; then
        kill -TERM "$pid"
        if ! eventually 15 dead "$pid"; then
            kill -KILL "$pid"
            fail "the server does not stop on SIGTERM" "$(tail -n 20 "$log")"
            return 1
        fi
    fi
    wait "$pid" 2>/dev/null || true
    left=$(shm_objects "$port")
    [[ -z $left ]] || { fail "left in /dev/shm: $left"; return 1; }
    no_crash "$log"
}
dead() { ! alive "$1"; }

# no_crash LOG: no invariant was broken and no sanitizer complained.
no_crash() {
    # Some tests kill processes with signal 9 themselves.
    ! grep -niE 'panic|sanitizer|runtime error:|crashed|ended by signal ([1-8]|1[0-46-9]|[2-9][0-9])\b' "$1" >&2 ||
        fail "the log above is not clean"
}

# r COMMAND...: with types shown, as (integer) 1, "text", (nil). q: raw. Both to the current PORT.
r() { redis-cli --no-raw -p "$PORT" "$@"; }
q() { redis-cli -p "$PORT" "$@"; }

# same WANT GOT [WHAT]
same() { [[ $2 == "$1" ]] || fail "${3:-}" "expected: ${1:0:1000}" "got:      ${2:0:1000}"; }

# expect WANT COMMAND...: the reply as redis-cli shows it with types must be exactly WANT.
expect() {
    local want=$1
    shift
    same "$want" "$(r "$@" 2>&1)" "command: $*"
}

# matches REGEX COMMAND...: the whole reply must match.
matches() {
    local want=$1 got
    shift
    got=$(r "$@" 2>&1)
    [[ $got =~ ^($want)$ ]] || fail "command: $*" "expected: $want" "got:      $got"
}

# session: commands from standard input over one connection, replies with types.
session() { redis-cli --no-raw -p "$PORT" "$@"; }

# wire BYTES: sends raw bytes (printf escapes), closes the sending side, prints everything that came back, escaped.
wire() { "$ROOT/tests/lib/wire" "$PORT" "$@"; }

# field NAME [SECTION]: the value of one INFO field.
field() { q INFO "${2:-everything}" | tr -d '\r' | sed -n "s/^$1://p"; }

# clients_are N [SECONDS]: the asking client included. A client counts until its process has noticed that it is gone.
clients_are() { eventually "${2:-5}" counts_clients "$1"; }
counts_clients() { [[ $(q CLIENT LIST "${@:2}" | grep -c '^id=') == "$1" ]]; }

# hold N: opens N idle connections from one helper process; sets HOLDER (its pid). release: closes them.
hold() {
    local ready
    ready=$(mktemp -u "$BATS_TEST_TMPDIR/held.XXXXXX")
    "$ROOT/tests/lib/hold" "$PORT" "$1" "$ready" 3>&- &
    HOLDER=$!
    eventually 30 test -e "$ready"
}
release() {
    [[ -n ${HOLDER:-} ]] || return 0
    kill "$HOLDER" 2>/dev/null || true
    wait "$HOLDER" 2>/dev/null || true
    HOLDER=
}

# as_user LIMIT: makes SERVER_BINARY a program that runs the server as a user of its own, who may have LIMIT processes.
as_user() {
    USER_ID=$((60000 + SRANDOM % 5000)) USER_DIR=$(mktemp -d /tmp/bulkhead-user.XXXXXX)
    cp "$BULKHEAD_SERVER" "$USER_DIR/server"
    cat >"$USER_DIR/run" <<END
#!/bin/bash
ulimit -u $1
exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "$USER_DIR/server" "\$@"
END
    chmod 755 "$USER_DIR/run"
    chown -R "$USER_ID" "$USER_DIR"
    SERVER_BINARY=$USER_DIR/run OWN_DIR=$USER_DIR
}

# One server for a file; each test starts with it empty.
shared_server() { start_server "$@"; }
empty_server() { q FLUSHALL >/dev/null; }

# available PROGRAM PACKAGE: it is there, or could be installed.
available() {
    command -v "$1" >/dev/null || { ((EUID == 0)) && timeout 100 sh -c '. "$0/scripts/need.sh" && need "$1" "$2"' "$ROOT" "$@" >/dev/null 2>&1 3>&-; }
}
can_trace() { available strace strace && strace -f -qq -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null; }
