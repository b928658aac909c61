#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The release build answers, through redis-cli, through our own client and through redis-benchmark.

load lib/server

setup_file() {
    target_is_redis || export BULKHEAD_SERVER=$BULKHEAD_RELEASE
    shared_server
}
teardown_file() { stop_server; }
setup() { empty_server; }

@test "PING, SET, GET" {
    expect PONG PING
    expect OK SET greeting hello
    expect '"hello"' GET greeting
    expect '(nil)' GET nothing
}

@test "a few commands of every kind" {
    expect OK MSET a 1 b 2 c 3
    expect '(integer) 2' INCR a
    expect '(integer) 1' DEL c
    expect '(integer) 2' DBSIZE
    expect string TYPE a
    expect '(integer) 1' EXPIRE a 100
    matches '\(integer\) (99|100)' TTL a
    expect OK FLUSHALL
    expect '(integer) 0' DBSIZE
}

@test "bulkhead-cli: a command from its arguments" {
    only_bulkhead
    same PONG "$("$BULKHEAD_CLI" -p "$PORT" PING)"
    same OK "$("$BULKHEAD_CLI" -p "$PORT" SET k 'a b')"
    same 'a b' "$("$BULKHEAD_CLI" -p "$PORT" GET k)"
}

@test "bulkhead-cli: commands from standard input" {
    only_bulkhead
    same $'OK\nvalue\n1' "$(printf 'SET k value\nGET k\nDEL k\n' | "$BULKHEAD_CLI" -p "$PORT")"
}

@test "bulkhead-cli -e: an error reply ends with status 1, no server with another one than 0" {
    only_bulkhead
    run "$BULKHEAD_CLI" -p 1 PING
    [ "$status" -ne 0 ]
    run "$BULKHEAD_CLI" -e -p "$PORT" NOSUCHCOMMAND
    [ "$status" -eq 1 ]
    [[ $output == *"unknown command"* ]]
}

@test "redis-benchmark runs through" {
    run redis-benchmark -p "$PORT" -n 20000 -c 20 -P 4 -t set,get,incr,mset,ping -q
    [ "$status" -eq 0 ]
    [[ $output == *"GET:"*"requests per second"* ]]
    [[ $output != *rror* ]]
}

@test "10,000 keys by redis-cli --pipe" {
    run bash -c "for i in {1..10000}; do echo SET key:\$i value:\$i; done | redis-cli -p $PORT --pipe"
    [ "$status" -eq 0 ]
    [[ $output == *"errors: 0, replies: 10000"* ]]
    expect '(integer) 10000' DBSIZE
    expect '"value:777"' GET key:777
}

@test "the version is printed" {
    run "$BULKHEAD_SERVER" --version
    [ "$status" -eq 0 ]
    [[ $output == *v=* ]]
}
