#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# The configuration: its file, the command line, CONFIG REWRITE, rename-command, what CONFIG SET does at once. What redis-server does too is compared
# with it by tests/diff.

load lib/server

setup_file() { shared_server --enable-protected-configs local; }
teardown_file() { stop_server; }
setup() { empty_server; }
teardown() {
    release
    [[ -z ${OWN_PID:-} ]] || stop_server "$OWN_PID" "$OWN_PORT" "$OWN_LOG"
}

# file_server TEXT [OPTION...]: a server with that configuration file, $FILE; the port and the directory come before it.
file_server() {
    local text=$1 attempt
    shift
    FILE=$BATS_TEST_TMPDIR/server.conf
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        printf 'port %s\ndir %s\n%s' "$PORT" "$BATS_TEST_TMPDIR" "$text" >"$FILE"
        if launch "$FILE" "$@"; then
            [[ -z ${BULKHEAD_LEDGER:-} ]] || echo "$PORT $SERVER_PID $BATS_TEST_FILENAME" >>"$BULKHEAD_LEDGER/servers"
            OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
            return
        fi
        grep -qi 'Failed listening\|Address already in use' "$SERVER_LOG" || break
    done
    fail "the server did not start:" "$(tail -n 20 "$SERVER_LOG")"
}

# refused REASON OPTION...: the server does not start, and its last words are these.
refused() {
    local want=$1 got
    shift
    got=$(timeout 20 "$BULKHEAD_SERVER" "$@" 2>&1 </dev/null) && fail "it started: $*"
    same "$want" "$(tail -n 1 <<<"$got")" "$*"
}

# refused_in_file LINE REASON
refused_in_file() {
    printf '# one\n%s\n' "$1" >"$BATS_TEST_TMPDIR/bad.conf"
    got=$(timeout 20 "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/bad.conf" 2>&1 </dev/null) && fail "it started: $1"
    [[ $got == *"at line 2 of $BATS_TEST_TMPDIR/bad.conf"* ]] || fail "$got"
    same "$2" "$(tail -n 1 <<<"$got")" "$1"
}

value() { q CONFIG GET "$1" | tail -n +2; }

@test "the file that comes with the server loads, and names every parameter" {
    only_bulkhead
    for name in $(q CONFIG GET '*' | sed -n 'p;n'); do
        grep -q "^\(# \)\?$name " "$ROOT/init/bulkhead.conf" || fail "init/bulkhead.conf does not name $name"
    done
    sed 's/^\(port\|dir\) /# &/' "$ROOT/init/bulkhead.conf" >"$BATS_TEST_TMPDIR/text"
    before=$(q CONFIG GET '*')
    file_server "$(cat "$BATS_TEST_TMPDIR/text")"
    # But for what is said of addresses, it says what is the default anyway.
    for name in $(q CONFIG GET '*' | sed -n 'p;n'); do
        case $name in
            port | dir | bind | enable-*) continue ;;
            # The servers of tests save nothing.
            save) same "3600 1 300 100 60 10000" "$(value save)"; continue ;;
        esac
        same "$(sed -n "/^$name$/{n;p;q}" <<<"$before")" "$(value "$name")" "$name"
    done
}

@test "directives that are commented out in the file that comes with the server can be used" {
    only_bulkhead
    # The default of each, or its example, with the machine's folder replaced.
    grep -E '^# [a-z0-9_-]+ ' "$ROOT/init/bulkhead.conf" |
        sed "s/^# //; s,/run/bulkhead[/.],$BATS_TEST_TMPDIR/," >"$BATS_TEST_TMPDIR/lines"
    while read -r line; do
        name=${line%% *}
        [[ -n $(q CONFIG GET "$name") ]] || continue
        printf '%s\n' "$line"
    done <"$BATS_TEST_TMPDIR/lines" >"$BATS_TEST_TMPDIR/text"
    [[ $(wc -l <"$BATS_TEST_TMPDIR/text") -gt 50 ]]
    grep -E '^(unixsocket|pidfile) ' "$BATS_TEST_TMPDIR/text" | wc -l | grep -qx 2
    grep '^rename-command ' "$BATS_TEST_TMPDIR/lines" >>"$BATS_TEST_TMPDIR/text"
    file_server "$(cat "$BATS_TEST_TMPDIR/text")"
    same PONG "$(q PING)"
}

@test "what promises what is not kept stops the start" {
    only_bulkhead
    refused_in_file "replicaof 10.0.0.1 6379" 'this version does not replicate'
    refused_in_file "tls-port 6380" 'this version does not encrypt: the only value is "0"'
    refused_in_file "tls-cluster yes" 'this version does not encrypt: the only value is "no"'
    refused_in_file "cluster-enabled yes" 'this version is no part of a cluster: the only value is "no"'
    refused_in_file "aclfile /etc/users.acl" 'this version has one user, "default"'
    refused_in_file "user default on nopass" 'this version has one user, "default", whose password is requirepass'
    refused_in_file "loadmodule /lib/x.so" 'modules cannot be loaded: what they would check or forbid is not there'
    refused_in_file "search.maxsize 5" 'a parameter of a module, and modules cannot be loaded'
    refused_in_file "min-replicas-to-write 1" 'this version does not replicate: the only value is "0"'
    refused_in_file "aof-timestamp-enabled yes" 'this version writes no times into the append only file: the only value is "no"'
    refused_in_file "sentinel monitor x" 'sentinel directive while not in sentinel mode'
    expect OK CONFIG SET appendonly no save "" tls-port 0 maxmemory-policy noeviction
}

@test "mistakes in the file are reported with file and line, also of an included one" {
    only_bulkhead
    refused_in_file "nosuch 1" 'Bad directive or wrong number of arguments'
    refused_in_file "cluster-announce-hostname $(printf 'x%.0s' {1..256})" 'Hostnames must be less than 256 characters'
    refused_in_file "port 'a" 'Unbalanced quotes in configuration line'
    refused_in_file "rename-command GET" 'Bad directive or wrong number of arguments'
    refused_in_file "rename-command NOSUCH x" 'No such command in rename-command'
    refused_in_file "rename-command GET set" 'Target command name already exists'
    printf 'timeout x\n' >"$BATS_TEST_TMPDIR/more.conf"
    printf '\n\ninclude %s\n' "$BATS_TEST_TMPDIR/more.conf" >"$BATS_TEST_TMPDIR/first.conf"
    run timeout 20 "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/first.conf"
    [[ $status == 1 && $output == *"at line 1 of $BATS_TEST_TMPDIR/more.conf"*"couldn't be parsed into an integer"* ]] || fail "$output"
}

@test "a secret is not shown by the report about its line" {
    only_bulkhead
    for line in 'masterauth verysecret 2' 'masterauth "verysecret' 'masterauth "very"secret'; do
        printf '%s\n' "$line" >"$BATS_TEST_TMPDIR/bad.conf"
        run timeout 20 "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/bad.conf"
        [[ $status == 1 && $output != *secret* && $output == *"'masterauth'"* ]] || fail "$output"
    done
}

@test "the command line: forms of options" {
    refused "Bad directive or wrong number of arguments" --port=1
    refused "wrong number of arguments" --port
    refused "wrong number of arguments" --loglevel verbose notice
    refused "No such file or directory" --save --dir /nonexistent/x
    refused "Bad directive or wrong number of arguments" --requirepass --x --nosuch
    refused "Module config specified without value" /dev/null more.conf
    file_server $'timeout 7\nmaxmemory 1mb\n' --save --timeout 8 "--tcp-keepalive 77" --oom-score-adj-values 1 2 3 --requirepass --odd --no-such-not 2>/dev/null &&
        fail "an unknown option was taken"
    file_server $'timeout 7\nmaxmemory 1mb\n' --timeout 8 "--tcp-keepalive 77" --oom-score-adj-values 1 2 3 --masterauth --odd --save
    same 8 "$(value timeout)"
    same 77 "$(value tcp-keepalive)"
    same 1048576 "$(value maxmemory)"
    same "1 2 3" "$(value oom-score-adj-values)"
    same "--odd" "$(value masterauth)"
    same "" "$(value save)"
}

@test "standard input comes after the file, options come after both" {
    printf 'timeout 1\ntcp-keepalive 1\nhz 11\n' >"$BATS_TEST_TMPDIR/c"
    for attempt in 1 2 3 4 5; do
        PORT=$((10000 + SRANDOM % 20000))
        SERVER_LOG=$BATS_TEST_TMPDIR/log
        printf 'timeout 2\ntcp-keepalive 2\nsave ""\n' >"$BATS_TEST_TMPDIR/in"
        "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/c" --timeout 3 --port "$PORT" --dir "$BATS_TEST_TMPDIR" - \
            <"$BATS_TEST_TMPDIR/in" >"$SERVER_LOG" 2>&1 3>&- &
        SERVER_PID=$!
        eventually 30 started_or_dead
        ! alive "$SERVER_PID" || break
    done
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    same "3 2 11" "$(echo $(value timeout) $(value tcp-keepalive) $(value hz))"
}

@test "include: patterns, in order; what comes later wins" {
    mkdir "$BATS_TEST_TMPDIR/d"
    echo 'timeout 1' >"$BATS_TEST_TMPDIR/d/a.conf"
    echo 'timeout 2' >"$BATS_TEST_TMPDIR/d/b.conf"
    file_server $'save ""\ninclude '"$BATS_TEST_TMPDIR/d/*.conf"$'\ninclude '"$BATS_TEST_TMPDIR/nothing/*.conf"$'\n'
    same 2 "$(value timeout)"
}

@test "rename-command" {
    file_server $'save ""\nrename-command GET HoLa\nrename-command FLUSHALL ""\nrename-command CLIENT cl\nrename-command HoLa hello2\n'
    q SET k v >/dev/null
    expect "(error) ERR unknown command 'GET', with args beginning with: 'k' " GET k
    expect "(error) ERR unknown command 'FLUSHALL', with args beginning with: " FLUSHALL
    expect '"v"' HELLO2 k
    expect '"v"' hello2 k
    matches '\(integer\) [0-9]+' CL ID
    expect "(error) ERR unknown subcommand 'x'. Try CL HELP." cl x
    same "CL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" "$(q cl HELP | head -n 1)"
    # What it is called everywhere else stays.
    expect "(error) ERR wrong number of arguments for 'get' command" hello2
    [[ $(q COMMAND INFO get) == get* ]]
    same "" "$(q COMMAND INFO hello2)"
    same "" "$(q COMMAND LIST FILTERBY PATTERN flushall)"
    [[ $(field cmdstat_get commandstats) == calls=2,* ]]
    [[ -z $(field cmdstat_hello2 commandstats) ]]
}

@test "CONFIG REWRITE keeps comments, order and unknown directives, and the file's mode and owner" {
    file_server $'save ""\n# a comment\nmaxmemory 100mb\n\n  timeout   5\nslave-priority 7\nrename-command FLUSHALL ""\ntimeout 9\nlogfile ""\n# the end'
    chmod 640 "$FILE"
    expect OK CONFIG SET maxmemory 1024 hz 20 requirepass 'a "b'
    same OK "$(REDISCLI_AUTH='a "b' q CONFIG REWRITE)"
    same $'port '"$PORT"$'\ndir "'"$BATS_TEST_TMPDIR"$'"\nsave ""\n# a comment\nmaxmemory 1kb\n\ntimeout 9\nreplica-priority 7\nrename-command FLUSHALL ""\n\nlogfile ""\n# the end\n# Generated by CONFIG REWRITE' \
        "$(sed '/^# Generated/q' "$FILE")"
    same $'hz 20\nlatency-tracking-info-percentiles 50 99 99.9\nrequirepass "a \\"b"' \
        "$(sed '1,/^# Generated/d' "$FILE" | grep -Ev '^user default|^maxclients' | sort)"
    ! target_is_redis || return 0
    same 640 "$(stat -c %a "$FILE")"
    same "server.conf" "$(cd "$BATS_TEST_TMPDIR" && echo server*)"
    # It can be read again, and says the same.
    stop_server "$OWN_PID" "$OWN_PORT" "$OWN_LOG"
    launch "$FILE"
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    export REDISCLI_AUTH='a "b'
    same "20 9 7 1024" "$(echo $(value hz) $(value timeout) $(value slave-priority) $(value maxmemory))"
    sed 's/^save ""$//' "$FILE" >"$BATS_TEST_TMPDIR/before"
    expect OK CONFIG REWRITE
    same "$(cat "$BATS_TEST_TMPDIR/before")" "$(sed 's/^save ""$//' "$FILE")"
    expect OK CONFIG SET requirepass ''
    unset REDISCLI_AUTH
    expect OK CONFIG REWRITE
    not grep -q requirepass "$FILE"
}

@test "CONFIG REWRITE: an empty text where that is not the default" {
    file_server $'enable-protected-configs yes\nsyslog-ident ""'
    expect OK CONFIG SET dbfilename ''
    expect OK CONFIG REWRITE
    same $'dbfilename ""\nsyslog-ident ""' "$(grep -E '^(dbfilename|syslog-ident)' "$FILE" | sort)"
    expect OK CONFIG SET dbfilename dump.rdb
}

@test "CONFIG REWRITE without a file, or where it cannot be written, changes nothing" {
    expect "(error) ERR The server is running without a config file" CONFIG REWRITE
    file_server $'save ""\n'
    rm "$FILE"
    mkdir "$FILE"
    [[ $(q CONFIG REWRITE) == "ERR Rewriting config file: "* ]]
    expect PONG PING
    same "server.conf" "$(cd "$BATS_TEST_TMPDIR" && echo server*)"
    rmdir "$FILE"
    expect OK CONFIG REWRITE
    grep -q '^dir ' "$FILE"
}

@test "CONFIG REWRITE where the file is gone: the new one, which may hold passwords, is its owner's alone" {
    only_bulkhead
    file_server $'save ""\n'
    rm "$FILE"
    expect OK CONFIG SET masterauth verysecret
    expect OK CONFIG REWRITE
    same 600 "$(stat -c %a "$FILE")"
    grep -q verysecret "$FILE"
}

@test "protected parameters: enable-protected-configs" {
    expect OK CONFIG SET dir "$SERVER_DIR"
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config" CONFIG SET dir /
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config" CONFIG SET dbfilename x
}

@test "a secret parameter is kept, and shown to those who may see it" {
    expect OK CONFIG SET masterauth 'x y' tls-key-file-pass abc
    expect $'1) "masterauth"\n2) "x y"' CONFIG GET masterauth
    expect $'1) "tls-key-file-pass"\n2) "abc"' CONFIG GET tls-key-file-pass
    expect OK CONFIG SET masterauth '' tls-key-file-pass ''
    expect $'1) "masterauth"\n2) ""' CONFIG GET masterauth
}

# listens PORT [ADDRESS]
listens() { (exec {fd}<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; }
silent() { ! listens "$@"; }

@test "CONFIG SET port: the new one answers, the old one does not, who is connected stays" {
    start_server --unixsocket "$BATS_TEST_TMPDIR/s"
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    exec {before}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'PING\r\n' >&"$before"
    read -r -t 5 line <&"$before"
    old=$PORT
    for attempt in 1 2 3 4 5 6 7 8; do
        PORT=$((10000 + SRANDOM % 20000))
        [[ $(redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET port "$PORT") != OK ]] || break
    done
    silent "$old"
    expect PONG PING
    same "$PORT" "$(field tcp_port)"
    printf 'SET a b\r\n' >&"$before"
    read -r -t 5 line <&"$before"
    same +OK "${line%$'\r'}"
    expect '"b"' GET a
    exec {before}>&-
    # Back again, at once, and many clients after it.
    expect OK CONFIG SET port "$old"
    silent "$PORT"
    PORT=$old
    hold 20
    clients_are 21
    release
    # None at all.
    expect OK CONFIG SET port 0
    silent "$old"
    same PONG "$(redis-cli -s "$BATS_TEST_TMPDIR/s" PING)"
    same OK "$(redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET port "$old")"
    expect PONG PING
}

@test "CONFIG SET port or bind to what cannot be had: an error, and all is as it was" {
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    own=$PORT
    start_server
    other=$PORT
    other_pid=$SERVER_PID other_log=$SERVER_LOG
    PORT=$own
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs." \
        CONFIG SET timeout 9 port "$other" tcp-keepalive 100
    same "$own 0 300" "$(echo $(value port) $(value timeout) $(value tcp-keepalive))"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses." \
        CONFIG SET bind "127.0.0.1 192.0.2.1"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses." \
        CONFIG SET bind "127.0.0.1 127.0.0.1"
    same "* -::*" "$(value bind)"
    expect PONG PING
    hold 10
    clients_are 11
    release
    stop_server "$other_pid" "$other" "$other_log"
}

@test "CONFIG SET bind: addresses come and go, also such as exclude each other" {
    start_server --protected-mode no
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    expect OK CONFIG SET bind "127.0.0.1"
    silent "$PORT" 127.0.0.2
    expect PONG PING
    for both in "127.0.0.1 *" "* 127.0.0.1"; do
        expect "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses." \
            CONFIG SET bind "$both"
        expect PONG PING
        silent "$PORT" 127.0.0.2
    done
    expect OK CONFIG SET bind "127.0.0.1 127.0.0.2 -192.0.2.1"
    listens "$PORT" 127.0.0.2
    expect OK CONFIG SET bind "127.0.0.2"
    silent "$PORT" 127.0.0.1
    same OK "$(redis-cli -h 127.0.0.2 -p "$PORT" CONFIG SET bind '* -::*')"
    expect PONG PING
    expect OK CONFIG SET bind "* -::*"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        expect OK CONFIG SET bind "127.0.0.1 127.0.0.$((i + 2)) 127.0.0.$((i + 3))"
        listens "$PORT" 127.0.0.$((i + 2))
        silent "$PORT" 127.0.0.$((i + 1))
    done
    hold 30
    clients_are 31
    release
}

@test "CONFIG SET port under load: nobody who is connected notices" {
    start_server --unixsocket "$BATS_TEST_TMPDIR/s"
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    old=$PORT
    for i in $(seq 5000); do echo "INCR n"; done | redis-cli -p "$PORT" >"$BATS_TEST_TMPDIR/replies" &
    load=$!
    has_begun() { [[ -n $(redis-cli -s "$BATS_TEST_TMPDIR/s" GET n) ]]; }
    eventually 10 has_begun
    for attempt in 1 2 3 4 5 6; do
        PORT=$((10000 + SRANDOM % 20000))
        redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET port "$PORT" >/dev/null
        redis-cli -s "$BATS_TEST_TMPDIR/s" CONFIG SET port "$old" >/dev/null
    done
    wait "$load"
    PORT=$old
    same 5000 "$(tail -n 1 "$BATS_TEST_TMPDIR/replies")"
    expect '"5000"' GET n
}

@test "an upgrade is refused after CONFIG SET port: the data has the name of the first one" {
    only_bulkhead
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    for attempt in 1 2 3 4 5 6 7 8; do
        other=$((10000 + SRANDOM % 20000))
        [[ $(q CONFIG SET port "$other") != OK ]] || break
    done
    PORT=$other
    kill -USR2 "$SERVER_PID"
    eventually 10 grep -q "Not upgrading: port was changed" "$SERVER_LOG"
    expect PONG PING
}

@test "CONFIG SET loglevel: a worker that waits for its client follows at once" {
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    # It logs, as verbose, that the client has been idle for too long.
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'PING\r\n' >&"$fd"
    read -r -t 5 line <&"$fd"
    expect OK CONFIG SET loglevel verbose timeout 1
    eventually 20 grep -q "Closing idle client" "$SERVER_LOG"
    exec {fd}>&-
    expect OK CONFIG SET timeout 0 loglevel warning
    same warning "$(value loglevel)"
}

@test "CONFIG SET maxclients below what is there: nobody is thrown out, nobody else gets in" {
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    hold 6
    clients_are 8
    printf 'CONFIG SET maxclients 3\r\n' >&"$fd"
    read -r -t 5 line <&"$fd"
    same +OK "${line%$'\r'}"
    for i in 1 2 3; do
        same "ERR max number of clients reached" "$(q PING 2>&1 | sed 's/^Error: //')"
    done
    printf 'PING\r\n' >&"$fd"
    read -r -t 5 line <&"$fd"
    same +PONG "${line%$'\r'}"
    release
    answers() { [[ $(q PING 2>&1) == PONG ]]; }
    eventually 10 answers
    exec {fd}>&-
}

@test "CONFIG SET requirepass: clients that come after the answer need it, whichever worker they get" {
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    for i in 1 2 3 4 5; do
        expect OK CONFIG SET requirepass "s$i"
        for j in 1 2 3 4 5 6; do
            expect "(error) NOAUTH Authentication required." GET k
        done
        same OK "$(REDISCLI_AUTH=s$i q CONFIG SET requirepass '')"
        for j in 1 2 3 4 5 6; do
            expect "(nil)" GET k
        done
    done
}

@test "protected-mode: at once, for clients that do not come over the loopback" {
    address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 -E '^[0-9]+\.' || true)
    [[ -n $address ]] || skip "this machine has no other address"
    start_server
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    [[ $(redis-cli -h "$address" -p "$PORT" PING 2>&1) == *DENIED* ]]
    expect OK CONFIG SET protected-mode no
    same PONG "$(redis-cli -h "$address" -p "$PORT" PING)"
    expect OK CONFIG SET protected-mode yes
    [[ $(redis-cli -h "$address" -p "$PORT" PING 2>&1) == *DENIED* ]]
}

@test "CONFIG RESETSTAT and CONFIG HELP" {
    q GET nothing >/dev/null
    expect OK CONFIG RESETSTAT
    same 0 "$(field keyspace_misses)"
    run q CONFIG HELP
    for word in GET SET REWRITE RESETSTAT; do
        [[ $output == *"$word"* ]] || fail "$output"
    done
}

@test "crash-log-enabled no: a crash is counted, not described" {
    start_server
    for wanted in no yes; do
        expect OK CONFIG SET crash-log-enabled "$wanted"
        q DEBUG SEGFAULT >/dev/null 2>&1 || true
        gone() { grep -q "ended by signal 11" "$SERVER_LOG"; }
        eventually 10 gone
        [[ $wanted == yes ]] || ! grep "crashed by signal" "$SERVER_LOG"
    done
    described() { grep -q "crashed by signal: 11" "$SERVER_LOG"; }
    eventually 10 described
    kill -TERM "$SERVER_PID"
    eventually 15 dead "$SERVER_PID"
    same "" "$(shm_objects "$PORT")"
}

@test "locale-collate: one that this machine knows" {
    expect OK CONFIG SET locale-collate C
    same C "$(value locale-collate)"
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'locale-collate') - Invalid locale name" CONFIG SET locale-collate no_SUCH
    expect OK CONFIG SET locale-collate ""
}

@test "a line that defines a user is not shown: it may hold a password" {
    only_bulkhead
    printf 'user default on >verysecret\n' >"$BATS_TEST_TMPDIR/bad.conf"
    run timeout 20 "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/bad.conf"
    [[ $status == 1 && $output != *verysecret* && $output == *"'user'"* ]] || fail "$output"
}

@test "CONFIG SET of very many parameters is refused as a whole" {
    [[ $(q CONFIG SET $(for i in $(seq 300); do echo "nosuch$i 1"; done)) == *"Unknown option"* ]]
    [[ $(q CONFIG SET timeout 5 $(for i in $(seq 400); do echo "timeout 6"; done)) == *"duplicate parameter"* ]]
    expect "(error) ERR the request is too long" CONFIG SET ignore-warnings "$(head -c 70000 /dev/zero | tr '\0' x)"
    same 0 "$(value timeout)"
}

@test "CONFIG REWRITE of a file behind a symbolic link changes the file, not the link" {
    only_bulkhead
    file_server $'save ""\n'
    stop_server "$OWN_PID" "$OWN_PORT" "$OWN_LOG"
    mv "$FILE" "$BATS_TEST_TMPDIR/real.conf"
    ln -s real.conf "$FILE"
    launch "$FILE" --hz 33
    OWN_PID=$SERVER_PID OWN_PORT=$PORT OWN_LOG=$SERVER_LOG
    expect OK CONFIG REWRITE
    [[ -L $FILE ]]
    grep -q '^hz 33$' "$BATS_TEST_TMPDIR/real.conf"
}
