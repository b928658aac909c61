#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# DUMP and RESTORE; reading RDB files: bulkhead-check-rdb. What is in files of every version: tests/unit/test_rdb_read.c.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

payload() { python3 "$ROOT/tests/lib/rdb_samples.py" --payload "$@"; }

# restore KEY TTL NAME [OPTION...]: RESTORE with a payload of rdb_samples.py, or with its bytes as they are in $BYTES.
restore() { payload "$3" | q -X PAYLOAD RESTORE "$1" "$2" PAYLOAD "${@:4}"; }
restored() { same "$1" "$(restore "${@:2}")"; }

@test "RESTORE of strings in every coding" {
    restored OK s 0 string
    same hello "$(q GET s)"
    for name in empty:'' int8:-123 int16:12345 int32:-2147483648 64:abc; do
        restored OK "$name" 0 "string-${name%%:*}"
        same "${name#*:}" "$(q GET "$name")"
    done
    same int "$(q OBJECT ENCODING int8:-123)"
    for name in 14 32 lzf; do restored OK "$name" 0 "string-$name"; done
    same 300 "$(q STRLEN 14)"
    same 20000 "$(q STRLEN 32)"
    same "$(printf 'q%.0s' {1..150})abc$(printf 'r%.0s' {1..90})" "$(q GET lzf)"
    # RESTORE-ASKING is the same.
    same OK "$(payload string | q -x RESTORE-ASKING asked 0)"
    same hello "$(q GET asked)"
}

# dumped KEY: the payload as hexadecimal digits, without the reply's line end.
dumped() { q --raw DUMP "$1" | head -c -1 | od -An -v -tx1 | tr -d ' \n'; }

@test "DUMP" {
    expect '(nil)' DUMP nothing
    q MSET s hello n 12345 big "$(printf 'ab%.0s' {1..100})" >/dev/null
    same 000568656c6c6f0a006372df766534200a "$(dumped s)"
    same 00c139300a009d94ea2793fc08b9 "$(dumped n)"
    # Compressed, unless that is switched off; a due time is not part of it.
    (($(q --raw DUMP big | wc -c) < 40))
    q EXPIRE big 1000 >/dev/null
    q --raw DUMP big | head -c -1 | q -x RESTORE again 0
    same "$(q GET big)" "$(q GET again)"
    same -1 "$(q TTL again)"
    q CONFIG SET rdbcompression no >/dev/null
    (($(q --raw DUMP big | wc -c) > 200))
    q CONFIG SET rdbcompression yes >/dev/null
    # Too long to be read without a pin.
    q SETRANGE long 3000000 x >/dev/null
    q --raw DUMP long | head -c -1 | q -x RESTORE copy 0
    same "$(q DEBUG DIGEST-VALUE long)" "$(q DEBUG DIGEST-VALUE copy)"
}

@test "DUMP and RESTORE against redis-server" {
    only_bulkhead
    command -v redis-server >/dev/null || skip "there is no redis-server"
    ours=$PORT
    SERVER_BINARY=$(command -v redis-server)
    (
        SERVER_BINARY=$SERVER_BINARY start_server
        theirs=$PORT
        for value in hello '' 7 -129 40000 -2147483649 "$(printf 'abc%.0s' {1..50})" "$(seq 300)"; do
            redis-cli -p "$ours" SET k "$value" >/dev/null
            redis-cli -p "$ours" --raw DUMP k | head -c -1 | redis-cli -p "$theirs" -X V RESTORE k 0 V REPLACE
            same "$value" "$(redis-cli -p "$theirs" GET k)"
            redis-cli -p "$theirs" --raw DUMP k | head -c -1 | redis-cli -p "$ours" -X V RESTORE k 0 V REPLACE
            same "$value" "$(redis-cli -p "$ours" GET k)"
        done
        stop_server
    )
}

@test "RESTORE: REPLACE, ABSTTL, IDLETIME, FREQ" {
    restored OK k 0 string
    restored 'BUSYKEY Target key name already exists.' k 0 string-int8
    restored OK k 100000 string-int8 REPLACE
    same -123 "$(q GET k)"
    ttl=$(q PTTL k)
    ((ttl > 50000 && ttl <= 100000))
    restored OK k 4102444800000 string replace absttl
    same 4102444800000 "$(q PEXPIRETIME k)"
    restored OK k 0 string REPLACE ABSTTL
    same -1 "$(q TTL k)"
    # What is over already takes the old key with it.
    restored OK k 1 string REPLACE ABSTTL
    same 0 "$(q EXISTS k)"
    restored OK k 9223372036854775807 string
    same 0 "$(q EXISTS k)"
    restored OK idle 0 string IDLETIME 1000
    matches '\(integer\) 100[0-9]' OBJECT IDLETIME idle
    restored OK half-a-year 0 string IDLETIME 15000000
    matches '\(integer\) 150000[0-9][0-9]' OBJECT IDLETIME half-a-year
    # Without a policy that counts uses it is taken, and of no use.
    restored OK often 0 string FREQ 77
}

@test "RESTORE: errors" {
    restored 'ERR syntax error' k 0 string FOO
    restored 'ERR syntax error' k 0 string IDLETIME
    restored 'ERR syntax error' k 0 string IDLETIME 0 FREQ 1
    restored 'ERR syntax error' k 0 string FREQ 0 IDLETIME 1
    restored 'ERR Invalid IDLETIME value, must be >= 0' k 0 string IDLETIME -1
    restored 'ERR Invalid FREQ value, must be >= 0 and <= 255' k 0 string FREQ 256
    restored 'ERR value is not an integer or out of range' k 0 string FREQ x
    restored 'ERR Invalid TTL value, must be >= 0' k -1 string
    restored 'ERR value is not an integer or out of range' k x string
    expect '(error) ERR DUMP payload version or checksum are wrong' RESTORE k 0 junk
    expect '(error) ERR DUMP payload version or checksum are wrong' RESTORE k 0 ''
    same 'ERR DUMP payload version or checksum are wrong' "$(payload string 12 | q -x RESTORE k 0)"
    expect "(error) ERR wrong number of arguments for 'restore' command" RESTORE k 0
    restored OK k 0 string
    # A key that is there is found first, and an error leaves it as it is.
    expect '(error) BUSYKEY Target key name already exists.' RESTORE k x junk
    expect '(error) ERR DUMP payload version or checksum are wrong' RESTORE k 0 junk REPLACE
    same hello "$(q GET k)"
}

@test "RESTORE of types that cannot be held says so, and which" {
    only_bulkhead
    restored OK k 0 string
    for name in list list-quicklist-2 set-intset-4 hash-zipmap zset-2 stream-2; do
        restored "ERR this server holds strings only, and the payload is a value of type ${name%%-*}" k 0 "$name" REPLACE
    done
    same 'ERR this server holds strings only, and the payload is a value of type set' "$(payload set-listpack 11 | q -x RESTORE s 0)"
    same hello "$(q GET k)"
    same 1 "$(q DBSIZE)"
}

@test "DEBUG SET-SKIP-CHECKSUM-VALIDATION" {
    spoiled() { payload string | head -c -4; printf xxxx; }
    refusal='ERR DUMP payload version or checksum are wrong'
    same "$refusal" "$(spoiled | q -x RESTORE k 0)"
    expect OK DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
    same OK "$(spoiled | q -x RESTORE k 0)"
    same 'ERR Bad data format' "$({ printf '\143junk\012\0'; printf 12345678; } | q -x RESTORE bad 0)"
    # The value ends before it does.
    same 'ERR Bad data format' "$({ printf '\0\377'; printf '\012\00012345678'; } | q -x RESTORE bad 0)"
    expect OK DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
    same "$refusal" "$(spoiled | q -x RESTORE another 0)"
}

# checks FILE: bulkhead-check-rdb, its lines without those that only one of the two says.
checks() { "$1" "$2" 2>/dev/null | grep -v '^\[info\] .*already expired'; }

@test "bulkhead-check-rdb says what redis-check-rdb says" {
    command -v redis-check-rdb >/dev/null || skip "there is no redis-check-rdb"
    ln -s "$BULKHEAD_RELEASE" "$BATS_TEST_TMPDIR/bulkhead-check-rdb"
    check=$BATS_TEST_TMPDIR/bulkhead-check-rdb
    for v in 01 02 03 04 05 06 07 08; do
        file=$ROOT/tests/data/rdb/v$v.rdb
        same "$(checks redis-check-rdb "$file")" "$(checks "$check" "$file")"
    done
    for v in 09 10 11; do
        run -0 "$check" "$ROOT/tests/data/rdb/v$v.rdb"
        [[ $output == *'RDB looks OK!'* ]]
    done
    # Cut, and with a byte changed: both are found.
    head -c 1000 "$ROOT/tests/data/rdb/v06.rdb" >"$BATS_TEST_TMPDIR/cut"
    run -1 "$check" "$BATS_TEST_TMPDIR/cut"
    [[ $output == *'--- RDB ERROR DETECTED ---'*'[offset 1000] '*'[additional info] Reading key '*'[info] '*' keys read'* ]]
    { head -c 1000 "$ROOT/tests/data/rdb/v06.rdb"; printf '\1'; tail -c +1002 "$ROOT/tests/data/rdb/v06.rdb"; } >"$BATS_TEST_TMPDIR/spoiled"
    run -1 "$check" "$BATS_TEST_TMPDIR/spoiled"
    run -1 "$BULKHEAD_RELEASE" --check-rdb "$BATS_TEST_TMPDIR/spoiled"
    run -1 "$check" "$BATS_TEST_TMPDIR/nothing"
    [[ $output == *'No such file'* ]]
    run -1 "$check"
    [[ $output == *'Usage: bulkhead-check-rdb FILE'* ]]
    run -0 "$BULKHEAD_RELEASE" --check-rdb "$ROOT/tests/data/rdb/v06.rdb"
}
