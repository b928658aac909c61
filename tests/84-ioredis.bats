#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Node's ioredis with its defaults.

load lib/server
load lib/clients

setup_file() {
    node_package ioredis
    shared_server
}
teardown_file() { stop_server; }
setup() { there; }

library() { well node "$ROOT/tests/clients/ioredis.js" "$PORT" "$1"; }

@test "connects with its defaults" {
    library connect
    # The library tells its name by CLIENT SETINFO, which redis-server has from 7.2 on.
    target_is_redis || [[ $output == *" lib-name=ioredis "* ]] || fail "no lib-name" "$output"
}
@test "strings, keys, errors" { library operations; }
@test "pipelines" { library pipelines; }
@test "SCAN" { library scan; }
@test "a database" { library databases; }
@test "waits for a server that is loading; DUMP, RESTORE, BGSAVE" {
    q SET k v >/dev/null
    q DEBUG POPULATE 400 >/dev/null
    expect OK CONFIG SET key-load-delay 5000
    q DEBUG RELOAD >/dev/null 3>&- &
    local reload=$!
    eventually 10 loads
    run timeout 60 node "$ROOT/tests/clients/ioredis.js" "$PORT" loading
    wait "$reload"
    expect OK CONFIG SET key-load-delay 0
    [[ $status == 0 && ${lines[-1]} == well ]] || fail "$output"
}
loads() { [[ $(field loading persistence) == 1 ]]; }
@test "reconnects after CLIENT KILL" { library reconnect; }
