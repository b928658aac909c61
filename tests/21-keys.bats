#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Commands on keys of any type.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "DEL, UNLINK, EXISTS count" {
    expect OK MSET a 1 b 2 c 3
    expect '(integer) 3' EXISTS a b a nothing
    expect '(integer) 2' DEL a b a
    expect '(integer) 1' UNLINK c c
    expect '(integer) 0' DEL a
    expect '(integer) 0' DBSIZE
}

@test "TYPE" {
    expect OK SET k v
    expect string TYPE k
    expect none TYPE nothing
}

@test "EXPIRE, TTL, PERSIST" {
    expect '(integer) 0' EXPIRE nothing 10
    expect '(integer) -2' TTL nothing
    expect '(integer) -2' PTTL nothing
    expect '(integer) -2' EXPIRETIME nothing
    expect OK SET k v
    expect '(integer) -1' TTL k
    expect '(integer) -1' PEXPIRETIME k
    expect '(integer) 1' EXPIRE k 100
    matches '\(integer\) (99|100)' TTL k
    matches '\(integer\) 99[0-9]{3}|\(integer\) 100000' PTTL k
    expect '(integer) 1' PERSIST k
    expect '(integer) 0' PERSIST k
    expect '(integer) -1' TTL k
    expect '(integer) 1' PEXPIRE k 100000
    expect '(integer) 1' EXPIREAT k 4102444800
    expect '(integer) 4102444800' EXPIRETIME k
    expect '(integer) 1' PEXPIREAT k 4102444800123
    expect '(integer) 4102444800123' PEXPIRETIME k
}

@test "EXPIRE NX XX GT LT" {
    expect OK SET k v
    expect '(integer) 0' EXPIREAT k 4102444800 XX
    expect '(integer) 0' EXPIREAT k 4102444800 GT
    expect '(integer) 1' EXPIREAT k 4102444800 LT
    expect '(integer) 0' EXPIREAT k 4102444801 NX
    expect '(integer) 0' EXPIREAT k 4102444801 LT
    expect '(integer) 1' EXPIREAT k 4102444801 GT
    expect '(integer) 0' EXPIREAT k 4102444801 GT
    expect '(integer) 1' EXPIREAT k 4102444800 XX LT
    expect '(integer) 4102444800' EXPIRETIME k
    expect '(error) ERR NX and XX, GT or LT options at the same time are not compatible' EXPIRE k 10 NX XX
    expect '(error) ERR GT and LT options at the same time are not compatible' EXPIRE k 10 GT LT
    expect '(error) ERR Unsupported option BOGUS' EXPIRE k 10 BOGUS
}

@test "EXPIRE with mistakes" {
    expect OK SET k v
    expect '(error) ERR value is not an integer or out of range' EXPIRE k abc
    expect "(error) ERR invalid expire time in 'expire' command" EXPIRE k 9223372036854775807
    expect "(error) ERR invalid expire time in 'pexpire' command" PEXPIRE k 9223372036854775807
    expect '(integer) -1' TTL k
    expect '(integer) 1' EXPIRE k -1
    expect '(integer) 0' EXISTS k
}

@test "a key that is due is gone" {
    same $'OK\n"v"' "$(printf '%s\n' 'SET k v PX 200' 'GET k' | session)"
    sleep 0.25
    expect '(nil)' GET k
    expect '(integer) 0' EXISTS k
    expect '(integer) -2' TTL k
}

@test "KEYS with patterns" {
    expect OK MSET hello 1 hallo 2 hxllo 3 heello 4 other 5 'star*' 6
    same $'hallo\nhello\nhxllo' "$(q KEYS 'h?llo' | sort)"
    same $'hallo\nhello' "$(q KEYS 'h[ae]llo' | sort)"
    same $'hallo\nhxllo' "$(q KEYS 'h[^e]llo' | sort)"
    same $'hallo\nhello' "$(q KEYS 'h[a-e]llo' | sort)"
    same $'hallo\nheello\nhello\nhxllo' "$(q KEYS 'h*llo' | sort)"
    same 'star*' "$(q KEYS 'star\*')"
    same 6 "$(q KEYS '*' | wc -l)"
    expect '(empty array)' KEYS 'nothing*'
}

@test "SCAN returns every key once the cursor is 0 again" {
    for i in {1..3000}; do echo "SET scan:$i $i"; done | q >/dev/null
    expect OK SET other 1
    same 3001 "$(q --scan | sort -u | wc -l)"
    same 3000 "$(q --scan --pattern 'scan:*' | sort -u | wc -l)"
    same 1 "$(q --scan --pattern 'oth*' | sort -u | wc -l)"
}

@test "SCAN: COUNT, TYPE, mistakes" {
    for i in {1..100}; do echo "SET k:$i $i"; done | q >/dev/null
    same 101 "$(q SCAN 0 COUNT 1000 | wc -l)"
    same 101 "$(q SCAN 0 COUNT 1000 TYPE string | wc -l)"
    expect $'1) "0"\n2) (empty array)' SCAN 0 COUNT 1000 TYPE list
    expect '(error) ERR invalid cursor' SCAN abc
    expect '(error) ERR syntax error' SCAN 0 COUNT 0
    expect '(error) ERR value is not an integer or out of range' SCAN 0 COUNT abc
    expect '(error) ERR syntax error' SCAN 0 BOGUS
}

@test "RENAME" {
    expect OK SET a 1 PXAT 4102444800123
    expect OK SET b 2
    expect OK RENAME a b
    expect '"1"' GET b
    expect '(integer) 4102444800123' PEXPIRETIME b
    expect '(integer) 0' EXISTS a
    expect OK RENAME b b
    expect '"1"' GET b
    expect '(error) ERR no such key' RENAME nothing c
    expect '(error) ERR no such key' RENAME nothing nothing
}

@test "RENAMENX" {
    expect OK MSET a 1 b 2
    expect '(integer) 0' RENAMENX a b
    expect '(integer) 1' RENAMENX a c
    expect '(integer) 0' RENAMENX c c
    expect '(error) ERR no such key' RENAMENX nothing c
    expect '"1"' GET c
    expect '"2"' GET b
}

@test "COPY" {
    expect OK SET a 1 PXAT 4102444800123
    expect '(integer) 1' COPY a b
    expect '"1"' GET b
    expect '(integer) 4102444800123' PEXPIRETIME b
    expect '(integer) 0' COPY a b
    expect OK SET a 2
    expect '(integer) 1' COPY a b REPLACE
    expect '"2"' GET b
    expect '(integer) -1' TTL b
    expect '(integer) 0' COPY nothing b
    expect '(integer) 1' COPY a a DB 1
    expect '"2"' -n 1 GET a
    expect '(error) ERR source and destination objects are the same' COPY a a
    expect '(error) ERR DB index is out of range' COPY a b DB 16
    expect '(error) ERR syntax error' COPY a b BOGUS
}

@test "a copy is independent" {
    expect OK SET a one
    expect '(integer) 1' COPY a b
    expect '(integer) 6' APPEND a two
    expect '"one"' GET b
    expect '"onetwo"' GET a
}

@test "MOVE" {
    expect OK SET a 1 PXAT 4102444800123
    expect '(integer) 1' MOVE a 3
    expect '(integer) 0' EXISTS a
    expect '"1"' -n 3 GET a
    expect '(integer) 4102444800123' -n 3 PEXPIRETIME a
    expect '(integer) 1' -n 3 DBSIZE
    expect OK SET a 2
    expect '(integer) 0' MOVE a 3
    expect '"2"' GET a
    expect '(integer) 0' MOVE nothing 3
    expect '(error) ERR source and destination objects are the same' MOVE a 0
    expect '(error) ERR DB index is out of range' MOVE a 16
    expect '(error) ERR value is not an integer or out of range' MOVE a b
    expect OK SET soon 3 PX 1
    sleep 0.01
    expect '(integer) 0' MOVE soon 3
}

@test "OBJECT ENCODING" {
    expect OK MSET n 12345 s hello long "$(printf 'x%.0s' {1..45})" zero 007
    expect '"int"' OBJECT ENCODING n
    expect '"embstr"' OBJECT ENCODING s
    expect '"raw"' OBJECT ENCODING long
    expect '"embstr"' OBJECT ENCODING zero
    expect '(integer) 6' APPEND s '!'
    expect '"raw"' OBJECT ENCODING s
    expect '(nil)' OBJECT ENCODING nothing
    expect "(error) ERR wrong number of arguments for 'object|encoding' command" OBJECT ENCODING
}

@test "OBJECT REFCOUNT, FREQ, HELP, mistakes" {
    expect OK MSET n 9999 m 10000 s hello
    expect '(integer) 2147483647' OBJECT REFCOUNT n
    expect '(integer) 1' OBJECT REFCOUNT m
    expect '(integer) 1' OBJECT REFCOUNT s
    matches '\(error\) ERR An LFU maxmemory policy is not selected, .*' OBJECT FREQ s
    expect '(nil)' OBJECT FREQ nothing
    [[ $(r OBJECT HELP) == *ENCODING*IDLETIME*REFCOUNT* ]]
    expect "(error) ERR unknown subcommand 'BOGUS'. Try OBJECT HELP." OBJECT BOGUS s
}

idle_for() { (($(q OBJECT IDLETIME "$1") >= $2)); }

# fresh OLD KEY...: each key was looked up since OLD, which nobody looks up, had been idle for 3 s. Holds however long asking takes.
fresh() {
    local old=$1 key
    shift
    for key in "$@" "$old"; do echo "OBJECT IDLETIME $key"; done | q |
        awk '!/^[0-9]+$/ { bad = 1 } { most = last > most ? last : most; last = $1 } END { exit bad || most > last - 2 }'
}

@test "OBJECT IDLETIME counts what looks at a key for no use, TOUCH" {
    expect OK MSET read v looked v touched v
    eventually 10 idle_for looked 3
    expect '(integer) 1' EXISTS looked
    expect string TYPE looked
    expect '(integer) -1' TTL looked
    expect '"embstr"' OBJECT ENCODING looked
    matches '\(integer\) [0-9]+' MEMORY USAGE looked
    matches 'Value at:.*' DEBUG OBJECT looked
    expect '"v"' GET read
    expect '(integer) 1' TOUCH touched nothing
    fresh looked read touched
    not fresh looked looked
    expect '(nil)' OBJECT IDLETIME nothing
    expect '(integer) 3' TOUCH read read touched
}

@test "all keys of a TOUCH and of an MGET, and what a command that writes looks up, are fresh" {
    # shellcheck disable=SC2046
    expect OK MSET $(for i in {1..1500}; do echo "k:$i v m:$i v"; done)
    expect OK MSET setnx v getex v move v old v
    expect OK -n 1 SET move w
    eventually 10 idle_for old 3
    # shellcheck disable=SC2046
    expect '(integer) 1500' TOUCH $(for i in {1..1500}; do echo "k:$i"; done)
    # shellcheck disable=SC2046
    same 300 "$(q MGET $(for i in {1..300}; do echo "m:$i"; done) | grep -c v)"
    # shellcheck disable=SC2046
    same 1200 "$(q MGET $(for i in {301..1500}; do echo "m:$i"; done) | grep -c v)"
    fresh old {k,m}:{1..1500}
    not fresh old getex
    expect '"v"' GETEX getex
    expect '(integer) 0' SETNX setnx w
    expect '(integer) 0' MOVE move 1
    fresh old getex setnx move
}

@test "CLIENT NO-TOUCH: nothing a client looks up is fresh but what it touches or changes" {
    only_bulkhead
    expect OK MSET read v getex v touched v changed v
    eventually 10 idle_for changed 3
    printf '%s\n' 'CLIENT NO-TOUCH on' 'GET read' 'GETEX getex' 'TOUCH touched' 'SETRANGE changed 0 w' | session >/dev/null
    idle_for read 2
    idle_for getex 2
    fresh read touched changed
}

@test "RANDOMKEY" {
    expect '(nil)' RANDOMKEY
    expect OK SET only 1
    expect '"only"' RANDOMKEY
    expect OK SET only 2 PX 20
    sleep 0.03
    expect '(nil)' RANDOMKEY
}

@test "RANDOMKEY is fair" {
    for i in {1..500}; do echo "SET k:$i $i"; done | q >/dev/null
    # 20 draws for each key: that one is never drawn happens once in a million runs.
    same 500 "$(for _ in {1..10000}; do echo RANDOMKEY; done | q | sort -u | wc -l)"
}

@test "TOUCH-like reads do not change a value" {
    expect OK SET k v
    for _ in {1..100}; do echo GET k; done | q >/dev/null
    expect '"v"' GET k
    expect '(integer) 1' DBSIZE
}

@test "50,000 keys are set and deleted" {
    run bash -c "for i in {1..50000}; do echo SET k:\$i v:\$i; done | redis-cli -p $PORT --pipe"
    [[ $output == *"errors: 0, replies: 50000"* ]]
    expect '(integer) 50000' DBSIZE
    same 50000 "$(q KEYS '*' | sort -u | wc -l)"
    run bash -c "for i in {1..50000}; do echo DEL k:\$i; done | redis-cli -p $PORT --pipe"
    [[ $output == *"errors: 0, replies: 50000"* ]]
    expect '(integer) 0' DBSIZE
    expect '(empty array)' KEYS '*'
}
