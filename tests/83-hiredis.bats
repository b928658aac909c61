#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Debian's libhiredis.

load lib/server
load lib/clients

setup_file() {
    printf "#include <hiredis/hiredis.h>\n" >"$BATS_FILE_TMPDIR/probe.c"
    debian_package libhiredis-dev cc -E "$BATS_FILE_TMPDIR/probe.c"
    [[ -n ${MISSING:-} ]] || cc -O1 -Wall -Werror -o "$BATS_FILE_TMPDIR/hiredis" "$ROOT/tests/clients/hiredis.c" -lhiredis
    shared_server
}
teardown_file() { stop_server; }
setup() { there; }

library() { well "$BATS_FILE_TMPDIR/hiredis" "$PORT" "$1"; }

@test "strings, keys, errors" { library operations; }
@test "pipelines" { library pipelines; }
@test "reconnects after CLIENT KILL" { library reconnect; }
