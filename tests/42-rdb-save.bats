#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Saving: SAVE BGSAVE LASTSAVE, save points, at the end of the server, and what goes wrong.
load lib/server

setup() { PIDS=(); }
teardown() {
    local pid
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    [[ -z ${STORE_PORT:-} ]] || rm -f $(shm_objects "$STORE_PORT")
}

server() { start_server "$@"; PIDS+=("$SERVER_PID"); STORE_PORT=$PORT; }
info() { q INFO persistence | tr -d '\r' | sed -n "s/^$1://p"; }
field_is() { [[ $(info "$1") == "$2" ]]; }
saved() { field_is rdb_bgsave_in_progress 0 && field_is rdb_last_bgsave_status ok; }
temp_files() { find "$SERVER_DIR" -name 'temp-*'; }
good() { redis-check-rdb "${1:-$SERVER_DIR/dump.rdb}" >"$BATS_TEST_TMPDIR/check" || fail "$(cat "$BATS_TEST_TMPDIR/check")"; }
keys_read() { sed -n 's/^\[info\] \([0-9]*\) keys read/\1/p' "$BATS_TEST_TMPDIR/check"; }
snapshot_pid() { sed -n 's/.*aving started by pid //p' "$SERVER_LOG" | tail -n 1; }

# oracle DIR [OPTION...]: a redis-server on a socket in DIR, which loads what is there.
oracle() {
    local dir=$1
    shift
    redis-server --port 0 --unixsocket "$dir/oracle" --dir "$dir" --save '' "$@" >"$dir/oracle.log" 2>&1 3>&- &
    PIDS+=($!)
    eventually 10 test -S "$dir/oracle"
    eventually 10 asked "$dir" PING
}
asked() { redis-cli -s "$1/oracle" "${@:2}"; }

@test "SAVE, BGSAVE, LASTSAVE: replies and mistakes" {
    server
    expect OK SET a b
    local before
    before=$(q LASTSAVE)
    matches '^\(integer\) [0-9]+$' LASTSAVE
    same "$before" "$(info rdb_last_save_time)"
    field_is rdb_changes_since_last_save 1
    expect OK SAVE
    field_is rdb_changes_since_last_save 0
    expect "Background saving started" BGSAVE
    eventually 10 saved
    field_is rdb_last_bgsave_time_sec 0
    field_is rdb_saves 2
    expect "(error) ERR syntax error" BGSAVE now
    expect "(error) ERR syntax error" BGSAVE SCHEDULE x
    expect "(error) ERR wrong number of arguments for 'save' command" SAVE x
    expect "Background saving started" BGSAVE schedule
    eventually 10 saved
    expect OK CONFIG RESETSTAT
    field_is rdb_saves 0
    good
    same 1 "$(keys_read)"
    same "" "$(temp_files)"
    [[ $(q LASTSAVE) -ge $before ]]
    stop_server
}

# One key in each database, so that the order is not the index's.
fill_each_db() {
    local i=0 value values=(0 -1 127 128 -129 32768 -2147483648 2147483647 2147483648 007 ''
        aaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaa "$(printf 'abcdefgh%.0s' {1..300})" "$(printf '%s,' {1..3000})" "$(printf 'x%.0s' {1..100})y")
    for value in "${values[@]}"; do
        "$@" -n $i SET "key$i" "$value" >/dev/null
        i=$((i + 1))
    done
    "$@" -n 3 SET 12345 due PXAT 4000000000000 >/dev/null
    "$@" -n 3 DEL key3 >/dev/null
}
after_aux() { xxd -p "$1" | tr -d '\n' | sed 's/.*616f662d62617365c000//; s/.\{16\}$//'; }

@test "the file is redis-server's to the byte, compressed or not, with checksum or without" {
    only_bulkhead
    server
    mkdir "$BATS_TEST_TMPDIR/o"
    oracle "$BATS_TEST_TMPDIR/o"
    fill_each_db redis-cli -p "$PORT"
    fill_each_db redis-cli -s "$BATS_TEST_TMPDIR/o/oracle"
    local compressed
    for compressed in yes no; do
        q CONFIG SET rdbcompression $compressed >/dev/null
        asked "$BATS_TEST_TMPDIR/o" CONFIG SET rdbcompression $compressed >/dev/null
        expect OK SAVE
        asked "$BATS_TEST_TMPDIR/o" SAVE >/dev/null
        good
        same 16 "$(keys_read)"
        same "$(after_aux "$BATS_TEST_TMPDIR/o/dump.rdb")" "$(after_aux "$SERVER_DIR/dump.rdb")"
    done
    stop_server
    OWN_DIR=$SERVER_DIR
    server --rdbchecksum no --dbfilename other.rdb
    expect OK SAVE
    same 0000000000000000 "$(xxd -p "$SERVER_DIR/other.rdb" | tr -d '\n' | tail -c 16)"
    good "$SERVER_DIR/other.rdb"
    stop_server
}

@test "redis-server loads what was saved while clients were writing: one moment of it" {
    only_bulkhead
    server --rdb-key-save-delay 100
    q DEBUG POPULATE 3000 key 100 >/dev/null
    expect OK MSET first 0 second 0
    expect "Background saving started" BGSAVE
    eventually 10 field_is rdb_bgsave_in_progress 1
    local i
    for i in {1..200}; do echo "MSET first $i second $i key:$i changed new:$i x"; done | q >/dev/null
    q DEL key:2000 key:2001 >/dev/null
    field_is rdb_bgsave_in_progress 1
    [[ $(info current_save_keys_total) -ge 3002 ]]
    eventually 20 saved
    [[ $(info rdb_changes_since_last_save) -gt 700 ]]
    mkdir "$BATS_TEST_TMPDIR/o"
    cp "$SERVER_DIR/dump.rdb" "$BATS_TEST_TMPDIR/o"
    oracle "$BATS_TEST_TMPDIR/o"
    eventually 10 eval '[[ $(asked "$BATS_TEST_TMPDIR/o" DBSIZE) -ge 3002 ]]'
    same "$(asked "$BATS_TEST_TMPDIR/o" GET first)" "$(asked "$BATS_TEST_TMPDIR/o" GET second)"
    same 1 "$(asked "$BATS_TEST_TMPDIR/o" EXISTS key:2000)"
    stop_server
}

@test "SAVE: its caller waits, others go on; a second save has to wait or is refused" {
    only_bulkhead
    server --rdb-key-save-delay 1000
    q DEBUG POPULATE 700 key 10 >/dev/null
    q SAVE >"$BATS_TEST_TMPDIR/first" 3>&- &
    local first=$!
    eventually 10 field_is rdb_bgsave_in_progress 1
    expect OK SET other 1
    q SAVE >"$BATS_TEST_TMPDIR/second" 3>&- &
    local second=$!
    expect "(error) ERR Background save already in progress" BGSAVE
    expect "(error) ERR Background save already in progress" BGSAVE SCHEDULE
    wait $first $second
    same "OK OK" "$(cat "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second" | xargs)"
    good
    same 701 "$(keys_read)"
    expect "Background saving started" BGSAVE
    expect "(error) ERR Background save already in progress" SAVE
    expect OK CONFIG SET rdb-key-save-delay 0
    eventually 20 saved
    stop_server
}

@test "save points: as configured, added up in a file, set at run time; a save takes the changes with it" {
    server
    expect $'1) "save"\n2) ""' CONFIG GET save
    expect OK CONFIG SET save '1 2 100 1000'
    expect OK SET a 1
    expect OK SET b 1
    eventually 15 field_is rdb_changes_since_last_save 0
    eventually 10 saved
    good
    same 2 "$(keys_read)"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters" CONFIG SET save '1 -2'
    expect OK CONFIG SET save ''
    stop_server
}

points_of() {
    printf '%s\n' "${@:2}" >"$BATS_TEST_TMPDIR/conf"
    PORT=$((10000 + SRANDOM % 20000))
    launch "$BATS_TEST_TMPDIR/conf" --port "$PORT" --dir "$BATS_TEST_TMPDIR"
    PIDS+=("$SERVER_PID")
    same "$1" "$(q CONFIG GET save | tail -n 1)"
    q SHUTDOWN NOSAVE
    eventually 10 dead "$SERVER_PID"
}

@test "lines of save in a file" {
    points_of "3600 1 300 100 60 10000" "timeout 1"
    points_of "100 1 200 2" "save 100 1" "save 200 2"
    points_of "5 6" "save 100 1" 'save ""' "save 5 6"
    points_of "" 'save ""'
    points_of "900 1 800 2 1 1" "save 900 1 800 2" "save 1 1"
}

@test "a save that fails: said in INFO, writes refused if asked for, tried again" {
    only_bulkhead
    local dir=$BATS_TEST_TMPDIR/gone
    mkdir "$dir"
    OWN_DIR=$dir
    server --save "3000 1"
    expect OK SET a 1
    rm -rf "$dir"
    expect "Background saving started" BGSAVE
    eventually 10 field_is rdb_last_bgsave_status err
    local misconf="(error) MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
    expect "$misconf" SET a 2
    expect "$misconf" PING
    expect "$misconf" FLUSHALL
    expect '"1"' GET a
    expect "(error) ERR" SAVE
    expect OK CONFIG SET stop-writes-on-bgsave-error no
    expect OK SET a 2
    expect OK CONFIG SET stop-writes-on-bgsave-error yes
    expect "$misconf" SET a 3
    expect OK CONFIG SET save ''
    expect OK SET a 3
    expect "(error) ERR Errors trying to SHUTDOWN. Check logs." SHUTDOWN SAVE
    expect OK SET a 4
    expect OK CONFIG SET save '1 1'
    expect "$misconf" SET a 5
    kill -TERM "$SERVER_PID"
    eventually 10 grep -q 'the server goes on' "$SERVER_LOG"
    # By path the directory is there again, but the server's is the removed one.
    expect '"4"' GET a
    q SHUTDOWN FORCE
    eventually 10 dead "$SERVER_PID"
}

@test "a failed save is repeated, and when it succeeds writes go on" {
    only_bulkhead
    server --save "1 1"
    mkdir "$SERVER_DIR/dump.rdb"
    expect OK SET a 1
    eventually 15 field_is rdb_last_bgsave_status err
    same "" "$(temp_files)"
    rmdir "$SERVER_DIR/dump.rdb"
    eventually 20 field_is rdb_last_bgsave_status ok
    expect OK SET a 2
    good
    stop_server
}

@test "the end: saves if there are save points, or as it is told" {
    local dir
    server
    expect OK SET a 1
    q SHUTDOWN
    eventually 10 dead "$SERVER_PID"
    not test -e "$SERVER_DIR/dump.rdb"
    server
    expect OK SET a 1
    q SHUTDOWN SAVE
    eventually 10 dead "$SERVER_PID"
    good
    server --save "3000 1000"
    expect OK SET a 1
    q SHUTDOWN NOSAVE
    eventually 10 dead "$SERVER_PID"
    not test -e "$SERVER_DIR/dump.rdb"
    server --save "3000 1000"
    expect OK SET a 1
    kill -TERM "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    good
    same 1 "$(keys_read)"
}

@test "the end: a snapshot under way makes room for the last one, which has all that was acknowledged" {
    only_bulkhead
    server --save "3000 1000" --rdb-key-save-delay 20000
    q DEBUG POPULATE 1000 key 10 >/dev/null
    expect "Background saving started" BGSAVE
    expect OK SET late 1
    eventually 10 test -n "$(temp_files)"
    expect OK CONFIG SET rdb-key-save-delay 0
    q SHUTDOWN
    eventually 10 dead "$SERVER_PID"
    same "" "$(temp_files)"
    good
    same 1001 "$(keys_read)"
    # While it saves, writers wait; it can be called off.
    server --save "3000 1000" --rdb-key-save-delay 20000
    q DEBUG POPULATE 1000 key 10 >/dev/null
    q SHUTDOWN >"$BATS_TEST_TMPDIR/end" 2>&1 3>&- &
    local asker=$!
    eventually 10 field_is rdb_bgsave_in_progress 1
    q SET late 1 >"$BATS_TEST_TMPDIR/late" 3>&- &
    local writer=$!
    expect '"value:1"' GETRANGE key:1 0 6
    expect OK SHUTDOWN ABORT
    wait $asker $writer
    same "ERR Errors trying to SHUTDOWN. Check logs." "$(head -n 1 "$BATS_TEST_TMPDIR/end")"
    same OK "$(cat "$BATS_TEST_TMPDIR/late")"
    expect "(error) ERR No shutdown in progress." SHUTDOWN ABORT
    same "" "$(temp_files)"
    q SHUTDOWN NOSAVE
    eventually 10 dead "$SERVER_PID"
}

@test "the end that could not save: who waited for a save of its own is answered" {
    only_bulkhead
    start_server --appendonly yes --rdb-key-save-delay 10000000
    expect OK SET a 1
    expect 'Background append only file rewriting started' BGREWRITEAOF
    expect OK CONFIG SET rdb-key-save-delay 0
    mkdir "$SERVER_DIR/dump.rdb"
    q SAVE >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- &
    local waits=$!
    clients_are 2
    eventually 5 saving_waits
    expect '(error) ERR Errors trying to SHUTDOWN. Check logs.' SHUTDOWN SAVE
    eventually 10 dead "$waits"
    same ERR "$(head -n 1 "$BATS_TEST_TMPDIR/answer")"
    rmdir "$SERVER_DIR/dump.rdb"
    expect OK SAVE
    stop_server
}
saving_waits() { [[ $(q CLIENT LIST) == *cmd=save* ]] && [[ $(field rdb_saves persistence) == 1 ]]; }

@test "FLUSHALL ends a snapshot under way, and saves if there are save points" {
    only_bulkhead
    server --rdb-key-save-delay 20000
    q DEBUG POPULATE 1000 key 10 >/dev/null
    expect "Background saving started" BGSAVE
    expect OK FLUSHALL
    eventually 10 field_is rdb_bgsave_in_progress 0
    field_is rdb_last_bgsave_status ok
    not test -e "$SERVER_DIR/dump.rdb"
    expect OK CONFIG SET save '3000 1000' rdb-key-save-delay 0
    q DEBUG POPULATE 100 key 10 >/dev/null
    expect OK SAVE
    expect OK FLUSHALL ASYNC
    good
    same 0 "$(keys_read)"
    field_is rdb_changes_since_last_save 0
    stop_server
}

@test "directory and name may be changed while a snapshot is written: it goes where it was to go" {
    start_server --enable-protected-configs yes
    seq 100 | sed 's/.*/SET k:& v&/' | q >/dev/null
    mkdir "$SERVER_DIR/other"
    expect OK CONFIG SET rdb-key-save-delay 10000
    expect 'Background saving started' BGSAVE
    expect OK CONFIG SET dir "$SERVER_DIR/other" dbfilename other.rdb
    eventually 20 eval '[[ $(field rdb_bgsave_in_progress persistence) == 0 ]]'
    same "ok" "$(field rdb_last_bgsave_status persistence)"
    same "dump.rdb other" "$(ls "$SERVER_DIR" | paste -sd' ')"
    same "" "$(ls "$SERVER_DIR/other")"
    target_is_redis || stop_server
}

@test "a snapshot that is killed is reported, and leaves nothing" {
    only_bulkhead
    server --rdb-key-save-delay 20000
    q DEBUG POPULATE 1000 key 10 >/dev/null
    expect "Background saving started" BGSAVE
    eventually 10 test -n "$(temp_files)"
    kill -KILL "$(snapshot_pid)"
    eventually 10 field_is rdb_last_bgsave_status err
    grep -q 'terminated by signal 9' "$SERVER_LOG"
    same "" "$(temp_files)"
    q SAVE >"$BATS_TEST_TMPDIR/save" 3>&- &
    local saver=$!
    eventually 10 field_is rdb_bgsave_in_progress 1
    kill -KILL "$(snapshot_pid)"
    wait $saver
    same ERR "$(head -n 1 "$BATS_TEST_TMPDIR/save")"
    expect OK CONFIG SET rdb-key-save-delay 0
    expect OK SAVE
    field_is rdb_last_bgsave_status ok
    good
    stop_server
}

@test "killed at any moment, a snapshot leaves the file before or the new one" {
    only_bulkhead
    server --rdb-key-save-delay -50
    q DEBUG POPULATE 20000 key 20 >/dev/null
    expect OK SAVE
    local i
    for i in {1..12}; do
        q SET round $i >/dev/null
        expect "Background saving started" BGSAVE
        # From the first moment to after the end, whatever this machine makes of it.
        read -rt 0.0$((i * 8 % 10))$i <> <(:) || true
        kill -KILL "$(snapshot_pid)" 2>/dev/null || true
        eventually 10 field_is rdb_bgsave_in_progress 0
        same "" "$(temp_files)"
        good
        [[ $(keys_read) == 2000[01] ]] || fail "$(keys_read) keys"
    done
    stop_server
}

@test "what a save has left whose server was killed goes at the next start" {
    only_bulkhead
    server --rdb-key-save-delay 20000 --warm-restart no
    q DEBUG POPULATE 1000 key 10 >/dev/null
    expect "Background saving started" BGSAVE
    eventually 10 test -n "$(temp_files)"
    local snapshot
    snapshot=$(snapshot_pid)
    kill -KILL "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    eventually 10 dead "$snapshot"
    test -n "$(temp_files)"
    # Of somebody who lives, and no file of this kind.
    touch "$SERVER_DIR/temp-$$.rdb" "$SERVER_DIR/temp-x.rdb" "$SERVER_DIR/temp-99999999.rdb.old"
    launch --port "$PORT" --dir "$SERVER_DIR" --save '' --warm-restart no
    PIDS+=("$SERVER_PID")
    same "temp-$$.rdb temp-99999999.rdb.old temp-x.rdb" "$(cd "$SERVER_DIR" && printf '%s\n' temp-* | sort | xargs)"
    stop_server
}

# Numbers 0 to $1-1, overwritten in pipelines.
overwrite() { local i; for ((i = 0; i < $1; i++)); do echo "SET key:$i $2"; done | q >/dev/null; }
memory() { q INFO memory | tr -d '\r' | sed -n "s/^$1://p"; }

@test "what a snapshot keeps: little more than the bytes overwritten, which is told, and goes with it" {
    only_bulkhead
    server --rdb-key-save-delay 1000
    q DEBUG POPULATE 20000 key 100 >/dev/null
    local before grown each value
    value=$(printf 'y%.0s' {1..100})
    before=$(memory used_memory)
    each=$(q MEMORY USAGE key:17)
    expect "Background saving started" BGSAVE
    eventually 10 eval '[[ $(info current_save_keys_processed) -gt 0 ]]'
    overwrite 20000 "$value"
    field_is rdb_bgsave_in_progress 1
    grown=$(($(memory used_memory) - before))
    [[ $grown -gt $((19000 * 100)) && $grown -lt $((20000 * 120 * each / 100 + 3000000)) ]] || fail "$grown bytes for 20000 of $each"
    [[ $(info current_cow_size) -gt $((19000 * 100)) ]]
    # Another round of the same keys keeps nothing more.
    overwrite 20000 "$value"
    [[ $(($(memory used_memory) - before - grown)) -lt 300000 ]]
    expect OK CONFIG SET rdb-key-save-delay 0
    kill -KILL "$(snapshot_pid)"
    eventually 10 field_is rdb_bgsave_in_progress 0
    [[ $(info rdb_last_cow_size) -gt $((19000 * 100)) ]]
    eventually 10 eval '[[ $(($(memory used_memory) - before)) -lt 1000000 ]]'
    expect "Background saving started" BGSAVE
    eventually 20 saved
    good
    stop_server
}

@test "snapshot-memory: a snapshot that keeps more is abandoned, and nothing else is" {
    only_bulkhead
    server --rdb-key-save-delay 1000 --snapshot-memory 500kb
    q DEBUG POPULATE 20000 key 100 >/dev/null
    expect "Background saving started" BGSAVE
    eventually 10 eval '[[ $(info current_save_keys_processed) -gt 0 ]]'
    overwrite 20000 "$(printf 'y%.0s' {1..100})"
    eventually 10 field_is rdb_last_bgsave_status err
    grep -q 'snapshot-memory' "$SERVER_LOG"
    same "" "$(temp_files)"
    not test -e "$SERVER_DIR/dump.rdb"
    expect "(integer) 20000" DBSIZE
    expect OK CONFIG SET snapshot-memory 0 rdb-key-save-delay 0
    expect "Background saving started" BGSAVE
    eventually 20 saved
    good
    stop_server
}

@test "how a key was used goes into the file where the policy makes use of it" {
    server
    local policy opcode
    expect OK SET key value
    for policy in allkeys-lru:f8 allkeys-lfu:f9 noeviction:00 volatile-ttl:00; do
        opcode=${policy#*:}
        expect OK CONFIG SET maxmemory-policy "${policy%:*}"
        expect '"value"' GET key
        expect OK SAVE
        good
        [[ $(after_aux "$SERVER_DIR/dump.rdb") =~ ^fe00fb0100$([[ $opcode == 00 ]] || echo "$opcode..")00036b657905 ]] ||
            fail "$policy: $(after_aux "$SERVER_DIR/dump.rdb")"
    done
    # What was not used for half a year is not what was used last, when it comes back.
    expect OK CONFIG SET maxmemory-policy allkeys-lru
    printf 'REDIS0010\xfe\x00\xf8\x80\x00\xe4\xe1\xc0\x00\x03key\x05value\xff\0\0\0\0\0\0\0\0' >"$SERVER_DIR/dump.rdb"
    expect OK DEBUG RELOAD NOSAVE
    matches '\(integer\) 150000[0-9][0-9]' OBJECT IDLETIME key
    expect OK DEBUG RELOAD
    matches '\(integer\) 150000[0-9][0-9]' OBJECT IDLETIME key
    stop_server
}
