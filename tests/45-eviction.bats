#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Eviction by each policy, access clocks, what the limit counts, and slabs that serve new sizes of values.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() {
    q CONFIG SET maxmemory 0 maxmemory-policy noeviction maxmemory-samples 5 lfu-log-factor 10 lfu-decay-time 1 >/dev/null
    empty_server
    q CONFIG RESETSTAT >/dev/null
}

OOM="(error) OOM command not allowed when used memory > 'maxmemory'."
NOT_LFU='(error) ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.'
IS_LFU='(error) ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.'

# fill N SIZE [MS]: keys fill:0 ... with values of SIZE bytes.
fill() { "$ROOT/tests/lib/fill" "$PORT" "$@"; }
keys() { q DBSIZE; }
# pipe FORMAT [FROM] TO: a command for each number, FORMAT as for printf with one number.
pipe() { { seq -f "$1" "${@:2}" | sed 's/$/\r/' | redis-cli -p "$PORT" --pipe 2>&1 || true; } >/dev/null; }
value() { head -c "$1" /dev/zero | tr '\0' v; }
used() { field used_memory memory; }
evicted() { field evicted_keys stats; }
within() { (($(used) <= $1)); }
blocks() { echo $(($(stat -c %b /dev/shm/bulkhead."$PORT".main) * 512)); }

# limited POLICY: as much as is there now, and 2 MB more.
limited() { expect OK CONFIG SET maxmemory-policy "$1" maxmemory $(($(used) + 2097152)); }

@test "allkeys-lru, -lfu, -random: the store stays within its limit, and every write succeeds" {
    for policy in allkeys-lru allkeys-lfu allkeys-random; do
        empty_server
        limited $policy
        limit=$(q CONFIG GET maxmemory | tail -1)
        run fill 20000 500
        [[ $output != *OOM* ]] || fail "$policy: $output"
        if ! target_is_redis; then eventually 5 within "$limit"; fi
        (($(keys) > 1000 && $(keys) < 10000)) || fail "$policy: $(keys) keys"
        (($(evicted) > 0))
    done
}

@test "volatile-lru, -lfu, -random, -ttl: only what has an expiry goes; when none is left it is -OOM" {
    for policy in volatile-lru volatile-lfu volatile-random volatile-ttl; do
        empty_server
        expect OK SET stays 1
        limited $policy
        pipe "SET v:%.0f $(value 500) EX 1000" 5000
        (($(evicted) > 0)) || fail "$policy evicted nothing"
        expect '"1"' GET stays
        pipe "SET p:%.0f $(value 500)" 6000
        expect '"1"' GET stays
        # Nothing with an expiry is left, and nothing else may go.
        expect "$OOM" SET more "$(printf %0100000d 0)"
        same 0 "$(field db0 keyspace | sed 's/.*expires=//; s/,.*//')" "$policy"
        q CONFIG SET maxmemory 0 >/dev/null
    done
}

@test "noeviction: beyond the limit it is -OOM, and nothing goes" {
    expect OK SET a 1
    expect OK CONFIG SET maxmemory 1
    expect "$OOM" SET b 1
    expect '"1"' GET a
    same 0 "$(evicted)"
}

@test "allkeys-lru keeps what was used last" {
    fill 2000 500
    expect OK CONFIG SET maxmemory-samples 10
    # Seconds must have passed between two uses to tell them apart.
    eventually 10 older fill:0 2
    pipe "GET fill:%.0f" 0 199
    expect OK CONFIG SET maxmemory-policy allkeys-lru maxmemory $(($(used) + 100000))
    pipe "SET new:%.0f $(value 500)" 1000
    (($(evicted) > 500))
    left=$(seq -f "EXISTS fill:%.0f" 0 199 | redis-cli -p "$PORT" | grep -c 1)
    ((left >= 190)) || fail "$left of 200 that were used are left"
}
older() { (($(q OBJECT IDLETIME "$1") >= $2)); }

@test "volatile-ttl takes what falls due first" {
    pipe "SET k:%.0f $(value 200) EX 1000" 299
    pipe "SET k:%.0f $(value 200) EX 100000" 300 1000
    expect OK CONFIG SET maxmemory-policy volatile-ttl maxmemory-samples 10 maxmemory $(($(used) - 30000))
    q SET x 1 >/dev/null
    if ! target_is_redis; then eventually 5 within "$(q CONFIG GET maxmemory | tail -1)"; fi
    (($(evicted) >= 100)) || fail "$(evicted) evicted"
    left=$(seq -f "EXISTS k:%.0f" 300 1000 | redis-cli -p "$PORT" | grep -c 1)
    target_is_redis || ((left >= 695)) || fail "$left of 701 with a late expiry are left"
}

@test "OBJECT FREQ and IDLETIME follow the policy" {
    expect OK SET k v
    expect "$NOT_LFU" OBJECT FREQ k
    expect '(integer) 0' OBJECT IDLETIME k
    expect '(nil)' OBJECT FREQ none
    for policy in allkeys-lfu volatile-lfu; do
        expect OK CONFIG SET maxmemory-policy $policy
        expect '(nil)' OBJECT IDLETIME none
        expect '(integer) 1' DEL k
        expect OK SET k v
        expect '(integer) 5' OBJECT FREQ k
        expect "$IS_LFU" OBJECT IDLETIME k
    done
    expect OK CONFIG SET maxmemory-policy volatile-ttl
    expect "$NOT_LFU" OBJECT FREQ k
}

@test "LFU: each use counts with lfu-log-factor 0; SET keeps the counter, RENAME takes it along, COPY begins anew" {
    expect OK CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0 lfu-decay-time 0
    expect OK SET k v
    expect '(integer) 5' OBJECT FREQ k
    for i in {1..5}; do expect '"v"' GET k; done
    expect '(integer) 10' OBJECT FREQ k
    expect OK SET k w
    expect '(integer) 11' OBJECT FREQ k
    expect '(integer) 5' APPEND k 1234
    expect '(integer) 12' OBJECT FREQ k
    expect OK RENAME k l
    expect '(integer) 13' OBJECT FREQ l
    expect '(integer) 1' COPY l m
    expect '(integer) 5' OBJECT FREQ m
    expect '(integer) 14' OBJECT FREQ l
    expect '(integer) 1' TOUCH m
    expect '(integer) 6' OBJECT FREQ m
    # Looking at a key is no use of it.
    expect string TYPE l
    expect '(integer) 1' EXISTS l
    expect '(integer) 14' OBJECT FREQ l
}

@test "LFU: the counter grows by chance, slower the higher it is" {
    expect OK CONFIG SET maxmemory-policy allkeys-lfu
    expect OK SET k v
    for i in {1..2000}; do echo GET k; done | redis-cli -p "$PORT" >/dev/null
    n=$(q OBJECT FREQ k)
    # redis-server's own table: 10 after 100 uses, 18 after 1,000.
    ((n >= 14 && n <= 34)) || fail "$n after 2,000 uses"
}

@test "integers are not shared where each needs an access clock" {
    expect OK SET n 5
    expect '(integer) 2147483647' OBJECT REFCOUNT n
    expect OK CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru
    expect OK SET n 5
    expect '(integer) 1' OBJECT REFCOUNT n
    expect OK CONFIG SET maxmemory-policy volatile-ttl
    expect OK SET n 5
    expect '(integer) 2147483647' OBJECT REFCOUNT n
}

@test "shared memory stays within 1.02 times the limit and 8 MB, and new sizes of values get the room of the old ones" {
    only_bulkhead
    limit=$((64 * 1048576)) bound=$((64 * 1048576 * 102 / 100 + 8000000))
    start_server --maxmemory 64mb --maxmemory-policy allkeys-lru --slowlog-log-slower-than -1 # which may take more on top
    fill 600000 100
    (($(blocks) <= bound)) || fail "$(blocks) bytes"
    fill 120000 1000
    (($(blocks) <= bound)) || fail "$(blocks) bytes"
    # 1,000 bytes of value, 16 of header, the key.
    live=$(($(keys) * 1025))
    ((live * 100 >= limit * 85)) || fail "live data is $live of $limit"
    pipe "SET again:%.0f $(value 100)" 300000
    (($(blocks) <= bound)) || fail "$(blocks) bytes"
    expect OK DEBUG FSCK
    no_crash
    stop_server
}

bounded() { (($(blocks) <= $1)); }
@test "large values of all sizes, small ones between them: writing goes on for ever" {
    only_bulkhead
    bound=$((40 * 1048576 * 102 / 100 + 8000000))
    start_server --maxmemory 40mb --maxmemory-policy allkeys-lru --slowlog-log-slower-than -1
    for most in 100000 1000000 4000000; do
        awk -v most=$most 'BEGIN { srand(1); for (i = 0; i < 3000; i++) { k = int(rand() * 1000)
            printf "DEL k:%d\r\nSETRANGE k:%d %d x\r\nSET s:%d %0300d\r\n", k, k, 33000 + rand() * (most - 33000), i, i } }' |
            redis-cli -p "$PORT" --pipe >"$BATS_TEST_TMPDIR/out" 2>&1 || true
        grep -q "errors: 0" "$BATS_TEST_TMPDIR/out" || fail "up to $most: $(tail -3 "$BATS_TEST_TMPDIR/out")"
        # What was there before a command, while it may have to be undone, does not count.
        eventually 5 bounded "$bound" || fail "$(blocks) bytes"
    done
    expect OK DEBUG FSCK
    no_crash
    stop_server
}

@test "large values that cannot be had are refused at once" {
    only_bulkhead
    for policy in volatile-lru noeviction; do
        start_server --maxmemory 20mb --maxmemory-policy $policy
        # Some large ones fit in between; after that nothing more can be moved, and nothing may go.
        awk 'BEGIN { srand(2); for (i = 0; i < 2000; i++) printf "SETRANGE k:%d %d x\r\n", i, 33000 + rand() * 500000 }' |
            timeout 60 redis-cli -p "$PORT" --pipe >"$BATS_TEST_TMPDIR/out" 2>&1 || true
        grep -q "replies: 2000" "$BATS_TEST_TMPDIR/out" || fail "$policy: $(tail -3 "$BATS_TEST_TMPDIR/out")"
        (($(keys) > 10 && $(keys) < 400)) || fail "$policy: $(keys) keys"
        expect OK DEBUG FSCK
        stop_server
    done
}

@test "noeviction: deleted values of one size make room for another" {
    only_bulkhead
    start_server --maxmemory 20mb
    { fill 200000 100 || true; } >/dev/null
    # Two of three, so that no slab becomes empty by itself.
    pipe "DEL fill:%.0f" 1 3 110000
    pipe "DEL fill:%.0f" 2 3 110000
    left=$(keys)
    pipe "SET large:%.0f $(value 1000)" 5000
    same $((left + 5000)) "$(keys)"
    expect OK DEBUG FSCK
    stop_server
}

@test "a command larger than what could ever be had evicts nothing" {
    only_bulkhead
    start_server --maxmemory 20mb --maxmemory-policy allkeys-lru
    fill 1000 100
    expect "$OOM" SETRANGE big 30000000 x
    same 1000 "$(keys)"
    stop_server
}

@test "nothing is evicted while clients are paused" {
    fill 1000 100
    expect OK CLIENT PAUSE 100000 WRITE
    before=$(keys)
    expect OK CONFIG SET maxmemory-policy allkeys-lru maxmemory 1
    same "$before" "$(keys)"
    expect OK CLIENT UNPAUSE
    expect OK CONFIG SET maxmemory 0
}

@test "lowering maxmemory evicts without any write" {
    only_bulkhead
    fill 20000 500
    expect OK CONFIG SET maxmemory-policy allkeys-random
    limit=$(($(used) - 5000000))
    expect OK CONFIG SET maxmemory $limit
    eventually 5 within $limit
    (($(evicted) > 5000))
}

# begins NAME BYTES: a client of that name has sent so much of a command, and no end of it. Sets FD.
begins() {
    exec {FD}<>/dev/tcp/127.0.0.1/"$PORT"
    printf 'CLIENT SETNAME %s\r\n' "$1" >&"$FD"
    read -r -t 5 <&"$FD"
    { printf '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n' $(($2 + 100)); head -c "$2" /dev/zero; } >&"$FD"
}
has() { q CLIENT LIST | grep -q " name=$1 "; }
has_not() { ! has "$1"; }

@test "maxmemory-clients: the largest client goes, small ones and those with NO-EVICT stay" {
    for limit in 6mb 10%; do
        begins small 100000
        small=$FD
        begins large 4000000
        large=$FD
        exec {kept}<>/dev/tcp/127.0.0.1/"$PORT"
        printf 'CLIENT NO-EVICT on\r\nCLIENT SETNAME kept\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2600000\r\n' >&"$kept"
        head -c 2500000 /dev/zero >&"$kept"
        eventually 5 has kept
        expect OK CONFIG SET maxmemory 60mb maxmemory-clients $limit
        eventually 5 has_not large
        has small
        has kept
        same 1 "$(field evicted_clients stats)"
        if ! target_is_redis; then grep -q "Evicting client: id=[0-9]* addr=127.0.0.1:[0-9]* name=large" "$SERVER_LOG"; fi
        expect OK CONFIG SET maxmemory-clients 0 maxmemory 0
        expect OK CONFIG RESETSTAT
        exec {small}>&- {large}>&- {kept}>&-
        eventually 5 has_not kept
    done
    # With so little nobody could be served: it is taken for 128 kB.
    expect OK CONFIG SET maxmemory-clients 1
    expect PONG PING
    expect OK CONFIG SET maxmemory-clients 0
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - percentage argument must be less or equal to 100" \
        CONFIG SET maxmemory-clients 101%
}
