#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Processes die, or stand still, under load: nothing is lost, half-written, leaked or held up. What is checked is in the heads of
# tests/death/torture.c and client.c; `make torture` runs the long forms. Each instruction of each command: tests/unit/test_death.c.

bats_require_minimum_version 1.5.0
load lib/server

# Other tests run beside this one: a longer operation is allowed than where figures are taken.
torture() { run "$ROOT/build/torture" --limit 500 "$@" 3>&-; echo "$output" | sed 's/^/# /'; }

@test "processes of every kind are killed 50 times a second" {
    only_bulkhead
    torture --server "$BULKHEAD_SERVER" --kills 1000 --seconds 40
    ((status == 0))
    for kind in workers 'spare workers' expirers medics; do
        [[ $output =~ "  $kind "\ +[1-9] ]] || fail "no $kind were killed"
    done
}

@test "workers are stopped in the middle of what they do" {
    only_bulkhead
    torture --server "$BULKHEAD_SERVER" --stop --rate 20 --kills 200
    ((status == 0))
}

@test "the supervisor is killed five times, and the data is there each time" {
    only_bulkhead
    torture --server "$BULKHEAD_SERVER" --supervisor 5
    ((status == 0))
}

@test "the torture notices what nobody acknowledged to its clients" {
    only_bulkhead
    start_server
    "$ROOT/build/torture" --port "$PORT" --stop --seconds 2 --rate 5 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    pid=$!
    sleep 1
    for i in {1..20}; do q INCR ctr:0; done >/dev/null
    wait "$pid" && failed= || failed=$?
    stop_server
    same 1 "$failed"
    grep -q 'first: counter 0 is .* acknowledged' "$BATS_TEST_TMPDIR/out" || fail "$(cat "$BATS_TEST_TMPDIR/out")"
}
