#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Commands on the bits of strings.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "SETBIT and GETBIT" {
    expect '(integer) 0' SETBIT b 7 1
    expect '(integer) 1' SETBIT b 7 0
    expect '(integer) 0' SETBIT b 1 1
    expect '(integer) 0' SETBIT b 9 1
    expect '"@@"' GET b
    expect '(integer) 1' GETBIT b 9
    expect '(integer) 0' GETBIT b 10
    expect '(integer) 0' GETBIT b 4294967295
    expect '(integer) 0' GETBIT nothing 5
    expect '(integer) 0' SETBIT zero 15 0
    expect '(integer) 2' STRLEN zero
    expect '"raw"' OBJECT ENCODING zero
}

@test "SETBIT and GETBIT with mistakes" {
    for offset in -1 4294967296 9223372036854775808 abc '' '#1'; do
        expect '(error) ERR bit offset is not an integer or out of range' SETBIT b "$offset" 1
        expect '(error) ERR bit offset is not an integer or out of range' GETBIT b "$offset"
    done
    for bit in 2 -1 abc ''; do
        expect '(error) ERR bit is not an integer or out of range' SETBIT b 1 "$bit"
    done
    expect '(integer) 0' EXISTS b
}

@test "SETBIT keeps the due time and makes a number a string of bytes" {
    expect OK SET n 12345 PXAT 4102444800123
    expect '"int"' OBJECT ENCODING n
    expect '(integer) 1' SETBIT n 7 0
    expect '"raw"' OBJECT ENCODING n
    expect '(integer) 0' SETBIT n 6 1
    expect '"22345"' GET n
    expect '(integer) 4102444800123' PEXPIRETIME n
    expect '(integer) 22346' INCR n
}

@test "SETBIT in any order builds the same string" {
    for i in {0..999}; do echo "SETBIT up $((i * 8 % 7919)) 1"; done | q >/dev/null
    for i in {999..0}; do echo "SETBIT down $((i * 8 % 7919)) 1"; done | q >/dev/null
    same "$(q GET up | sha1sum)" "$(q GET down | sha1sum)"
    same "$(q BITCOUNT up)" "$(q BITCOUNT down)"
}

@test "bits of a string of 100 MB are read and set one at a time" {
    expect '(integer) 0' SETBIT big 838860799 1
    expect '(integer) 104857600' STRLEN big
    used=$(field used_memory memory)
    # 20,000 copies of it would take an hour.
    for i in {1..20000}; do echo "SETBIT big $((i * 41000)) 1"; done | q >/dev/null
    expect '(integer) 20001' BITCOUNT big
    for i in {1..20000}; do echo "GETBIT big $((i * 41000))"; done | q | sort -u >"$BATS_TEST_TMPDIR/bits"
    same 1 "$(cat "$BATS_TEST_TMPDIR/bits")"
    only_bulkhead
    (($(field used_memory memory) - used < 1000000))
}

@test "BITCOUNT" {
    expect OK SET k foobar
    expect '(integer) 26' BITCOUNT k
    expect '(integer) 4' BITCOUNT k 0 0
    expect '(integer) 6' BITCOUNT k 1 1 BYTE
    expect '(integer) 17' BITCOUNT k 5 30 BIT
    expect '(integer) 18' BITCOUNT k 1 -2
    expect '(integer) 0' BITCOUNT k 5 2
    expect '(integer) 0' BITCOUNT nothing
    expect '(integer) 0' BITCOUNT nothing 1 x
    expect '(integer) 0' BITCOUNT k -1 -2 BOGUS
    expect '(error) ERR syntax error' BITCOUNT k 0
    expect '(error) ERR syntax error' BITCOUNT k 0 1 BOGUS
    expect '(error) ERR value is not an integer or out of range' BITCOUNT k a 1
}

@test "BITPOS" {
    q SET k $'\377\360' >/dev/null
    expect '(integer) 12' BITPOS k 0
    expect '(integer) 0' BITPOS k 1
    expect '(integer) 8' BITPOS k 1 1
    expect '(integer) -1' BITPOS k 0 0 0
    expect '(integer) -1' BITPOS k 1 12 15 BIT
    expect '(integer) 13' BITPOS k 0 13 -1 BIT
    q SET ones $'\377\377' >/dev/null
    expect '(integer) 16' BITPOS ones 0
    expect '(integer) -1' BITPOS ones 0 0 -1
    expect '(integer) -1' BITPOS ones 1 5
    expect '(integer) 0' BITPOS nothing 0
    expect '(integer) -1' BITPOS nothing 1
    expect '(error) ERR The bit argument must be 1 or 0.' BITPOS k 2
    expect '(error) ERR syntax error' BITPOS k 1 0 -1 BOGUS
}

@test "BITCOUNT and BITPOS beside a writer of a long value" {
    expect '(integer) 0' SETBIT big 80000000 1
    (for i in {1..3000}; do echo "SETBIT big 3 $((i % 2))"; done | q >/dev/null) 3>&- &
    for _ in {1..15}; do
        matches '\(integer\) [12]' BITCOUNT big
        matches '\(integer\) (3|80000000)' BITPOS big 1
    done
    wait $!
    expect '(integer) 80000000' BITPOS big 1 1
    expect '(integer) 1' BITCOUNT big
}

@test "BITOP" {
    q SET a $'\xf0\xff\x01' >/dev/null
    q SET b $'\x3c\x0f' >/dev/null
    expect '(integer) 3' BITOP AND d a b
    expect '"0\x0f\x00"' GET d
    expect '(integer) 3' BITOP or d a b nothing
    expect '"\xfc\xff\x01"' GET d
    expect '(integer) 3' BITOP XOR d a b
    expect '"\xcc\xf0\x01"' GET d
    expect '(integer) 3' BITOP NOT d a
    expect '"\x0f\x00\xfe"' GET d
    expect '"raw"' OBJECT ENCODING d
    expect '(integer) 3' BITOP AND d a nothing
    expect '"\x00\x00\x00"' GET d
    expect '(integer) 0' BITOP OR d nothing
    expect '(integer) 0' EXISTS d
    expect '(error) ERR BITOP NOT must be called with a single source key.' BITOP NOT d a b
    expect '(error) ERR syntax error' BITOP NAND d a b
}

@test "BITOP onto one of its sources, which loses its due time" {
    q SET a $'\xf0\xff' PXAT 4102444800123 >/dev/null
    q SET b $'\xff' >/dev/null
    expect '(integer) 2' BITOP XOR a b a b a a
    expect '"\xf0\xff"' GET a
    expect '(integer) -1' TTL a
}

@test "BITOP of lengths that are no multiple of a word" {
    for n in 1 7 8 9 63 64 65 1000 65535 65536 65537 200001; do
        head -c "$n" /dev/urandom | q -x SET "r:$n" >/dev/null
        expect "(integer) $n" BITOP NOT inverse "r:$n"
        expect "(integer) $n" BITOP XOR all inverse "r:$n"
        expect "(integer) $((n * 8))" BITCOUNT all
        expect "(integer) $n" BITOP AND none inverse "r:$n"
        expect '(integer) 0' BITCOUNT none
    done
}

@test "BITFIELD" {
    expect $'1) (integer) 1\n2) (integer) 1' BITFIELD f INCRBY i5 100 1 GET u4 101
    expect $'1) (integer) 0\n2) (integer) 255\n3) (integer) -1' BITFIELD g SET u8 '#1' 255 GET u8 8 GET i8 8
    expect '"\x00\xff"' GET g
    expect '1) (integer) 3' BITFIELD o INCRBY u2 102 3
    expect '1) (integer) 3' BITFIELD o OVERFLOW SAT INCRBY u2 102 1
    expect '1) (nil)' BITFIELD o OVERFLOW FAIL INCRBY u2 102 1
    expect '1) (integer) 0' BITFIELD o OVERFLOW WRAP INCRBY u2 102 1
    expect '1) (integer) 127' BITFIELD s OVERFLOW SAT INCRBY i8 0 1000
    expect '1) (integer) -128' BITFIELD s OVERFLOW SAT INCRBY i8 0 -1000
    expect '1) (integer) 9223372036854775807' BITFIELD l INCRBY i64 0 9223372036854775807
    expect '1) (integer) -9223372036854775808' BITFIELD l INCRBY i64 0 1
    expect '(empty array)' BITFIELD l
    expect '1) (integer) 0' BITFIELD nothing GET u63 4294967295
    expect '(integer) 0' EXISTS nothing
}

@test "BITFIELD with mistakes changes nothing" {
    type_error='(error) ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.'
    for type in u64 i65 u0 x8 u '' 8 U8; do
        expect "$type_error" BITFIELD f SET u8 0 1 GET "$type" 0
    done
    for offset in -1 4294967296 '#536870912' abc '#'; do
        expect '(error) ERR bit offset is not an integer or out of range' BITFIELD f SET u8 0 1 SET u8 "$offset" 1
    done
    expect '(error) ERR syntax error' BITFIELD f SET u8 0 1 SET u8 0
    expect '(error) ERR syntax error' BITFIELD f SET u8 0 1 BOGUS u8 0
    expect '(error) ERR value is not an integer or out of range' BITFIELD f SET u8 0 x
    expect '(error) ERR Invalid OVERFLOW type specified' BITFIELD f OVERFLOW BOGUS SET u8 0 1
    expect '(integer) 0' EXISTS f
}

@test "BITFIELD_RO" {
    expect OK SET k hi
    expect $'1) (integer) 104\n2) (integer) 105\n3) (integer) 0' BITFIELD_RO k GET u8 0 GET u8 '#1' GET u8 16
    expect '(error) ERR BITFIELD_RO only supports the GET subcommand' BITFIELD_RO k SET u8 0 1
    expect '(empty array)' BITFIELD_RO k
    expect '"hi"' GET k
}

@test "long computations on bits end with command-timeout, and are undone" {
    only_bulkhead
    expect '(integer) 0' SETBIT big 4294967295 1
    expect '(integer) 536870912' STRLEN big
    expect OK SET d v
    expect OK CONFIG SET command-timeout 20
    same '(error) TIMEOUT The command ran longer than command-timeout and was undone.' "$(r BITOP NOT d big)"
    same '(error) TIMEOUT The command ran longer than command-timeout and was undone.' "$(r BITOP XOR big big d big big)"
    expect OK CONFIG SET command-timeout 0
    expect '"v"' GET d
    expect '(integer) 1' BITCOUNT big
    expect '(integer) 4294967295' BITPOS big 1
    expect '(integer) 536870912' STRLEN big
    expect '(integer) 1' DEL big
}
