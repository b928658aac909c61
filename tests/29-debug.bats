#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# DEBUG: who may, and what each subcommand does.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "DEBUG OBJECT" {
    expect OK SET n 123
    expect OK SET s text
    expect OK SET l "$(printf 'x%.0s' {1..45})"
    matches 'Value at:0x[0-9a-f]+ refcount:[0-9]+ encoding:int serializedlength:[0-9]+ lru:[0-9]+ lru_seconds_idle:[0-9]+' DEBUG OBJECT n
    matches '.* encoding:embstr .*' DEBUG OBJECT s
    matches '.* encoding:raw .*' DEBUG OBJECT l
    expect '(error) ERR no such key' DEBUG OBJECT nothing
    # A short number is written as one, even where it is kept as text.
    q SET n 1 >/dev/null && q APPEND n 1 >/dev/null
    matches '.* encoding:raw serializedlength:2 .*' DEBUG OBJECT n
}

sleeping() { [[ $(q CLIENT LIST) == *"cmd=debug "* ]]; }

@test "DEBUG SLEEP delays only its caller" {
    only_bulkhead
    q DEBUG SLEEP 2 >"$BATS_TEST_TMPDIR/slept" 3>&- &
    sleeper=$!
    eventually 10 sleeping
    same "$(seq 20)" "$(for i in {1..20}; do echo "ECHO $i"; done | q)"
    expect OK SET k v
    [[ ! -s $BATS_TEST_TMPDIR/slept ]] || fail "others waited"
    wait "$sleeper"
    same OK "$(cat "$BATS_TEST_TMPDIR/slept")"
}

@test "DEBUG is refused unless it is enabled" {
    start_server --enable-debug-command no
    matches '\(error\) ERR DEBUG command not allowed.*' DEBUG SLEEP 0
    matches '\(error\) ERR DEBUG command not allowed.*' DEBUG HELP
    stop_server
    start_server --enable-debug-command local
    expect OK DEBUG SLEEP 0
    stop_server
}

@test "DEBUG DIGEST and DIGEST-VALUE are redis-server's" {
    zeros=0000000000000000000000000000000000000000
    expect "$zeros" DEBUG DIGEST
    q MSET a 1 s text >/dev/null
    q SET e v PXAT 4102444800000 >/dev/null
    expect 438a5f3414e4bddc869203bf070c8a1ede21726f DEBUG DIGEST
    expect $'1) b4fc66738120fba0b5aa500ab5c2bf89cea1c5da\n2) 2ce3f57ae020966eb041fa6a47e5221ee0d42d6b\n3) 311b17018163335616e089f6b951c82c477335ac\n4) '"$zeros" \
        DEBUG DIGEST-VALUE a s e nosuch
    expect '(empty array)' DEBUG DIGEST-VALUE
    # The same keys in another database are another dataset; back again, they are the first one.
    q SWAPDB 0 3 >/dev/null
    [[ $(q DEBUG DIGEST) != 438a* ]]
    q SWAPDB 0 3 >/dev/null
    expect 438a5f3414e4bddc869203bf070c8a1ede21726f DEBUG DIGEST
}

@test "DEBUG DIGEST sees one moment of all data" {
    only_bulkhead
    q DEBUG POPULATE 2000 >/dev/null
    q MSET a 1 b 1 >/dev/null
    first=$(q DEBUG DIGEST)
    q MSET a 2 b 2 >/dev/null
    second=$(q DEBUG DIGEST)
    for _ in {1..5000}; do printf 'MSET a 1 b 1\nMSET a 2 b 2\n'; done | redis-cli -p "$PORT" >/dev/null 3>&- &
    writer=$!
    for _ in {1..40}; do
        got=$(q DEBUG DIGEST)
        [[ $got == "$first" || $got == "$second" ]] || fail "$got is neither $first nor $second"
    done
    kill "$writer" 2>/dev/null || true
    wait "$writer" || true
}

@test "DEBUG DIGEST of a value longer than what is read without a pin" {
    head -c 3000000 /dev/zero | tr '\0' x | redis-cli -p "$PORT" -x SET long >/dev/null
    one=$(q DEBUG DIGEST-VALUE long)
    q COPY long again >/dev/null
    same "$one" "$(q DEBUG DIGEST-VALUE again)"
    q APPEND again y >/dev/null
    [[ $one != $(q DEBUG DIGEST-VALUE again) ]]
}

@test "DEBUG POPULATE" {
    q SET key:7 mine >/dev/null
    expect OK DEBUG POPULATE 1000
    expect '(integer) 1000' DBSIZE
    expect $'1) "value:0"\n2) "mine"\n3) "value:999"' MGET key:0 key:7 key:999
    expect OK DEBUG POPULATE 3 p 10
    expect $'1) "value:0\\x00\\x00\\x00"\n2) "value:2\\x00\\x00\\x00"' MGET p:0 p:2
    expect OK DEBUG POPULATE 2 p 3
    expect '"value:0\x00\x00\x00"' GET p:0
    expect OK DEBUG POPULATE 2 q 3
    expect '"val"' GET q:1
    expect OK DEBUG POPULATE 0
    for wrong in x -1 '' 99999999999999999999; do
        expect '(error) ERR value is out of range, must be positive' DEBUG POPULATE "$wrong"
        expect '(error) ERR value is out of range, must be positive' DEBUG POPULATE 1 p "$wrong"
    done
    expect '(integer) 1005' DBSIZE
}

@test "DEBUG POPULATE with values of several megabytes" {
    expect OK DEBUG POPULATE 3 big 5000000
    same $'5000000\n5000000\n5000000' "$(for i in 0 1 2; do q STRLEN "big:$i"; done)"
    only_bulkhead
    expect '(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)' DEBUG POPULATE 1 big 99999999999
}

@test "DEBUG POPULATE ends at command-timeout, and says how far it has come" {
    only_bulkhead
    q CONFIG SET command-timeout 100 >/dev/null
    got=$(q DEBUG POPULATE 100000000 2>&1)
    q CONFIG SET command-timeout 0 >/dev/null
    [[ $got =~ ^'TIMEOUT The command ran longer than command-timeout; the first '([0-9]+)' keys stay.'$ ]] || fail "$got"
    same "${BASH_REMATCH[1]}" "$(q DBSIZE)"
}

@test "DEBUG POPULATE ends at maxmemory" {
    only_bulkhead
    q CONFIG SET maxmemory "$(($(field used_memory) + 2000000))" >/dev/null
    expect "(error) OOM command not allowed when used memory > 'maxmemory'." DEBUG POPULATE 100000000
    q CONFIG SET maxmemory 0 >/dev/null
    (($(q DBSIZE) > 100))
}

@test "DEBUG POPULATE, killed in the middle, leaves whole keys" {
    only_bulkhead
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'CLIENT ID\r\n' >&"$fd" && read -r id <&"$fd"
    printf 'DEBUG POPULATE 100000000\r\n' >&"$fd"
    some() { (($(q DBSIZE) > 500)); }
    eventually 10 some
    expect '(integer) 1' CLIENT KILL ID "${id//[^0-9]/}"
    exec {fd}>&-
    n=$(q DBSIZE)
    same $'value:0\n'"value:$((n - 1))" "$(q MGET key:0 "key:$((n - 1))")"
    expect '(nil)' GET "key:$n"
    expect OK DEBUG FSCK
}

# Due keys that are deleted in time are no longer counted.
keys_are() { [[ $(q DBSIZE) == "$1" ]]; }

@test "DEBUG SET-ACTIVE-EXPIRE: due keys wait until it is on again" {
    only_bulkhead # redis-server deletes a key when it is asked for
    expect OK DEBUG SET-ACTIVE-EXPIRE 0
    q SET later v PX 1 >/dev/null
    q SET ever v >/dev/null
    gone() { [[ $(q EXISTS later) == 0 ]]; }
    eventually 5 gone
    expect '(integer) 2' DBSIZE
    # Others are not in the way of its sleeping: the expirer goes on when it is told to.
    expect OK DEBUG SET-ACTIVE-EXPIRE 1
    eventually 5 keys_are 1
}

@test "DEBUG SET-ACTIVE-EXPIRE 0 has ended a deletion that was under way when it answers" {
    only_bulkhead
    q DEBUG SET-ACTIVE-EXPIRE 0 >/dev/null
    q DEBUG POPULATE 2000 >/dev/null
    for i in {0..1999}; do echo "PEXPIREAT key:$i $(($(date +%s%3N) + 300))"; done | redis-cli -p "$PORT" >/dev/null
    first_due() { [[ $(q EXISTS key:0 key:1999) == 0 ]]; }
    eventually 10 first_due
    q DEBUG SET-ACTIVE-EXPIRE 1 >/dev/null
    q DEBUG SET-ACTIVE-EXPIRE 0 >/dev/null
    n=$(q DBSIZE)
    for i in {1..20}; do same "$n" "$(q DBSIZE)"; done
    q DEBUG SET-ACTIVE-EXPIRE 1 >/dev/null
    eventually 5 keys_are 0
}

@test "DEBUG PAUSE-CRON" {
    only_bulkhead
    expect OK DEBUG PAUSE-CRON 1
    q SET later v PX 1 >/dev/null
    gone() { [[ $(q EXISTS later) == 0 ]]; }
    eventually 5 gone
    expect '(integer) 1' DBSIZE
    # Either of the two switches is enough.
    expect OK DEBUG SET-ACTIVE-EXPIRE 1
    expect '(integer) 1' DBSIZE
    expect OK DEBUG PAUSE-CRON 0
    eventually 5 keys_are 0
}

@test "DEBUG REPLYBUFFER: buffers of resting clients" {
    only_bulkhead
    [[ $BULKHEAD_SERVER != */asan/* ]] || skip "AddressSanitizer keeps what is freed"
    expect OK DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER
    expect OK DEBUG REPLYBUFFER PEAK-RESET-TIME 10
    expect OK DEBUG REPLYBUFFER PEAK-RESET-TIME RESET
    expect '(error) ERR value is not an integer or out of range' DEBUG REPLYBUFFER PEAK-RESET-TIME x
    matches "\(error\) ERR unknown subcommand .* for 'REPLYBUFFER'. Try DEBUG HELP." DEBUG REPLYBUFFER BOGUS 1
    head -c 8000000 /dev/zero | tr '\0' x | redis-cli -p "$PORT" -x SET big >/dev/null
    anon() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
    small() { (($(anon "$1") < 4000)); }
    # Asks for the long value, sets pid: the reply has been read to its end.
    ask_long() {
        printf 'CLIENT INFO\r\nGET big\r\n' >&"$1"
        read -r line <&"$1"
        read -r line <&"$1"
        [[ $line =~ pid=([0-9]+) ]] && pid=${BASH_REMATCH[1]}
        head -c 8000013 <&"$1" >/dev/null
    }
    exec {kept}<>"/dev/tcp/127.0.0.1/$PORT" {shrunk}<>"/dev/tcp/127.0.0.1/$PORT"
    expect OK DEBUG REPLYBUFFER RESIZING 0
    ask_long "$kept" && first=$pid
    resting() { [[ $(awk '/^State/ {print $2}' "/proc/$1/status") == S ]]; }
    eventually 5 resting "$first"
    expect OK DEBUG REPLYBUFFER RESIZING 1
    ask_long "$shrunk"
    eventually 10 small "$pid"
    ! small "$first" || fail "it has shrunk"
    exec {kept}>&- {shrunk}>&-
}

@test "DEBUG STRINGMATCH-LEN" {
    only_bulkhead
    expect '(integer) 1' DEBUG STRINGMATCH-LEN 'a*c' abbc
    expect '(integer) 0' DEBUG STRINGMATCH-LEN 'a*c' abbd
    expect '(integer) 1' DEBUG STRINGMATCH-LEN '' ''
}

@test "DEBUG PROTOCOL: a reply of each type" {
    expect '"Hello World"' DEBUG PROTOCOL string
    expect '(integer) 12345' DEBUG PROTOCOL integer
    expect '(nil)' DEBUG PROTOCOL null
    expect '(error) ERR RESP2 is not supported by this command' DEBUG PROTOCOL push
    matches '\(error\) ERR Wrong protocol type name\. .*' DEBUG PROTOCOL bogus
    got=$(printf '%s\n' 'DEBUG PROTOCOL double' 'DEBUG PROTOCOL true' 'DEBUG PROTOCOL set' 'DEBUG PROTOCOL map' | redis-cli -3 --no-raw -p "$PORT")
    same $'(double) 3.141\n(true)\n1~ (integer) 0\n2~ (integer) 1\n3~ (integer) 2\n1# (integer) 0 => (false)\n2# (integer) 1 => (true)\n3# (integer) 2 => (false)' "$got"
}

@test "DEBUG ERROR, LOG" {
    expect '(error) MYERR some text' DEBUG ERROR 'MYERR some text'
    expect '(error) two lines' DEBUG ERROR $'two\nlines'
    expect OK DEBUG LOG 'a line for the log'
    grep -q 'DEBUG LOG: a line for the log' "$SERVER_LOG"
}

@test "DEBUG HTSTATS" {
    q DEBUG POPULATE 100 >/dev/null
    q SET e v EX 1000 >/dev/null
    run q DEBUG HTSTATS 0
    [[ ${lines[0]} == '[Dictionary HT]' && $output == *'number of elements: 101'*'[Expires HT]'*'number of elements: 1'* ]]
    [[ $(q DEBUG HTSTATS 3) == *'No stats available for empty dictionaries'* ]]
    # redis-cli prints these replies, and so their errors, without the type.
    expect 'ERR Out of range database' DEBUG HTSTATS 99
    expect 'ERR no such key' DEBUG HTSTATS-KEY nosuch
    expect 'ERR The value stored at the specified key is not represented using an hash table' DEBUG HTSTATS-KEY e
}

@test "DEBUG SEGFAULT and PANIC end the client's process alone" {
    only_bulkhead
    start_server
    q SET k v >/dev/null
    for death in SEGFAULT PANIC; do
        [[ $(q DEBUG "$death" 2>&1) != OK ]]
        expect '"v"' GET k
    done
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    grep -q 'DEBUG PANIC was called' "$SERVER_LOG"
}

@test "DEBUG CONFIG-REWRITE-FORCE-ALL writes defaults as well" {
    expect '(error) ERR CONFIG-REWRITE-FORCE-ALL failed: Bad address' DEBUG CONFIG-REWRITE-FORCE-ALL
    printf '# mine\nsave ""\nenable-debug-command yes\n' >"$BATS_TEST_TMPDIR/all.conf"
    for _ in {1..8}; do
        PORT=$((10000 + SRANDOM % 20000))
        ! launch "$BATS_TEST_TMPDIR/all.conf" --port "$PORT" --dir "$BATS_TEST_TMPDIR" || break
    done
    expect OK CONFIG REWRITE
    ! grep -q '^maxmemory-samples' "$BATS_TEST_TMPDIR/all.conf" || fail "a default was written"
    expect OK DEBUG CONFIG-REWRITE-FORCE-ALL
    grep -qx '# mine' "$BATS_TEST_TMPDIR/all.conf"
    grep -qx 'maxmemory-samples 5' "$BATS_TEST_TMPDIR/all.conf"
    stop_server
}

@test "DEBUG: what is not there" {
    expect "(error) ERR unknown subcommand or wrong number of arguments for 'BOGUS'. Try DEBUG HELP." DEBUG BOGUS
    expect "(error) ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP." DEBUG SLEEP
    same 'DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' "$(q DEBUG HELP | head -n 1)"
}
