#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Files exchanged with redis-server: what it saves is loaded here, and the other way round; every key is compared, by another redis-server that
# loads the same file.

bats_require_minimum_version 1.5.0
load lib/server

setup() { only_bulkhead; }

# exchanged theirs|ours OPTION...
exchanged() {
    run -0 "$ROOT/tests/lib/exchange" "$@"
    same "" "$output"
}

@test "an RDB of redis-server: strings of all encodings, expiries, several databases" {
    exchanged theirs
}

@test "an RDB of redis-server without compression and without checksum" {
    exchanged theirs --rdbcompression no --rdbchecksum no
}

@test "an RDB of redis-server with idle times, and with frequencies" {
    POLICY=allkeys-lru KEYS=100 exchanged theirs
    POLICY=allkeys-lfu KEYS=100 exchanged theirs
    POLICY=allkeys-lru LOADED_POLICY=noeviction KEYS=100 exchanged theirs
}

@test "an RDB of Bulkhead, for redis-server and redis-check-rdb" {
    exchanged ours
}

@test "an RDB of Bulkhead without compression and without checksum" {
    exchanged ours --rdbcompression no --rdbchecksum no
}

@test "an RDB of Bulkhead with idle times, and with frequencies" {
    POLICY=allkeys-lru KEYS=100 exchanged ours
    POLICY=allkeys-lfu KEYS=100 exchanged ours
}
