#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# INFO, CONFIG, CLIENT, COMMAND, CLUSTER, MODULE, FUNCTION, SCRIPT, LOLWUT, TIME, HELP, AUTH.

load lib/server

setup_file() { shared_server; }
teardown_file() { stop_server; }
setup() { empty_server; }

@test "INFO: what tools look for" {
    for name in redis_version tcp_port process_id uptime_in_seconds connected_clients maxclients used_memory used_memory_rss \
        used_memory_peak used_memory_dataset maxmemory maxmemory_policy total_connections_received total_commands_processed \
        instantaneous_ops_per_sec keyspace_hits keyspace_misses expired_keys evicted_keys role used_cpu_sys used_cpu_user; do
        [[ -n $(field "$name") ]] || fail "INFO has no $name"
    done
    same "$PORT" "$(field tcp_port)"
    same "$SERVER_PID" "$(field process_id)"
    same master "$(field role)"
}

@test "INFO counts hits, misses, commands and connections" {
    hits=$(field keyspace_hits) misses=$(field keyspace_misses) commands=$(field total_commands_processed)
    connections=$(field total_connections_received)
    q SET k v >/dev/null
    q GET k >/dev/null
    q GET k >/dev/null
    q GET nothing >/dev/null
    same $((hits + 2)) "$(field keyspace_hits)"
    same $((misses + 1)) "$(field keyspace_misses)"
    # 4 commands and 3 INFOs more, each from a connection of its own; redis-cli may send commands of its own.
    (($(field total_commands_processed) >= commands + 7))
    (($(field total_connections_received) >= connections + 8))
}

@test "INFO: sections are chosen by name" {
    run q INFO clients
    [[ ${lines[0]} == '# Clients'* ]]
    [[ $output == *connected_clients:* ]]
    [[ $output != *used_memory* ]]
    run q INFO server memory
    [[ $output == *'# Server'*'# Memory'* ]]
    [[ $output != *'# Clients'* ]]
}

@test "INFO has a section Processes" {
    only_bulkhead
    run q INFO processes
    [[ ${lines[0]} == '# Processes'* ]]
    [[ $output == *worker* ]]
}

@test "CONFIG GET" {
    expect $'1) "maxmemory"\n2) "0"' CONFIG GET maxmemory
    expect $'1) "port"\n2) "'"$PORT"'"' CONFIG GET port
    expect '(empty array)' CONFIG GET nosuch
    same $'tcp-backlog\ntcp-keepalive' "$(q CONFIG GET 'tcp-*' | grep tcp- | sort)"
    same $'databases\ntimeout' "$(q CONFIG GET timeout databases | grep -v '[0-9]' | sort)"
}

@test "CONFIG SET" {
    expect OK CONFIG SET maxmemory 100mb
    expect $'1) "maxmemory"\n2) "104857600"' CONFIG GET maxmemory
    expect OK CONFIG SET maxmemory 0 timeout 100
    expect $'1) "timeout"\n2) "100"' CONFIG GET timeout
    expect OK CONFIG SET timeout 0
    expect "(error) ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'" CONFIG SET nosuch 1
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value" CONFIG SET maxmemory abc
}

@test "CONFIG SET of several is all or nothing" {
    expect "(error) ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value" \
        CONFIG SET timeout 55 maxmemory abc
    expect $'1) "timeout"\n2) "0"' CONFIG GET timeout
}

@test "CONFIG SET blames the parameter that cannot be" {
    blamed() { [[ $(q CONFIG SET "$@") == *"related to argument 'maxclients') - The operating system is not able"* ]]; }
    blamed maxclients 1000000 timeout 0
    blamed timeout 0 maxclients 1000000
}

@test "CONFIG SET is seen by connections that exist" {
    exec {other}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'PING\r\n' >&"$other"
    read -r line <&"$other"
    expect OK CONFIG SET maxmemory 77mb
    printf 'CONFIG GET maxmemory\r\n' >&"$other"
    for _ in 1 2 3 4 5; do read -r line <&"$other"; done
    same 80740352 "${line%$'\r'}"
    exec {other}>&-
    expect OK CONFIG SET maxmemory 0
}

@test "CLIENT ID, SETNAME, GETNAME" {
    same $'(nil)\nOK\n"me"\nOK\n(nil)' "$(printf '%s\n' 'CLIENT GETNAME' 'CLIENT SETNAME me' 'CLIENT GETNAME' 'CLIENT SETNAME ""' 'CLIENT GETNAME' | session)"
    expect '(error) ERR Client names cannot contain spaces, newlines or special characters.' CLIENT SETNAME 'a b'
    first=$(q CLIENT ID) second=$(q CLIENT ID)
    ((second > first))
}

@test "CLIENT LIST shows each client once" {
    hold 5
    clients_are 6
    same '' "$(q CLIENT LIST | sed 's/ .*//' | sort | uniq -d)"
    release
    clients_are 1
}

@test "CLIENT LIST: Redis's fields" {
    run bash -c "printf 'CLIENT SETNAME me\nSELECT 3\nCLIENT LIST\n' | redis-cli -p $PORT | tail -n 1"
    [[ $output =~ ^id=[0-9]+\ addr=127.0.0.1:[0-9]+\ laddr=127.0.0.1:$PORT\ fd=[0-9]+\ name=me\ age=[0-9]+\ idle=0\ flags=N\ db=3\ sub=0\ psub=0\ ssub=0\ multi=-1\ qbuf=[0-9]+\ qbuf-free=[0-9]+\ argv-mem=[0-9]+\ multi-mem=0\ rbs=[0-9]+\ rbp=[0-9]+\ obl=[0-9]+\ oll=[0-9]+\ omem=[0-9]+\ tot-mem=[0-9]+\ events=r\ cmd=client\|list\ user=default\ redir=-1\ resp=2 ]]
}

@test "CLIENT LIST names the process of each client" {
    only_bulkhead
    pid=$(q CLIENT LIST | sed -n '$s/.* pid=\([0-9]*\).*/\1/p')
    [[ $pid =~ ^[0-9]+$ ]]
    ((pid != SERVER_PID))
}

@test "CLIENT LIST ID lists in the order asked for, again what is named again" {
    exec {one}<>"/dev/tcp/127.0.0.1/$PORT" {two}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'CLIENT ID\r\n' >&"$one" && read -r first <&"$one"
    printf 'CLIENT ID\r\n' >&"$two" && read -r second <&"$two"
    first=${first//[^0-9]/} second=${second//[^0-9]/}
    listed=$(q CLIENT LIST ID "$second" "$first" 0 -1 9999999 "$second" | sed -n 's/^id=\([0-9]*\) .*/\1/p')
    exec {one}>&- {two}>&-
    same "$second $first $second" "$(echo $listed)"
}

@test "CLIENT LIST shows what a client has not read" {
    only_bulkhead
    head -c 20000000 /dev/zero | tr '\0' x | redis-cli -p "$PORT" -x SET big >/dev/null
    unread() { [[ $(q CLIENT LIST ID "$id") =~ \ obl=([0-9]+)\ .*\ cmd=$1\  ]] && ((BASH_REMATCH[1] $2)); }
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'CLIENT ID\r\n' >&"$fd" && read -r id <&"$fd"
    id=${id//[^0-9]/}
    unread 'client\|id' '== 0'
    printf 'GET big\r\n' >&"$fd"
    eventually 5 unread get '> 1000000'
    head -c 20000013 <&"$fd" >/dev/null
    eventually 5 unread get '== 0'
    exec {fd}>&-
    empty_server
}

@test "CLIENT LIST and CLIENT INFO: choices and mistakes" {
    eventually 5 counts_clients 1 TYPE normal
    same '' "$(q CLIENT LIST TYPE pubsub)"
    # redis-cli prints these replies, and so their errors, without the type.
    expect "ERR Unknown client type 'bogus'" CLIENT LIST TYPE bogus
    expect 'ERR Invalid client ID' CLIENT LIST ID abc
    expect "(error) ERR unknown subcommand 'BOGUS'. Try CLIENT HELP." CLIENT BOGUS
    expect "(error) ERR wrong number of arguments for 'client' command" CLIENT
}

@test "CLIENT SETINFO" {
    only_bulkhead
    expect OK CLIENT SETINFO LIB-NAME redis-py
    expect OK CLIENT SETINFO lib-ver 5.0.1
    matches '\(error\) ERR .*' CLIENT SETINFO BOGUS x
    matches '\(error\) ERR .*' CLIENT SETINFO LIB-NAME 'a b'
}

@test "COMMAND COUNT, LIST, INFO, DOCS agree" {
    count=$(q COMMAND COUNT)
    same "$count" "$(q COMMAND LIST | grep -vc '|')"
    expect '1) (nil)' COMMAND INFO nosuch
    run q COMMAND INFO get
    same "get 2 readonly fast 1 1 1" "$(echo "${lines[*]:0:7}")"
    same get "$(q COMMAND LIST FILTERBY PATTERN get)"
    run q COMMAND DOCS set
    same set "${lines[0]}"
    [[ $output == *summary*since*1.0.0*group*string* ]]
}

@test "COMMAND GETKEYS and GETKEYSANDFLAGS" {
    expect $'1) "a"\n2) "b"' COMMAND GETKEYS MSET a 1 b 2
    expect $'1) 1) "k"\n   2) 1) OW\n      2) update' COMMAND GETKEYSANDFLAGS SET k v
    expect $'1) 1) "k"\n   2) 1) RW\n      2) access\n      3) update' COMMAND GETKEYSANDFLAGS SET k v GET
    expect '(error) ERR The command has no key arguments' COMMAND GETKEYS PING x
    expect '(error) ERR Invalid command specified' COMMAND GETKEYS NOSUCH x
    expect '(error) ERR Invalid number of arguments specified for command' COMMAND GETKEYS GET a b
}

@test "CLUSTER: there is none" {
    for subcommand in INFO NODES HELP "KEYSLOT a" MYID SHARDS; do
        # redis-cli prints some of these replies, and so their errors, without the type.
        matches '(\(error\) )?ERR This instance has cluster support disabled' CLUSTER $subcommand
    done
    expect "(error) ERR unknown subcommand 'BOGUS'. Try CLUSTER HELP." CLUSTER BOGUS
}

@test "MODULE: there are none, and none is loaded" {
    expect '(empty array)' MODULE LIST
    matches '\(error\) ERR MODULE command not allowed\. .*' MODULE LOAD /nosuch
    matches '\(error\) ERR MODULE command not allowed\. .*' MODULE LOADEX /nosuch
    matches '\(error\) ERR MODULE command not allowed\. .*' MODULE UNLOAD nosuch
    same 'MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' "$(q MODULE HELP | head -n 1)"
}

@test "MODULE, where it is allowed: none is loaded all the same" {
    start_server --enable-module-command local
    expect '(error) ERR Error loading the extension. Please check the server logs.' MODULE LOAD /nosuch
    expect '(error) ERR Error loading the extension. Please check the server logs.' MODULE LOADEX /nosuch CONFIG a b
    expect '(error) ERR Error unloading module: no such module with that name' MODULE UNLOAD nosuch
    grep -q 'Module /nosuch failed to load' "$SERVER_LOG"
    stop_server
}

@test "FUNCTION on the empty set" {
    expect '(empty array)' FUNCTION LIST
    expect OK FUNCTION FLUSH
    expect '(error) ERR Library not found' FUNCTION DELETE nosuch
    expect '(error) NOTBUSY No scripts in execution right now.' FUNCTION KILL
    # The version of the RDB format, and CRC-64 over it.
    expect '"\n\x00]\x9b\\@\x0f\x7f\xa2\xda"' FUNCTION DUMP
    same $'running_script\n\nengines\nLUA\nlibraries_count\n0\nfunctions_count\n0' "$(q FUNCTION STATS)"
    same 'FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' "$(q FUNCTION HELP | head -n 1)"
}

@test "SCRIPT on the empty set" {
    expect $'1) (integer) 0\n2) (integer) 0' SCRIPT EXISTS a b
    expect OK SCRIPT FLUSH
    expect OK SCRIPT FLUSH ASYNC
    expect '(error) NOTBUSY No scripts in execution right now.' SCRIPT KILL
    same 'SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' "$(q SCRIPT HELP | head -n 1)"
}

@test "what is not there is not pretended to be there" {
    only_bulkhead
    for line in 'EVAL return 0' 'FCALL f 0' 'LPUSH l x' 'MULTI'; do
        matches "\\(error\\) ERR unknown command '.*" $line
    done
    expect "(error) ERR unknown subcommand 'LOAD'. Try SCRIPT HELP." SCRIPT LOAD 'return 0'
    expect "(error) ERR unknown subcommand 'LOAD'. Try FUNCTION HELP." FUNCTION LOAD x
}

@test "LOLWUT draws, and names the version in the last line" {
    only_bulkhead
    [[ $(q LOLWUT | tail -n 1) == 'Bulkhead ver. '*' (as Redis ver. 7.0.15)' ]]
    # 10 characters of 3 bytes each, and the end of the line.
    same 31 "$(q LOLWUT VERSION 5 10 2 2 | head -n 2 | tail -n 1 | wc -c)"
    # Two drawings in forty are hardly ever all alike: the lot is cast.
    (($(for _ in {1..40}; do q LOLWUT | md5sum; done | sort -u | wc -l) > 1))
    # redis-cli prints what LOLWUT answers as it is.
    expect 'ERR value is not an integer or out of range' LOLWUT VERSION 5 x
}

@test "TIME" {
    same "$(date +%s | cut -c1-8)" "$(q TIME | head -n 1 | cut -c1-8)"
    matches $'1\\) "[0-9]+"\n2\\) "[0-9]+"' TIME
    expect "(error) ERR wrong number of arguments for 'time' command" TIME x
}

@test "HELP lists the commands with their usage" {
    only_bulkhead
    # redis-cli has a HELP of its own and does not ask.
    run wire 'HELP\r\n'
    [ "$status" -eq 0 ]
    [[ $output == *SET* && $output == *GETEX* && $output == *INCRBYFLOAT* ]]
}

@test "requirepass" {
    start_server --requirepass 'se cret'
    expect '(error) NOAUTH Authentication required.' GET k
    expect '(error) NOAUTH Authentication required.' PING
    same $'(error) WRONGPASS invalid username-password pair or user is disabled.\nOK\n"v"' \
        "$(printf '%s\n' 'AUTH wrong' 'AUTH "se cret"' 'ECHO v' | session)"
    same $'OK\n"v"' "$(printf '%s\n' 'AUTH default "se cret"' 'ECHO v' | session)"
    expect '(error) WRONGPASS invalid username-password pair or user is disabled.' AUTH nobody 'se cret'
    # The password can be changed, and stays unreadable to whoever has not given it.
    same PONG "$(REDISCLI_AUTH='se cret' q PING)"
    same OK "$(REDISCLI_AUTH='se cret' q CONFIG SET requirepass other)"
    expect '(error) WRONGPASS invalid username-password pair or user is disabled.' AUTH 'se cret'
    expect OK AUTH other
    same $'-ERR Protocol error: unauthenticated multibulk length' "$(wire '*11\r\n')"
    same $'-ERR Protocol error: unauthenticated bulk length' "$(wire '*2\r\n$4\r\nAUTH\r\n$16385\r\n')"
    stop_server
}

@test "who came before a password was taken away may go on, until there is one again" {
    start_server --requirepass one
    exec {fd}<>"/dev/tcp/127.0.0.1/$PORT" {big}<>"/dev/tcp/127.0.0.1/$PORT"
    asked() { printf '%s\r\n' "$2" >&"$1" && read -r answer <&"$1" && echo "${answer%$'\r'}"; }
    same '-NOAUTH Authentication required.' "$(asked "$fd" PING)"
    same OK "$(REDISCLI_AUTH=one q CONFIG SET requirepass '')"
    same '+PONG' "$(asked "$fd" PING)"
    same ':0' "$(asked "$big" $'*12\r\n$3\r\nDEL'"$(printf '\r\n$1\r\n%s' a b c d e f g h i j k)")"
    same OK "$(q CONFIG SET requirepass two)"
    same '-NOAUTH Authentication required.' "$(asked "$fd" PING)"
    same '+OK' "$(asked "$fd" 'AUTH two')"
    same '+PONG' "$(asked "$fd" PING)"
    exec {fd}>&- {big}>&-
    stop_server
}

@test "AUTH without a password configured" {
    expect '(error) ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?' AUTH x
    expect OK AUTH default anything
}

@test "SHUTDOWN: mistakes" {
    expect '(error) ERR syntax error' SHUTDOWN BOGUS
    expect '(error) ERR syntax error' SHUTDOWN SAVE NOSAVE
    expect '(error) ERR No shutdown in progress.' SHUTDOWN ABORT
    expect PONG PING
}

@test "unknown commands and wrong numbers of arguments" {
    expect "(error) ERR unknown command 'nosuch', with args beginning with: 'a' 'b' " nosuch a b
    expect "(error) ERR unknown command 'nosuch', with args beginning with: " nosuch
    expect "(error) ERR wrong number of arguments for 'get' command" GET
    expect "(error) ERR wrong number of arguments for 'echo' command" ECHO
    expect "(error) ERR wrong number of arguments for 'ping' command" PING a b
    expect "(error) ERR wrong number of arguments for 'config|get' command" CONFIG GET
}

@test "a configuration file, and options that overrule it" {
    cat >"$BATS_TEST_TMPDIR/test.conf" <<END
# a comment
databases 5
requirepass "with space"
maxmemory 50mb
timeout   10
END
    SERVER_DIR=$(mktemp -d "$BATS_FILE_TMPDIR/dir.XXXXXX")
    PORT=$((10000 + SRANDOM % 20000))
    launch "$BATS_TEST_TMPDIR/test.conf" --port "$PORT" --dir "$SERVER_DIR" --save '' --timeout 20
    export REDISCLI_AUTH='with space'
    same $'databases\n5' "$(q CONFIG GET databases)"
    same $'maxmemory\n52428800' "$(q CONFIG GET maxmemory)"
    same $'timeout\n20' "$(q CONFIG GET timeout)"
    unset REDISCLI_AUTH
    stop_server
}

@test "a wrong configuration stops the start with the reason" {
    printf 'maxmemory abc\n' >"$BATS_TEST_TMPDIR/bad.conf"
    run "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/bad.conf"
    [ "$status" -ne 0 ]
    [[ $output == *maxmemory* ]]
    run "$BULKHEAD_SERVER" --nosuchoption 1
    [ "$status" -ne 0 ]
    [[ $output == *nosuchoption* ]]
    run "$BULKHEAD_SERVER" "$BATS_TEST_TMPDIR/missing.conf"
    [ "$status" -ne 0 ]
}
