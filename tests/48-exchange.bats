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

# ---- append only files ----

# redis OPTION...: a redis-server with an append only file in $THEIRS; its port and pid are REDIS_PORT and REDIS_PID. With everysec it answers
# before it has written while a sync is slow, and its files cannot be copied at any moment.
redis() {
    SERVER_BINARY=redis-server OWN_DIR=$THEIRS start_server --appendonly yes --appendfsync no --auto-aof-rewrite-percentage 0 "$@"
    REDIS_PORT=$PORT REDIS_PID=$SERVER_PID REDIS_LOG=$SERVER_LOG
}
stop_redis() { stop_server "$REDIS_PID" "$REDIS_PORT" "$REDIS_LOG"; }

dataset() { "$ROOT/tests/lib/dataset" "$@"; }

# rewritten PORT: a rewrite of the append only file that has begun is over.
rewritten() { eventually 20 is_rewritten "$1"; }
is_rewritten() { [[ $(redis-cli -p "$1" INFO persistence) == *aof_rewrite_in_progress:0*aof_rewrite_scheduled:0*aof_last_bgrewrite_status:ok* ]]; }

# loaded_here FOLDER: a server with a copy of these files has the keys that redis-server has.
loaded_here() {
    OWN_DIR=$BATS_TEST_TMPDIR/copy
    rm -rf "$OWN_DIR"
    cp -r "$1" "$OWN_DIR"
    start_server --appendonly yes
    run -0 dataset same "$REDIS_PORT" "$PORT"
    same "$(redis-cli -p "$REDIS_PORT" DEBUG DIGEST)" "$(q DEBUG DIGEST)"
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "append only files of redis-server: as written, rewritten as RDB and as commands, and as Redis 6 had them" {
    local files=$BATS_TEST_TMPDIR/theirs/appendonlydir old=$BATS_TEST_TMPDIR/old
    THEIRS=$BATS_TEST_TMPDIR/theirs
    mkdir "$THEIRS" "$old"
    redis
    dataset fill "$REDIS_PORT" 1
    loaded_here "$THEIRS"

    redis-cli -p "$REDIS_PORT" BGREWRITEAOF
    rewritten "$REDIS_PORT"
    dataset fill "$REDIS_PORT" 2
    [[ -s $files/appendonly.aof.2.base.rdb && -s $files/appendonly.aof.2.incr.aof ]]
    loaded_here "$THEIRS"
    cat "$files"/appendonly.aof.2.{base.rdb,incr.aof} >"$old/appendonly.aof"
    loaded_here "$old"

    redis-cli -p "$REDIS_PORT" CONFIG SET aof-use-rdb-preamble no
    redis-cli -p "$REDIS_PORT" CONFIG SET aof-timestamp-enabled yes
    redis-cli -p "$REDIS_PORT" BGREWRITEAOF
    rewritten "$REDIS_PORT"
    dataset fill "$REDIS_PORT" 3
    grep -qa '^#TS:' "$files/appendonly.aof.3.incr.aof"
    loaded_here "$THEIRS"
    cat "$files"/appendonly.aof.3.{base,incr}.aof >"$old/appendonly.aof"
    loaded_here "$old"
    # It was moved as redis-server moves it.
    cmp "$old/appendonly.aof" "$BATS_TEST_TMPDIR/copy/appendonlydir/appendonly.aof"
    stop_redis
}

# loaded_there FOLDER: redis-server with a copy of these files has the keys that the server at OUR_PORT has, and finds nothing wrong with them.
loaded_there() {
    THEIRS=$BATS_TEST_TMPDIR/copy
    rm -rf "$THEIRS"
    cp -r "$1" "$THEIRS"
    redis-check-aof "$THEIRS/appendonlydir/appendonly.aof.manifest" >/dev/null
    (exec -a bulkhead-check-aof "$BULKHEAD_SERVER" "$THEIRS/appendonlydir/appendonly.aof.manifest") >/dev/null
    redis
    run -0 dataset same "$OUR_PORT" "$REDIS_PORT"
    same "$(redis-cli -p "$OUR_PORT" DEBUG DIGEST)" "$(redis-cli -p "$REDIS_PORT" DEBUG DIGEST)"
    stop_redis
}

@test "append only files of Bulkhead: as written, rewritten as RDB and as commands, are loaded by redis-server and by itself" {
    local ours=$BATS_TEST_TMPDIR/ours
    mkdir "$ours"
    # What was answered is in the file.
    OWN_DIR=$ours start_server --appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0
    local OUR_PORT=$PORT OUR_PID=$SERVER_PID OUR_LOG=$SERVER_LOG
    dataset fill "$OUR_PORT" 1
    loaded_there "$ours"
    for preamble in yes no; do
        redis-cli -p "$OUR_PORT" CONFIG SET aof-use-rdb-preamble $preamble
        redis-cli -p "$OUR_PORT" BGREWRITEAOF
        rewritten "$OUR_PORT"
        loaded_there "$ours"
        dataset fill "$OUR_PORT" 2
        loaded_there "$ours"
    done
    REDIS_PORT=$OUR_PORT loaded_here "$ours"
    redis-cli -p "$OUR_PORT" DEBUG LOADAOF
    REDIS_PORT=$OUR_PORT loaded_here "$ours"
    stop_server "$OUR_PID" "$OUR_PORT" "$OUR_LOG"
}
