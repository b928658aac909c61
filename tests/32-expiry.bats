#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Keys that fall due are deleted, on time and without being read.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

fill() { "$ROOT/tests/lib/fill" "$PORT" "$@"; }
size_is() { [[ $(q DBSIZE) == "$1" ]]; }

@test "due keys are deleted without being read" {
    same $'OK\n(integer) 1' "$(printf '%s\n' 'SET k v PX 200' DBSIZE | session)"
    eventually 3 size_is 0
    same '' "$(q INFO keyspace | grep db0 || true)"
}

@test "20,000 keys due at one time" {
    fill 20000 10 1500
    expect OK SET stays v
    eventually 15 size_is 1
    expect '"stays"' RANDOMKEY
}

@test "expired_keys counts them" {
    before=$(field expired_keys)
    fill 100 10 50
    eventually 5 size_is 0
    same $((before + 100)) "$(field expired_keys)"
}

@test "due keys are gone within 20 ms beside 50,000 that are not due" {
    only_bulkhead
    fill 50000 10 100000000
    # p99 of the lateness in ms; wide, and the best of three, because other tests run beside this one.
    for _ in 1 2 3; do
        late=$("$ROOT/tests/lib/lateness" "$PORT" 200)
        if ((late <= 100)); then return; fi
    done
    fail "p99 $late ms"
}

@test "PERSIST and a later due time keep a key" {
    # Over one connection, so that it is done long before the keys are due.
    printf '%s\n' 'SET a v PX 300' 'SET b v PX 300' 'SET c v PX 300' 'SET d v PX 300' 'PERSIST a' 'EXPIRE b 1000' 'SET c w' | q >/dev/null
    sleep 0.6
    expect $'1) "v"\n2) "v"\n3) "w"\n4) (nil)' MGET a b c d
    expect '(integer) 3' DBSIZE
}

@test "an earlier due time comes earlier" {
    expect OK SET k v EX 1000
    expect '(integer) 1' PEXPIRE k 50
    eventually 3 size_is 0
}

@test "due times move with RENAME, COPY and SWAPDB" {
    same $'OK\nOK\n(integer) 1\nOK\nOK\n(integer) 2' \
        "$(printf '%s\n' 'SET a v PX 400' 'RENAME a b' 'COPY b c' 'SWAPDB 0 1' 'SELECT 1' DBSIZE | session)"
    eventually 5 other_empty
    expect '(integer) 0' DBSIZE
}
other_empty() { [[ $(q -n 1 DBSIZE) == 0 ]]; }

@test "a key set again after it was due is a new key" {
    expect OK SET k old PX 30
    sleep 0.05
    expect OK SET k new NX
    sleep 0.1
    expect '"new"' GET k
    expect '(integer) -1' TTL k
}

@test "INCR of a due key starts anew and has no due time" {
    expect OK SET n 41 PX 30
    sleep 0.05
    expect '(integer) 1' INCR n
    expect '(integer) -1' TTL n
}

@test "KEYS, SCAN, RANDOMKEY do not return due keys" {
    fill 200 10 30
    expect OK SET stays v
    sleep 0.04
    expect $'1) "stays"' KEYS '*'
    same stays "$(q --scan)"
    expect '"stays"' RANDOMKEY
}

@test "due keys return their memory" {
    before=$(field used_memory_dataset)
    fill 20000 500 2500
    eventually 20 size_is 0
    eventually 5 at_most $((before + 200000))
}
at_most() { (($(field used_memory_dataset) <= $1)); }

@test "a great many due times of one key" {
    only_bulkhead
    for i in {1..3000}; do echo "SET k v PX $((100000 + i))"; echo "PEXPIRE k $((90000 + i))"; done | q >/dev/null
    expect '(integer) 1' DBSIZE
    expect '(integer) 1' PEXPIRE k 40
    eventually 3 size_is 0
    (($(field used_memory_dataset) < 300000)) || fail "$(field used_memory_dataset)"
}

@test "a due time at the beginning of all time has passed" {
    q SET k v >/dev/null
    same 1 "$(q PEXPIREAT k -9223372036854775808)"
    same 0 "$(q EXISTS k)"
}
