#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What is written to the append only file, which is what a replica hears: the same as redis-server's, command for command. The cases are in
# tests/diff/effect_cases.py.

bats_require_minimum_version 1.5.0
load lib/server

effects() {
    run "$ROOT/tests/diff/effects" --server "$BULKHEAD_SERVER" "$@" 3>&-
    grep -v '^ok' <<<"$output" | sed 's/^/# /' || true
    ((status == 0)) || fail "the effects differ"
    [[ $output == *"ok - effects"* ]] || fail "nothing was compared"
}

@test "each command that writes, and what is logged that nobody asked for" {
    effects --cases
}

@test "random commands" {
    effects --random --count 9000 --seed "$RANDOM"
}
