#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Commands on strings.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "SET and GET" {
    expect OK SET k v
    expect '"v"' GET k
    expect OK SET k w
    expect '"w"' GET k
    expect '(nil)' GET nothing
}

@test "SET NX and XX" {
    expect '(nil)' SET k v XX
    expect OK SET k v NX
    expect '(nil)' SET k w NX
    expect OK SET k w XX
    expect '"w"' GET k
    expect '(error) ERR syntax error' SET k v NX XX
}

@test "SET GET returns the old value" {
    expect '(nil)' SET k v GET
    expect '"v"' SET k w GET
    expect '"w"' SET k x XX GET
    expect '"x"' SET k y NX GET
    expect '"x"' GET k
    expect '(nil)' SET other v NX GET
    expect '"v"' GET other
}

@test "SET with a due time" {
    expect OK SET k v EX 100
    matches '\(integer\) (99|100)' TTL k
    expect OK SET k v PX 100000
    matches '\(integer\) (99|100)[0-9]{3}' PTTL k
    expect OK SET k v EXAT 4102444800
    expect '(integer) 4102444800' EXPIRETIME k
    expect OK SET k v PXAT 4102444800123
    expect '(integer) 4102444800123' PEXPIRETIME k
    expect OK SET k v
    expect '(integer) -1' TTL k
}

@test "SET KEEPTTL" {
    expect OK SET k v PXAT 4102444800123
    expect OK SET k w KEEPTTL
    expect '(integer) 4102444800123' PEXPIRETIME k
    expect '(error) ERR syntax error' SET k v KEEPTTL EX 10
}

@test "SET with mistakes" {
    expect "(error) ERR invalid expire time in 'set' command" SET k v EX 0
    expect "(error) ERR invalid expire time in 'set' command" SET k v PX -1
    expect '(error) ERR value is not an integer or out of range' SET k v EX abc
    expect "(error) ERR invalid expire time in 'set' command" SET k v EX 9223372036854775807
    expect '(error) ERR syntax error' SET k v EX
    expect '(error) ERR syntax error' SET k v EX 10 PX 10
    expect '(error) ERR syntax error' SET k v BOGUS
    expect "(error) ERR wrong number of arguments for 'set' command" SET k
    expect '(nil)' GET k
}

@test "SET with a due time in the past deletes" {
    expect OK SET k v
    expect OK SET k v EXAT 1
    expect '(integer) 0' EXISTS k
    expect '(nil)' GET k
}

@test "GETDEL" {
    expect OK SET k v
    expect '"v"' GETDEL k
    expect '(nil)' GETDEL k
    expect '(integer) 0' EXISTS k
}

@test "GETEX" {
    expect OK SET k v
    expect '"v"' GETEX k
    expect '(integer) -1' TTL k
    expect '"v"' GETEX k PXAT 4102444800123
    expect '(integer) 4102444800123' PEXPIRETIME k
    expect '"v"' GETEX k
    expect '(integer) 4102444800123' PEXPIRETIME k
    expect '"v"' GETEX k PERSIST
    expect '(integer) -1' TTL k
    expect '(nil)' GETEX nothing EX 10
    expect '(error) ERR syntax error' GETEX k EX 10 PERSIST
    expect "(error) ERR invalid expire time in 'getex' command" GETEX k EX 0
    expect '"v"' GETEX k EXAT 1
    expect '(integer) 0' EXISTS k
}

@test "MSET and MGET" {
    expect OK MSET a 1 b 2 a 3
    expect $'1) "3"\n2) "2"\n3) (nil)\n4) "3"' MGET a b c a
    expect "(error) ERR wrong number of arguments for 'mset' command" MSET a
    expect "(error) ERR wrong number of arguments for 'mset' command" MSET a 1 b
    expect "(error) ERR wrong number of arguments for 'mget' command" MGET
}

@test "MSET of 1,000 keys" {
    # shellcheck disable=SC2046
    expect OK MSET $(for i in {1..1000}; do echo "k:$i v:$i"; done)
    expect '(integer) 1000' DBSIZE
    expect $'1) "v:1"\n2) "v:500"\n3) "v:1000"' MGET k:1 k:500 k:1000
    # shellcheck disable=SC2046
    expect '(integer) 1000' DEL $(for i in {1..1000}; do echo "k:$i"; done)
}

@test "MSET removes due times" {
    expect OK SET a 1 EX 100
    expect OK MSET a 2 b 3
    expect '(integer) -1' TTL a
}

@test "MSETNX sets all or nothing" {
    expect '(integer) 1' MSETNX a 1 b 2
    expect '(integer) 0' MSETNX c 3 a 4
    expect '(nil)' GET c
    expect '"1"' GET a
    expect "(error) ERR wrong number of arguments for 'msetnx' command" MSETNX a 1 b
}

@test "INCR, DECR, INCRBY, DECRBY" {
    expect '(integer) 1' INCR n
    expect '(integer) 11' INCRBY n 10
    expect '(integer) 10' DECR n
    expect '(integer) 15' DECRBY n -5
    expect '(integer) 5' INCRBY n -10
    expect '"5"' GET n
    expect '(integer) -1' DECR m
}

@test "INCR keeps the due time" {
    expect OK SET n 1 PXAT 4102444800123
    expect '(integer) 2' INCR n
    expect '(integer) 4102444800123' PEXPIRETIME n
}

@test "INCR at the limits" {
    expect OK SET n 9223372036854775806
    expect '(integer) 9223372036854775807' INCR n
    expect '(error) ERR increment or decrement would overflow' INCR n
    expect '"9223372036854775807"' GET n
    expect OK SET n -9223372036854775808
    expect '(error) ERR increment or decrement would overflow' DECR n
    expect '(error) ERR decrement would overflow' DECRBY n -9223372036854775808
    expect '(error) ERR value is not an integer or out of range' INCRBY n 9223372036854775808
}

@test "INCR of what is no integer" {
    for value in abc '' ' 1' '1 ' 1.0 007 +5 9223372036854775808; do
        expect OK SET n "$value"
        expect '(error) ERR value is not an integer or out of range' INCR n
        expect "\"$value\"" GET n
    done
}

@test "INCRBYFLOAT" {
    expect '"10.5"' INCRBYFLOAT f 10.5
    expect '"10.6"' INCRBYFLOAT f 0.1
    expect '"5.6"' INCRBYFLOAT f -5
    expect OK SET f 5.0e3
    expect '"5200"' INCRBYFLOAT f 2.0e2
    expect OK SET f 3.0
    expect '"4"' INCRBYFLOAT f 1
    expect '(error) ERR value is not a valid float' INCRBYFLOAT f abc
    expect '(error) ERR value is not a valid float' INCRBYFLOAT f nan
    expect '(error) ERR increment would produce NaN or Infinity' INCRBYFLOAT f inf
    expect OK SET f abc
    expect '(error) ERR value is not a valid float' INCRBYFLOAT f 1
}

@test "APPEND and STRLEN" {
    expect '(integer) 5' APPEND k hello
    expect '(integer) 11' APPEND k ' world'
    expect '"hello world"' GET k
    expect '(integer) 11' STRLEN k
    expect '(integer) 0' STRLEN nothing
    expect '(integer) 11' APPEND k ''
    expect OK SET n 12
    expect '(integer) 4' APPEND n 34
    expect '(integer) 1235' INCR n
}

@test "APPEND grows a value over all sizes" {
    want=
    for i in {1..400}; do
        word=$(printf "%0*d" "$((i % 50 + 1))" "$i")
        want+=$word
        echo "APPEND k $word"
    done | q >/dev/null
    for i in {1..400}; do want+=$(printf "%0*d" "$((i % 50 + 1))" "$i"); done
    same "$want" "$(q GET k)"
    expect "(integer) ${#want}" STRLEN k
}

@test "values of all sizes around the size classes" {
    for size in 0 1 7 8 15 16 31 32 63 64 65 100 127 128 255 256 511 512 1023 1024 2047 4095 4096 4097 16383 16384 65535 65536 100000 1000000; do
        head -c "$size" /dev/zero | tr '\0' v | q -x SET "size:$size"
    done >/dev/null
    for size in 0 1 7 8 15 16 31 32 63 64 65 100 127 128 255 256 511 512 1023 1024 2047 4095 4096 4097 16383 16384 65535 65536 100000 1000000; do
        expect "(integer) $size" STRLEN "size:$size"
        same "$size" "$(q GET "size:$size" | tr -cd v | wc -c)"
    done
}

@test "names of commands and options in any case" {
    expect OK sEt k v eX 100 nX
    expect '"v"' gEt k
}

@test "SETEX, PSETEX, SETNX, GETSET" {
    expect OK SETEX k 100 v
    matches '\(integer\) (99|100)' TTL k
    expect OK PSETEX k 100000 w
    matches '\(integer\) (99|100)[0-9]{3}' PTTL k
    expect "(error) ERR invalid expire time in 'setex' command" SETEX k 0 v
    expect "(error) ERR invalid expire time in 'psetex' command" PSETEX k -1 v
    expect '(error) ERR value is not an integer or out of range' SETEX k abc v
    expect '(integer) 0' SETNX k x
    expect '"w"' GETSET k x
    expect '(integer) -1' TTL k
    expect '(nil)' GETSET other y
    expect '"y"' GET other
    expect '(integer) 1' SETNX third z
    expect '"z"' GET third
}

@test "GETRANGE and SUBSTR" {
    expect OK SET k 'This is a string'
    expect '"This"' GETRANGE k 0 3
    expect '"ing"' GETRANGE k -3 -1
    expect '"This is a string"' GETRANGE k 0 -1
    expect '"string"' SUBSTR k 10 100
    expect '""' GETRANGE k 5 4
    expect '""' GETRANGE k -1 -5
    expect '"T"' GETRANGE k -100 0
    expect '""' GETRANGE nothing 0 -1
    expect '(error) ERR value is not an integer or out of range' GETRANGE nothing a 1
}

@test "GETRANGE of a large value, a part and most of it" {
    head -c 3000000 /dev/zero | tr '\0' v | q -x SET big >/dev/null
    expect '(integer) 3000000' SETRANGE big 1999999 abc
    expect '"vabcv"' GETRANGE big 1999998 2000002
    same 2499991 "$(q GETRANGE big 10 2500000 | tr -d '\n' | wc -c)"
}

@test "SETRANGE" {
    expect OK SET k 'Hello World' PXAT 4102444800123
    expect '(integer) 11' SETRANGE k 6 Redis
    expect '"Hello Redis"' GET k
    expect '(integer) 4102444800123' PEXPIRETIME k
    expect '"raw"' OBJECT ENCODING k
    expect '(integer) 13' SETRANGE k 12 x
    expect '"Hello Redis\x00x"' GET k
    expect '(integer) 13' SETRANGE k 100 ''
    expect '(integer) 8' SETRANGE new 5 abc
    expect '"\x00\x00\x00\x00\x00abc"' GET new
    expect '(integer) 0' SETRANGE nothing 5 ''
    expect '(integer) 0' EXISTS nothing
    expect '(error) ERR offset is out of range' SETRANGE k -1 x
    expect '(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)' SETRANGE k 536870912 x
    expect '(error) ERR string exceeds maximum allowed size (proto-max-bulk-len)' SETRANGE k 9223372036854775807 x
}

@test "what SETRANGE leaves out is zero, also where a longer value was" {
    expect '(integer) 10' APPEND k 0123456789
    expect '(integer) 60' APPEND k "$(printf 'x%.0s' {1..50})"
    expect OK SET k short
    expect '(integer) 6' APPEND k y
    expect '(integer) 21' SETRANGE k 20 z
    expect '"shorty\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00z"' GET k
}

@test "a copy and its original are changed in place apart" {
    expect '(integer) 8' APPEND a original
    expect '(integer) 1' COPY a b
    expect '(integer) 8' SETRANGE a 0 ORI
    expect '(integer) 1' SETBIT b 7 0
    expect '"ORIginal"' GET a
    expect '"nriginal"' GET b
}

@test "LCS" {
    expect OK MSET a ohmytext b mynewtext
    expect '"mytext"' LCS a b
    expect '(integer) 6' LCS a b LEN
    expect $'1) "matches"\n2) 1) 1) 1) (integer) 4\n         2) (integer) 7\n      2) 1) (integer) 5\n         2) (integer) 8\n      3) (integer) 4\n3) "len"\n4) (integer) 6' \
        LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
    expect '""' LCS a nothing
    expect '(integer) 0' LCS nothing nothing LEN
    expect '(error) ERR If you want both the length and indexes, please just use IDX.' LCS a b IDX LEN
    expect '(error) ERR syntax error' LCS a b BOGUS
    expect '(error) ERR value is not an integer or out of range' LCS a b MINMATCHLEN x
}

@test "LCS of long strings: what takes too much memory is refused, what takes too long is cancelled" {
    head -c 10000 /dev/urandom | q -x SET a >/dev/null
    head -c 13000 /dev/urandom | q -x SET b >/dev/null
    expect '(integer) 10000' LCS a a LEN
    expect '(integer) 13421' SETRANGE b 13420 x
    expect '(error) ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len' LCS a b
    only_bulkhead
    expect OK CONFIG SET command-timeout 20
    same '(error) TIMEOUT The command ran longer than command-timeout and was undone.' "$(r LCS a a LEN)"
    expect OK CONFIG SET command-timeout 0
}
