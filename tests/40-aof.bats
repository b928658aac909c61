#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The append only file while it is written: its files, switching it on and off, rewriting, what fails, who dies.

bats_require_minimum_version 1.5.0
load lib/server

teardown() {
    [[ -z ${LOAD:-} ]] || kill "$LOAD" 2>/dev/null || true
    [[ -z ${REDIS_PID:-} ]] || kill -KILL "$REDIS_PID" 2>/dev/null || true
    [[ -z ${SERVER_PID:-} ]] || kill -KILL "$SERVER_PID" 2>/dev/null || true
    eventually 10 unlocked || true
    rm -f "/dev/shm/bulkhead.${PORT:-none}.main"
}
unlocked() { [[ ! -e /dev/shm/bulkhead.$PORT.main ]] || flock -n "/dev/shm/bulkhead.$PORT.main" true; }

# The same server again; its shared memory is gone with "forget".
again() { launch --port "$PORT" --dir "$SERVER_DIR" --save "" --enable-debug-command yes "$@"; }
forget() { rm -f "/dev/shm/bulkhead.$PORT.main"; }
crash() {
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null || true
    eventually 10 unlocked
}
files() { ls "$SERVER_DIR/${1:-appendonlydir}" | paste -sd' '; }
manifest() { cat "$SERVER_DIR/appendonlydir/appendonly.aof.manifest"; }
incr() { cat "$SERVER_DIR/appendonlydir/appendonly.aof.$1.incr.aof"; }
info_is() { [[ $(field "$1" persistence) == "$2" ]]; }
# In this order: what is scheduled no more has begun.
rewritten() { info_is aof_rewrite_scheduled 0 && info_is aof_rewrite_in_progress 0; }
kill_writer() { kill -KILL "$(writer)" 2>/dev/null; } # fails while the next one is not there yet
writer() { pgrep -P "$SERVER_PID" -f 'bulkhead: aof writer'; }
logged() { grep -q -- "$1" "$SERVER_LOG"; }

# What redis-server makes of the files: sets REDIS_DIGEST.
digest_by_redis() {
    local dir port
    dir=$(mktemp -d "$BATS_TEST_TMPDIR/redis.XXXXXX")
    cp -r "$SERVER_DIR/appendonlydir" "$dir"
    redis-server --port 0 --unixsocket "$dir/s" --dir "$dir" --appendonly yes --save "" --enable-debug-command yes \
        --aof-load-truncated no >"$dir/log" 2>&1 3>&- &
    REDIS_PID=$!
    eventually 20 grep -q 'ready to accept' "$dir/log" || fail "$(tail "$dir/log")"
    REDIS_DIGEST=$(redis-cli -s "$dir/s" DEBUG DIGEST)
    kill -KILL "$REDIS_PID"
    wait "$REDIS_PID" 2>/dev/null || true
    REDIS_PID=
}
caught_up() { [[ $(field aof_buffer_length persistence) == @(0|) ]]; }
# The files hold what the server holds.
files_agree() {
    eventually 10 caught_up
    digest_by_redis
    same "$REDIS_DIGEST" "$(q DEBUG DIGEST)"
}
load_begin() {
    redis-benchmark -p "$PORT" -q -c 6 -P 3 -n 1000000 -r 3000 -d 40 -t set,incr,mset >/dev/null 2>&1 3>&- &
    LOAD=$!
}
load_end() {
    kill "$LOAD"
    wait "$LOAD" 2>/dev/null || true
    LOAD=
    clients_are 1
}

MULTI_PART=$'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i'
RESP_SET=$'*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r'

@test "a start without files makes a base and an increment, and names them in a manifest" {
    start_server --appendonly yes --appendfsync always
    same "appendonly.aof.1.base.rdb appendonly.aof.1.incr.aof appendonly.aof.manifest" "$(files)"
    same "$MULTI_PART" "$(manifest)"
    expect OK SET a 1
    same "$RESP_SET" "$(incr 1)"
    same "1 0 0 0" "$(field aof_enabled) $(field aof_rewrites) $(field aof_rewrite_in_progress) $(field aof_pending_bio_fsync)"
    eventually 5 info_is aof_current_size "$(($(stat -c %s "$SERVER_DIR/appendonlydir/appendonly.aof.1.base.rdb") + 50))"
    target_is_redis || stop_server
}

@test "names with spaces and quotes; another directory" {
    start_server --appendonly yes --appendfilename 'my "own".aof' --appenddirname 'a dir'
    same $'file "my \\"own\\".aof.1.base.rdb" seq 1 type b\nfile "my \\"own\\".aof.1.incr.aof" seq 1 type i' \
        "$(cat "$SERVER_DIR/a dir/my \"own\".aof.manifest")"
}

@test "switched on and off again, with what was there before" {
    start_server
    expect OK SET before 1
    same "0" "$(field aof_enabled)"
    same "" "$(field aof_current_size)"
    expect OK CONFIG SET appendonly yes
    expect OK SET after 2
    eventually 10 rewritten
    same "$MULTI_PART" "$(manifest)"
    files_agree
    expect OK CONFIG SET appendonly no
    same "$MULTI_PART" "$(manifest)"
    expect OK SET later 3
    expect OK CONFIG SET appendonly no
    expect OK CONFIG SET appendonly yes
    eventually 10 rewritten
    same "file appendonly.aof.2.base.rdb seq 2 type b" "$(manifest | head -n 1)"
    eventually 5 files_are_few
    files_agree
}
files_are_few() { [[ $(ls "$SERVER_DIR/appendonlydir" | wc -l) == 3 ]]; }

@test "BGREWRITEAOF: its answers, and that history goes" {
    only_bulkhead
    start_server --appendonly yes
    seq 300 | sed 's/.*/SET k:& v&/' | q >/dev/null
    expect OK CONFIG SET rdb-key-save-delay 3000
    expect 'Background append only file rewriting started' BGREWRITEAOF
    expect '(error) ERR Background append only file rewriting already in progress' BGREWRITEAOF
    same 1 "$(field aof_rewrite_in_progress)"
    expect OK SET during 1
    eventually 10 rewritten
    same $'file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i' "$(manifest)"
    eventually 5 files_are_few
    expect 'Background saving started' BGSAVE
    expect 'Background append only file rewriting scheduled' BGREWRITEAOF
    same 1 "$(field aof_rewrite_scheduled)"
    eventually 20 rewritten
    same $'file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.3.incr.aof seq 3 type i' "$(manifest)"
    same 2 "$(field aof_rewrites)"
    files_agree
}

@test "BGREWRITEAOF without a log: a base alone" {
    start_server
    expect OK SET a 1
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    eventually 5 test -s "$SERVER_DIR/appendonlydir/appendonly.aof.manifest"
    same 'file appendonly.aof.1.base.rdb seq 1 type b' "$(manifest)"
    same '1 0' "$(field aof_rewrites persistence) $(field aof_last_rewrite_time_sec persistence)"
    expect OK CONFIG SET aof-use-rdb-preamble no
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    same 'file appendonly.aof.2.base.aof seq 2 type b' "$(manifest)"
    files_agree
}

@test "BGREWRITEAOF without a log after CONFIG SET dir: in that directory; with a log: where that is" {
    only_bulkhead
    start_server --enable-protected-configs yes
    mkdir "$SERVER_DIR/other" "$SERVER_DIR/third"
    expect OK SET a 1
    expect OK CONFIG SET dir "$SERVER_DIR/other"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    same 'appendonly.aof.1.base.rdb appendonly.aof.manifest' "$(files other/appendonlydir)"
    not test -e "$SERVER_DIR/appendonlydir"
    expect OK CONFIG SET appendonly yes
    eventually 10 rewritten
    expect OK CONFIG SET dir "$SERVER_DIR/third"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    same 'appendonly.aof.2.incr.aof appendonly.aof.3.base.rdb appendonly.aof.manifest' "$(files other/appendonlydir)"
    expect OK CONFIG SET appendonly no
    expect OK CONFIG SET appendonly yes
    eventually 10 rewritten
    same 'appendonly.aof.1.base.rdb appendonly.aof.1.incr.aof appendonly.aof.manifest' "$(files third/appendonlydir)"
    stop_server
}

@test "aof-disable-auto-gc: what is no longer needed stays, and is named so" {
    start_server --appendonly yes --aof-disable-auto-gc yes
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    same "$(printf 'file appendonly.aof.%s\n' '2.base.rdb seq 2 type b' '1.base.rdb seq 1 type h' '1.incr.aof seq 1 type h' \
        '2.incr.aof seq 2 type i')" "$(manifest)"
    same 5 "$(ls "$SERVER_DIR/appendonlydir" | wc -l)"
}

@test "rewritten by itself when it has grown" {
    start_server --appendonly yes --auto-aof-rewrite-min-size 20kb --auto-aof-rewrite-percentage 100
    seq 2000 | sed 's/.*/SET key v&/' | q >/dev/null
    eventually 10 grown
    eventually 10 rewritten
    logged 'Starting automatic rewriting of AOF'
    files_agree
}
grown() { (($(field aof_rewrites persistence) >= 1)); }

@test "the writer is killed under load: nothing is lost" {
    only_bulkhead
    for mode in everysec always no; do
        start_server --appendonly yes --appendfsync "$mode"
        load_begin
        for i in 1 2 3 4; do
            eventually 10 grown_by $((i * 20000))
            eventually 10 kill_writer
            [[ $i != 2 ]] || q BGREWRITEAOF >/dev/null
        done
        load_end
        eventually 10 rewritten
        files_agree
        stop_server
    done
}

@test "everything is killed: shared memory is gone on with, the file cut to what was consumed" {
    only_bulkhead
    start_server --appendonly yes
    load_begin
    eventually 5 grown_by 100000
    crash
    wait "$LOAD" || true
    LOAD=
    printf 'torn' >>"$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof"
    again --appendonly yes
    logged 'Going on with the AOF increment'
    expect OK SET more 1
    files_agree
    stop_server
}
grown_by() { (($(field aof_current_size persistence) > $1)); }

@test "an orderly stop has everything on disk; a start loads it and goes on" {
    start_server --appendonly yes --appendfsync no
    seq 1000 | sed 's/.*/SET k:& v&/' | q >/dev/null
    before=$(q DEBUG DIGEST)
    stop_server
    again --appendonly yes
    same "$before" "$(q DEBUG DIGEST)"
    expect OK SET more 1
    files_agree
    same "$MULTI_PART" "$(manifest)"
}

@test "loaded, and the writer killed: the next one syncs what comes, and then nothing more" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    expect OK SET a 1
    stop_server
    again --appendonly yes
    eventually 10 kill_writer
    eventually 10 writer
    expect OK SET a 2
    files_agree
    sleep 2
    # Who syncs now has it fail.
    fault 'fsync 5'
    sleep 2.5
    info_is aof_last_write_status ok
    fault
}

@test "SHUTDOWN WARM, then a start without the log: what was under way is in the file, and it is off" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    q SHUTDOWN WARM >/dev/null 2>&1 || true
    wait "$SERVER_PID" || true
    again
    expect '"1"' GET a
    same 0 "$(field aof_enabled)"
    same "$RESP_SET" "$(incr 1)"
    eventually 5 not writer
    expect OK SET b 1
    stop_server
}

# fault TEXT: what goes wrong from now on. See src/persist/aof_file.c.
fault() { printf '%s' "${1:-}" >"$BULKHEAD_FAULTS"; }
status_is() { info_is aof_last_write_status "$1"; }

@test "no space: writes are refused, reads go on; then all goes on" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    for mode in everysec always; do
        fault
        start_server --appendonly yes --appendfsync "$mode"
        expect OK SET a 1
        fault 'write 28'
        # The one that meets it is answered before; with always it is not.
        q SET a 2 >/dev/null 2>&1 || [[ $mode == always ]]
        eventually 5 status_is err
        expect '(error) MISCONF Errors writing to the AOF file: No space left on device' SET a 3
        matches '"[12]"' GET a
        fault
        eventually 5 status_is ok
        expect OK SET a 4
        files_agree
        stop_server
    done
}

@test "what needs no room in a log that cannot be written goes on: checks, loading, and says what is wrong otherwise" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    fault 'write 28'
    q SET a 1 >/dev/null
    eventually 5 status_is err
    expect OK DEBUG FSCK
    expect OK DEBUG SET-ACTIVE-EXPIRE 0
    expect '(error) MISCONF Errors writing to the AOF file: No space left on device' DEBUG POPULATE 10
    expect OK DEBUG RELOAD
    expect '"1"' GET a
    fault
    eventually 5 status_is ok
    files_agree
    stop_server
}

@test "switched off for a while, and killed: a start with it begins with a new base" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    expect OK CONFIG SET appendonly no
    expect OK SET a 2
    crash
    again --appendonly yes
    expect OK SET b 1
    eventually 10 rewritten
    same "file appendonly.aof.2.base.rdb seq 2 type b" "$(manifest | head -n 1)"
    crash
    forget
    again --appendonly yes
    same "2 1" "$(q MGET a b | paste -sd' ')"
    stop_server
}

@test "everything is killed while it is switched off: a start with it has it on" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    expect OK SET a 1
    eventually 5 caught_up
    fault 'write 28'
    expect OK SET a 2
    eventually 5 status_is err
    q CONFIG SET appendonly no >/dev/null 2>&1 3>&- &
    eventually 5 info_is aof_enabled 0
    crash
    fault
    again --appendonly yes
    eventually 5 status_is ok # refused until then, as before the crash
    expect OK SET b 1
    eventually 10 rewritten
    crash
    forget
    again --appendonly yes
    same "2 1" "$(q MGET a b | paste -sd' ')"
    stop_server
}

second_base() { (($(grep -c 'rewriting terminated with success' "$SERVER_LOG") >= 2)); } # the first one was made at the start
has_run() { q INFO commandstats | grep -q "^cmdstat_$1:calls=$2,"; } # whether or not it has its reply
# Slow syncs keep the writer from its orders: each sync of `always` takes that long.
@test "switched off when a base lies ready: what came after the base is in the files" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes --appendfsync always
    fault 'slow 1000'
    q SET a 1 >/dev/null 3>&- &
    eventually 5 test -s "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 5 second_base
    q SET a 2 >/dev/null 3>&- &
    eventually 5 has_run set 2
    expect OK CONFIG SET appendonly no
    fault
    same $'file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i' "$(manifest)"
    files_agree
    stop_server
}

@test "off and on again at once, and the writer killed over it: who asked is answered, and it can be rewritten" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    fault 'slow 30000'
    expect OK SET a 1
    eventually 5 info_is aof_pending_bio_fsync 1
    q CONFIG SET appendonly no >"$BATS_TEST_TMPDIR/off" 3>&- &
    local off=$!
    eventually 5 info_is aof_enabled 0
    expect OK CONFIG SET appendonly yes
    fault
    kill -KILL "$(writer)"
    eventually 10 dead "$off"
    same OK "$(<"$BATS_TEST_TMPDIR/off")"
    eventually 10 rewritten
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    expect OK SET a 2
    files_agree
    stop_server
}

@test "a limit of the size of files is met like a full disk" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    prlimit --pid "$(writer)" --fsize=100:unlimited
    q SET a "$(printf 'x%.0s' {1..200})" >/dev/null
    eventually 5 status_is err
    expect '(error) MISCONF Errors writing to the AOF file: File too large' SET a 3
    same 50 "$(stat -c %s "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof")"
    prlimit --pid "$(writer)" --fsize=unlimited:unlimited
    eventually 5 status_is ok
    files_agree
}

@test "a failed sync: the file is not relied on again, a new base ends the refusals" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    for mode in everysec always; do
        fault
        start_server --appendonly yes --appendfsync "$mode"
        expect OK SET a 1
        fault 'fsync 5'
        q SET a 2 >/dev/null 2>&1 || [[ $mode == always ]]
        eventually 5 status_is err
        matches '\(error\) MISCONF Errors writing to the AOF file: Input/output error' SET a 3
        fault
        eventually 10 status_is ok
        eventually 10 rewritten
        expect OK SET a 4
        logged 'given up for a new one'
        same "file appendonly.aof.2.base.rdb seq 2 type b" "$(manifest | head -n 1)"
        files_agree
        stop_server
    done
}

@test "a failed sync, and the writer killed over it: nothing is acknowledged until there is a new base" {
    only_bulkhead
    can_trace || skip "strace is not to be had, or may not be used here"
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes --appendfsync always
    expect OK SET a 1
    mkdir "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    fault 'fsync 5'
    # Killed when it has said so, and before it goes on.
    first=$(writer)
    strace -f -qq -p "$first" -o "$BATS_TEST_TMPDIR/trace" -e trace=write -e inject=write:delay_exit=2000000 3>&- &
    TRACER=$!
    eventually 5 grep -q "TracerPid:.[1-9]" "/proc/$first/status"
    q SET a 2 >/dev/null 2>&1 &
    eventually 5 logged 'Relying on the append only file failed'
    kill -KILL "$first"
    wait "$TRACER" || true
    fault
    eventually 5 writer
    matches '\(error\) MISCONF Errors writing to the AOF file: Input/output error' SET a 3
    rmdir "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    eventually 10 status_is ok
    expect OK SET a 4
    files_agree
}

@test "a slow sync does not hold up writers; one of more than two seconds is counted" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    fault 'slow 3000'
    expect OK SET a 1
    eventually 5 info_is aof_pending_bio_fsync 1
    seq 3000 | sed 's/.*/SET k:& v&/' | timeout 2 redis-cli -p "$PORT" >/dev/null
    eventually 10 info_is aof_delayed_fsync 1
    fault
    expect OK SET a 2
    eventually 10 caught_up
    files_agree
}

@test "rewrites that fail: said, tried again, and spaced out" {
    only_bulkhead
    start_server --appendonly yes --auto-aof-rewrite-percentage 0
    mkdir "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    for i in 1 2 3; do
        expect 'Background append only file rewriting started' BGREWRITEAOF
        eventually 10 info_is aof_rewrite_in_progress 0
    done
    same "err 3" "$(field aof_last_bgrewrite_status) $(field aof_rewrites_consecutive_failures)"
    expect OK SET a 1
    files_agree
    rmdir "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    same "ok 0" "$(field aof_last_bgrewrite_status) $(field aof_rewrites_consecutive_failures)"
    files_agree
}

@test "an increment that the manifest cannot name, tried again, then everything is killed: what was acknowledged is there" {
    only_bulkhead
    start_server --appendonly yes --auto-aof-rewrite-percentage 0
    expect OK SET a 1
    eventually 10 caught_up
    mkdir "$SERVER_DIR/appendonlydir/temp-appendonly.aof.manifest"
    kill -STOP "$(writer)"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 logged 'keys in .* bytes written'
    expect OK SET a 2
    kill -CONT "$(writer)"
    eventually 10 info_is aof_last_write_status err
    sleep 0.5
    crash
    rmdir "$SERVER_DIR/appendonlydir/temp-appendonly.aof.manifest"
    again --appendonly yes
    expect '"2"' GET a
    eventually 10 rewritten
    files_agree
}

@test "an increment that cannot be named, and the base behind it is not made either: writers go on as soon as it can" {
    only_bulkhead
    start_server --appendonly yes --auto-aof-rewrite-percentage 0 --rdb-key-save-delay 300000
    seq 100 | sed 's/.*/SET k:& v/' | q >/dev/null
    eventually 10 caught_up
    mkdir "$SERVER_DIR/appendonlydir/temp-appendonly.aof.manifest"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 status_is err
    kill -KILL "$(pgrep -P "$SERVER_PID" -f 'bulkhead: snapshot')"
    eventually 10 rewritten
    matches '\(error\) MISCONF .*' SET a 1
    rmdir "$SERVER_DIR/appendonlydir/temp-appendonly.aof.manifest"
    eventually 5 status_is ok
    expect OK SET a 1
    files_agree
}

@test "an increment whose manifest may not be on disk: nothing is acknowledged until it is" {
    only_bulkhead
    can_trace || skip "strace is not to be had, or may not be used here"
    start_server --appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0
    expect OK SET a 1
    # The new manifest is synced, and renamed, but its folder cannot be synced.
    strace -f -qq -p "$(writer)" -o "$BATS_TEST_TMPDIR/trace" -e trace=fsync -e inject=fsync:error=EIO:when=2+ 3>&- &
    TRACER=$!
    eventually 5 grep -q "TracerPid:.[1-9]" "/proc/$(writer)/status"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 5 logged 'its folder cannot be synced'
    eventually 5 status_is err
    matches '\(error\) MISCONF Errors writing to the AOF file: Input/output error' SET a 2
    kill "$TRACER"
    wait "$TRACER" || true
    eventually 5 status_is ok
    expect OK SET a 3
    eventually 10 rewritten
    files_agree
}

@test "switched on, and everything is killed when the manifest has just got its name: what was acknowledged is there" {
    only_bulkhead
    can_trace || skip "strace is not to be had, or may not be used here"
    start_server
    seq 5 | sed 's/.*/SET k:& v/' | q >/dev/null
    expect OK CONFIG SET rdb-key-save-delay 200000
    expect OK CONFIG SET appendonly yes
    eventually 10 logged 'rewriting started by'
    # The folder is synced behind the renaming: the third sync.
    strace -f -qq -p "$(writer)" -o "$BATS_TEST_TMPDIR/trace" -e trace=fsync -e inject=fsync:delay_exit=4000000:when=3 3>&- &
    TRACER=$!
    eventually 10 test -e "$SERVER_DIR/appendonlydir/appendonly.aof.manifest"
    expect OK SET a 1
    crash
    wait "$TRACER" || true
    again --appendonly yes
    expect '"1"' GET a
    eventually 10 rewritten
    files_agree
}

@test "it cannot be switched on where there is no place for it" {
    start_server
    echo x >"$SERVER_DIR/appendonlydir"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs." \
        CONFIG SET appendonly yes
    expect $'1) "appendonly"\n2) "no"' CONFIG GET appendonly
    expect OK SET a 1
}

@test "a start that cannot write it ends with status 1; what was in shared memory stays there" {
    only_bulkhead
    start_server
    expect OK SET a 1
    crash
    ln -s nowhere/at/all "$SERVER_DIR/appendonlydir"
    run -1 timeout 30 "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --save "" --appendonly yes
    [[ $output == *"The append only file in $SERVER_DIR/appendonlydir cannot be written. Exiting."*'The data stays in shared memory'* ]] || fail "$output"
    rm "$SERVER_DIR/appendonlydir"
    again --appendonly yes
    expect '"1"' GET a
    eventually 10 rewritten
    files_agree
    stop_server
    rm -r "$SERVER_DIR/appendonlydir"
    mkdir -p "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    run -1 timeout 30 "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --save "" --appendonly yes
    [[ $output == *'temp-rewriteaof.aof: Is a directory'*' cannot be written. Exiting.'* ]] || fail "$output"
    same '' "$(shm_objects "$PORT")"
}

@test "switched on, and killed before the first base is there: the next start has the data" {
    only_bulkhead
    start_server
    seq 300 | sed 's/.*/SET k:& v&/' | q >/dev/null
    expect OK CONFIG SET rdb-key-save-delay 20000
    expect OK CONFIG SET appendonly yes
    expect '(error) ERR Errors trying to SHUTDOWN. Check logs.' SHUTDOWN
    crash
    again --appendonly yes
    expect '(integer) 300' DBSIZE
    expect OK SET a 1
    eventually 10 rewritten
    files_agree
    stop_server
}

# What a machine without power loses: make V=lossy builds a server that keeps what is not synced to itself.
lossy_server() {
    only_bulkhead
    LOSSY=$ROOT/build/lossy/bulkhead-server
    [[ -x $LOSSY ]] || skip "there is no lossy build"
    SERVER_BINARY=$LOSSY start_server --appendonly yes "$@"
    redis-cli -p "$PORT" -r 1000000 INCR n >"$BATS_TEST_TMPDIR/acks" 2>/dev/null 3>&- &
    LOAD=$!
}
acked() { tail -n 2 "$BATS_TEST_TMPDIR/acks" | head -n 1; }
counted() { (($(wc -l <"$BATS_TEST_TMPDIR/acks") > $1)); }
lose_power() {
    crash
    wait "$LOAD" || true
    LOAD=
    forget
    SERVER_BINARY=$LOSSY again --appendonly yes
}

@test "power lost, everything synced before each answer: nothing is lost" {
    lossy_server --appendfsync always
    eventually 20 counted 1000
    lose_power
    (($(q GET n) >= $(acked))) || fail "$(q GET n) of $(acked)"
    stop_server
}

@test "power lost, synced once a second: what is older is there" {
    lossy_server --appendfsync everysec
    eventually 20 counted 1000
    noted=$(acked)
    eventually 10 synced_past "$noted"
    lose_power
    (($(q GET n) >= noted)) || fail "$(q GET n) of $noted"
    stop_server
}
# A sync that began after it has ended: its bytes are in the file.
synced_past() { (($(grep -a -c INCR "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof") >= $1)); }

@test "a disk that stays full: an end of the server keeps in shared memory what the file lacks" {
    only_bulkhead
    export BULKHEAD_FAULTS=$BATS_TEST_TMPDIR/faults
    fault
    start_server --appendonly yes
    expect OK SET a 1
    eventually 5 caught_up
    fault 'write 28'
    expect OK SET a 2
    eventually 5 status_is err
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    logged 'stays in shared memory'
    fault
    again --appendonly yes
    expect '"2"' GET a
    eventually 5 status_is ok
    files_agree
    stop_server
}

@test "an upgrade goes on with the file" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    kill -USR2 "$SERVER_PID"
    eventually 10 logged 'Going on with the AOF increment'
    eventually 10 ponged
    expect OK SET b 2
    files_agree
    stop_server
}
ponged() { [[ $(q PING 2>/dev/null) == PONG ]]; }

@test "files without a manifest, as of a backup that lacks it, are not written over" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET kept 1
    crash
    forget
    rm "$SERVER_DIR/appendonlydir/appendonly.aof.manifest"
    cp "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof" "$BATS_TEST_TMPDIR/increment"
    again --appendonly yes
    same '' "$(q GET kept)"
    cmp "$BATS_TEST_TMPDIR/increment" "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof.unlisted-1"
    test -s "$SERVER_DIR/appendonlydir/appendonly.aof.1.base.rdb.unlisted-1"
    logged 'appendonly.aof.1.incr.aof is in the AOF directory, and no manifest names it'
    expect OK SET new 2
    crash
    forget
    again --appendonly yes
    expect '"2"' GET new
    stop_server
}

@test "the folder is moved or removed: a rewrite begins anew in the one that has its name, and what is in it stays" {
    only_bulkhead
    start_server --appendonly yes --appendfsync always
    expect OK SET a 1
    mv "$SERVER_DIR/appendonlydir" "$SERVER_DIR/moved"
    expect OK SET b 2
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    expect OK SET c 3
    same "$MULTI_PART" "$(manifest)"
    files_agree

    rm -r "$SERVER_DIR/appendonlydir"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    expect OK SET d 4
    files_agree

    mv "$SERVER_DIR/appendonlydir" "$SERVER_DIR/again"
    cp -r "$SERVER_DIR/moved" "$SERVER_DIR/appendonlydir"
    rm "$SERVER_DIR/appendonlydir/appendonly.aof.manifest"
    expect 'Background append only file rewriting started' BGREWRITEAOF
    eventually 10 rewritten
    expect OK SET e 5
    cmp "$SERVER_DIR/moved/appendonly.aof.1.incr.aof" "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof.unlisted-1"
    files_agree
    crash
    forget
    again --appendonly yes
    expect '(integer) 5' DBSIZE
    stop_server
}

@test "switched off before there is a base: nothing is left" {
    only_bulkhead
    start_server
    expect OK SET a 1
    expect OK CONFIG SET rdb-key-save-delay 3000000
    for i in 1 2; do
        expect OK CONFIG SET appendonly yes
        eventually 10 test -e "$SERVER_DIR/appendonlydir/appendonly.aof.1.incr.aof"
        expect OK SET a 2
        expect OK CONFIG SET appendonly no
        same '' "$(files)"
    done
    expect OK CONFIG SET rdb-key-save-delay 0
    expect OK CONFIG SET appendonly yes
    eventually 10 rewritten
    same "$MULTI_PART" "$(manifest)"
    files_agree
    stop_server
}

@test "a base that is removed before it is part of the files is none" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    expect OK CONFIG SET appendonly no
    expect OK SET b 2
    expect OK CONFIG SET rdb-key-save-delay 300000
    expect OK CONFIG SET appendonly yes
    eventually 10 info_is aof_rewrite_in_progress 1
    eventually 10 test -e "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    kill -STOP "$(writer)"
    eventually 10 logged 'rewriting terminated with success'
    rm "$SERVER_DIR/appendonlydir/temp-rewriteaof.aof"
    kill -CONT "$(writer)"
    eventually 10 logged 'Background AOF rewrite failed'
    eventually 20 rewritten
    expect OK SET c 3
    files_agree
    stop_server
}

@test "two servers do not write to the same files" {
    only_bulkhead
    start_server --appendonly yes
    expect OK SET a 1
    mkdir "$BATS_TEST_TMPDIR/second"
    not timeout 20 "$BULKHEAD_SERVER" --port 0 --unixsocket "$BATS_TEST_TMPDIR/second/s" --dir "$SERVER_DIR" --save "" --appendonly yes \
        >"$BATS_TEST_TMPDIR/second/log"
    grep -q 'is in use by another server' "$BATS_TEST_TMPDIR/second/log"
    files_agree
    stop_server
}
