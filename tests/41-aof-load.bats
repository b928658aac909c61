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
