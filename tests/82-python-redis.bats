#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Debian's python3-redis with its defaults.

load lib/server
load lib/clients

setup_file() {
    debian_package python3-redis /usr/bin/python3 -c "import redis"
    shared_server
}
teardown_file() { stop_server; }
setup() { there; }

library() { well /usr/bin/python3 "$ROOT/tests/clients/python_redis.py" "$PORT" "$1"; }

@test "connects" { library connect; }
@test "strings, keys, errors" { library operations; }
@test "pipelines" { library pipelines; }
@test "SCAN" { library scan; }
@test "a pool of connections" { library threads; }
@test "saving, the append only file, DUMP and RESTORE" { library persistence; }
@test "reconnects after CLIENT KILL" { library reconnect; }
