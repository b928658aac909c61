#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The container image: the same root directory, assembled by the same script, and the server run in it.

bats_require_minimum_version 1.5.0
load lib/server

setup_file() {
    only_bulkhead
    ((EUID == 0)) || skip "chroot needs root"
    [[ $BULKHEAD_SERVER != *san/* ]] || skip "a sanitizer's binary is not static"
    export IMAGE
    IMAGE=$(mktemp -d /tmp/bulkhead-image.XXXXXX)
    "$ROOT/scripts/docker/root" "$BULKHEAD_RELEASE" "$IMAGE/root"
    # As the Dockerfile's COPY --chown does.
    chown 10001:10001 "$IMAGE/root/data"
    chmod 755 "$IMAGE"
}
teardown_file() { [[ -z ${IMAGE:-} ]] || rm -rf "$IMAGE"; }
teardown() {
    [[ -z ${SERVER_PID:-} ]] || ! alive "$SERVER_PID" || kill -KILL "$SERVER_PID" 2>/dev/null || true
    [[ -z ${SERVER_PID:-} ]] || wait "$SERVER_PID" 2>/dev/null || true
}

# contained HOW OPTION...: the entry point, as the Dockerfile has it, in the image; HOW (a function) makes SERVER_BINARY of it.
contained() {
    local how=$1
    shift
    "$how" >"$BATS_TEST_TMPDIR/run"
    chmod 755 "$BATS_TEST_TMPDIR/run"
    SERVER_BINARY=$BATS_TEST_TMPDIR/run OWN_DIR=/data start_server "$@"
    unset SERVER_BINARY OWN_DIR
}
entry_point() { sed -n 's/^ENTRYPOINT \["\(.*\)"\]/\1/p' "$ROOT/scripts/docker/Dockerfile" | sed 's/", "/ /g'; }
user() { sed -n 's/^USER //p' "$ROOT/scripts/docker/Dockerfile"; }
enter() { echo "exec chroot --userspec=$(user) --groups= '$IMAGE/root' $(entry_point) \"\$@\""; }

# Nothing but the files of the image: no /proc, no /dev, no /tmp.
bare() { printf '%s\n' '#!/bin/sh' "$(enter)"; }
# As Docker runs it: a process space of its own, in which the server is process 1, a root that cannot be written, a small /dev/shm.
like_docker() {
    cat <<END
#!/bin/sh
exec unshare --mount --pid --fork --kill-child sh -ec '
    root="$IMAGE/root"
    mount --bind "\$root" "\$root"
    mount -t tmpfs -o size=1m,mode=755 none "\$root/dev"
    for name in null urandom; do : >"\$root/dev/\$name"; mount --bind "/dev/\$name" "\$root/dev/\$name"; done
    mkdir "\$root/dev/shm"
    mount -t tmpfs -o size=64m,mode=1777 none "\$root/dev/shm"
    mount -t proc none "\$root/proc"
    mount --bind "\$root/data" "\$root/data"
    mount -o remount,bind,ro "\$root"
    $(enter)' sh "\$@"
END
}

# An address of this machine that is not loopback's, or loopback's.
address() {
    local found
    found=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$' || true)
    echo "${found:-127.0.0.1}"
}

@test "the image has less than 5 MB and nothing that it does not need" {
    local bytes
    bytes=$(du -s --apparent-size -B1 "$IMAGE/root" | cut -f 1)
    ((bytes < 5000000)) || fail "$bytes bytes"
    same $'bin/bulkhead-server\netc/bulkhead.conf' "$(cd "$IMAGE/root" && find . -type f -printf '%P\n' | sort)"
    same $'bin/bulkhead-check-aof\nbin/bulkhead-check-rdb' "$(cd "$IMAGE/root" && find . -type l -printf '%P\n' | sort)"
    run file -b "$IMAGE/root/bin/bulkhead-server"
    [[ $status != 0 || $output != *interpreter* ]]
}

@test "the Dockerfile uses the same script and says what an image has to say" {
    for line in 'FROM scratch' 'VOLUME /data' 'EXPOSE 6379' 'STOPSIGNAL SIGTERM' 'COPY --from=build /image/ /'; do
        grep -qxF "$line" "$ROOT/scripts/docker/Dockerfile"
    done
    grep -q 'scripts/docker/root build/bulkhead-server /image' "$ROOT/scripts/docker/Dockerfile"
    [[ $(user) =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]]
    same '/bin/bulkhead-server /etc/bulkhead.conf' "$(entry_point)"
}

@test "the server runs in the bare root directory and answers clients that are not on loopback" {
    contained bare
    same PONG "$(redis-cli -h "$(address)" -p "$PORT" PING)"
    for i in {1..1000}; do echo "SET key:$i $i"; done | redis-cli -h "$(address)" -p "$PORT" >/dev/null
    same 1000 "$(q DBSIZE)"
    # Not root, and no memory that somebody must remove.
    same 10001 "$(ps -o uid= -p "$SERVER_PID" | tr -d ' ')"
    same '' "$(shm_objects "$PORT")"
    # A client's process dies, and nobody else notices.
    q DEBUG SEGFAULT >/dev/null 2>&1 || true
    expect '"7"' GET key:7
    eventually 10 grep -q 'ended by signal 11' "$SERVER_LOG"
    # What is missing is said once, not every second.
    (($(grep -c gatherer "$SERVER_LOG") == 0))
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID"
}

@test "the server runs as process 1 of a container with a read-only root and 64 MB of /dev/shm" {
    unshare --mount --pid --fork mount -t proc none /proc 2>/dev/null || skip "no name spaces are to be had"
    mkdir -p "$IMAGE/root/dev" "$IMAGE/root/proc"
    contained like_docker --save "3600 1"
    local inside
    inside=$(pgrep -P "$SERVER_PID")
    same PONG "$(redis-cli -h "$(address)" -p "$PORT" PING)"
    grep -q '^1:M .*memory without a name' "$SERVER_LOG"
    # More than its /dev/shm would hold.
    expect OK DEBUG POPULATE 100000 key 1000
    same 100000 "$(q DBSIZE)"
    q DEBUG SEGFAULT >/dev/null 2>&1 || true
    eventually 10 grep -q 'ended by signal 11' "$SERVER_LOG"
    kill -USR2 "$inside"
    eventually 20 upgraded
    eventually 20 pongs
    same 100000 "$(q DBSIZE)"
    kill -HUP "$inside"
    expect PONG PING
    kill -TERM "$inside"
    wait "$SERVER_PID"
    grep -q 'bye bye' "$SERVER_LOG"
    # The next container has the volume.
    contained like_docker --save "3600 1"
    same 100000 "$(q DBSIZE)"
    # The server itself: changing its user, it has left the care of who started it.
    kill -KILL "$(pgrep -P "$SERVER_PID")"
    wait "$SERVER_PID" || true
    chroot "$IMAGE/root" /bin/bulkhead-check-rdb /data/dump.rdb | grep -q 'RDB looks OK'
}
upgraded() { (($(grep -c 'Ready to accept' "$SERVER_LOG") == 2)); }
pongs() { [[ $(q PING 2>/dev/null) == PONG ]]; }
