#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# redis-cli's own modes: --stat, --bigkeys, --memkeys, --latency, --scan, --pipe.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

# for_a_while SECONDS COMMAND...: what it prints until it is interrupted.
for_a_while() {
    local seconds=$1
    shift
    timeout -s INT -k 5 "$seconds" "$@" 3>&- || true
}

@test "redis-cli --stat" {
    q MSET a 1 b 2 c 3 >/dev/null
    run for_a_while 2 stdbuf -oL redis-cli -p "$PORT" --stat -i 0.2
    [[ ${lines[0]} == *' data '*' load '* ]] || fail "$output"
    [[ ${lines[2]} =~ ^3\ +[0-9.]+[BKMG]\ +1\ +0\ +[0-9]+\ \(\+0\)\ +[0-9]+ ]] || fail "$output"
    ((${#lines[@]} >= 4))
}

@test "redis-cli --bigkeys and --memkeys" {
    q SET small x >/dev/null
    q SET large "$(printf 'x%.0s' {1..5000})" >/dev/null
    for i in {1..500}; do printf 'SET k:%d v\r\n' "$i"; done | redis-cli -p "$PORT" --pipe >/dev/null
    run redis-cli -p "$PORT" --bigkeys
    [ "$status" -eq 0 ]
    [[ $output == *'Sampled 502 keys in the keyspace!'* && $output == *'Biggest string found '*'large'*' has 5000 bytes'* ]] || fail "$output"
    run redis-cli -p "$PORT" --memkeys
    [ "$status" -eq 0 ]
    [[ $output == *'Sampled 502 keys in the keyspace!'* && $output =~ Biggest\ string\ found\ .*large.*\ has\ 5[0-9]{3}\ bytes ]] || fail "$output"
    run redis-cli -p "$PORT" --memkeys-samples 5
    [ "$status" -eq 0 ]
}

@test "redis-cli --latency" {
    # Without a terminal it ends by itself: min max average samples.
    run timeout 20 redis-cli -p "$PORT" --latency --raw -i 1
    [ "$status" -eq 0 ]
    [[ $output =~ ^[0-9]+\ [0-9]+\ [0-9.]+\ [0-9]+$ ]] || fail "$output"
}

@test "redis-cli --scan" {
    for i in {1..3000}; do printf 'SET key:%d v\r\nSET other:%d v\r\n' "$i" "$i"; done | redis-cli -p "$PORT" --pipe >/dev/null
    same 6000 "$(redis-cli -p "$PORT" --scan | sort -u | wc -l)"
    same 3000 "$(redis-cli -p "$PORT" --scan --pattern 'key:*' | sort -u | grep -c '^key:')"
    same 3000 "$(redis-cli -p "$PORT" --scan --pattern 'other:*' | sort -u | wc -l)"
}

@test "redis-cli --pipe" {
    run bash -c "for i in {1..10000}; do printf '*3\r\n\$3\r\nSET\r\n\$%d\r\nk%d\r\n\$1\r\nv\r\n' \$((\${#i} + 1)) \$i; done | redis-cli -p $PORT --pipe"
    [ "$status" -eq 0 ]
    [[ $output == *'errors: 0, replies: 10000'* ]] || fail "$output"
    expect '(integer) 10000' DBSIZE
    run bash -c "printf 'SET k text\r\nINCR k\r\nPING\r\n' | redis-cli -p $PORT --pipe"
    [ "$status" -ne 0 ]
    [[ $output == *'errors: 1, replies: 3'* ]] || fail "$output"
}

@test "redis-cli --latency-dist" {
    run for_a_while 2 redis-cli -p "$PORT" --latency-dist -i 1
    [[ -n $output ]]
    expect PONG PING
}

@test "redis-cli -x and -r" {
    printf 'from standard input' | redis-cli -p "$PORT" -x SET k >/dev/null
    expect '"from standard input"' GET k
    same $'1\n2\n3' "$(redis-cli -p "$PORT" -r 3 INCR n)"
}
