#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Extremes: the longest keys, the largest values, the most arguments, the fullest /dev/shm.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

long() { head -c "$1" /dev/zero | tr '\0' "${2:-x}"; }

@test "a key of 1 MB" {
    long 1000000 k >"$BATS_TEST_TMPDIR/key"
    { printf '*3\r\n$3\r\nSET\r\n$1000000\r\n'; cat "$BATS_TEST_TMPDIR/key"; printf '\r\n$1\r\nv\r\n'; } >"$BATS_TEST_TMPDIR/set"
    { printf '*2\r\n$3\r\nGET\r\n$1000000\r\n'; cat "$BATS_TEST_TMPDIR/key"; printf '\r\n'; } >"$BATS_TEST_TMPDIR/get"
    same $'+OK\n$1\nv' "$(cat "$BATS_TEST_TMPDIR/set" "$BATS_TEST_TMPDIR/get" | "$ROOT/tests/lib/pipe" "$PORT" | tr -d '\r')"
    same 1000000 "$(q KEYS '*' | tr -cd k | wc -c)"
    expect '(integer) 1' DBSIZE
    expect OK FLUSHALL
}

@test "keys that differ only at their end, or by a null byte" {
    prefix=$(long 200)
    for i in {1..500}; do echo "SET $prefix$i $i"; done | q >/dev/null
    expect '(integer) 500' DBSIZE
    for i in 1 100 499 500; do expect "\"$i\"" GET "$prefix$i"; done
    wire '*3\r\n$3\r\nSET\r\n$2\r\na\x00\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n' >/dev/null
    same $'$1\n1\n$1\n2' "$(wire '*2\r\n$3\r\nGET\r\n$2\r\na\x00\r\nGET a\r\n')"
}

@test "a value of 512 MB, and not a byte more" {
    run "$ROOT/tests/lib/huge" "$PORT"
    same 'SET +OK, STRLEN :536870912, APPEND -ERR string exceeds maximum allowed size (proto-max-bulk-len), DEL :1' "$output"
}

@test "MGET of 20,000 keys, DEL of 20,000 keys" {
    "$ROOT/tests/lib/fill" "$PORT" 20000 5
    keys=$BATS_TEST_TMPDIR/keys
    seq -f 'fill:%.0f' 0 19999 | tr '\n' ' ' >"$keys"
    # As RESP, because an inline command may not be so long.
    python3 - "$keys" >"$BATS_TEST_TMPDIR/wire" <<'END'
import sys
keys = open(sys.argv[1]).read().split()
for name in ("MGET", "EXISTS", "DEL", "DEL"):
    words = [name, *keys]
    sys.stdout.write(f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words))
END
    "$ROOT/tests/lib/pipe" "$PORT" <"$BATS_TEST_TMPDIR/wire" | tr -d '\r' >"$BATS_TEST_TMPDIR/reply"
    same '*20000' "$(head -n 1 "$BATS_TEST_TMPDIR/reply")"
    same 20000 "$(grep -c '^vvvvv$' "$BATS_TEST_TMPDIR/reply")"
    same $':20000\n:20000\n:0' "$(tail -n 3 "$BATS_TEST_TMPDIR/reply")"
    expect '(integer) 0' DBSIZE
}

@test "a pipeline of 200,000 commands" {
    same ':200000' "$(yes INCR\ n | head -n 200000 | sed 's/$/\r/' | "$ROOT/tests/lib/pipe" "$PORT" | tail -n 1 | tr -d '\r')"
}

@test "8 clients on one key" {
    for _ in {1..8}; do
        bash -c "yes 'INCR n' | head -n 5000 | redis-cli -p $PORT >/dev/null" 3>&- &
    done
    wait
    expect '"40000"' GET n
}

@test "the number of databases, to the last" {
    expect OK -n 15 SET k v
    expect '"v"' -n 15 GET k
    same 'ERR DB index is out of range' "$(q SELECT 16)"
}

@test "many keys under one name prefix hash apart" {
    "$ROOT/tests/lib/fill" "$PORT" 30000 1
    expect '(integer) 30000' DBSIZE
    same 30000 "$(q --scan | sort -u | wc -l)"
    for i in 0 1 29998 29999; do expect '"v"' GET "fill:$i"; done
    expect '(nil)' GET fill:30000
}

# with_shm SIZE: makes SERVER_BINARY a program that runs the server with a /dev/shm of that size, in a mount namespace.
with_shm() {
    unshare --mount true 2>/dev/null || skip "mount namespaces are not permitted"
    cat >"$BATS_TEST_TMPDIR/run" <<END
#!/bin/bash
exec unshare --mount bash -c 'mount -t tmpfs -o size=$1 tmpfs /dev/shm && exec "\$0" "\$@"' "$BULKHEAD_SERVER" "\$@"
END
    chmod 755 "$BATS_TEST_TMPDIR/run"
    SERVER_BINARY=$BATS_TEST_TMPDIR/run
}

@test "a full /dev/shm is an error for the writer, not a crash" {
    only_bulkhead
    with_shm 100m
    start_server
    run "$ROOT/tests/lib/fill" "$PORT" 200000 1000
    got=$output
    during=$(q PING) deleted=$(q DEL fill:0) flushed=$(q FLUSHALL)
    after=$(eventually 10 set_works && echo yes)
    stop_server
    [[ $got == *OOM* ]] || fail "$got"
    same PONG "$during"
    same 1 "$deleted"
    same OK "$flushed"
    same yes "$after"
}
set_works() { [[ $(q SET after 1) == OK ]]; }

@test "a /dev/shm that is too small is said at the start, and served without" {
    only_bulkhead
    with_shm 30m
    start_server --maxmemory 100mb
    expect OK SET k v
    run "$ROOT/tests/lib/fill" "$PORT" 50000 1000
    same '' "$output"
    stop_server
    grep -q 'WARNING: /dev/shm' "$SERVER_LOG" || fail "$(cat "$SERVER_LOG")"
}

@test "shm-dir names another place" {
    only_bulkhead
    mkdir "$BATS_TEST_TMPDIR/shm"
    mount -t tmpfs -o size=100m tmpfs "$BATS_TEST_TMPDIR/shm" || skip "mount is not permitted"
    start_server --shm-dir "$BATS_TEST_TMPDIR/shm" || { umount "$BATS_TEST_TMPDIR/shm"; false; }
    inside=$(ls "$BATS_TEST_TMPDIR/shm") outside=$(shm_objects "$PORT")
    stop_server && stopped=yes
    left=$(ls "$BATS_TEST_TMPDIR/shm")
    umount "$BATS_TEST_TMPDIR/shm"
    same "bulkhead.$PORT.main" "$inside"
    same '' "$outside"
    same yes "${stopped:-}"
    same '' "$left"
}

@test "a user who may have few processes: maxclients is lowered, and the log names the limit" {
    only_bulkhead
    as_user 200
    start_server
    stop_server
    rm -rf "$USER_DIR"
    grep -q 'RLIMIT_NPROC is 200. maxclients has been reduced to' "$SERVER_LOG" || fail "$(cat "$SERVER_LOG")"
}

@test "a refused fork is an error for the client that would have needed it" {
    only_bulkhead
    as_user 120
    start_server
    # The same user's other processes use up what is left.
    setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups bash -c 'for i in {1..85}; do sleep 60 & done; echo ready; wait' \
        >"$BATS_TEST_TMPDIR/sleepers" 2>&1 3>&- &
    sleepers=$!
    eventually 5 grep -q ready "$BATS_TEST_TMPDIR/sleepers"
    hold 60
    got=$(q PING 2>&1 || true)
    release
    kill "$sleepers"
    after=$(eventually 10 ping_answers && echo yes)
    stop_server && stopped=yes
    # Those that the shell left behind are the user's alone.
    for pid in $(pgrep -u "$USER_ID"); do kill -KILL "$pid"; done
    rm -rf "$USER_DIR"
    same 'ERR max number of clients reached' "$got"
    same yes "$after"
    same yes "${stopped:-}"
}
ping_answers() { [[ $(timeout 5 redis-cli -p "$PORT" PING) == PONG ]]; }

@test "who has not logged in cannot fill a worker's memory" {
    only_bulkhead
    start_server --requirepass secret
    export REDISCLI_AUTH=secret
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    pid=$(q CLIENT LIST | sed -n '1s/.* pid=\([0-9]*\).*/\1/p')
    # It sends and sends, and does not read what it gets.
    head -c 60000000 /dev/zero | tr '\0' '\n' | sed 's/$/x/' | timeout 2 cat >&"$fd" || true
    kilobytes=$(awk '/^RssAnon/ {print $2}' "/proc/$pid/status")
    ((kilobytes < 4000)) || fail "the worker has $kilobytes kB"
    exec {fd}>&-
    eventually 5 dead "$pid"
    stop_server
}
