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
@test "reconnects after CLIENT KILL" { library reconnect; }
