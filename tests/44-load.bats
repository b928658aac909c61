#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# A start with data on disk: what clients get meanwhile, who may die, which files cannot be loaded, and when the disk counts instead of shared memory.

bats_require_minimum_version 1.5.0
load lib/server

setup() {
    only_bulkhead
    OWN_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/data.XXXXXX")
}
teardown() {
    [[ -z ${SERVER_PID:-} ]] || ! alive "$SERVER_PID" || kill -KILL "$SERVER_PID" 2>/dev/null || true
    if [[ -n ${SERVER_PID:-} ]]; then
        wait "$SERVER_PID" 2>/dev/null || true
        rm -f "/dev/shm/bulkhead.$PORT.main"
    fi
}

# rdb KEYS: an RDB with that many keys, k0 ... with values v0 ..., in database 0, as dump.rdb. rdb_bytes PRINTF-ESCAPES: a file of these bytes.
rdb() {
    python3 - "$1" >"$OWN_DIR/dump.rdb" <<'END'
import sys
def s(x): return bytes([len(x)]) + x
out = b'REDIS0010\xfe\x00' + b''.join(b'\x00' + s(b'k%d' % i) + s(b'v%d' % i) for i in range(int(sys.argv[1]))) + b'\xff' + bytes(8)
sys.stdout.buffer.write(out)
END
}
rdb_bytes() { printf "$1" >"$OWN_DIR/dump.rdb"; }

# start_loading OPTION...: as start_server, but returns when clients are accepted, while the data is loaded.
start_loading() {
    local attempt
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        SERVER_LOG=$(mktemp "$BATS_TEST_TMPDIR/log.XXXXXX")
        setpriv --pdeathsig TERM "$BULKHEAD_SERVER" --port "$PORT" --dir "$OWN_DIR" --save "" --enable-debug-command yes "$@" \
            >"$SERVER_LOG" 2>&1 </dev/null 3>&- &
        SERVER_PID=$!
        [[ -z ${BULKHEAD_LEDGER:-} ]] || echo "$PORT $SERVER_PID $BATS_TEST_FILENAME" >>"$BULKHEAD_LEDGER/servers"
        if eventually 30 answers_or_dead && alive "$SERVER_PID"; then return; fi
        grep -qi 'Failed listening\|Address already in use' "$SERVER_LOG" || break
    done
    fail "the server did not start:" "$(tail -n 20 "$SERVER_LOG")"
}
answers_or_dead() { [[ $(q ECHO hello 2>&1) == hello ]] || ! alive "$SERVER_PID"; }

is_ready() { grep -q 'Ready to accept connections' "$SERVER_LOG"; }
# loader: the pid of the loader. is_loading_key: at least one key has been read.
loader() { pgrep -P "$SERVER_PID" -f '^bulkhead: loader' || true; }
has_begun() { [[ $(field rdb_last_load_keys_loaded) -gt 10 ]]; }
another_loader() { local now; now=$(loader); [[ -n $now && $now != "$1" ]]; }

# all_there N: the keys of `rdb N` are, and the store is in order.
all_there() {
    same "$1" "$(q DBSIZE)"
    same "v$(($1 - 1))" "$(q GET "k$(($1 - 1))")"
    same OK "$(q DEBUG FSCK)"
}
# restart OPTION...: the same instance again, as after start_server.
restart() { launch --port "$PORT" --dir "$OWN_DIR" --save "" --enable-debug-command yes "$@"; }
# die: the server is killed with all its processes.
die() {
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null || true
}

@test "a start loads dump.rdb: all databases, expiries, what is due left out" {
    python3 - >"$OWN_DIR/dump.rdb" <<'END'
import sys, struct, time
def s(x): return bytes([len(x)]) + x
now = int(time.time() * 1000)
ms = lambda t: b'\xfc' + struct.pack('<q', t)
out = b'REDIS0010' + b'\xfa' + s(b'redis-ver') + s(b'7.0.15') + b'\xfa' + s(b'used-mem') + b'\xc2' + struct.pack('<i', 1048576)
out += b'\xfe\x00\xfb\x03\x02' + b'\x00' + s(b'plain') + s(b'value') + ms(now + 1000000) + b'\x00' + s(b'later') + b'\xc0\x7b'
out += ms(now - 1000) + b'\x00' + s(b'due') + s(b'x')
out += b'\xfe\x05' + b'\x00' + s(b'five') + s(b'5') + b'\xff' + bytes(8)
sys.stdout.buffer.write(out)
END
    start_server
    expect '"value"' GET plain
    expect '"123"' GET later
    expect '"int"' OBJECT ENCODING later
    matches '\(integer\) 9[0-9]{5}' PTTL later
    expect '(integer) 0' EXISTS due
    expect '"5"' -n 5 GET five
    expect '(integer) 2' DBSIZE
    same 3 "$(field rdb_last_load_keys_loaded)"
    same 1 "$(field rdb_last_load_keys_expired)"
    same 0 "$(field loading)"
    grep -q 'Loading RDB produced by version 7.0.15' "$SERVER_LOG"
    grep -q 'Done loading RDB, keys loaded: 3, keys expired: 1\.' "$SERVER_LOG"
    grep -q 'DB loaded from disk: ' "$SERVER_LOG"
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "who is let in after an append only file is loaded writes to one" {
    can_trace || skip "strace is not to be had, or may not be used here"
    mkdir "$OWN_DIR/appendonlydir"
    echo "file appendonly.aof.1.incr.aof seq 1 type i" >"$OWN_DIR/appendonlydir/appendonly.aof.manifest"
    seq -f 'k%03g' 300 | sed 's/.*/*3\r\n$3\r\nSET\r\n$4\r\n&\r\n$1\r\nv\r/' >"$OWN_DIR/appendonlydir/appendonly.aof.1.incr.aof"
    start_loading --appendonly yes --key-load-delay 10000
    # The supervisor is slow between the end of the load and the log.
    strace -qq -p "$SERVER_PID" -o "$BATS_TEST_TMPDIR/trace" -e trace=getcwd -e inject=getcwd:delay_enter=1500000 3>&- &
    local tracer=$!
    eventually 5 grep -q "TracerPid:.[1-9]" "/proc/$SERVER_PID/status"
    expect OK CONFIG SET key-load-delay 0
    eventually 30 taken
    kill "$tracer"
    wait "$tracer" || true
    grep -q getcwd "$BATS_TEST_TMPDIR/trace"
    same 301 "$(q DBSIZE)"
    eventually 5 grep -q late "$OWN_DIR/appendonlydir/appendonly.aof.1.incr.aof"
    stop_server
}
taken() { [[ $(q SET late 1 2>&1) == OK ]]; }

@test "while it loads clients get -LOADING, but for the commands that may run then" {
    rdb 3000
    start_loading --key-load-delay 10000
    local c
    for c in 'GET k1' 'SET a b' PING DBSIZE 'KEYS k1' FLUSHALL 'OBJECT ENCODING k1' 'MEMORY USAGE k1'; do
        expect '(error) LOADING Redis is loading the dataset in memory' $c
    done
    # A command that is wrong is so all the same.
    matches "\(error\) ERR unknown command 'NOSUCH'.*" NOSUCH
    expect "(error) ERR wrong number of arguments for 'get' command" GET
    expect '"hello"' ECHO hello
    expect OK SELECT 1
    expect OK CONFIG SET timeout 0
    matches '.*id=[0-9]+.*' CLIENT LIST
    expect OK CLIENT SETNAME x
    eventually 10 has_begun
    same 1 "$(field loading)"
    same 0 "$(field async_loading)"
    same -1 "$(field aof_last_rewrite_time_sec persistence)"
    [[ $(field loading_start_time) -gt 1000000000 ]]
    same "$(stat -c %s "$OWN_DIR/dump.rdb")" "$(field loading_total_bytes)"
    [[ $(field loading_loaded_perc) =~ ^[0-9]+\.[0-9][0-9]$ && $(field loading_eta_seconds) =~ ^[0-9]+$ ]]
    [[ $(q INFO persistence) == *loading_rdb_used_mem:0*loading_loaded_bytes:* ]]
    [[ $(q INFO errorstats) == *errorstat_LOADING:count=* ]]
    not is_ready
    expect OK CONFIG SET key-load-delay 0
    eventually 30 is_ready
    all_there 3000
    [[ $(q INFO persistence) != *loading_total_bytes* ]]
    stop_server
}

@test "a loader that is killed is followed by another, which begins anew" {
    rdb 3000
    start_loading --key-load-delay 2000
    eventually 10 has_begun
    local first
    first=$(loader)
    kill -KILL "$first"
    eventually 10 another_loader "$first"
    expect '(error) LOADING Redis is loading the dataset in memory' GET k1
    expect OK CONFIG SET key-load-delay 0
    eventually 30 is_ready
    all_there 3000
    grep -q 'Loading begins anew' "$SERVER_LOG"
    # SIGTERM is no better.
    stop_server
}

@test "a loader that is killed again and again ends the server" {
    rdb 3000
    start_loading --key-load-delay 10000
    local pid= i
    for i in 1 2 3 4; do
        eventually 20 another_loader "${pid:-0}"
        pid=$(loader)
        kill -KILL "$pid"
    done
    eventually 10 dead "$SERVER_PID"
    run -1 wait "$SERVER_PID"
    grep -q 'The loader has died 4 times over this data' "$SERVER_LOG"
    same "" "$(shm_objects "$PORT")"
}

@test "a server that is killed while it loads leaves nothing that is taken for its data" {
    rdb 3000
    start_loading --key-load-delay 2000
    eventually 10 has_begun
    die
    restart
    grep -q 'it was never loaded to the end' "$SERVER_LOG"
    all_there 3000
    stop_server
}

@test "SIGTERM, SHUTDOWN and SHUTDOWN WARM while it loads: the server ends, and the file stays" {
    local how
    rdb 3000
    cp "$OWN_DIR/dump.rdb" "$BATS_TEST_TMPDIR/before"
    for how in TERM SHUTDOWN 'SHUTDOWN SAVE' 'SHUTDOWN WARM'; do
        start_loading --key-load-delay 2000
        eventually 10 has_begun
        if [[ $how == TERM ]]; then kill -TERM "$SERVER_PID"; else q $how || true; fi
        eventually 10 dead "$SERVER_PID"
        run -0 wait "$SERVER_PID"
        same "" "$(shm_objects "$PORT")" "$how"
        cmp "$OWN_DIR/dump.rdb" "$BATS_TEST_TMPDIR/before"
    done
}

@test "no upgrade while it loads" {
    rdb 3000
    start_loading --key-load-delay 2000
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q 'Not upgrading: data is still being loaded' "$SERVER_LOG"
    expect OK CONFIG SET key-load-delay 0
    eventually 30 is_ready
    all_there 3000
    stop_server
}

@test "nothing expires while it loads" {
    python3 - >"$OWN_DIR/dump.rdb" <<'END'
import sys, struct, time
def s(x): return bytes([len(x)]) + x
now = int(time.time() * 1000)
out = b'REDIS0010\xfe\x00' + b''.join(b'\xfc' + struct.pack('<q', now + 1500) + b'\x00' + s(b's%d' % i) + s(b'x') for i in range(1000))
out += b''.join(b'\x00' + s(b'k%d' % i) + s(b'v%d' % i) for i in range(3000)) + b'\xff' + bytes(8)
sys.stdout.buffer.write(out)
END
    start_loading --key-load-delay 2500
    # What was in time when it began is in, and goes when it is over.
    eventually 60 seems_over
    same 0 "$(field expired_keys)"
    expect OK CONFIG SET key-load-delay 0
    eventually 30 is_ready
    eventually 10 expired_all 1000
    all_there 3000
    stop_server
}
seems_over() { [[ $(field loading_loaded_bytes) != "" && $(date +%s) -gt $(($(field loading_start_time) + 2)) ]]; }
expired_all() { [[ $(field expired_keys) == "$1" ]]; }

# refuses PATTERN [OPTION...]: a start with the files as they are fails with status 1 and this reason, as redis-server does; nothing is left.
refuses() {
    local want=$1 status=0
    shift
    PORT=$((10000 + SRANDOM % 20000))
    "$BULKHEAD_SERVER" --port "$PORT" --dir "$OWN_DIR" --save "" --pidfile "$OWN_DIR/pid" "$@" >"$BATS_TEST_TMPDIR/log" 2>&1 </dev/null 3>&- || status=$?
    same 1 "$status" "$(cat "$BATS_TEST_TMPDIR/log")"
    grep -qE "Loading failed: $want" "$BATS_TEST_TMPDIR/log" || fail "not refused for $want:" "$(cat "$BATS_TEST_TMPDIR/log")"
    grep -q 'Fatal error loading the DB' "$BATS_TEST_TMPDIR/log"
    not grep -q 'Ready to accept connections' "$BATS_TEST_TMPDIR/log"
    not test -e "$OWN_DIR/pid"
    same "" "$(shm_objects "$PORT")"
}

@test "what cannot be loaded ends the start with file, place and reason" {
    mkdir "$OWN_DIR/dump.rdb"
    refuses 'dump\.rdb is no file'
    rmdir "$OWN_DIR/dump.rdb"
    mkfifo "$OWN_DIR/dump.rdb"
    refuses 'dump\.rdb is no file'
    rm "$OWN_DIR/dump.rdb"
    rdb_bytes ''
    refuses 'dump\.rdb, offset 0: '
    rdb_bytes 'hello world, hello\n'
    refuses 'dump\.rdb, offset 0: '
    rdb_bytes 'REDIS0099\xff\0\0\0\0\0\0\0\0'
    refuses 'dump\.rdb, offset [0-9]+: .*99'
    rdb_bytes 'REDIS0009\xfe\0\0\x01a\x05b'
    refuses 'dump\.rdb, offset [0-9]+: .*key '\''a'\'' in DB 0'
    rdb_bytes 'REDIS0009\xfe\0\0\x01a\x01b\xff\0\0\0\0\0\0\0\x01'
    refuses 'dump\.rdb, offset [0-9]+: .*sum'
    rdb_bytes 'REDIS0009\xfe\x14\0\x01a\x01b\xff\0\0\0\0\0\0\0\0'
    refuses 'dump\.rdb, offset [0-9]+: it was made by a server with more than 16 databases'
    rdb_bytes 'REDIS0009\xfe\0\0\x01a\x01b\0\x01a\x01b\xff\0\0\0\0\0\0\0\0'
    refuses 'dump\.rdb.*duplicated key '\''a'\'' in DB 0'
    # With more databases it can.
    rdb_bytes 'REDIS0009\xfe\x14\0\x01a\x01b\xff\0\0\0\0\0\0\0\0'
    start_server --databases 32
    expect '"b"' -n 20 GET a
    stop_server
    # A name that leads nowhere is no file.
    rm "$OWN_DIR/dump.rdb"
    ln -s nowhere "$OWN_DIR/dump.rdb"
    start_server
    expect '(integer) 0' DBSIZE
    stop_server
}

@test "a key of a type that is not held stops the start and is named" {
    only_without_lists
    rdb_bytes 'REDIS0009\xfe\0\x01\x06a list\x01\x01x\xff\0\0\0\0\0\0\0\0'
    refuses 'dump\.rdb, offset [0-9]+: this version cannot hold a list \(key '\''a list'\'' in DB 0\)'
    # But not when its time is over.
    rdb_bytes 'REDIS0009\xfe\0\xfc\x01\0\0\0\0\0\0\0\x01\x06a list\x01\x01x\0\x01a\x01b\xff\0\0\0\0\0\0\0\0'
    start_server
    expect '(integer) 1' DBSIZE
    stop_server
}
only_without_lists() { not grep -q '"rpush"' "$ROOT/src/cmd/commands.def" || skip "lists are held"; }

@test "a file without permission is not taken for none" {
    ((EUID == 0)) || skip "needs a user of its own"
    as_user 200
    rdb 10
    chmod 000 "$OWN_DIR/dump.rdb"
    chown 0 "$OWN_DIR/dump.rdb"
    PORT=$((10000 + SRANDOM % 20000))
    run -1 "$SERVER_BINARY" --port "$PORT" --dir "$OWN_DIR" --save ""
    [[ $output == *'Loading failed: dump.rdb cannot be read: Permission denied'* ]] || fail "$output"
    rm -rf "$USER_DIR"
}

@test "with daemonize the caller learns how the load went" {
    rdb 10
    PORT=$((10000 + SRANDOM % 20000))
    "$BULKHEAD_SERVER" --port "$PORT" --dir "$OWN_DIR" --save "" --daemonize yes --pidfile "$OWN_DIR/pid" --logfile "$OWN_DIR/log" 3>&-
    SERVER_PID=$(<"$OWN_DIR/pid") SERVER_LOG=$OWN_DIR/log
    expect '(integer) 10' DBSIZE
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    rdb_bytes 'nonsense'
    run -1 "$BULKHEAD_SERVER" --port "$PORT" --dir "$OWN_DIR" --save "" --daemonize yes --logfile "$OWN_DIR/log" 3>&-
    [[ $output == *'did not start; its log says why'* ]]
}

@test "systemd is told how far it is, and asked for patience" {
    local NOTIFIED=$BATS_TEST_TMPDIR/told
    "$ROOT/tests/lib/notified" "$BATS_TEST_TMPDIR/notify" "$NOTIFIED" 3>&- &
    local listener=$!
    eventually 10 test -S "$BATS_TEST_TMPDIR/notify"
    rdb 3000
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify start_loading --key-load-delay 2000 --supervised systemd
    eventually 10 grep -q 'STATUS=Loading data: [0-9]*%.*EXTEND_TIMEOUT_USEC=' "$NOTIFIED"
    not grep -q READY "$NOTIFIED"
    expect OK CONFIG SET key-load-delay 0
    eventually 10 grep -q 'READY=1' "$NOTIFIED"
    kill "$listener" 2>/dev/null || true
    wait "$listener" 2>/dev/null || true
    stop_server
}

# ---- shared memory, or the disk? ----

@test "a warm restart goes on with shared memory as long as nobody changed the file" {
    rdb 100
    start_server
    q SET new 1
    die
    restart
    grep -q 'Adopted the data in shared memory' "$SERVER_LOG"
    expect '"1"' GET new
    all_there_and_new
    # The same file with another time: somebody's.
    die
    touch -d '1 hour ago' "$OWN_DIR/dump.rdb"
    restart
    grep -q 'dump.rdb has been changed since by somebody else' "$SERVER_LOG"
    expect '(nil)' GET new
    all_there 100
    # Another one in its place.
    q SET new 2
    die
    cp "$OWN_DIR/dump.rdb" "$OWN_DIR/copy"
    mv "$OWN_DIR/copy" "$OWN_DIR/dump.rdb"
    restart
    expect '(nil)' GET new
    # None at all holds no newer data.
    q SET new 3
    die
    rm "$OWN_DIR/dump.rdb"
    restart
    expect '"3"' GET new
    expect '(integer) 101' DBSIZE
    stop_server
}
all_there_and_new() { same 101 "$(q DBSIZE)"; same OK "$(q DEBUG FSCK)"; }

@test "files that count more than shared memory, but cannot be loaded, cost nothing" {
    local part
    rdb 100
    start_server
    q SET new 1
    die
    head -c 500 "$OWN_DIR/dump.rdb" >"$OWN_DIR/short"
    mv "$OWN_DIR/dump.rdb" "$OWN_DIR/whole"
    mv "$OWN_DIR/short" "$OWN_DIR/dump.rdb"
    not restart
    grep -q 'dump.rdb, offset 500: it ends too early' "$SERVER_LOG"
    grep -q 'changed since by somebody else, but cannot be loaded: nothing is touched' "$SERVER_LOG"
    rm "$OWN_DIR/dump.rdb"
    restart
    all_there_and_new
    # The same with an append only file.
    expect OK CONFIG SET appendonly yes
    eventually 10 is_first_base_there
    q SET newer 2
    part=$OWN_DIR/appendonlydir/appendonly.aof.1.incr.aof
    eventually 10 grep -q newer "$part" # else what is added below could be a part of it
    die
    cp "$part" "$OWN_DIR/part"
    printf '*2\r\n$6\r\nSELECT\r\n$2\r\n99\r\n' >>"$part"
    not restart --appendonly yes
    grep -q 'more than 16 databases' "$SERVER_LOG"
    grep -q 'changed since by somebody else, but cannot be loaded: nothing is touched' "$SERVER_LOG"
    cat "$OWN_DIR/part" >"$part"
    restart --appendonly yes
    expect '"2"' GET newer
    expect '"1"' GET new
    stop_server
}
is_first_base_there() { [[ -e $OWN_DIR/appendonlydir/appendonly.aof.1.base.rdb && $(field aof_rewrite_in_progress) == 0 && $(field aof_enabled) == 1 ]]; }

@test "a file that was put where none was counts more than shared memory" {
    start_server
    q SET new 1
    die
    restart
    expect '"1"' GET new
    die
    rdb 10
    restart
    grep -q 'dump.rdb has been put there since by somebody else' "$SERVER_LOG"
    all_there 10
    stop_server
}

@test "dbfilename says which file" {
    rdb 10
    mv "$OWN_DIR/dump.rdb" "$OWN_DIR/other.rdb"
    start_server --dbfilename other.rdb
    all_there 10
    stop_server
}

@test "after a save of its own the server goes on with shared memory" {
    start_server
    q SET a 1
    expect OK SAVE
    q SET a 2
    die
    restart
    grep -q 'Adopted the data in shared memory' "$SERVER_LOG"
    expect '"2"' GET a
    # With the shared memory gone, what was saved is there.
    die
    rm "/dev/shm/bulkhead.$PORT.main"
    restart
    expect '"1"' GET a
    stop_server
}

# increment: the file that the log goes to.
increment() { echo "$OWN_DIR"/appendonlydir/appendonly.aof.*.incr.aof; }

@test "appendonly yes where there is an RDB alone: as with redis-server it is not loaded, and the log says so" {
    rdb 10
    start_server --appendonly yes
    expect '(integer) 0' DBSIZE
    grep -q 'the server starts empty. dump.rdb is not loaded' "$SERVER_LOG"
    stop_server
    # The way that keeps the data.
    rm -r "$OWN_DIR/appendonlydir"
    start_server
    expect '(integer) 10' DBSIZE
    expect OK CONFIG SET appendonly yes
    eventually 10 rewritten
    stop_server
    start_server --appendonly yes
    expect '(integer) 10' DBSIZE
    stop_server
}
rewritten() { [[ $(field aof_rewrite_scheduled persistence)$(field aof_rewrite_in_progress persistence) == 00 ]]; }

@test "with an append only file: who goes on with shared memory, and when the files count" {
    start_server --appendonly yes
    q SET a 1
    die
    restart --appendonly yes
    grep -q 'Adopted the data in shared memory' "$SERVER_LOG"
    expect '"1"' GET a
    # Somebody adds to the increment: it is not cut off, it is loaded.
    die
    printf '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nother\r\n' >>"$(increment)"
    restart --appendonly yes
    grep -q 'incr.aof has been changed since by somebody else' "$SERVER_LOG"
    expect '"other"' GET a
    q SET b 2
    q CONFIG SET appendfsync always >/dev/null
    q SET c 3
    # Cut.
    die
    truncate -s 0 "$(increment)"
    restart --appendonly yes
    grep -q 'incr.aof has been changed since by somebody else' "$SERVER_LOG"
    expect '(nil)' GET c
    # Another manifest.
    q SET d 4
    die
    touch -d '1 hour ago' "$OWN_DIR/appendonlydir/appendonly.aof.manifest"
    restart --appendonly yes
    grep -q 'manifest has been changed since by somebody else' "$SERVER_LOG"
    expect '"4"' GET d
    # What another server has made of it.
    die
    redis-server --port 0 --unixsocket "$OWN_DIR/s" --dir "$OWN_DIR" --save "" --appendonly yes >"$BATS_TEST_TMPDIR/redis" 2>&1 3>&- &
    local redis=$!
    eventually 10 grep -qi "ready to accept" "$BATS_TEST_TMPDIR/redis"
    redis-cli -s "$OWN_DIR/s" SET d theirs
    kill -TERM "$redis"
    wait "$redis" || true
    restart --appendonly yes
    expect '"theirs"' GET d
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "an append only file: -LOADING meanwhile; the loader and the server may be killed" {
    mkdir "$OWN_DIR/appendonlydir"
    echo 'file a.aof seq 1 type i' >"$OWN_DIR/appendonlydir/appendonly.aof.manifest"
    python3 - >"$OWN_DIR/appendonlydir/a.aof" <<'END'
import sys
sys.stdout.write(''.join('*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$%d\r\nv%d\r\n' % (len(str(i)) + 1, i, len(str(i)) + 1, i) for i in range(3000)))
END
    start_loading --appendonly yes --key-load-delay 3000
    eventually 10 loads_aof
    expect '(error) LOADING Redis is loading the dataset in memory' GET k1
    local first
    first=$(loader)
    kill -KILL "$first"
    eventually 10 another_loader "$first"
    die
    restart --appendonly yes
    grep -q 'it was never loaded to the end' "$SERVER_LOG"
    all_there 3000
    q SET new 1
    stop_server
    restart --appendonly yes
    expect '"1"' GET new
    expect '(integer) 3001' DBSIZE
    stop_server
}
loads_aof() { [[ $(field loading_total_bytes) -gt 1000 && -n $(loader) ]]; }

# ---- DEBUG RELOAD ----

@test "DEBUG RELOAD saves and loads; NOSAVE, NOFLUSH, MERGE" {
    rdb 2000
    start_server
    q SET k1 changed
    q SET new 1 PX 1000000
    q -n 3 SET three 3
    expect OK DEBUG RELOAD
    expect '"changed"' GET k1
    matches '\(integer\) 9[0-9]{5}' PTTL new
    expect '"3"' -n 3 GET three
    expect '(integer) 2001' DBSIZE
    # What the file has counts.
    q SET k1 again
    q SET newer 1
    expect OK DEBUG RELOAD NOSAVE
    expect '"changed"' GET k1
    expect '(nil)' GET newer
    # What is in memory stays, but for what both have.
    q SET k1 again
    q SET newer 1
    expect '(error) ERR Error trying to load the RDB dump' DEBUG RELOAD NOFLUSH NOSAVE
    grep -q 'Not loaded: dump.rdb, offset .*: duplicated key' "$SERVER_LOG"
    expect '"again"' GET k1
    expect OK DEBUG RELOAD noflush nosave merge
    expect '"changed"' GET k1
    expect '"1"' GET newer
    expect '(integer) 2002' DBSIZE
    expect '(error) ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.' DEBUG RELOAD NOTHING
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "DEBUG RELOAD of a file that cannot be loaded changes nothing" {
    rdb 100
    start_server
    q SET new 1
    rdb_bytes 'REDIS0009\xfe\0\0\x01a\x05b'
    expect '(error) ERR Error trying to load the RDB dump' DEBUG RELOAD NOSAVE
    rm "$OWN_DIR/dump.rdb"
    expect '(error) ERR Error trying to load the RDB dump' DEBUG RELOAD NOSAVE
    expect '"1"' GET new
    expect '(integer) 101' DBSIZE
    same 0 "$(field loading)"
    # Nor does a save that fails.
    mkdir "$OWN_DIR/dump.rdb"
    matches '\(error\) ERR.*' DEBUG RELOAD
    expect '(integer) 101' DBSIZE
    stop_server
}

@test "DEBUG RELOAD under load: nobody sees half the data, no count is lost" {
    start_server
    q DEBUG POPULATE 5000 >/dev/null
    same ok "$("$ROOT/tests/lib/reloads" "$PORT" 8)"
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "DEBUG RELOAD: its client, the loader, the whole server may die meanwhile" {
    rdb 2000
    start_server
    q SET new 1
    expect OK CONFIG SET key-load-delay 1000
    q DEBUG RELOAD >/dev/null 2>&1 3>&- &
    local client=$!
    eventually 10 loads_now
    expect '(error) LOADING Redis is loading the dataset in memory' GET new
    kill -KILL "$client"
    local first
    first=$(loader)
    kill -KILL "$first"
    eventually 10 another_loader "$first"
    expect OK CONFIG SET key-load-delay 0
    eventually 10 is_over
    expect '"1"' GET new
    expect '(integer) 2001' DBSIZE
    # Half of it is not gone on with: what was saved is loaded.
    expect OK CONFIG SET key-load-delay 1000
    q DEBUG RELOAD >/dev/null 2>&1 3>&- &
    eventually 10 loads_now
    die
    restart
    grep -q 'it was never loaded to the end' "$SERVER_LOG"
    expect '(integer) 2001' DBSIZE
    same OK "$(q DEBUG FSCK)"
    stop_server
}
loads_now() { [[ $(field loading) == 1 && -n $(loader) && $(field rdb_last_load_keys_loaded) -gt 10 && $(field rdb_last_load_keys_loaded) -lt 1900 ]]; }
is_over() { [[ $(field loading) == 0 ]]; }

@test "SIGTERM during DEBUG RELOAD: the server ends at once" {
    rdb 3000
    start_server --shutdown-timeout 3600
    expect OK CONFIG SET key-load-delay 10000
    q DEBUG RELOAD >/dev/null 2>&1 3>&- &
    eventually 10 loads_now
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    run -0 wait "$SERVER_PID"
    same "" "$(shm_objects "$PORT")"
}
