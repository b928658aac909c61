#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Databases: SELECT, SWAPDB, FLUSHDB, FLUSHALL, DBSIZE.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "SELECT keeps databases apart" {
    expect OK SET k zero
    expect OK -n 1 SET k one
    expect '"zero"' GET k
    expect '"one"' -n 1 GET k
    expect '(nil)' -n 2 GET k
    expect '(integer) 1' DBSIZE
    expect '(integer) 1' -n 1 DBSIZE
    expect '(integer) 0' -n 2 DBSIZE
}

@test "SELECT with mistakes leaves the database as it is" {
    same $'OK\nOK\n(error) ERR DB index is out of range\n(error) ERR DB index is out of range\n(error) ERR value is not an integer or out of range\n"v"' \
        "$(printf '%s\n' 'SELECT 3' 'SET k v' 'SELECT 16' 'SELECT -1' 'SELECT abc' 'GET k' | session)"
}

@test "SWAPDB swaps what clients see at once" {
    expect OK SET a zero
    expect OK -n 1 SET b one
    # This client stays in database 0 all the time.
    same $'"zero"\nOK\n(nil)\n"one"\nOK\n"zero"' "$(printf '%s\n' 'GET a' 'SWAPDB 0 1' 'GET a' 'GET b' 'SWAPDB 1 0' 'GET a' | session)"
    expect OK SWAPDB 0 0
    expect '"zero"' GET a
}

@test "SWAPDB of a database that was never used" {
    expect OK SET a 1
    expect OK SWAPDB 0 9
    expect '(integer) 0' DBSIZE
    expect '"1"' -n 9 GET a
}

@test "SWAPDB with mistakes" {
    expect '(error) ERR invalid first DB index' SWAPDB abc 1
    expect '(error) ERR invalid second DB index' SWAPDB 0 abc
    expect '(error) ERR DB index is out of range' SWAPDB 0 16
    expect '(error) ERR DB index is out of range' SWAPDB -1 0
}

@test "FLUSHDB empties one database, FLUSHALL all" {
    expect OK SET a 1
    expect OK -n 1 SET a 1
    expect OK FLUSHDB
    expect '(integer) 0' DBSIZE
    expect '(integer) 1' -n 1 DBSIZE
    expect OK SET a 1
    expect OK FLUSHALL
    expect '(integer) 0' DBSIZE
    expect '(integer) 0' -n 1 DBSIZE
}

@test "FLUSHDB and FLUSHALL: ASYNC, SYNC, mistakes" {
    expect OK SET a 1
    expect OK FLUSHDB ASYNC
    expect '(integer) 0' DBSIZE
    expect OK SET a 1
    expect OK FLUSHALL SYNC
    expect '(integer) 0' DBSIZE
    expect '(error) ERR syntax error' FLUSHALL BOGUS
    expect '(error) ERR syntax error' FLUSHDB SYNC ASYNC
}

@test "a flushed database is usable at once" {
    for i in {1..5000}; do echo "SET k:$i $i"; done | q >/dev/null
    same $'OK\n(integer) 0\nOK\n"new"\n(integer) 1' "$(printf '%s\n' FLUSHALL DBSIZE 'SET k:1 new' 'GET k:1' DBSIZE | session)"
    expect '(empty array)' KEYS 'k:2*'
}

@test "the number of databases is configurable" {
    start_server --databases 3
    expect OK -n 2 SET k v
    expect $'1) "databases"\n2) "3"' CONFIG GET databases
    expect '(error) ERR DB index is out of range' SELECT 3
    expect '(error) ERR DB index is out of range' SWAPDB 0 3
    stop_server
}

@test "COPY to another database" {
    expect OK SET k v PXAT 4102444800123
    expect '(integer) 1' COPY k k DB 5
    expect '"v"' -n 5 GET k
    expect '(integer) 4102444800123' -n 5 PEXPIRETIME k
    expect '(integer) 0' COPY k k DB 5
    expect '(integer) 1' COPY k k DB 5 REPLACE
}

@test "INFO keyspace counts keys and due times" {
    expect OK MSET a 1 b 2
    expect OK SET c 3 EX 1000
    expect OK -n 4 SET d 1
    run q INFO keyspace
    [[ $output =~ db0:keys=3,expires=1,avg_ttl=[0-9]+ ]]
    [[ $output =~ db4:keys=1,expires=0,avg_ttl=0 ]]
    [[ $output != *db1:* ]]
}
