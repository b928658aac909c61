# SPDX-License-Identifier: BSD-2-Clause
"""Scenarios on the configuration: all parameters, every value that is taken or refused, the file that CONFIG REWRITE makes, and the command line."""
import os
import re
import subprocess
import tempfile

import compare
from resp import Connection, show
from scenarios import both, scenario
from servers import Server

# Parameters whose value after a start differs, and why.
DIFFERENT = {
    "port": "each has its own", "dir": "each has its own", "unixsocket": "each has its own",
    "syslog-ident": "the name of the program",
}
# Parameters that redis-server 7.0 does not have.
OWN = {"command-timeout", "crash-limit", "lock-timeout", "shm-dir", "snapshot-memory", "spare-workers", "warm-restart", "worker-spin-us", "worker-yields",
       "locale-collate"}
# Values that are refused because they would promise what is not done yet, or are bounded where the reference overflows, and why; None: any.
REFUSED = {
    "min-replicas-to-write": None, "min-slaves-to-write": None,  # no replication
    "tls-port": None, "tls-cluster": ["yes", "YES"], "tls-replication": ["yes", "YES"],  # no TLS
    "maxmemory-clients": ["9223372036854775808", "18446744073709551615"],  # the reference takes them for percents
    "aof-timestamp-enabled": ["yes", "YES"],
    "activedefrag": ["yes", "YES"],   # the reference refuses it too, in words about its allocator
}
NOT_TRIED = {
    "port", "bind", "unixsocket",     # by tests/24-config.bats
    "maxclients",                     # the machine's limits are counted differently
    "oom-score-adj", "oom-score-adj-values",  # the machine may forbid it; by tests of their own
}
# TLS: the reference is built with it, and looks for files; here these texts are kept.
NOT_TRIED_PREFIX = ("tls-",)

# No number beyond 64 bits: it is refused here, and made the largest of 64 bits there.
VALUES = ["", "0", "1", "-1", "2", "5", "10", "99", "100", "101", "128", "1000", "65535", "65536", "100000", "2147483647", "2147483648",
          "-2147483648", "-2147483649", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615",
          "1k", "1kb", "1mb", "1GB", "1 gb", "5%", "0%", "100%", "101%", "-5%", "%", "1.5", "0x10", " 1", "1 ", "+1",
          "01", "yes", "YES", "no", "Yes ", "local", "default", "xyz", "a b", "/", "a/b", "notice", "WARNING", "systemd", "always", "everysec",
          "volatile-lru", "noeviction", "allchannels", "resetchannels", "ip", "hostname", "clients", "swapdb", "panic", "relative", "absolute",
          "save", "nosave", "now force", "save nosave", "KEA", "Ag$lshzxetdm", "KEn", "KEq", "normal 0 0 0", "normal 1mb 1kb 60", "replica 1 2 3",
          "slave 1 2 3 pubsub 4 5 6", "master 1 2 3", "normal 1 2", "normal 1 2 x", "normal -1 2 3", "normal x 2 3", "50 99 99.9", "50", "101 1",
          "3600 1 300 100", "60 1 60 1", "1 2 3 ", "1  2", "60 -1", "60 1x", "60 2147483647", "nan", "1e1 33.3333333333", "{title}", "{title} {listen-addr} {server-mode} {port}", "{nosuch}", "{title", "a-b.c", "a_b"]


def parameters(ours, theirs):
    ((_, a, b),) = both(ours, theirs, [("CONFIG", "GET", "*")])
    return [dict((k[1].decode(), v[1].decode()) for k, v in compare.pairs(reply)) for reply in (a, b)]


@scenario("CONFIG GET *: the same parameters with the same values")
def _(ours, theirs):
    mine, its = parameters(ours, theirs)
    wrong = [f"{name}: only one has it" for name in sorted(set(mine) ^ set(its) - OWN) if name not in OWN]
    wrong += [f"{name}: {mine[name]!r}, the reference has {its[name]!r}"
              for name in sorted(set(mine) & set(its) - set(DIFFERENT)) if mine[name] != its[name]]
    return "; ".join(wrong) or None


@scenario("CONFIG SET of every parameter: what is taken, what it is then, what is refused and how", "--enable-protected-configs", "yes")
def _(ours, theirs):
    mine, its = parameters(ours, theirs)
    wrong, tried = [], 0
    with Connection(ours.path) as a, Connection(theirs.path) as b:
        for name in sorted(set(mine) & set(its) - NOT_TRIED):
            if name.startswith(NOT_TRIED_PREFIX) and name not in REFUSED:
                continue
            for value in VALUES:
                if name in REFUSED and (REFUSED[name] is None or value in REFUSED[name]):
                    continue
                if name == "requirepass" and value:
                    continue
                tried += 1
                words = [("CONFIG", "SET", name, value), ("CONFIG", "GET", name)][:1 if name in DIFFERENT else 2]
                for w in words:
                    x, y = a.ask(*w), b.ask(*w)
                    if x != y:
                        wrong.append(f"{' '.join(map(repr, w))}: {show(x, 200)}, the reference: {show(y, 200)}")
            for c, values in ((a, mine), (b, its)):
                c.ask("CONFIG", "SET", name, values[name])
    if tried < 5000:
        wrong.append(f"only {tried} were tried")
    return f"{len(wrong)} of {tried} differ: " + "\n# ".join(wrong[:40]) if wrong else None


@scenario("CONFIG SET of several: names first, then values; all or none", "--enable-protected-configs", "no")
def _(ours, theirs):
    texts = ["timeout", "timeout 1 nosuch", "timeout 1 timeout 2", "timeout 1 TIMEOUT 2", "nosuch 1 timeout x", "timeout x nosuch 1",
             "daemonize 1 nosuch 1", "nosuch 1 daemonize 1", "timeout 1 daemonize yes timeout 2", "timeout 1 timeout 2 daemonize yes",
             "slave-priority 5 replica-priority 6", "replica-priority 7 slave-priority 8", "hz 50 timeout x", "dir / timeout 1", "timeout 1 dir /",
             "dbfilename x.rdb", "replicaof no one", "key-load-delay 5", "KEY-LOAD-DELAY 0", "lua-enable-deprecated-api yes",
             "watchdog-period 1", "watchdog-period 0", "use-exit-on-panic yes", "loading-process-events-interval-bytes 1"]
    names = "timeout hz replica-priority dir dbfilename key-load-delay lua-enable-deprecated-api watchdog-period use-exit-on-panic".split()
    for server in (ours, theirs):
        with Connection(server.path) as c:
            c.ask("CONFIG", "SET", "timeout", "0")
    for text in texts:
        for words, x, y in both(ours, theirs, [("CONFIG", "SET", *text.split())] + [("CONFIG", "GET", n) for n in names if n != "dir"]):
            if x != y:
                return f"{text}: {words}: {show(x, 200)}, the reference: {show(y, 200)}"
    for server in (ours, theirs):
        with Connection(server.path) as c:
            c.ask("CONFIG", "SET", "timeout", "0")
    return None


@scenario("CONFIG GET: several patterns, names as they were asked for, hidden parameters")
def _(ours, theirs):
    for text in ("timeout TIMEOUT time*", "slave-read*", "Slave-Priority replica-priority", "key-load*", "Key-Load-Delay", "* port", "[t]imeout",
                 "nosuch", "????", "max*y", "*-listpack-*", "watchdog-period", "lua-*", "timeou\\t"):
        ((words, x, y),) = both(ours, theirs, [("CONFIG", "GET", *text.split())])
        a, b = ({k: v for k, v in compare.pairs(reply) if k[1].decode().lower() not in OWN and k[1].decode() not in DIFFERENT}
                if reply[0] in "*%" else reply for reply in (x, y))
        if a != b:
            return f"{text}: {show(x, 400)}, the reference: {show(y, 400)}"
    return None


# ---- CONFIG REWRITE ----

FILES = {
    "an empty file": "",
    "no newline at the end": "timeout 5",
    "comments, order, empty lines": "# one\n\n\ntimeout   5\n   # two\n\tmaxmemory 100mb\n\n\n\n# three\nhz 50\n",
    "the same parameter twice": "timeout 5\n# between\ntimeout 9\nTIMEOUT 7\n",
    "other names": "slave-priority 7\nhash-max-ziplist-entries 9\nlua-time-limit 100\nslaveof no one\n",
    "other directives": 'rename-command FLUSHALL ""\nrename-command FLUSHDB fdb\nlist-max-ziplist-value 64\ninclude /dev/null\n',
    "output buffers": "client-output-buffer-limit replica 1mb 2mb 3\nclient-output-buffer-limit normal 1 1024 3\n",
    "texts": 'logfile ""\nmasterauth "a \\"b\\x01"\nproc-title-template "{title} x"\nnotify-keyspace-events ""\nbind-source-addr ""\nmasteruser ""\n',
    "defaults": "timeout 0\nmaxmemory 0\nbind * -::*\noom-score-adj-values 0 200 800\nnotify-keyspace-events \"\"\nhz 10\nappendonly no\n",
    "rewritten before": "timeout 5\n# Generated by CONFIG REWRITE\nhz 20\nmaxmemory 2kb\n\n",
    "quotes": "timeout '5'\nloglevel \"notice\"\nshutdown-on-sigterm nosave now\nlatency-tracking-info-percentiles 50 99\n",
}
CHANGES = [
    [],
    ["timeout", "0", "maxmemory", "0", "hz", "10", "replica-priority", "100", "loglevel", "notice"],
    ["timeout", "77", "maxmemory", "1025", "hz", "30", "notify-keyspace-events", "KEA", "latency-tracking-info-percentiles", "50 99.123",
     "shutdown-on-sigterm", "now force", "loglevel", "warning", "list-max-listpack-size", "10",
     "client-output-buffer-limit", "pubsub 1mb 1kb 5 normal 0 0 1", "proto-max-bulk-len", "100mb", "appendfsync", "no", "key-load-delay", "5",
     "masterauth", "x y", "ignore-warnings", "a b", "cluster-announce-hostname", "abc", "proc-title-template", "{title}  \"q\"",
     "repl-backlog-size", "2mb", "slowlog-log-slower-than", "-1", "hash-max-ziplist-value", "65", "auto-aof-rewrite-min-size", "1000",
     "stream-node-max-bytes", "1025kb", "sanitize-dump-payload", "clients", "activerehashing", "no", "tracking-table-max-keys", "5"],
    ["client-output-buffer-limit", "replica 256mb 64mb 60", "masterauth", "", "proc-title-template", "{title} {listen-addr} {server-mode}",
     "bind", "127.0.0.1", "shutdown-on-sigterm", "default", "latency-tracking-info-percentiles", ""],
]


def rewritten(binary, text, change, times=2):
    """The lines of the file before the signature, and those after it, sorted: the reference writes them in the order of its hash."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-config.") as folder:
        path = folder + "/server.conf"
        with open(path, "w") as f:
            f.write(text)
        with FromFile(binary, path) as server:
            with Connection(server.path) as c:
                replies = [c.ask("CONFIG", "SET", *change)] if change else []
                replies += [c.ask("CONFIG", "REWRITE") for _ in range(times)]
            own = (server.dir.name, str(server.port))
        with open(path) as f:
            lines = f.read()
    for i, name in enumerate(own):
        lines = lines.replace(name, "@" + str(i))
    lines = [line for line in lines.split("\n") if not re.match(r"user default|maxclients|shm-dir", line)]
    at = next((i for i, line in enumerate(lines) if line.startswith("# Generated")), len(lines))
    return replies, lines[:at + 1], sorted(filter(None, lines[at + 1:]))


class FromFile(Server):
    """A server with a configuration file."""

    def __init__(self, binary, path):
        super().__init__(binary)
        self.file = path

    def launch(self):
        with open(self.dir.name + "/log", "w") as log:
            self.process = subprocess.Popen(
                [self.binary, self.file, "--port", str(self.port), "--dir", self.dir.name, "--unixsocket", self.path, *self.options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@scenario("CONFIG REWRITE makes the same files")
def _(ours, theirs):
    for name, text in FILES.items():
        for change in CHANGES:
            a, b = (rewritten(server.binary, text, change) for server in (ours, theirs))
            if a != b:
                return f"{name}, CONFIG SET {change}: {a}\nthe reference: {b}"
    return None


# ---- the command line, and mistakes in a file ----

OPTIONS = ["--nosuch x", "--port=1", "--port", "--port --nosuch x", "--save --dir /x/y", "--loglevel verbose notice", "--nosuch", "--dir /nonexist",
           "--requirepass --x --nosuch x", "--oom-score-adj-values 1 2", "--replicaof a", "--replicaof a x", "--rename-command GET",
           "--rename-command NOSUCH x", "--rename-command GET x --rename-command SET x", "--rename-command GET SET",
           "--bind 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8", "--dbfilename a/b", "--include", "--io-threads 200", "--unixsocketperm 999", "--port 1 2",
           "--foo.bar", "--client-output-buffer-limit a", "--shutdown-on-sigterm", "--shutdown-on-sigterm save nosave", "--user", "--loadmodule",
           "--maxmemory 1tb", "--notify-keyspace-events q", "--supervised", "--cluster-announce-hostname a_b", "--hz -1", "--appenddirname a/b",
           "--list-max-ziplist-value", "--lua-replicate-commands", "--proc-title-template {x}", "--unixsocketperm 1777", "--syslog-facility x"]
LINES = ["port 'a", 'dir "/tmp', "foo.bar", "sentinel x", "include a b", "rename-command a", "port 1 2 # c", 'syslog-ident "" ""', "PORT x",
         "masterauth", 'latency-tracking-info-percentiles 101', "socket-mark-id -1", "save a", 'client-output-buffer-limit x 1 2 3',
         "user", "loadmodule", "slaveof a", "replicaof x 99999", "notify-keyspace-events", "oom-score-adj-values 1 2 x"]


def last_words(binary, arguments):
    with tempfile.TemporaryDirectory(prefix="bulkhead-config.") as folder:
        p = subprocess.run([binary, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, cwd=folder)
    return p.returncode, (p.stdout + p.stderr).rstrip("\n").split("\n")[-2:]


@scenario("mistakes on the command line and in a file are reported in the same words")
def _(ours, theirs):
    with tempfile.TemporaryDirectory(prefix="bulkhead-config.") as folder:
        cases = [text.split() for text in OPTIONS]
        for i, line in enumerate(LINES):
            path = f"{folder}/{i}.conf"
            with open(path, "w") as f:
                f.write(f"# one\n{line}\n")
            cases.append([path])
        for arguments in cases:
            a, b = (last_words(server.binary, arguments) for server in (ours, theirs))
            # A line that holds a secret is not shown.
            if arguments and os.path.exists(arguments[0]) and "masterauth" in open(arguments[0]).read():
                a, b = ((x[0], x[1][-1:]) for x in (a, b))
            if a != b:
                return f"{arguments} {open(arguments[0]).read() if arguments[0].startswith('/') else ''}: {a}, the reference: {b}"
    return None
