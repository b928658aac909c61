#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Memory: the limit, what is counted, and that all of it comes back.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() {
    q CONFIG SET maxmemory 0 >/dev/null
    empty_server
}

# fill N SIZE [PREFIX]: N keys with values of SIZE bytes.
fill() { "$ROOT/tests/lib/fill" "$PORT" "$@"; }
used() { field used_memory; }
dataset() { field used_memory_dataset; }
at_most() { (($("$2") <= $1)); }

@test "maxmemory: writes that need memory are refused, all else goes on" {
    expect OK SET before 1
    expect OK CONFIG SET maxmemory 1
    expect "(error) OOM command not allowed when used memory > 'maxmemory'." SET k v
    expect "(error) OOM command not allowed when used memory > 'maxmemory'." APPEND before x
    expect "(error) OOM command not allowed when used memory > 'maxmemory'." INCR n
    expect "(error) OOM command not allowed when used memory > 'maxmemory'." MSET a 1 b 2
    expect '"1"' GET before
    expect '(integer) 1' EXPIRE before 100
    expect '(integer) 1' DEL before
    expect OK CONFIG SET maxmemory 0
    expect OK SET k v
}

@test "maxmemory is reached and not passed" {
    expect OK CONFIG SET maxmemory 20mb
    run fill 100000 1000
    [[ $output == *OOM* ]]
    (($(used) <= 21 * 1048576)) || fail "used_memory $(used)"
    (($(used) >= 15 * 1048576)) || fail "used_memory $(used)"
    keys=$(q DBSIZE)
    ((keys > 5000))
    # Deleting makes room.
    expect OK FLUSHALL
    eventually 5 at_most $((10 * 1048576)) used
    expect OK SET k v
}

@test "used_memory_dataset is small after FLUSHALL" {
    only_bulkhead
    fill 100000 100
    (($(dataset) > 10000000))
    expect OK FLUSHALL
    eventually 10 at_most 200000 dataset
}

@test "used_memory_dataset returns after DEL of every key" {
    before=$(dataset)
    fill 20000 200
    (($(dataset) > before + 4000000))
    run bash -c "for i in {0..19999}; do echo DEL fill:\$i; done | redis-cli -p $PORT --pipe"
    [[ $output == *"errors: 0, replies: 20000"* ]]
    expect '(integer) 0' DBSIZE
    eventually 10 at_most $((before + 200000)) dataset
}

@test "used_memory follows the size of a value" {
    before=$(used)
    head -c 10000000 /dev/zero | tr '\0' x | q -x SET big >/dev/null
    (($(used) >= before + 10000000)) || fail "used_memory $(used), before $before"
    (($(used) <= before + 13000000)) || fail "used_memory $(used), before $before"
    expect '(integer) 1' DEL big
    eventually 5 at_most $((before + 1000000)) used
}

@test "overwriting does not grow" {
    fill 1000 1000
    before=$(used)
    for _ in {1..20}; do fill 1000 1000; done
    (($(used) <= before + before / 5)) || fail "used_memory $(used), before $before"
}

@test "memory given back is given back to the machine" {
    only_bulkhead
    objects=$(shm_objects "$PORT")
    fill 60000 1000
    full=$(du -k --total $objects | tail -n 1 | cut -f1)
    ((full > 60000)) || fail "$full kB"
    expect OK FLUSHALL
    eventually 15 shrunk $((full / 2)) "$objects"
    fill 1000 100
    expect '(integer) 1000' DBSIZE
}
shrunk() {
    # shellcheck disable=SC2086
    (($(du -k --total $2 | tail -n 1 | cut -f1) < $1))
}

@test "used_memory_peak" {
    fill 10000 1000
    peak=$(field used_memory_peak)
    ((peak >= 10000000))
    expect OK FLUSHALL
    (($(field used_memory_peak) >= peak))
}

@test "used_memory_rss counts shared pages once" {
    only_bulkhead
    fill 30000 1000
    hold 30
    rss=$(field used_memory_rss)
    # 30 processes map more than 30 MB each.
    ((rss > 30000000 && rss < 300000000)) || fail "used_memory_rss $rss"
    release
}

@test "connections leave no memory behind" {
    for _ in 1 2 3; do
        hold 50
        release
    done
    clients_are 1
    before=$(used)
    for _ in 1 2 3 4 5 6; do
        hold 50
        release
    done
    clients_are 1
    (($(used) <= before + 100000)) || fail "used_memory $(used), before $before"
}

@test "an error in the middle of a large command leaves nothing behind" {
    expect OK CONFIG SET maxmemory 30mb
    before=$(used)
    head -c 100000000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/value"
    for _ in 1 2 3; do q -x SET big <"$BATS_TEST_TMPDIR/value" >/dev/null || true; done
    expect OK CONFIG SET maxmemory 0
    q DEL big >/dev/null
    eventually 5 at_most $((before + 1000000)) used
}
