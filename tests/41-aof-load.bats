#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Append only files that are there: checked and repaired by bulkhead-check-aof, loaded at a start, refused with file, offset and reason.

load lib/server

bats_require_minimum_version 1.5.0

setup() {
    OWN_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/aof.XXXXXX")
    cd "$OWN_DIR"
    CHECK=(exec -a bulkhead-check-aof "$BULKHEAD_SERVER")
    only_bulkhead
}

# resp WORD...: one command as a file has it.
resp() {
    local word
    printf '*%d\r\n' $#
    for word; do printf '$%d\r\n%s\r\n' "${#word}" "$word"; done
}

check() { ("${CHECK[@]}" "$@"); }

# ---- bulkhead-check-aof ----

# both ARGUMENT...: bulkhead-check-aof says and answers what redis-check-aof does, as far as scripts can see it. Input: what is answered.
both() {
    local input mine theirs mine_rc=0 theirs_rc=0
    input=$(cat)
    rm -rf ../mine ../theirs
    cp -r . ../mine
    cp -r . ../theirs
    mine=$(cd ../mine && check "$@" <<<"$input") || mine_rc=$?
    theirs=$(cd ../theirs && redis-check-aof "$@" <<<"$input") || theirs_rc=$?
    same "$theirs_rc" "$mine_rc" "$* in $(grep -ac '' ./*): $mine"
    same "$(verdicts <<<"$theirs")" "$(verdicts <<<"$mine")" "$*"
    diff -r ../mine ../theirs
}
verdicts() { sed 's,\./,,; s/, ok_up_to_line=[0-9]*//; s/^Continue.*: //; s/ because it is not the last file\..*/ because it is not the last file/' | grep -aE 'analyzed|valid|empty|runcate|shrink|nothing'; }

@test "bulkhead-check-aof: one file, whole, torn, broken: as redis-check-aof says it" {
    { resp SELECT 0; resp SET a 1; } >whole
    { cat whole; resp MULTI; resp SET b 2; resp EXEC; } >transaction
    cp transaction aof
    both aof </dev/null
    for cut in $(seq 1 7 "$(stat -c %s transaction)"); do
        head -c "$cut" transaction >aof
        both aof </dev/null
        both --fix aof <<<y
        both --fix aof <<<n
    done
    for bad in xx '*1\r\n*3\r\nABC\r\n' '*1\r\n$3\r\nABCxx' '*1\r\n$4\r\nEXEC\r\n'; do
        { cat whole; printf "$bad"; cat transaction; } >aof
        both aof </dev/null
        both --fix aof <<<y
    done
    : >aof
    both aof </dev/null
    { cat whole; resp MULTI; resp MULTI; resp EXEC; } >aof
    both --fix aof <<<yes
}

@test "bulkhead-check-aof says what is wrong and at which offset" {
    { resp SELECT 0; resp SET a 1; } >whole
    { cat whole; printf xx; resp SET b 2; } >aof
    run -1 check aof
    [[ $output == *"0x              32: expected '*' (offset 50)"* ]]
    [[ $output == *"AOF aof is not valid. Use the --fix option"* ]]
    run -1 check --fix aof </dev/null
    [[ $output == *"what goes holds whole commands, at offset 52 for one"*Aborting* ]]
    same 79 "$(stat -c %s aof)"
    # A length that reaches beyond the end is a torn command only if nothing follows.
    { cat whole; printf '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$999\r\n1\r\n'; resp SET b 2; } >aof
    run -1 check aof
    [[ $output == *"yet another command follows at offset 79 (offset 50)"* ]]
    run -1 check nowhere
    [[ $output == *"Cannot open file nowhere: No such file or directory"* ]]
    run -1 check .
    run -1 check
    [[ $output == Usage:* ]]
    run -1 check --fix
    run -1 check --no-such-thing aof
}

@test "bulkhead-check-aof --truncate-to-timestamp" {
    { printf '#TS:100\r\n'; resp SET a 1; printf '#TS:200\r\n'; resp SET a 2; printf '#TS:300\r\n'; resp SET a 3; } >aof
    for time in 1 99 100 199 200 250 300 301 999999999999; do
        both --truncate-to-timestamp "$time" aof </dev/null
    done
    run -1 check --truncate-to-timestamp 12x aof
    run -1 check --truncate-to-timestamp -1 aof
    run -1 check --truncate-to-timestamp 100
    # Not into the middle of a transaction.
    { resp SET a 1; resp MULTI; resp SET a 2; printf '#TS:300\r\n'; resp EXEC; } >aof
    check --truncate-to-timestamp 200 aof
    cmp aof <(resp SET a 1)
}

@test "bulkhead-check-aof: the files of a manifest, of which only the last may be cut" {
    printf '# a comment\nfile base seq 1 type b\nfile old seq 1 type h\nfile i1 seq 1 type i\nfile i2 seq 2 type i\n' >the.manifest
    resp SET a 1 >base
    { printf '#TS:100\r\n'; resp SET b 2; } >i1
    { printf '#TS:200\r\n'; resp SET c 3; printf '#TS:300\r\n'; resp SET d 4; } >i2
    both the.manifest </dev/null
    both --truncate-to-timestamp 200 the.manifest </dev/null
    both --truncate-to-timestamp 100 the.manifest </dev/null
    printf '*1\r\n' >>i2
    both the.manifest </dev/null
    both --fix the.manifest <<<y
    printf '*1\r\n' >>i1
    both --fix the.manifest <<<y
    run -1 check --truncate-to-timestamp 50 the.manifest
    [[ $output == *"Failed to truncate AOF i1 to timestamp 50"* || $output == *"AOF i1 has nothing before timestamp 50"* ]]
    : >i1
    : >base
    both --fix the.manifest <<<y
    (cd / && check --fix "$OLDPWD/the.manifest" <<<y)
    rm i1
    run -1 check the.manifest
    [[ $output == *"Cannot open file i1: No such file or directory"* ]]
    echo 'file i1 seq 1 type x' >the.manifest
    run -1 check the.manifest
    [[ $output == *"The manifest the.manifest is not in order, at line 1"* ]]
}

@test "bulkhead-server --check-aof is the same" {
    resp SET a 1 >aof
    run -0 "$BULKHEAD_SERVER" --check-aof aof
    [[ $output == *"AOF aof is valid" ]]
    run -1 "$BULKHEAD_SERVER" --check-aof
}

# ---- loading ----

# begin [OPTION...]: a server with the files of this folder. refused TEXT [OPTION...]: it does not start, and says why.
begin() { start_server --appendonly yes "$@"; }
refused() {
    local text=$1 status=0
    shift
    not launch --port 0 --unixsocket "$OWN_DIR/socket" --dir "$OWN_DIR" --appendonly yes --save "" "$@"
    wait "$SERVER_PID" || status=$?
    same 1 "$status" "exit status"
    grep -qF -- "$text" "$SERVER_LOG" || fail "not said: $text" "$(cat "$SERVER_LOG")"
    no_crash "$SERVER_LOG"
    same '' "$(find /dev/shm -maxdepth 1 -name "bulkhead.$(stat -c %i "$OWN_DIR").*")"
}
said() { grep -qF -- "$1" "$SERVER_LOG" || fail "not said: $1" "$(cat "$SERVER_LOG")"; }

# parts: a folder of an append only file in parts: base, i1, i2.
parts() {
    mkdir -p appendonlydir
    printf 'file base seq 1 type b\nfile i1 seq 1 type i\nfile i2 seq 2 type i\n' >appendonlydir/appendonly.aof.manifest
    resp SET base 1 >appendonlydir/base
    { resp SELECT 3; resp SET i1 1; } >appendonlydir/i1
    { resp SET i2 1; resp MULTI; resp INCR base; resp INCR base; resp EXEC; } >appendonlydir/i2
}

@test "the parts of an append only file are loaded in order, each from database 0 on" {
    parts
    begin
    expect '"3"' GET base
    expect '"1"' GET i2
    expect '"1"' -n 3 GET i1
    expect '(integer) 2' DBSIZE
    said 'DB loaded from append only file: '
    same 0 "$(field loading)"
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "a torn tail of the last part is cut with a warning, if aof-load-truncated says so" {
    parts
    printf '*3\r\n$3\r\nSET\r\n$2\r\ni' >>appendonlydir/i2
    refused 'Unexpected end of file reading the append only file appendonlydir/i2: at offset 105 the file ends in the middle of this command' \
        --aof-load-truncated no
    begin
    expect '"3"' GET base
    expect '(integer) 2' DBSIZE
    said '!!! Truncating the AOF i2 at offset 105 !!!'
    stop_server
    same 105 "$(stat -c %s appendonlydir/i2)"
}

@test "a transaction without its end does not happen, and what follows a complete one does" {
    parts
    { resp SET x 1; resp MULTI; resp SET x 2; resp SET y 2; } >appendonlydir/i2
    begin
    expect '"1"' GET x
    expect '(nil)' GET y
    said 'the file ends in the middle of this transaction'
    stop_server
}

@test "a damaged or missing part stops the start, with file, offset and reason" {
    parts
    printf xx >>appendonlydir/i1
    resp SET late 1 >>appendonlydir/i1
    refused "Bad file format reading the append only file appendonlydir/i1 at offset 51: expected '*'"
    parts
    printf '*1\r\n' >>appendonlydir/i1
    refused 'the truncated file appendonlydir/i1 is not the last file: at offset 51'
    parts
    resp NOSUCH 1 >>appendonlydir/i2
    refused 'The command at offset 105 of the append only file appendonlydir/i2 cannot be loaded: unknown command "NOSUCH"'
    parts
    resp SHUTDOWN NOSAVE >>appendonlydir/i2
    refused 'cannot be loaded: a command that has no place in such a file: "SHUTDOWN"'
    parts
    resp SELECT 16 >>appendonlydir/i2
    refused 'cannot be loaded: select answers: ERR DB index is out of range'
    # RESTORE of a list: a key that cannot be held is not passed over.
    parts
    { printf '*4\r\n$7\r\nRESTORE\r\n$1\r\nl\r\n$1\r\n0\r\n$24\r\n'; printf '\x12\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81\x61\x02\xff\x0a\x00\x09\xb9\xed\xf5\x94\xde\xd9\x95'; printf '\r\n'; } >>appendonlydir/i2
    refused 'cannot be loaded: restore answers: ERR this server holds strings only, and the payload is a value of type list'
    parts
    rm appendonlydir/i1
    refused "can't open the append only file appendonlydir/i1, which the manifest names, for reading: No such file or directory"
    parts
    printf REDIS0099 >appendonlydir/base
    refused 'Error reading the RDB base of the append only file appendonlydir/base, AOF loading aborted: '
    echo nonsense >appendonlydir/appendonly.aof.manifest
    refused 'the manifest appendonlydir/appendonly.aof.manifest is not in order, at line 1'
    # Nothing was changed: with the right files all is there.
    parts
    begin
    expect '"3"' GET base
    stop_server
}

@test "a command that answers with an error is a warning, as in redis-server" {
    { resp SET s text; resp INCR s; resp SET t 1; } >appendonly.aof
    begin
    expect '"text"' GET s
    expect '"1"' GET t
    said "== CRITICAL == A command of the append only file answers with an error: 'ERR value is not an integer or out of range', after incr"
    said '1 commands of the append only file answered with errors'
    stop_server
}

@test "keys whose time has come are there until the load is over: a later command may save them" {
    { resp SET gone v PXAT 1000; resp SET kept v PXAT 1000; resp APPEND kept w; resp PERSIST kept; resp SET moved v; resp PEXPIREAT moved 1000
      resp RENAME moved there; resp PERSIST there; } >appendonly.aof
    begin
    expect '"vw"' GET kept
    expect '"v"' GET there
    expect '(nil)' GET gone
    eventually 10 has_keys 2
    stop_server
}
has_keys() { [[ $(q DBSIZE) == "$1" ]]; }

@test "libraries of functions are kept, also through a rewrite as commands, and given back to redis-server" {
    local library=$'#!lua name=kept\nredis.register_function("f", function() return 7 end)'
    { resp FUNCTION LOAD "#!lua name=gone"$'\n'; resp FUNCTION LOAD "$library"; resp FUNCTION DELETE gone; resp SET a 1; } >appendonly.aof
    begin --aof-use-rdb-preamble no
    q BGREWRITEAOF
    eventually 20 is_rewritten
    stop_server
    grep -qa 'name=kept' appendonlydir/appendonly.aof.2.base.aof
    begin
    expect '"1"' GET a
    stop_server
    SERVER_BINARY=redis-server begin
    expect '(integer) 7' FCALL f 0
    [[ $(q FUNCTION LIST) != *gone* ]]
    stop_server
}

@test "libraries of functions can be seen, dumped and deleted, and stay deleted" {
    local library=$'#!lua name=kept\nredis.register_function("f", function() return 7 end)'
    { resp FUNCTION LOAD "$library"; resp FUNCTION LOAD "#!lua name=other"$'\n'; resp SET a 1; } >appendonly.aof
    begin
    same $'library_name\nkept\nengine\nLUA\nfunctions\n\nlibrary_code\n'"$library" "$(q FUNCTION LIST LIBRARYNAME 'K*' WITHCODE)"
    [[ $(q FUNCTION STATS) == *libraries_count$'\n'2$'\n'* ]]
    expect OK FUNCTION DELETE other
    expect '(error) ERR Library not found' FUNCTION DELETE other
    same OK "$(q DEBUG FSCK)"
    q FUNCTION DUMP >dumped
    stop_server
    begin
    expect '(empty array)' FUNCTION LIST LIBRARYNAME other
    q FUNCTION DUMP | cmp - dumped
    stop_server
    # As redis-server has it.
    SERVER_BINARY=redis-server begin
    q FUNCTION DUMP | cmp - dumped
    stop_server
    begin
    expect OK FUNCTION FLUSH
    expect '(empty array)' FUNCTION LIST
    same OK "$(q DEBUG FSCK)"
    expect OK SAVE
    not grep -qa name=kept dump.rdb
    stop_server
    begin
    expect '(empty array)' FUNCTION LIST
    stop_server
}
is_rewritten() { [[ $(q INFO persistence) == *aof_rewrite_in_progress:0*aof_last_bgrewrite_status:ok* && -e appendonlydir/appendonly.aof.2.base.aof ]]; }

@test "the single file of Redis 6 is moved into the directory, also when that was interrupted" {
    resp SET a 1 >appendonly.aof
    begin
    expect '"1"' GET a
    said 'Successfully migrated an old-style AOF file (appendonly.aof) into the AOF directory (appendonlydir).'
    stop_server
    [[ ! -e appendonly.aof && -e appendonlydir/appendonly.aof ]]
    grep -qx 'file appendonly.aof seq 1 type b' appendonlydir/appendonly.aof.manifest
    # Killed between the manifest and the move.
    rm -r appendonlydir
    mkdir appendonlydir
    resp SET a 2 >appendonly.aof
    echo 'file appendonly.aof seq 1 type b' >appendonlydir/appendonly.aof.manifest
    begin
    expect '"2"' GET a
    stop_server
    # Two of them, and nothing to tell which is meant.
    rm appendonlydir/*.manifest
    cp appendonlydir/appendonly.aof .
    refused 'which one holds the data?'
    [[ -e appendonly.aof && -e appendonlydir/appendonly.aof ]]
}

@test "DEBUG LOADAOF: the append only file in place of the data, if there is one" {
    start_server
    expect OK SET a 1
    matches '\(error\) ERR .*check server logs.*' DEBUG LOADAOF
    said 'Not loaded: there is no append only file in appendonlydir'
    expect '"1"' GET a
    parts
    expect OK DEBUG LOADAOF
    expect '(nil)' GET a
    expect '"3"' GET base
    expect '"1"' -n 3 GET i1
    said 'Append Only File loaded by DEBUG LOADAOF'
    expect OK SET a 2
    expect OK DEBUG LOADAOF
    expect '(nil)' GET a
    same OK "$(q DEBUG FSCK)"
    stop_server
}

@test "nothing to load: no files, or empty ones" {
    begin
    expect '(integer) 0' DBSIZE
    stop_server
    rm -rf appendonlydir
    : >appendonly.aof
    begin
    expect '(integer) 0' DBSIZE
    expect OK SET a 1
    stop_server
}

@test "a loader that is killed begins anew, with nothing of what it had loaded" {
    { resp INCR n; for i in {1..300}; do resp APPEND text x; done; resp INCR n; } >appendonly.aof
    PORT=$((10000 + SRANDOM % 20000))
    SERVER_LOG=$OWN_DIR/log
    setpriv --pdeathsig TERM "$BULKHEAD_SERVER" --port "$PORT" --dir "$OWN_DIR" --save "" --appendonly yes --key-load-delay 3000 \
        --enable-debug-command yes >"$SERVER_LOG" 2>&1 </dev/null 3>&- &
    SERVER_PID=$!
    eventually 20 a_loader_has_begun
    kill -KILL "$LOADER"
    eventually 20 said_again
    redis-cli -p "$PORT" CONFIG SET key-load-delay 0
    eventually 30 answers_two
    expect '(integer) 300' STRLEN text
    same OK "$(q DEBUG FSCK)"
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID" || true
    same '' "$(shm_objects "$PORT")"
}
a_loader_has_begun() { LOADER=$(pgrep -P "$SERVER_PID" -f '^bulkhead: loader') && [[ $(field loading) == 1 ]]; }
said_again() { grep -q 'Loading begins anew' "$SERVER_LOG"; }
answers_two() { [[ $(q GET n) == 2 ]]; }
