#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead-cli: beside redis-cli, byte by byte, on a pipe and on a terminal; its own prompt through a terminal.

load lib/server

setup_file() {
    target_is_redis || export BULKHEAD_SERVER=$BULKHEAD_RELEASE
    shared_server --requirepass ''
    export SAYS=$BATS_FILE_TMPDIR/parrot
    "$ROOT/tests/lib/parrot" "$SAYS" 3>&- &
    echo $! >"$BATS_FILE_TMPDIR/parrot.pid"
    eventually 30 test -e "$SAYS"
}
teardown_file() {
    kill "$(cat "$BATS_FILE_TMPDIR/parrot.pid")" 2>/dev/null || true
    stop_server
}
setup() {
    empty_server
    export HOME=$BATS_TEST_TMPDIR TERM=xterm
    unset REDISCLI_AUTH FAKETTY
}

need_redis_cli() { command -v redis-cli >/dev/null || skip "no redis-cli to compare with"; }
cli() { "$BULKHEAD_CLI" -p "$PORT" "$@"; }
terminal() { "$ROOT/tests/lib/terminal" "$@"; }

# bytes COMMAND...: what it writes and its exit status, so that nothing is lost in a variable.
bytes() {
    local status=0
    timeout 20 "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null || status=$?
    od -An -c "$BATS_TEST_TMPDIR/out"
    echo "errors:"
    cat "$BATS_TEST_TMPDIR/err"
    echo "status: $status"
}

# alike ARGUMENT...: both clients do the same with them.
alike() { same "$(bytes redis-cli "$@")" "$(bytes "$BULKHEAD_CLI" "$@")" "arguments: $*"; }

# Replies as bytes on the wire: every type, empty, nested, wide.
replies=(
    '+OK\r\n' '+say "x"\r\n' '-ERR a "b"\r\n' ':5\r\n' ':-9223372036854775808\r\n' ',1.5\r\n' ',inf\r\n' ',-1e100\r\n'
    '$5\r\na"\n\xc3\xa4\r\n' '$6\r\na\x00\x01\xff/\\\\\r\n' '$4\r\n\x0b\x0c\x08\x7f\r\n' '$0\r\n\r\n' '_\r\n' '$-1\r\n' '*-1\r\n' '#t\r\n' '#f\r\n'
    '*0\r\n' '*2\r\n:1\r\n*2\r\n:2\r\n$-1\r\n' '*2\r\n*0\r\n*1\r\n*1\r\n*2\r\n+a\r\n+b\r\n'
    '*10\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n*2\r\n:1\r\n:2\r\n'
    '%0\r\n' '%2\r\n$1\r\na\r\n:1\r\n:2\r\n*1\r\n-ERR x\r\n' '%1\r\n+a\r\n*2\r\n:1\r\n*1\r\n_\r\n'
    '%3\r\n*1\r\n:1\r\n:1\r\n#f\r\n:2\r\n,2.5\r\n_\r\n' '%2\r\n:1\r\n%1\r\n:1\r\n:2\r\n:3\r\n*0\r\n' '%1\r\n*1\r\n$1\r\na\r\n:1\r\n'
    '%1\r\n-e\r\n:1\r\n' '~0\r\n' '~2\r\n:1\r\n%1\r\n:1\r\n:2\r\n' '=6\r\ntxt:a"\r\n' '=9\r\ntxt:a\n\\\\b\r\n' '=4\r\ntxt:\r\n'
    '>2\r\n+x\r\n+y\r\n+OK\r\n' '>0\r\n+OK\r\n'
)

all_replies() {
    need_redis_cli
    local reply port
    port=$(cat "$SAYS")
    for reply in "${replies[@]}"; do
        alike -p "$port" "$@" SAY "$reply"
    done
}

@test "as redis-cli: every type of reply, raw" { all_replies; }
@test "as redis-cli: every type of reply, for people" { all_replies --no-raw; }
@test "as redis-cli: every type of reply, on a terminal" { FAKETTY=1 all_replies -3; }
@test "as redis-cli: every type of reply, CSV" { all_replies --csv; }
@test "as redis-cli: every type of reply, JSON" { all_replies --json; }
@test "as redis-cli: every type of reply, ASCII JSON" { all_replies --quoted-json; }
@test "as redis-cli: every type of reply, own delimiters" { all_replies --raw -d '|' -D ';' -e; }
@test "as redis-cli: pushes when asked for" { all_replies --show-pushes yes --no-raw; }

@test "as redis-cli: replies that are cut off, however much was announced" {
    need_redis_cli
    local reply
    for reply in '' '$5\r\nab' '$1000000000000\r\nab' '*1000000000\r\n:1\r\n' '%1\r\n$1\r\na\r\n' '+O'; do
        alike -p "$(cat "$SAYS")" HANGUP "$reply"
    done
}

@test "--scan: a server that answers something else" {
    # The parrot answers with SCAN's own words.
    run "$BULKHEAD_CLI" -p "$(cat "$SAYS")" --scan
    [[ $status -eq 1 && $output == *"not the reply that was expected"* ]]
}

@test "as redis-cli: commands of a server, in each mode" {
    need_redis_cli
    q MSET a 1 b 'two words' c $'\xff\x00' >/dev/null
    local mode command
    local commands=(PING 'PING x' 'GET a' 'GET b' 'GET nothing' 'SET d 1' 'STRLEN b' 'GETRANGE a x y' NOSUCH 'MGET a b nothing' 'COMMAND COUNT'
        'COMMAND INFO get' 'CONFIG GET maxmemory*' 'CLIENT GETNAME' 'CLIENT NOSUCH' 'OBJECT ENCODING a' 'SELECT 3' 'SELECT 99'
        'INFO nosuch' 'CLIENT KILL ID 0' 'CONFIG GET' 'TYPE a')
    for mode in --raw --no-raw --csv --json --quoted-json -3 '-3 --no-raw' -e '-r 2' '-n 2'; do
        for command in "${commands[@]}"; do
            # shellcheck disable=SC2086
            alike -p "$PORT" $mode $command
        done
    done
}

@test "as redis-cli: options, refusals and exit statuses" {
    need_redis_cli
    alike -p "$PORT" -n 99 PING
    alike -p 1 PING
    alike -s /nosuch PING
    alike -h nosuch.invalid PING
    alike -p "$PORT" --nosuch PING
    alike -p "$PORT" -r
    alike -p "$PORT" -e NOSUCH
    alike -p "$(cat "$SAYS")" HANGUP
    alike -p "$(cat "$SAYS")" -r 2 HANGUP
    alike -p "$PORT" --no-auth-warning -a wrong PING
    alike -p "$PORT" --no-auth-warning --user nobody --pass wrong PING
    alike -u "redis://nobody:wrong@127.0.0.1:$PORT/3" --no-auth-warning PING
    alike -u "redis://127.0.0.1:$PORT/3" PING
    alike -p "$(cat "$SAYS")" --quoted-input ECHO '"a\x41\n"' "'b c'"
    alike -p "$PORT" --quoted-input PING '"a"b'
    alike -p "$PORT" QUIT
}

@test "as redis-cli: commands from standard input" {
    need_redis_cli
    local script=$BATS_TEST_TMPDIR/script mode
    printf '%s\n' PING 'GET x' 'bad"' '' '   ' '2 PING' '0 PING' 'SET "a\x41" "b\n"' "GET 'aA'" NOSUCH 'SELECT 1' DBSIZE \
        PING DBSIZE quit PING >"$script"
    for mode in --raw --no-raw --csv -3; do
        same "$(redis-cli -p "$PORT" $mode <"$script" 2>&1; echo "$?")" "$(cli $mode <"$script" 2>&1; echo "$?")" "$mode"
    done
}

@test "as redis-cli: the last argument, and another one, from standard input" {
    printf 'two\nlines\n' | cli -x SET a >/dev/null
    expect '"two\nlines\n"' GET a
    printf 'tagged' | cli -X here SET here b >/dev/null
    expect '"b"' GET tagged
    run cli -x -X a SET a
    [ "$status" -eq 1 ]
    run cli -X absent SET a b </dev/null
    [ "$status" -eq 1 ]
}

@test "passwords: options, environment, a question; not to be seen in argv" {
    start_server --requirepass sesame
    same PONG "$("$BULKHEAD_CLI" -p "$PORT" --no-auth-warning -a sesame PING)"
    same PONG "$("$BULKHEAD_CLI" -p "$PORT" --user default --pass sesame PING 2>/dev/null)"
    same PONG "$(REDISCLI_AUTH=sesame "$BULKHEAD_CLI" -p "$PORT" PING)"
    same PONG "$(REDISCLI_AUTH=wrong "$BULKHEAD_CLI" -p "$PORT" --no-auth-warning -a sesame PING)"
    same PONG "$("$BULKHEAD_CLI" --no-auth-warning -u "redis://default:ses%61me@127.0.0.1:$PORT" PING)"
    same PONG "$(echo sesame | "$BULKHEAD_CLI" -p "$PORT" --askpass PING)"
    run terminal 'wait=: ' 'send=sesame\n' -- "$BULKHEAD_CLI" -p "$PORT" --askpass PING
    [ "$status" -eq 0 ]
    [[ $output == *PONG* && $output != *sesame* ]]
    "$BULKHEAD_CLI" -p "$PORT" --no-auth-warning -a sesame -r -1 -i 0.01 PING >"$BATS_TEST_TMPDIR/pings" 3>&- &
    local pid=$!
    eventually 10 grep -q PONG "$BATS_TEST_TMPDIR/pings"
    run cat "/proc/$pid/cmdline"
    kill "$pid"
    wait "$pid" || true
    stop_server
    [[ $output != *sesame* ]]
}
@test "--scan, --latency, --stat, --pipe" {
    q MSET a1 x a2 y b z >/dev/null
    same $'a1\na2' "$(cli --scan --pattern 'a*' | sort)"
    same $'"a1"\n"a2"\n"b"' "$(cli --no-raw --scan | sort)"
    [[ $(cli --latency -i 0.05) =~ ^[0-9]+\ [0-9]+\ [0-9.]+\ [0-9]+$ ]]
    run cli --stat -i 0.01 -r 3
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 5 ]
    [[ ${lines[1]} == "keys       mem      clients blocked requests            connections"* ]]
    [[ ${lines[2]} =~ ^3\ +[0-9.]+[KMG]\ +[0-9]+\ +[0-9]+\ +[0-9]+\ \(\+0\)\ +[0-9]+ ]]
    run cli --pipe <<<$'SET p 1\r\nSET q 2\r'
    [ "$status" -eq 0 ]
    [[ $output == *"errors: 0, replies: 2" ]]
    expect '"2"' GET q
    printf 'NOSUCH\r\nINCR p' | { run cli --pipe; [ "$status" -eq 1 ]; [[ $output == *"errors: 1, replies: 2" ]]; }
    expect '"2"' GET p
    run "$BULKHEAD_CLI" -p 1 --scan
    [ "$status" -eq 1 ]
}

# ---- the prompt ----

# typed STEP...: a session on a terminal, each step as terminal wants it; what is shown ends up in $output.
typed() { run terminal "$@" -- "$BULKHEAD_CLI" -p "$PORT"; }

@test "prompt: database, transaction, repetition, quit" {
    typed 'wait=> ' 'send=SELECT 3\r' 'wait=OK' "wait=127.0.0.1:$PORT[3]> " 'send=2 PING\r' 'wait=PONG\r\nPONG' 'wait=> ' 'send=quit\r'
    [ "$status" -eq 0 ]
    run terminal 'wait=> ' 'send=MULTI\r' 'wait=(TX)> ' 'send=EXIT\r' -- "$BULKHEAD_CLI" -p "$(cat "$SAYS")"
    [ "$status" -eq 0 ]
}

@test "prompt: moving, erasing, putting back, UTF-8" {
    # Home, a letter; end; a word taken and put back; one letter of two bytes erased as one.
    typed 'wait=> ' 'send=ING ab\xc3\xa4\x7f\x01P\x05\x17\x19c\r' 'wait="abc"' 'wait=> ' 'send=PIXNG\x1b[D\x1b[D\x7f\r' 'wait=PONG' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
    typed 'wait=> ' 'send=PING one two\x1b[1;5D\x1b[1;5D\x0bthree\r' 'wait="three"' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
}

@test "prompt: history goes up, down, is searched, and is kept for its owner alone without secrets" {
    typed 'wait=> ' 'send=PING first\r' 'wait="first"' 'wait=> ' 'send=PING second\r' 'wait="second"' 'wait=> ' 'send=\x1b[A\x1b[A\r' 'wait="first"' \
        'wait=> ' 'send=AUTH hush\r' 'wait=ERR' 'wait=> ' 'send=CONFIG SET requirepass ""\r' 'wait=OK' 'wait=> ' 'send=HELLO 2 AUTH default hush\r' \
        'wait=modules' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
    same $'PING first\nPING second\nPING first' "$(cat "$HOME/.bulkheadcli_history")"
    same 600 "$(stat -c %a "$HOME/.bulkheadcli_history")"
    typed 'wait=> ' "send=\\x12sec" "wait='sec')" 'send=\r' 'wait="second"' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
}

@test "prompt: completion, hints, help from COMMAND DOCS" {
    typed 'wait=> ' 'send=strl' 'send=\t' 'wait=strlen' 'send= nothing\r' 'wait=(integer) 0' 'wait=> ' 'send=EXPIRE k' 'wait= seconds [NX|XX|GT|LT]' 'send=\x03' 'wait=^C' 'wait=> ' \
        'send=help EXPIRE\r' 'wait=since' 'wait=> ' 'send=config res\t\r' 'wait=OK' 'wait=> ' 'send=\x03'
    [ "$status" -eq 0 ]
}

@test "prompt: Ctrl-C drops a line, stops a command that waits, and ends on an empty line" {
    run terminal 'wait=> ' 'send=PINGX\x03' 'wait=^C' 'wait=> ' 'send=HANG\r' 'wait=\n' 'send=\x03' 'wait=> ' 'send=SAY +alive\\r\\n\r' 'wait=\nalive' 'wait=> ' 'send=\x03' \
        -- "$BULKHEAD_CLI" -p "$(cat "$SAYS")"
    [ "$status" -eq 0 ]
    [[ $output != *"not connected"* ]]
}

@test "prompt: a lost connection is told, and made again with the database" {
    # Whether it learns of the loss when it sends or when it reads is up to the machine, unless the loss is complete.
    typed 'wait=> ' 'send=SELECT 5\r' 'wait=[5]> ' 'send=CLIENT KILL TYPE normal SKIPME no\r' 'wait=(integer) ' 'wait=> ' \
        "run=until redis-cli -p $PORT CLIENT LIST | grep -q . && ! redis-cli -p $PORT CLIENT LIST | grep -q db=5; do sleep 0.05; done" \
        'send=SET here 1\r' 'wait=OK' 'wait=[5]> ' 'send=\x04'
    [ "$status" -eq 0 ]
    same 1 "$(q -n 5 GET here)"
    run terminal 'wait=> ' 'send=HANGUP\r' 'wait=Error: Server closed the connection' 'wait=not connected> ' 'send=SAY +back\\r\\n\r' 'wait=\nback' 'wait=> ' 'send=\x04' \
        -- "$BULKHEAD_CLI" -p "$(cat "$SAYS")"
    [ "$status" -eq 0 ]
    run terminal 'wait=Connection refused' 'wait=not connected> ' 'send=PING\r' 'wait=Connection refused' 'wait=not connected> ' 'send=\x04' -- "$BULKHEAD_CLI" -p 1
    [ "$status" -eq 0 ]
}

@test "prompt: a long line scrolls, a dumb terminal and a pipe get no escape sequence" {
    typed -z 40 'wait=> ' 'send=PING 123456789012345678901234567890123456789012345678901234567890\r' \
        'wait="123456789012345678901234567890123456789012345678901234567890"' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
    TERM=dumb typed 'wait=> ' 'send=PING\n' 'wait=PONG' 'wait=> ' 'send=help GET\n' 'wait=GET key' 'wait=> ' 'send=\x04'
    [ "$status" -eq 0 ]
    [[ $output != *$'\e'* ]]
    run cli <<<$'PING\nhelp GET\nclear'
    [[ $output == *PONG*"GET key"* && $output != *$'\e'* ]]
}

@test "the client needs nothing but the C library" {
    run readelf -d "$BULKHEAD_CLI"
    [ "$status" -eq 0 ] || skip "no readelf"
    same 1 "$(grep -c NEEDED <<<"$output")"
    [[ $output == *"libc."* ]]
}
