#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# Every process of a server is killed under load, its shared memory removed: what each appendfsync has promised is in the files. What is
# checked is in the head of tests/death/durable; `make torture` runs the long forms.

bats_require_minimum_version 1.5.0
load lib/server

durable() { run "$ROOT/tests/death/durable" --server "$BULKHEAD_SERVER" --rounds 3 "$@" 3>&-; echo "$output" | sed 's/^/# /'; ((status == 0)); }
lossy() { SERVER_LOSSY=$ROOT/build/lossy/bulkhead-server; [[ -x $SERVER_LOSSY ]] || skip "build/lossy is not built"; }

@test "appendfsync always: every acknowledged write is there" {
    durable --fsync always
}

@test "appendfsync everysec: what was acknowledged a second ago is there" {
    durable --fsync everysec
}

@test "appendfsync no: what is there has no gaps" {
    durable --fsync no
}

@test "appendfsync always, with files that lose what was not synced" {
    only_bulkhead
    lossy
    BULKHEAD_SERVER=$SERVER_LOSSY durable --fsync always
}

@test "appendfsync everysec, with files that lose what was not synced" {
    only_bulkhead
    lossy
    BULKHEAD_SERVER=$SERVER_LOSSY durable --fsync everysec --seconds 4
}

@test "the check notices writes that are lost" {
    # One that promises more than it keeps: what is acknowledged is in no file yet. It is more than can be on its way at a time.
    run "$ROOT/tests/death/durable" --server "$BULKHEAD_SERVER" --fsync always --rounds 3 --lose 200000 3>&-
    ((status == 1)) || fail "$output"
    grep -q 'promised numbers are there\|DEBUG FSCK\|is missing' <<<"$output" || fail "$output"
}
