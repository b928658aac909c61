#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# What a service manager sees of the server: its log, its state, its titles, its scripts.

bats_require_minimum_version 1.5.0
load lib/server

setup() { only_bulkhead; }
setup_file() { target_is_redis || install_service; }
teardown_file() { [[ -z ${PLACE:-} ]] || rm -rf "$PLACE"; }

# install_service: sets PLACE, where it is, which others than root may enter, and SCRIPT. As root it runs as nobody.
install_service() {
    export PLACE SCRIPT
    PLACE=$(mktemp -d /tmp/bulkhead-service.XXXXXX) SCRIPT=$PLACE/etc/init.d/bulkhead
    chmod 755 "$PLACE"
    # Nothing is built here: other tests run what there is.
    make -s -C "$ROOT" -o all install PREFIX="$PLACE" INIT=sysv >"$PLACE/install.log"
    install -m 755 "$BULKHEAD_SERVER" "$PLACE/bin/bulkhead-server"
}
# Whatever a test started and did not stop.
teardown() {
    release
    [[ -z ${FD:-} ]] || exec {FD}>&-
    [[ -z ${LISTENER:-} ]] || { kill "$LISTENER" && wait "$LISTENER"; } 2>/dev/null || true
    [[ -z ${SERVER_PID:-} ]] || ! alive "$SERVER_PID" || kill -KILL "$SERVER_PID" 2>/dev/null || true
    [[ ! -s ${PLACE:-}/run/bulkhead/bulkhead.pid ]] || kill -KILL "$(<"$PLACE/run/bulkhead/bulkhead.pid")" 2>/dev/null || true
    if [[ -n ${SERVER_PID:-} ]]; then
        # Its processes end with it; then its memory can go.
        wait "$SERVER_PID" 2>/dev/null || true
        rm -f "/dev/shm/bulkhead.$PORT.main"
    fi
}

# ledger: as start_server does.
ledger() { [[ -z ${BULKHEAD_LEDGER:-} ]] || echo "$PORT $SERVER_PID $BATS_TEST_FILENAME" >>"$BULKHEAD_LEDGER/servers"; }

# service ACTION: by the SysV script. service_port: gives the service a port of its own; sets PORT, and SERVER_LOG.
service() { "$SCRIPT" "$1" 3>&-; }
service_port() {
    local as=
    PORT=$((10000 + SRANDOM % 20000)) SERVER_LOG=$PLACE/var/log/bulkhead/bulkhead.log
    ((EUID)) || as=nobody
    mkdir -p "$PLACE/etc/default"
    printf '%s\n' "RUN_AS=$as" "DAEMON_ARGS='--port $PORT --enable-debug-command yes'" >"$PLACE/etc/default/bulkhead"
    [[ -z $as ]] || chown -R "$as" "$PLACE/etc/bulkhead"
    rm -f "$SERVER_LOG"
}
# start_service: on a free port. Sets SERVER_PID.
start_service() {
    local attempt
    rm -f "$PLACE/var/lib/bulkhead/dump.rdb"
    for attempt in 1 2 3 4 5 6 7 8; do
        service_port
        if service start; then
            SERVER_PID=$(<"$PLACE/run/bulkhead/bulkhead.pid")
            ledger
            return
        fi
    done
    fail "the service did not start:" "$(tail -n 20 "$SERVER_LOG")"
}

# logged_server OPTION...: a server that logs to a file; sets LOG besides what start_server does.
logged_server() {
    local attempt
    SERVER_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/dir.XXXXXX") LOG=$SERVER_DIR/server.log SERVER_LOG=$LOG
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        : >"$LOG"
        setpriv --pdeathsig TERM "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --logfile server.log --save "" \
            --enable-debug-command yes "$@" >"$SERVER_DIR/out" 2>&1 </dev/null 3>&- &
        SERVER_PID=$!
        eventually 30 started_or_dead
        ! grep -qi 'ready to accept connections' "$LOG" || { ledger; return 0; }
    done
    fail "the server did not start:" "$(tail -n 20 "$LOG" "$SERVER_DIR/out")"
}

children() { pgrep -P "$SERVER_PID" || true; }

# ---- log ----

# nobody_has FILE: no process of the server has it open.
nobody_has() {
    local pid
    for pid in "$SERVER_PID" $(children); do
        ! ls -l "/proc/$pid/fd" 2>/dev/null | grep -qF -- "-> $1" || return 1
    done
}

@test "SIGHUP opens the log again, in every process" {
    logged_server --loglevel verbose
    hold 5
    clients_are 6
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
    grep -q 'SIGHUP' "$LOG"
    # A line of a process that was there before: its client makes a mistake in the protocol.
    release
    clients_are 1
    same 0 "$(grep -c 'crashed' "$LOG" || true)"
    stop_server
    grep -q 'bye bye' "$LOG"
    not grep -q 'bye bye' "$LOG.1"
}

@test "a client's process that was there before SIGHUP writes to the new log" {
    logged_server --loglevel verbose
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    clients_are 2
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
    printf '*1\r\n!x\r\n' >&"$FD"
    eventually 5 grep -q 'Protocol error' "$LOG"
    not grep -q 'Protocol error' "$LOG.1"
    # What its crash has to say too.
    exec {FD}>&-
    q DEBUG SEGFAULT || true
    eventually 5 grep -q 'crashed by signal: 11' "$LOG"
}

@test "a client that reads nothing does not keep the old log open" {
    logged_server
    head -c 1000000 /dev/zero | q -x SET big >/dev/null
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    for i in {1..40}; do printf 'GET big\r\n' >&"$FD"; done
    eventually 10 unsent
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
}
unsent() { q CLIENT LIST | grep 'cmd=get ' | grep -qv ' obl=0 '; }

@test "clients that are paused, or have not logged in, do not keep the old log open" {
    logged_server
    expect OK CLIENT PAUSE 600000 WRITE
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'SET k v\r\n' >&"$FD"
    eventually 10 sets
    expect OK CONFIG SET requirepass secret
    hold 2
    mv "$LOG" "$LOG.1"
    kill -HUP "$SERVER_PID"
    eventually 10 nobody_has "$LOG.1"
    release
    REDISCLI_AUTH=secret q CLIENT UNPAUSE >/dev/null
    stop_server
}
sets() { q CLIENT LIST | grep -q ' cmd=set '; }

@test "a log that is copied and truncated goes on at its beginning" {
    logged_server
    cp "$LOG" "$LOG.1"
    truncate -s 0 "$LOG"
    kill -HUP "$SERVER_PID"
    eventually 10 grep -q 'SIGHUP' "$LOG"
    (($(stat -c %s "$LOG") < 1000))
}

@test "a log that cannot be opened again goes on in the old file" {
    logged_server
    mv "$LOG" "$LOG.1"
    mkdir "$LOG"
    kill -HUP "$SERVER_PID"
    eventually 10 grep -q "Can't open the log file again" "$LOG.1"
    rmdir "$LOG"
    LOG=$LOG.1 SERVER_LOG=$LOG.1
    stop_server
    grep -q 'bye bye' "$LOG"
}

@test "syslog gets the lines of every process" {
    ((EUID == 0)) && unshare --mount mount -t tmpfs none /mnt 2>/dev/null || skip "no /dev of our own is to be had"
    # Everything of /dev that the server uses, and a /dev/log that is ours.
    cat >"$BATS_TEST_TMPDIR/server" <<END
#!/bin/sh
exec unshare --mount sh -ec '
    mkdir "$BATS_TEST_TMPDIR/dev"
    mount -t tmpfs none "$BATS_TEST_TMPDIR/dev"
    mkdir "$BATS_TEST_TMPDIR/dev/shm"
    for name in null urandom; do : >"$BATS_TEST_TMPDIR/dev/\$name"; mount --bind "/dev/\$name" "$BATS_TEST_TMPDIR/dev/\$name"; done
    ln -s "$BATS_TEST_TMPDIR/log" "$BATS_TEST_TMPDIR/dev/log"
    mount --bind /dev/shm "$BATS_TEST_TMPDIR/dev/shm"
    mount --rbind "$BATS_TEST_TMPDIR/dev" /dev
    exec "$BULKHEAD_SERVER" "\$@"' sh "\$@"
END
    chmod 755 "$BATS_TEST_TMPDIR/server"
    TOLD=$BATS_TEST_TMPDIR/told
    "$ROOT/tests/lib/notified" "$BATS_TEST_TMPDIR/log" "$TOLD" 3>&- &
    LISTENER=$!
    eventually 20 test -S "$BATS_TEST_TMPDIR/log"
    BULKHEAD_SERVER=$BATS_TEST_TMPDIR/server logged_server --syslog-enabled yes --syslog-ident mine --syslog-facility local3 --loglevel verbose
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    printf '*1\r\n!x\r\n' >&"$FD"
    # 157: local3.notice, 158: local3.info.
    eventually 10 grep -q "^$SERVER_PID <157>.* mine\\[$SERVER_PID\\]: Ready to accept" "$TOLD"
    eventually 10 grep -q '^[0-9]* <158>.* mine\[[0-9]*\]: Protocol error' "$TOLD"
    stop_server
}

# ---- the service manager ----

# systemd_listens [NAME]: sets NOTIFY_SOCKET for what is started from now on, and TOLD, the file with what is said.
systemd_listens() {
    export NOTIFY_SOCKET=${1:-$BATS_TEST_TMPDIR/notify}
    TOLD=$BATS_TEST_TMPDIR/told
    : >"$TOLD"
    "$ROOT/tests/lib/notified" "$NOTIFY_SOCKET" "$TOLD" 3>&- &
    LISTENER=$!
    eventually 20 listens
}
listens() { grep -qF -- "$NOTIFY_SOCKET" /proc/net/unix; }
told() { grep -q -- "^$SERVER_PID .*$1" "$TOLD"; }
times_ready() { (($(grep -c 'READY=1' "$TOLD") == $1)); }

@test "systemd is told of the start, a reload, the stop" {
    systemd_listens
    logged_server --supervised systemd
    eventually 10 told "READY=1 .*MAINPID=$SERVER_PID"
    expect PONG PING
    # Nobody but the supervisor speaks, and nobody else knows where to.
    hold 1
    for pid in $(children); do not grep -a NOTIFY_SOCKET "/proc/$pid/environ"; done
    kill -HUP "$SERVER_PID"
    eventually 10 told 'RELOADING=1 MONOTONIC_USEC=[0-9]*$'
    eventually 10 times_ready 2
    release
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID"
    told 'STOPPING=1 .*EXTEND_TIMEOUT_USEC=[0-9]*$'
    not grep -qv "^$SERVER_PID " "$TOLD"
}

@test "systemd is asked for patience while the last snapshot is written, and told when it fails" {
    systemd_listens
    logged_server --supervised systemd --rdb-key-save-delay 20000
    q CONFIG SET save "3600 1" >/dev/null
    for i in {1..200}; do echo "SET k$i v$i"; done | q >/dev/null
    kill -TERM "$SERVER_PID"
    eventually 10 told 'STATUS=Saving EXTEND_TIMEOUT_USEC=[0-9]*$'
    expect OK SHUTDOWN ABORT
    eventually 10 told 'STATUS=Ready to accept connections$'
    mkdir "$SERVER_DIR/dump.rdb"
    expect OK CONFIG SET rdb-key-save-delay 0
    kill -TERM "$SERVER_PID"
    eventually 10 told 'STATUS=Saving has failed'
    expect PONG PING
    not told STOPPING
    rmdir "$SERVER_DIR/dump.rdb"
    kill -TERM "$SERVER_PID"
    wait "$SERVER_PID"
    told 'STOPPING=1'
}

@test "systemd is told at an abstract address too, and found by supervised auto" {
    systemd_listens "@bulkhead-test-$BASHPID-$SRANDOM"
    logged_server --supervised auto --daemonize yes
    # A supervised server does not go into the background.
    eventually 10 told 'READY=1'
    stop_server
}

@test "a server that is not supervised says nothing; one without a service manager goes on" {
    systemd_listens
    logged_server
    stop_server
    same '' "$(<"$TOLD")"
    unset NOTIFY_SOCKET
    logged_server --supervised systemd
    grep -q 'NOTIFY_SOCKET not found' "$LOG"
    expect PONG PING
    stop_server
    export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/nobody
    logged_server --supervised systemd
    expect PONG PING
    stop_server
}

@test "SIGKILL of a client's process, of spare ones and helpers leaves the service active" {
    systemd_listens
    logged_server --supervised systemd
    eventually 10 told 'READY=1'
    q SET k v >/dev/null
    for i in {1..5}; do
        for pid in $(children); do kill -KILL "$pid" 2>/dev/null || true; done
        eventually 10 answers_v
    done
    alive "$SERVER_PID"
    times_ready 1
    not grep -q 'STOPPING' "$TOLD"
    stop_server
}
answers_v() { [[ $(q GET k 2>/dev/null) == v ]]; }

@test "systemd sees an upgrade as a reload of the same process" {
    systemd_listens
    logged_server --supervised systemd --warm-restart yes
    q SET k v >/dev/null
    eventually 10 times_ready 1
    kill -USR2 "$SERVER_PID"
    eventually 20 times_ready 2
    told 'RELOADING=1'
    not grep -q STOPPING "$TOLD"
    eventually 10 answers_v
    stop_server
    told 'STOPPING=1'
}

@test "upstart lets the server go on after it has stopped itself" {
    UPSTART_JOB=test logged_server_stopped
    eventually 10 is_stopped
    kill -CONT "$SERVER_PID"
    eventually 30 started_or_dead
    expect PONG PING
    stop_server
}
is_stopped() { [[ $(ps -o stat= -p "$SERVER_PID") == T* ]]; }
logged_server_stopped() {
    SERVER_DIR=$(mktemp -d "$BATS_TEST_TMPDIR/dir.XXXXXX") LOG=$SERVER_DIR/server.log SERVER_LOG=$LOG PORT=$((10000 + SRANDOM % 20000))
    setpriv --pdeathsig TERM "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --logfile server.log --supervised upstart \
        >"$SERVER_DIR/out" 2>&1 </dev/null 3>&- &
    SERVER_PID=$!
}

@test "shutdown-on-sigterm and -sigint" {
    logged_server --shutdown-on-sigterm save
    mkdir "$SERVER_DIR/dump.rdb"
    kill -TERM "$SERVER_PID"
    eventually 10 grep -q 'Saving has failed: the server goes on' "$LOG"
    expect PONG PING
    expect OK CONFIG SET shutdown-on-sigterm "nosave now" shutdown-on-sigint "save force"
    kill -INT "$SERVER_PID"
    wait "$SERVER_PID"
    grep -q 'bye bye' "$LOG"
}

@test "a server in the background returns to its caller when it serves, or with an error" {
    SERVER_DIR=$BATS_TEST_TMPDIR PORT=$((10000 + SRANDOM % 20000)) LOG=$BATS_TEST_TMPDIR/log
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        ! "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --logfile log --daemonize yes --pidfile pid 3>&- || break
    done
    SERVER_PID=$(<"$SERVER_DIR/pid")
    same PONG "$(q PING)"
    run -1 "$BULKHEAD_SERVER" --port "$PORT" --dir "$SERVER_DIR" --logfile second --daemonize yes --pidfile none 3>&-
    [[ $output == *'did not start'* && ! -e $SERVER_DIR/none ]]
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    [[ ! -e $SERVER_DIR/pid ]]
}

# ---- who goes first when memory runs out ----

# scores KIND: the different oom_score_adj of the server's processes of a kind ("supervisor", "worker", "expirer" ...).
scores() {
    local pid title
    for pid in "$SERVER_PID" $(children); do
        title=$(tr '\0' ' ' <"/proc/$pid/cmdline") || continue
        [[ $title != *"bulkhead: $1"* ]] || cat "/proc/$pid/oom_score_adj"
    done 2>/dev/null | sort -un | tr '\n' ' '
}
# scores_are SUPERVISOR HELPERS WORKERS
scores_are() {
    [[ $(scores supervisor) == "$1 " && $(scores expirer) == "$2 " && $(scores gatherer) == "$2 " && $(scores spare) == "$3 " &&
        (-z ${HOLDER:-} || $(scores worker) == "$3 ") ]]
}

@test "oom_score_adj rises from the supervisor to helpers to workers" {
    local own
    own=$(</proc/self/oom_score_adj)
    ((own <= 100)) || skip "started with a score of $own"
    logged_server
    hold 3
    eventually 10 scores_are "$own" $((own + 200)) $((own + 800))
    # Who comes later, and another helper, too.
    kill -KILL "$(pgrep -P "$SERVER_PID" -f 'bulkhead: expirer')"
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    clients_are 5
    eventually 10 scores_are "$own" $((own + 200)) $((own + 800))
    expect OK CONFIG SET oom-score-adj yes oom-score-adj-values "$((own + 3)) 30 300"
    eventually 10 scores_are $((own + own + 3)) $((own + 30)) $((own + 300))
    expect OK CONFIG SET oom-score-adj absolute oom-score-adj-values "110 120 130"
    eventually 10 scores_are 110 120 130
    release
    stop_server
}

@test "an upgrade does not raise the scores twice" {
    local own
    own=$(</proc/self/oom_score_adj)
    ((own <= 100)) || skip "started with a score of $own"
    logged_server --oom-score-adj relative --oom-score-adj-values 10 20 30
    eventually 10 scores_are $((own + 10)) $((own + 20)) $((own + 30))
    kill -USR2 "$SERVER_PID"
    eventually 20 upgraded
    eventually 10 scores_are $((own + 10)) $((own + 20)) $((own + 30))
    stop_server
}
upgraded() { (($(grep -c 'Ready to accept' "$LOG") == 2)); }

@test "oom-score-adj-values are three numbers" {
    logged_server
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'oom-score-adj-values') - Invalid oom-score-adj-values, elements must be between -2000 and 2000." \
        CONFIG SET oom-score-adj-values "1 2 3000"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'oom-score-adj-values') - wrong number of arguments" \
        CONFIG SET oom-score-adj-values "1 2"
    same $'oom-score-adj-values\n0 200 800' "$(q CONFIG GET oom-score-adj-values)"
    stop_server
}

# ---- titles ----

title_of() { tr '\0' ' ' <"/proc/$1/cmdline" | sed 's/ *$//'; }

@test "proc-title-template" {
    logged_server --bind 127.0.0.1 --unixsocket "$BATS_TEST_TMPDIR/s"
    same "bulkhead: supervisor 127.0.0.1:$PORT" "$(title_of "$SERVER_PID")"
    expect OK CONFIG SET proc-title-template '{{x} {title} {port} {tls-port} {unixsocket}{config-file}{server-mode} '
    same "{x} bulkhead: supervisor $PORT 0 $BATS_TEST_TMPDIR/s" "$(title_of "$SERVER_PID")"
    for wrong in '{a}' '{title' '{TITLE}' ' ' '' '{server-mode}'; do
        expect "(error) ERR CONFIG SET failed (possibly related to argument 'proc-title-template') - template format is invalid or contains unknown variables" \
            CONFIG SET proc-title-template "$wrong"
    done
    expect OK CONFIG SET proc-title-template short
    same short "$(title_of "$SERVER_PID")"
    stop_server
}

@test "set-proc-title no: every process keeps the program's name" {
    logged_server --set-proc-title no
    hold 1
    for pid in "$SERVER_PID" $(children); do same "$BULKHEAD_SERVER" "$(title_of "$pid")"; done
    release
    stop_server
}

@test "a worker's title shows its user once there is one" {
    local line pid
    logged_server --requirepass secret
    exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'PING\r\n' >&"$FD"
    read -r -t 10 line <&"$FD"
    pid=$(pgrep -P "$SERVER_PID" -f 'bulkhead: worker')
    [[ $(title_of "$pid") =~ ^'bulkhead: worker 127.0.0.1:'[0-9]+' user=(none)'$ ]]
    printf 'AUTH secret\r\n' >&"$FD"
    read -r -t 10 line <&"$FD"
    [[ $(title_of "$pid") =~ ^'bulkhead: worker 127.0.0.1:'[0-9]+' user=default store=main'$ ]]
    printf 'RESET\r\n' >&"$FD"
    read -r -t 10 line <&"$FD"
    [[ $(title_of "$pid") =~ ^'bulkhead: worker 127.0.0.1:'[0-9]+' user=(none) store=main'$ ]]
    stop_server
}

# ---- the scripts of init/ ----

@test "make install puts the service in place, uninstall takes it away; the configuration is never overwritten" {
    local to=$BATS_TEST_TMPDIR/to
    make -s -C "$ROOT" -o all install DESTDIR="$to" PREFIX=/usr INIT=openrc
    for file in usr/bin/bulkhead-{server,cli,check-aof,check-rdb} etc/init.d/bulkhead; do [[ -x $to/$file ]]; done
    for file in etc/bulkhead/bulkhead.conf etc/logrotate.d/bulkhead usr/lib/systemd/system/bulkhead.service \
        usr/lib/sysusers.d/bulkhead.conf usr/lib/tmpfiles.d/bulkhead.conf usr/share/doc/bulkhead/README.md; do
        [[ -s $to/$file ]]
    done
    # Nothing names a folder that is not the one asked for.
    not grep -rl /usr/local "$to/etc" "$to/usr/lib"
    grep -q '^ExecStart=/usr/bin/bulkhead-server /etc/bulkhead/bulkhead.conf ' "$to/usr/lib/systemd/system/bulkhead.service"
    grep -qx 'dir /var/lib/bulkhead' "$to/etc/bulkhead/bulkhead.conf"
    grep -qx 'logfile /var/log/bulkhead/bulkhead.log' "$to/etc/bulkhead/bulkhead.conf"
    grep -qx 'pidfile /run/bulkhead/bulkhead.pid' "$to/etc/bulkhead/bulkhead.conf"
    echo '# mine' >>"$to/etc/bulkhead/bulkhead.conf"
    make -s -C "$ROOT" -o all install DESTDIR="$to" PREFIX=/usr INIT=sysv
    grep -q '# mine' "$to/etc/bulkhead/bulkhead.conf"
    head -n 1 "$to/etc/init.d/bulkhead" | grep -qx '#!/bin/sh'
    make -s -C "$ROOT" uninstall DESTDIR="$to" PREFIX=/usr
    same "$to/etc/bulkhead/bulkhead.conf" "$(find "$to" ! -type d)"
}

@test "SysV script: start, query, reload, restart, status, stop" {
    run -3 service status
    run -7 service reload
    start_service
    expect PONG PING
    [[ $(ps -o user= -p "$SERVER_PID") == "$( ((EUID)) && id -un || echo nobody)" ]]
    same "$(readlink -f "$PLACE/var/lib/bulkhead")" "$(q CONFIG GET dir | tail -n 1)"
    service status | grep -q "process $SERVER_PID"
    # A second start changes nothing.
    service start | grep -q 'running already'
    same "$SERVER_PID" "$(<"$PLACE/run/bulkhead/bulkhead.pid")"
    mv "$SERVER_LOG" "$SERVER_LOG.1"
    service reload
    eventually 10 nobody_has "$SERVER_LOG.1"
    same 640 "$(stat -c %a "$SERVER_LOG")"
    expect OK SET k v
    service upgrade
    eventually 20 grep -q 'Ready to accept' "$SERVER_LOG"
    eventually 10 answers_v
    same "$SERVER_PID" "$(<"$PLACE/run/bulkhead/bulkhead.pid")"
    service force-reload
    SERVER_PID=$(<"$PLACE/run/bulkhead/bulkhead.pid")
    # An ordinary stop leaves what it has saved.
    expect '"v"' GET k
    service stop
    dead "$SERVER_PID"
    [[ ! -e $PLACE/run/bulkhead/bulkhead.pid ]]
    same '' "$(shm_objects "$PORT")"
    run -3 service status
    service stop
    no_crash "$SERVER_LOG"
}

@test "SysV script: a start after a crash goes on with the data" {
    start_service
    for i in {1..100}; do echo "SET k$i v$i"; done | q >/dev/null
    kill -KILL "$SERVER_PID"
    eventually 10 dead "$SERVER_PID"
    run -1 service status
    [[ -s $PLACE/run/bulkhead/bulkhead.pid ]]
    service start
    [[ $(<"$PLACE/run/bulkhead/bulkhead.pid") != "$SERVER_PID" ]]
    SERVER_PID=$(<"$PLACE/run/bulkhead/bulkhead.pid")
    same 100 "$(q DBSIZE)"
    same v77 "$(q GET k77)"
    service stop
}

@test "SysV script: a number in the pid file that is another program's is not taken for the server" {
    service_port
    sleep 100 3>&- &
    local other=$!
    mkdir -p "$PLACE/run/bulkhead"
    echo "$other" >"$PLACE/run/bulkhead/bulkhead.pid"
    run -1 service status
    run -7 service reload
    service stop
    alive "$other"
    kill "$other"
}

@test "SysV script: who may not know whether it runs is told that, and changes nothing" {
    ((EUID == 0)) || skip "not root"
    start_service
    for action in status start stop reload restart; do
        run -4 su -s /bin/sh daemon -c "$SCRIPT $action" 3>&-
    done
    expect PONG PING
    service stop
    run -4 su -s /bin/sh daemon -c "$SCRIPT start" 3>&-
    run -3 su -s /bin/sh daemon -c "$SCRIPT status" 3>&-
}

@test "SysV script: a start that fails says so" {
    start_service
    local taken=$PORT
    service_port
    echo "DAEMON_ARGS='--port $taken'" >>"$PLACE/etc/default/bulkhead"
    mv "$PLACE/run/bulkhead/bulkhead.pid" "$PLACE/run/bulkhead/first"
    run -1 service start
    [[ $output == *"did not start; its log says why: $PLACE/var/log/bulkhead/bulkhead.log"* ]]
    echo "DAEMON_ARGS='--no-such-thing 1'" >>"$PLACE/etc/default/bulkhead"
    run -1 service start
    [[ $output == *'no-such-thing'* && $output == *'did not start'* ]]
    mv "$PLACE/run/bulkhead/first" "$PLACE/run/bulkhead/bulkhead.pid"
    PORT=$taken
    service stop
}

@test "SysV script: a restart with a configuration that would not start keeps the server and its data" {
    start_service
    expect OK SET k v
    cp "$PLACE/etc/bulkhead/bulkhead.conf" "$BATS_TEST_TMPDIR/conf"
    echo 'no-such-thing 1' >>"$PLACE/etc/bulkhead/bulkhead.conf"
    for action in restart force-reload try-restart; do
        run -6 service "$action"
        [[ $output == *'no-such-thing'*'goes on as it is'* ]]
    done
    expect '"v"' GET k
    cat "$BATS_TEST_TMPDIR/conf" >"$PLACE/etc/bulkhead/bulkhead.conf"
    service restart
    expect '"v"' GET k
    service stop
}

@test "SysV script: one that does not stop is killed" {
    start_service
    echo STOP_SECONDS=1 >>"$PLACE/etc/default/bulkhead"
    kill -STOP "$SERVER_PID"
    service stop
    dead "$SERVER_PID"
}

@test "SysV script: stop waits for the last save, however long it takes" {
    start_service
    echo STOP_SECONDS=1 >>"$PLACE/etc/default/bulkhead"
    for i in {1..100}; do echo "SET k$i v$i"; done | q >/dev/null
    expect OK CONFIG SET rdb-key-save-delay 40000
    service stop
    dead "$SERVER_PID"
    grep -q 'bye bye' "$SERVER_LOG"
    service start
    SERVER_PID=$(<"$PLACE/run/bulkhead/bulkhead.pid")
    same 100 "$(q DBSIZE)"
    # One that cannot save is killed, and its data is there.
    expect OK CONFIG SET rdb-key-save-delay 0
    expect OK SET more 1
    rm "$PLACE/var/lib/bulkhead/dump.rdb"
    mkdir "$PLACE/var/lib/bulkhead/dump.rdb"
    service stop
    dead "$SERVER_PID"
    grep -q 'Saving has failed: the server goes on' "$SERVER_LOG"
    rmdir "$PLACE/var/lib/bulkhead/dump.rdb"
    service start
    SERVER_PID=$(<"$PLACE/run/bulkhead/bulkhead.pid")
    same 101 "$(q DBSIZE)"
    service stop
}

@test "the scripts are sound for every shell" {
    for script in "$SCRIPT" "$ROOT/init/bulkhead.openrc"; do
        sh -n "$script"
        ! command -v dash >/dev/null || dash -n "$script"
    done
    available shellcheck shellcheck || skip "shellcheck is not to be had"
    shellcheck -s sh "$SCRIPT"
    # What openrc-run sets and reads.
    shellcheck -s sh -e SC2034 "$ROOT/init/bulkhead.openrc"
}

@test "systemd takes the unit" {
    available systemd-analyze systemd || skip "systemd-analyze is not to be had"
    run systemd-analyze --man=no verify "$PLACE/lib/systemd/system/bulkhead.service"
    # What it says of other units of the machine is theirs.
    not grep bulkhead <<<"$output"
    same 0 "$status"
    for line in Type=notify KillMode=mixed OOMPolicy=continue TasksMax=infinity LimitCORE=0 RemoveIPC=no User=bulkhead; do
        grep -qx "$line" "$PLACE/lib/systemd/system/bulkhead.service"
    done
}

@test "the unit's filter allows every system call that is made" {
    available systemd-analyze systemd && available strace strace || skip "strace and systemd-analyze are not to be had"
    [[ $BULKHEAD_SERVER != *san/* ]] || skip "sanitizers make calls of their own"
    strace -f -qq -o "$BATS_TEST_TMPDIR/trace" true 2>/dev/null || skip "strace may not be used here"
    # A debugger between them: what it shows of ends and signals differs, the calls do not.
    cat >"$BATS_TEST_TMPDIR/server" <<END
#!/bin/sh
exec strace -f -qq -o "$BATS_TEST_TMPDIR/trace" "$BULKHEAD_SERVER" "\$@"
END
    chmod 755 "$BATS_TEST_TMPDIR/server"
    BULKHEAD_SERVER=$BATS_TEST_TMPDIR/server logged_server --unixsocket "$BATS_TEST_TMPDIR/s" --unixsocketperm 700 --databases 4
    local tracer=$SERVER_PID
    SERVER_PID=$(pgrep -P "$tracer" | head -n 1)
    for i in {1..300}; do echo "SET key:$i $i"; done | q >/dev/null
    q CONFIG SET requirepass x >/dev/null
    redis-cli -s "$BATS_TEST_TMPDIR/s" -a x --no-auth-warning CONFIG SET requirepass '' command-timeout 200 >/dev/null
    q DEBUG SLEEP 1 >/dev/null || true
    q CLIENT KILL TYPE normal >/dev/null
    q DEBUG SEGFAULT >/dev/null 2>&1 || true
    q INFO >/dev/null
    q CONFIG SET command-timeout 0 appendonly yes appendfsync always >/dev/null
    q SET a b >/dev/null
    q BGREWRITEAOF >/dev/null
    eventually 30 idle_aof
    q CONFIG SET appendfsync everysec >/dev/null
    q SET a c >/dev/null
    q SAVE >/dev/null
    q BGSAVE >/dev/null
    q DEBUG RELOAD >/dev/null
    q DEBUG LOADAOF >/dev/null
    q CONFIG SET maxmemory 1mb maxmemory-policy allkeys-lru >/dev/null
    q DEBUG POPULATE 20000 >/dev/null || true
    q SET a d >/dev/null
    q CONFIG SET maxmemory 0 save "3600 1" >/dev/null
    kill -HUP "$SERVER_PID"
    q FLUSHALL >/dev/null
    kill -USR2 "$SERVER_PID"
    eventually 60 upgraded
    eventually 60 pongs
    kill -TERM "$SERVER_PID"
    wait "$tracer" || true
    "$ROOT/tests/lib/calls" "$PLACE/lib/systemd/system/bulkhead.service" "$BATS_TEST_TMPDIR/trace"
}
idle_aof() { [[ $(field aof_rewrite_in_progress persistence)$(field aof_rewrite_scheduled persistence) == 00 ]]; }
pongs() { [[ $(q PING 2>/dev/null) == PONG ]]; }

# openrc FUNCTION: calls it with the helpers that openrc-run offers to a script, which say how they were called.
openrc() {
    local helpers=$BATS_TEST_TMPDIR/helpers name
    mkdir -p "$helpers"
    for name in checkpath start-stop-daemon need use after ebegin eend; do
        printf '#!/bin/sh\necho "%s $*"\n' "$name" >"$helpers/$name"
        chmod 755 "$helpers/$name"
    done
    # shellcheck disable=SC2016
    PATH=$helpers:$PATH RC_SVCNAME=bulkhead command_args='' sh -euc '. "$0"; "$1"; echo "$command $command_args"' \
        "$ROOT/init/bulkhead.openrc" "$1"
}
@test "OpenRC script" {
    [[ $(openrc depend) == *'need localmount'* ]]
    [[ $(openrc start_pre) == *'checkpath --directory --mode 0750 --owner bulkhead:bulkhead /var/lib/bulkhead /var/log/bulkhead'* ]]
    [[ $(openrc depend) == *'/usr/local/bin/bulkhead-server /etc/bulkhead/bulkhead.conf  --supervised no --daemonize yes --pidfile /run/bulkhead/bulkhead.pid' ]]
}

# told_by ACTION: the number of the signal that the script sends.
told_by() {
    local pid status=0
    sleep 100 3>&- &
    pid=$!
    echo "$pid" >"$BATS_TEST_TMPDIR/bulkhead.pid"
    rundir=$BATS_TEST_TMPDIR openrc "$1" >/dev/null
    wait "$pid" || status=$?
    echo $((status - 128))
}
@test "OpenRC script: reload, upgrade; a restart that would not start another server is none" {
    same 1 "$(told_by reload)"
    same 12 "$(told_by upgrade)"
    # shellcheck disable=SC2016
    local act='command_args=; . "$0"; command=$1; stop_pre'
    echo 'no-such-thing 1' >"$BATS_TEST_TMPDIR/conf"
    run -1 env RC_CMD=restart cfgfile="$BATS_TEST_TMPDIR/conf" sh -euc "$act" "$ROOT/init/bulkhead.openrc" "$BULKHEAD_SERVER"
    [[ $output == *no-such-thing* ]]
    RC_CMD=stop cfgfile=$BATS_TEST_TMPDIR/conf sh -euc "$act" "$ROOT/init/bulkhead.openrc" "$BULKHEAD_SERVER"
    : >"$BATS_TEST_TMPDIR/conf"
    RC_CMD=restart cfgfile=$BATS_TEST_TMPDIR/conf sh -euc "$act" "$ROOT/init/bulkhead.openrc" "$BULKHEAD_SERVER"
}

@test "logrotate" {
    PATH=$PATH:/usr/sbin
    available logrotate logrotate || skip "logrotate is not to be had"
    start_service
    # The user of the service is not bulkhead here.
    sed "s/create 0640 bulkhead bulkhead/create 0640 $(stat -c '%U %G' "$SERVER_LOG")/" "$PLACE/etc/logrotate.d/bulkhead" >"$BATS_TEST_TMPDIR/conf"
    chmod 644 "$BATS_TEST_TMPDIR/conf"
    hold 2
    logrotate -f -s "$BATS_TEST_TMPDIR/state" "$BATS_TEST_TMPDIR/conf"
    eventually 10 nobody_has "$SERVER_LOG.1"
    eventually 10 grep -q SIGHUP "$SERVER_LOG"
    grep -q 'Ready to accept' "$SERVER_LOG.1"
    same 640 "$(stat -c %a "$SERVER_LOG")"
    release
    service stop
    grep -q 'bye bye' "$SERVER_LOG"
    rm -f "$SERVER_LOG".*
}
