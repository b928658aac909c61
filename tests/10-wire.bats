#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The protocol: RESP2, RESP3, inline commands, pipelines, protocol errors, authentication.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "inline commands, as telnet sends them" {
    same $'+PONG\n+OK\n$5\na b c' "$(wire 'PING\r\nset k "a b c"\r\nGET k\r\n')"
    same '+PONG' "$(wire 'PING\n')"
    same $'$1\nA' "$(wire 'ECHO "\\x41"\r\n')"
    same $'$4\nit\x27s' "$(wire "ECHO 'it\\\\'s'\r\n")"
}

@test "inline: unbalanced quotes" {
    same '-ERR Protocol error: unbalanced quotes in request' "$(wire 'SET k "a\r\nPING\r\n')"
}

@test "inline: a line that is too long" {
    line=$(printf 'x%.0s' {1..70000})
    same '-ERR Protocol error: too big inline request' "$(wire "PING $line")"
}

@test "protocol errors close the connection and name the mistake" {
    same "-ERR Protocol error: expected '\$', got 'P'" "$(wire '*1\r\nPING\r\n')"
    same '-ERR Protocol error: invalid multibulk length' "$(wire '*x\r\nPING\r\n')"
    same '-ERR Protocol error: invalid multibulk length' "$(wire '*2000000000000\r\n')"
    same '-ERR Protocol error: invalid bulk length' "$(wire '*1\r\n$x\r\nPING\r\n')"
    same '-ERR Protocol error: invalid bulk length' "$(wire '*1\r\n$536870913\r\n')"
    same $'+PONG\n-ERR Protocol error: invalid bulk length' "$(wire 'PING\r\n*1\r\n$-1\r\nPING\r\n')"
}

@test "an error does not end the connection" {
    same $'-ERR unknown command \x27NOSUCH\x27, with args beginning with: \x27a\x27 \n+PONG' "$(wire 'NOSUCH a\r\nPING\r\n')"
    same $'-ERR wrong number of arguments for \x27get\x27 command\n+PONG' "$(wire 'GET\r\nPING\r\n')"
}

@test "a command in several packets" {
    same $'+OK\n$5\nhello' "$(wire '*3\r\n$3\r\nSE' 'T\r\n$1\r\nk\r\n$5' '\r\nhe' 'llo\r' '\nGET k\r\n')"
}

@test "a pipeline of 10,000 commands keeps the order" {
    run bash -c "for i in {1..10000}; do printf 'ECHO %s\r\n' \$i; done | '$ROOT/tests/lib/pipe' $PORT | tr -d '\r' | grep -v '^\\$' | cmp - <(seq 10000) && echo same"
    same same "$output"
}

@test "a pipeline keeps its sense whatever is in it" {
    # Databases, long lists of words between short ones, inline commands with quotes, unknown commands, an incomplete one at the end.
    words=$(printf 'k%d v ' {1..100})
    same $'+OK\n+OK\n$1\na\n$-1\n+OK\n:100\n$1\nv\n-ERR unknown command \x27NO\x27, with args beginning with: \x27SUCH\x27 \n+OK\n$1\na\n$5\nx y z' \
        "$(wire "SET one a\r\nSELECT 3\r\nECHO a\r\nGET one\r\nMSET $words\r\nDBSIZE\r\nGET k100\r\nNO SUCH\r\nSELECT 0\r\nGET one\r\nECHO \"x y z\"\r\n*2\r\n\$3\r\nGET\r\n")"
    # What is wrong is said after the replies to what was right; QUIT ends it before.
    same $'+OK\n:2\n:3\n-ERR Protocol error: invalid bulk length' "$(wire 'SET n 1\r\nINCR n\r\nINCR n\r\n*1\r\n$-5\r\nINCR n\r\n')"
    same $':4\n+OK' "$(wire 'INCR n\r\nQUIT\r\nINCR n\r\n*1\r\n$-5\r\n')"
    expect '"4"' GET n
}

@test "a pipeline logs in, and loses its rights, at the command that does it" {
    expect OK CONFIG SET requirepass secret
    same $'-NOAUTH Authentication required.\n+OK\n+OK\n$1\nv\n+OK' \
        "$(wire 'GET k\r\nAUTH secret\r\nSET k v\r\nGET k\r\nCONFIG SET requirepass ""\r\n')"
    same $'+OK\n$1\nv\n+RESET\n-NOAUTH Authentication required.\n-NOAUTH Authentication required.' \
        "$(wire 'CONFIG SET requirepass secret\r\nGET k\r\nRESET\r\nGET k\r\nGET k\r\n')"
    same $'-NOAUTH Authentication required.\n-ERR Protocol error: unauthenticated multibulk length' "$(wire 'PING\r\n*11\r\n')"
    same $'+OK\n+OK' "$(wire 'AUTH secret\r\nCONFIG SET requirepass ""\r\n')"
}

@test "binary keys and values" {
    same $'+OK\n:1\n$6\n\x5cx00\x5cxffab\x5cx00\n:6' "$(wire '*3\r\n$3\r\nSET\r\n$2\r\n\x00\n\r\n$6\r\n\x00\xffab\x00!\r\n*2\r\n$6\r\nEXISTS\r\n$2\r\n\x00\n\r\n*2\r\n$3\r\nGET\r\n$2\r\n\x00\n\r\n*2\r\n$6\r\nSTRLEN\r\n$2\r\n\x00\n\r\n' | sed 's/!$//')"
}

@test "an empty key and an empty value" {
    expect OK SET '' ''
    expect '""' GET ''
    expect '(integer) 0' STRLEN ''
    expect '(integer) 1' EXISTS ''
}

@test "HELLO 3 switches to RESP3 and back" {
    run wire 'HELLO 3\r\nGET x\r\nCONFIG GET nosuch\r\nHELLO 2\r\nGET x\r\n'
    [[ ${lines[0]} == %7 ]]
    [[ $output == *$'\n_\n%0\n*14\n'*$'\n$-1' ]]
}

@test "HELLO: versions that do not exist" {
    expect '(error) NOPROTO unsupported protocol version' HELLO 1
    expect '(error) NOPROTO unsupported protocol version' HELLO 4
    expect '(error) ERR Protocol version is not an integer or out of range' HELLO abc
    expect "(error) ERR Syntax error in HELLO option 'BOGUS'" HELLO 3 BOGUS
}

@test "HELLO sets the name" {
    same $'$2\nme' "$(wire 'HELLO 2 SETNAME me\r\nCLIENT GETNAME\r\n' | tail -n 2)"
}

@test "QUIT answers and closes" {
    same '+OK' "$(wire 'QUIT\r\nPING\r\n')"
}

@test "POST and Host: close the connection without a reply and are logged" {
    same '' "$(wire 'POST / HTTP/1.1\r\n\r\n')"
    same '' "$(wire 'Host: localhost\r\nPING\r\n')"
    # Nor are the replies sent that were due before it in the same packet.
    same '' "$(wire 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')"
    eventually 2 grep -q 'Possible SECURITY ATTACK detected' "$SERVER_LOG"
    expect PONG PING
}

@test "a value of 100 MB" {
    head -c 104857600 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/value"
    same OK "$(q -x SET big <"$BATS_TEST_TMPDIR/value")"
    expect '(integer) 104857600' STRLEN big
    same "$(md5sum <"$BATS_TEST_TMPDIR/value")" "$(q GET big | head -c 104857600 | md5sum)"
    expect '(integer) 1' DEL big
}

@test "proto-max-bulk-len limits a bulk string" {
    expect OK CONFIG SET proto-max-bulk-len 1mb
    same $'-ERR Protocol error: invalid bulk length' "$(wire '*2\r\n$3\r\nGET\r\n$1048577\r\n')"
    expect OK CONFIG SET proto-max-bulk-len 512mb
}

@test "a client that does not read holds up nobody" {
    q SET big "$(printf 'x%.0s' {1..100000})" >/dev/null
    # 2,000 replies of 100 kB that nobody reads.
    exec {stuck}<>"/dev/tcp/127.0.0.1/$PORT"
    for _ in {1..2000}; do printf 'GET big\r\n'; done >&"$stuck"
    for i in {1..50}; do expect "\"$i\"" ECHO "$i"; done
    expect OK SET other 1
    expect OK SET big small
    exec {stuck}>&-
}

@test "a client that ends in the middle of a command" {
    same '' "$(wire '*2\r\n$3\r\nGET\r\n$100\r\nabc')"
    same '' "$(wire '*1000000\r\n')"
    expect PONG PING
}
