#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Node's node-redis with its defaults.

load lib/server
load lib/clients

setup_file() {
    node_package redis
    shared_server
}
teardown_file() { stop_server; }
setup() { there; }

library() { well node "$ROOT/tests/clients/node-redis.js" "$PORT" "$1"; }

@test "connects with its defaults" {
    library connect
    # The library tells its name by CLIENT SETINFO, which redis-server has from 7.2 on.
    target_is_redis || [[ $output == *" lib-name=node-redis "* ]] || fail "no lib-name" "$output"
}
@test "strings, keys, errors" { library operations; }
@test "pipelines" { library pipelines; }
@test "SCAN" { library scan; }
@test "databases, a name, RESP2" { library databases; }
@test "reconnects after CLIENT KILL" { library reconnect; }
