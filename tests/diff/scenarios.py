# SPDX-License-Identifier: BSD-2-Clause
"""Fixed conversations with the server under test and the reference: what random commands reach too seldom.

A scenario is a function that gets a pair of servers and returns None or what is wrong, or a row of the table WIRE: the raw
bytes that are sent over a fresh connection (in several pieces with a pause, where they come in a list); all bytes that come back
until the connection ends must be equal.
"""
import concurrent.futures
import re
import shlex
import time

import compare
import fixed
from resp import Closed, Connection, encode, exchange, show
from servers import Server

SCENARIOS = []
ONE_MEGABYTE = b"m" * (1 << 20)


def scenario(name, *options):
    def register(function):
        SCENARIOS.append((name, options, function))
        return function
    return register


def talk(server, pieces):
    """Sends the pieces, ends the sending side, and returns all that comes back. Reads while it sends."""
    with Connection(server.port) as c:
        reader = concurrent.futures.ThreadPoolExecutor(1)
        reply = reader.submit(c.rest)
        try:
            for i, piece in enumerate(pieces):
                if i:
                    time.sleep(0.02)
                c.send(piece)
            # Redis drops replies that are still queued when it sees the end; QUIT has it send them first.
            if not pieces or not pieces[-1].endswith(b"QUIT\r\n"):
                c.socket.shutdown(1)
        except OSError:
            pass
        return reply.result()


def neutral(reply):
    """Without what differs between two servers by nature: the fields of HELLO that name the server and the connection."""
    reply = re.sub(rb"(\$2\r\nid\r\n):\d+", rb"\1:N", reply)
    return re.sub(rb"(\$(?:6\r\nserver|7\r\nversion)\r\n)\$\d+\r\n[^\r]*", rb"\1TEXT", reply)


def words(*texts):
    """Each text as one command, its words separated by blanks."""
    return b"".join(encode(text.encode().split(b" ")) for text in texts)


def wire(name, *pieces, options=()):
    def function(ours, theirs):
        a, b = (neutral(talk(server, pieces)) for server in (ours, theirs))
        if a == b:
            return None
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        start = max(0, at - 60)
        return f"ours: {a[start:at + 200]!r} reference: {b[start:at + 200]!r} (they differ at byte {at} of {len(a)} and {len(b)})"
    SCENARIOS.append(("wire " + name, tuple(options), function))


# Protocol errors.
wire("nothing")
wire("an empty line", b"\r\nPING\r\n")
wire("many empty lines", b"\r\n" * 1000 + b"PING\r\n")
wire("lines that end in LF alone", b"PING\nPING\n")
wire("a multibulk of 0 and of -1", b"*0\r\n*-1\r\nPING\r\n")
wire("a multibulk of -10", b"*-10\r\nPING\r\n")
wire("a multibulk length that is no number", b"*abc\r\nPING\r\n")
wire("an empty multibulk length", b"*\r\nPING\r\n")
wire("a multibulk length with a blank", b"* 1\r\n$4\r\nPING\r\n")
wire("a multibulk length with a plus", b"*+1\r\n$4\r\nPING\r\n")
wire("a multibulk length with leading zeros", b"*01\r\n$4\r\nPING\r\n")
wire("a multibulk length just too large", b"*2147483648\r\n")
wire("a multibulk length of 1024 * 1024 + 1", b"*1048577\r\n$1\r\nx\r\n")
wire("a multibulk length far too large", b"*99999999999999999999\r\n")
wire("a multibulk line that does not end", b"*" + b"1" * 70000)
wire("a multibulk line that does not end, in pieces", b"*" + b"1" * 40000, b"1" * 40000)
wire("no dollar", b"*1\r\nPING\r\n")
wire("no dollar, a line feed", b"*1\r\n\nPING\r\n")
wire("no dollar, not printable", b"*1\r\n\x01PING\r\n")
wire("no dollar at the second argument", b"*2\r\n$3\r\nGET\r\n:1\r\n")
wire("a bulk length that is no number", b"*1\r\n$abc\r\n")
wire("an empty bulk length", b"*1\r\n$\r\n")
wire("a negative bulk length", b"*1\r\n$-1\r\n")
wire("a bulk length of -5 after a good command", b"*1\r\n$4\r\nPING\r\n*1\r\n$-5\r\n")
wire("a bulk length over 512 MB", b"*2\r\n$3\r\nGET\r\n$536870913\r\n")
wire("a bulk length far too large", b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n")
wire("a bulk line that does not end", b"*1\r\n$" + b"1" * 70000)
wire("commands behind a protocol error", b"PING\r\n*1\r\n$x\r\nPING\r\nPING\r\n")
wire("a bulk string that ends with other bytes", b"*1\r\n$4\r\nPINGxxPING\r\n")
wire("a command cut off", b"*2\r\n$3\r\nGET\r\n$10\r\nab")
wire("a header cut off", b"*2\r\n$3\r\nGET\r\n$1")
wire("an inline command cut off", b"PING")
wire("an empty command name", b"*1\r\n$0\r\n\r\n")
wire("an empty command name with arguments", b"*3\r\n$0\r\n\r\n$1\r\na\r\n$0\r\n\r\n")
wire("an unknown command with long arguments", encode([b"x" * 300, b"y" * 300, b"z"]))
wire("an unknown command with many arguments", encode([b"nosuch"] + [b"arg"] * 100))
wire("an unknown command with line ends", encode([b"no\r\nsuch", b"a\r\nb", b"\x00"]))

# Inline commands.
for line in [
        b"  PING  ", b"\tPING\t", b'SET k "a b"', b"SET k 'a b'", b"GET k", b'ECHO "\\x41\\x42\\n\\r\\t\\a\\b\\"\\\\"',
        b"ECHO 'it\\'s'", b'ECHO "\\xzz"', b'ECHO "\\x4"', b'ECHO ""', b"ECHO ''", b'ECHO "a"b', b"ECHO 'a'b", b'ECHO "unbalanced',
        b"ECHO 'unbalanced", b'ECHO a"b"', b"ECHO a'b'", b'ECHO "a\\', b"ECHO \\x41", b"ECHO 'a\\x41'", b'ECHO "a\'b"',
        b"ECHO 'a\"b'", b"ECHO \xff", b"echo hello", b"ECHO", b'""', b'"" a', b"GET k k", b"ECHO \x0b\x0c", b'"PING"', b"PI'NG'",
        b"EC\"HO\" x", b'ECHO "\\q"', b"ECHO '\\\\'"]:
    wire(f"inline {line!r}"[:60], line + b"\r\nPING\r\n")
wire("an inline command of 60 KB", b"ECHO " + b"x" * 60000 + b"\r\n")
wire("an inline command over 64 KB", b"ECHO " + b"x" * 70000 + b"\r\n")
wire("inline and RESP mixed", b"PING\r\n" + encode([b"PING", b"a"]) + b"PING b\n" + encode([b"ECHO", b"c"]))
wire("POST", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n")
wire("Host:", b"Host: localhost\r\nPING\r\n")
wire("post in lower case", b"post / HTTP/1.1\r\n\r\n")

# Pieces.
wire("a command byte by byte", *[bytes([c]) for c in encode([b"SET", b"key", b"\r\n\r\n"])])
wire("a pipeline cut inside a header", b"*2\r\n$4\r\nECHO\r\n$", b"3\r\nabc\r\n*1\r\n$4\r\nPI", b"NG\r\n")
wire("a pipeline cut between CR and LF", b"*1\r", b"\n$4\r", b"\nPING\r", b"\nPING\r", b"\n")
wire("10,000 commands at once", b"".join(encode([b"INCR", b"n"]) + encode([b"ECHO", b"%d" % i]) for i in range(5000)))
wire("a value of 1 MB", encode([b"SET", b"big", ONE_MEGABYTE]) + words("STRLEN big", "GET big") + b"QUIT\r\n")
wire("20 values of 1 MB", b"".join(encode([b"ECHO", ONE_MEGABYTE]) for _ in range(20)) + b"QUIT\r\n")
wire("a value of 40 MB", encode([b"SET", b"big", ONE_MEGABYTE * 40]) + words("STRLEN big", "DEL big"))
wire("100,000 arguments", encode([b"MGET"] + [b"k"] * 100000) + b"QUIT\r\n")
wire("QUIT", b"PING\r\nQUIT\r\nPING\r\n")
wire("QUIT with arguments", encode([b"QUIT", b"now"]) + encode([b"PING"]))

# HELLO: all of its reply that is not the server's own.
for text in ("HELLO", "HELLO 2", "HELLO 3", "HELLO 1", "HELLO 4", "HELLO x", "HELLO 3 SETNAME me", "HELLO 3 SETNAME", "HELLO ",
             "HELLO 3 SETNAME \x7f", "HELLO 3 AUTH default x", "HELLO 3 AUTH x", "HELLO 3 AUTH nobody x", "HELLO 3 BOGUS",
             "HELLO 3 AUTH default x SETNAME me", "HELLO AUTH default x", "HELLO 3 setname me auth default x"):
    wire(repr(text), words(text, "CLIENT GETNAME", "GET nothing"))
wire("RESP3 and back", words("HELLO 3", "GET x", "HELLO", "HELLO 2", "GET x", "MGET x"))
wire("a null and an empty array in RESP3",
     words("HELLO 3", "GET x", "RANDOMKEY", "KEYS nosuch*", "CONFIG GET nosuch*", "GETEX x", "SET x 1 GET"))

# Access clocks: with lfu-log-factor 0 each use counts, with lfu-decay-time 0 none is forgotten.
wire("uses are counted under LFU",
     words("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0 lfu-decay-time 0", "SET a v", "OBJECT FREQ a", "GET a", "SET a 20000", "INCR a",
           "APPEND a 34", "SETRANGE a 1 x", "SETBIT a 3 1", "OBJECT FREQ a", "OBJECT IDLETIME a", "STRLEN a", "TYPE a", "EXISTS a", "TTL a", "EXPIRE a 100",
           "OBJECT FREQ a", "PERSIST a", "GETEX a EX 10", "GETRANGE a 0 1", "TOUCH a", "OBJECT FREQ a", "RENAME a b", "OBJECT FREQ b", "COPY b c", "OBJECT FREQ b",
           "OBJECT FREQ c", "MOVE b 1", "SELECT 1", "OBJECT FREQ b", "MSET b x c y", "MSET b x c y", "MGET b c", "OBJECT FREQ b", "OBJECT FREQ c", "GETSET b z", "SETNX b y",
           "OBJECT FREQ b", "SET b w KEEPTTL", "SET b x GET", "SET b y XX", "OBJECT FREQ b", "BITOP NOT b c", "OBJECT FREQ b", "OBJECT FREQ c", "OBJECT FREQ none", "OBJECT REFCOUNT c",
           "CONFIG SET maxmemory-policy noeviction lfu-log-factor 10 lfu-decay-time 1", "OBJECT FREQ b"))

# Authentication.
SECRET = ("--requirepass", "secret")
for texts in ([], ["AUTH"], ["AUTH wrong"], ["AUTH secret"], ["AUTH default secret"], ["AUTH nobody secret"], ["AUTH default wrong"],
              ["AUTH a b c"], ["AUTH "], ["AUTH secret", "AUTH wrong"], ["HELLO"], ["HELLO 3"], ["HELLO 3 AUTH default secret"],
              ["HELLO 3 AUTH default x"], ["HELLO 2 SETNAME me"], ["HELLO 9"],
              ["HELLO 2 AUTH default secret SETNAME me", "CLIENT GETNAME"], ["NOSUCH"], ["GET"], ["PING x"], ["COMMAND COUNT x"],
              ["QUIT"], ["CLIENT ID", "CLIENT BOGUS"], ["AUTH SECRET"], ["AUTH secret "], ["AUTH secret\x00"], ["AUTH " + "x" * 10000]):
    wire(f"requirepass, {texts!r}"[:60], words(*texts, "SET k v", "GET k", "PING"), options=SECRET)
wire("DEBUG and MODULE refused before a password is asked for",
     words("DEBUG SLEEP 0", "MODULE LOAD x", "MODULE UNLOAD x", "MODULE LIST", "DEBUG", "MODULE LOAD", "AUTH secret", "DEBUG SLEEP 0", "MODULE LIST"),
     options=SECRET + ("--enable-debug-command", "no"))
wire("DEBUG and MODULE from a local connection", words("DEBUG SLEEP 0", "MODULE UNLOAD x", "MODULE LOAD x", "MODULE LOADEX x", "DEBUG BOGUS"),
     options=("--enable-debug-command", "local", "--enable-module-command", "local"))
wire("DEBUG in a password's absence", words("DEBUG SLEEP 0", "MODULE UNLOAD x", "MODULE LIST"), options=SECRET + ("--enable-module-command", "yes"))
wire("requirepass, inline AUTH", b"AUTH wrong\r\nGET k\r\nAUTH secret\r\nGET k\r\n", options=SECRET)
wire("requirepass, 10 arguments", encode([b"PING"] * 10), options=SECRET)
wire("requirepass, 11 arguments", encode([b"PING"] * 11), options=SECRET)
wire("requirepass, a bulk of 16384 bytes", encode([b"AUTH", b"x" * 16384]), options=SECRET)
wire("requirepass, a bulk of 16385 bytes", encode([b"AUTH", b"x" * 16385]), options=SECRET)
wire("requirepass, 11 arguments after AUTH", encode([b"AUTH", b"secret"]) + encode([b"DEL"] + [b"k"] * 20) +
     encode([b"ECHO", b"x" * 20000]), options=SECRET)
wire("requirepass, a long inline line", b"PING " + b"x" * 20000 + b"\r\n", options=SECRET)


# CLIENT REPLY. The last command is a QUIT that is heard: Redis lets the connection of any other stand.
wire("no replies at all", words("CLIENT REPLY OFF", "PING", "FOO", "GET", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON", "QUIT"))
wire("one reply less", words("CLIENT REPLY SKIP", "PING", "PING", "QUIT"))
wire("SKIP and SKIP again", words("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING", "QUIT"))
wire("an error is skipped", words("CLIENT REPLY SKIP", "FOO", "PING", "CLIENT REPLY SKIP", "GET", "CLIENT REPLY SKIP", "CLIENT REPLY x", "QUIT"))
wire("SKIP, then OFF", words("CLIENT REPLY SKIP", "CLIENT REPLY OFF", "PING", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON", "QUIT"))
wire("SKIP, then ON", words("CLIENT REPLY SKIP", "CLIENT REPLY ON", "QUIT"))
wire("RESET is heard after OFF", words("CLIENT REPLY OFF", "RESET", "QUIT"))
wire("RESET is not heard after SKIP", words("CLIENT REPLY SKIP", "RESET", "PING", "QUIT"))
wire("SKIP in inline commands", b"CLIENT REPLY SKIP\r\nHELLO 3\r\nPING\r\n\r\nCLIENT TRACKINGINFO\r\nRESET\r\nCLIENT TRACKINGINFO\r\nQUIT\r\n")
wire("RESET where a password is needed", words("PING", "RESET", "AUTH secret", "PING", "HELLO 3", "RESET", "PING", "HELLO", "CLIENT REPLY OFF",
                                               "HELLO 3 AUTH default secret SETNAME me", "CLIENT GETNAME", "QUIT"), options=SECRET)


def both(ours, theirs, commands):
    """The replies of both servers to the same commands."""
    with Connection(ours.path) as a, Connection(theirs.path) as b:
        return [(words, a.ask(*words), b.ask(*words)) for words in commands]


def all_equal(ours, theirs, commands, how=compare.exact):
    for words, a, b in both(ours, theirs, commands):
        if wrong := how(words, a, b, None):
            return f"{words}: {wrong}: ours: {show(a, 600)} reference: {show(b, 600)}"
    return None


@scenario("absolute due times are kept exactly")
def _(ours, theirs):
    commands = ["FLUSHALL"]
    for when in (4102444800, 9999999999, 4102444800123, 1 << 40):
        commands += [f"SET k v EXAT {when}", "PEXPIRETIME k", "EXPIRETIME k", f"SET k v PXAT {when}", "EXISTS k", "PEXPIRETIME k",
                     f"EXPIREAT k {when}", "PEXPIRETIME k", "COPY k c REPLACE", "PEXPIRETIME c", "RENAME c r", "PEXPIRETIME r",
                     f"GETEX r PXAT {when + 5}", "EXPIRETIME r", "SET r w KEEPTTL", "PEXPIRETIME r", "APPEND r x", "PEXPIRETIME r",
                     "PERSIST r", "PEXPIRETIME r", "TTL r", "SET n 1 PXAT 4102444800777", "INCR n", "PEXPIRETIME n",
                     "INCRBYFLOAT n 0.5", "PEXPIRETIME n", "GETDEL n", "PEXPIRETIME n", "MSET r 1", "PEXPIRETIME r",
                     "PEXPIREAT r 4102444800999 NX", "PEXPIREAT r 4102444800998 GT", "PEXPIREAT r 4102444800998 LT",
                     "PEXPIREAT r 4102444801500 XX", "EXPIRETIME r", "SWAPDB 0 1", "SELECT 1", "EXPIRETIME r", "SELECT 0", "FLUSHALL"]
    commands = [text.split() for text in commands]
    return all_equal(ours, theirs, commands)


@scenario("a due key is gone for every command")
def _(ours, theirs):
    commands = ["GET k", "EXISTS k", "TYPE k", "TTL k", "STRLEN k", "GETDEL k", "GETEX k PERSIST", "PERSIST k", "KEYS *", "RANDOMKEY",
                "RENAME k z", "COPY k z", "EXPIRE k 100", "DEL k", "UNLINK k", "MGET k", "SCAN 0", "SET k w XX", "SET k w NX",
                "SET k w GET", "SET k w KEEPTTL", "INCR k", "APPEND k x", "MSETNX k x", "INCRBYFLOAT k 1", "DECRBY k 2", "RENAMENX k z"]
    for last in commands:
        wrong = all_equal(ours, theirs, [("FLUSHALL",), ("SET", "k", "5", "PX", 2)])
        time.sleep(0.006)
        if wrong := wrong or all_equal(ours, theirs, [last.split(), ("TTL", "k"), ("GET", "k"), ("KEYS", "*")]):
            return wrong
    return None


@scenario("long floats")
def _(ours, theirs):
    commands = [("FLUSHALL",)]
    starts = "0 1 3.0e3 0.1 1e17 -1e-10 12345678901234567890 1e300 1e308 1e4000 0.30000000000000004 3.141592653589793238"
    steps = "1 0.1 -0.1 1e-17 1e17 1e300 1e4900 -5e-324 2.5 0 -0.0 1e-5 100000000000000000000 0x10"
    for start in starts.split():
        for step in steps.split():
            commands += [("SET", "f", start), ("INCRBYFLOAT", "f", step), ("INCRBYFLOAT", "f", step), ("GET", "f")]
    return all_equal(ours, theirs, commands)


@scenario("strings at the limit of proto-max-bulk-len", "--proto-max-bulk-len", "1mb")
def _(ours, theirs):
    top = 1 << 20
    commands = []
    for offset in (top - 2, top - 1, top, top + 1, 1 << 31, 1 << 32, (1 << 63) - 1):
        for size in (0, 1, 2):
            commands += [("DEL", "k"), ("SETRANGE", "k", offset, b"x" * size), ("STRLEN", "k"), ("SETRANGE", "k", offset, b"x" * size),
                         ("GETRANGE", "k", -3, -1)]
    for offset in (8 * top - 9, 8 * top - 8, 8 * top - 1, 8 * top, 8 * top + 1):
        commands += [("DEL", "k"), ("SETBIT", "k", offset, 1), ("GETBIT", "k", offset), ("STRLEN", "k"), ("BITCOUNT", "k", -1, -1)]
        for width in ("u1", "u7", "u8", "u9", "i64"):
            commands += [("DEL", "k"), ("BITFIELD", "k", "SET", width, offset, 1), ("STRLEN", "k"), ("BITFIELD_RO", "k", "GET", width, offset),
                         ("BITFIELD", "k", "GET", width, "#131072"), ("BITFIELD", "k", "GET", width, "#1048576"), ("BITPOS", "k", 1)]
    commands += [("SET", "k", b"x" * top), ("APPEND", "k", "x"), ("APPEND", "k", ""), ("BITOP", "NOT", "n", "k"), ("BITCOUNT", "n"),
                 ("BITOP", "XOR", "k", "k", "n", "nosuch"), ("BITPOS", "k", 0), ("BITPOS", "k", 0, 0, -1), ("BITPOS", "k", 1, -1, -1, "BIT")]
    for a, b in ((511, 511), (511, 512), (512, 511), (1, 131071), (0, 262143), (0, 262144), (1, 262143)):
        commands += [("SET", "a", b"ab" * a), ("SETRANGE", "a", a - 1 if a else 0, b"x" if a else b""), ("SET", "a", b"a" * a),
                     ("SET", "b", b"a" * b), ("LCS", "a", "b", "LEN"), ("LCS", "b", "a", "IDX", "WITHMATCHLEN")]
    return all_equal(ours, theirs, commands)


@scenario("BITFIELD at the limits of every width")
def _(ours, theirs):
    commands = []
    edges = sorted({s * (1 << p) + d for p in (0, 1, 4, 7, 8, 15, 31, 32, 62) for s in (-1, 1) for d in (-1, 0, 1)} |
                   {(1 << 63) - 1, -(1 << 63), 1 - (1 << 63), 0})
    for width in ("u1", "i1", "u2", "i2", "u5", "i5", "u8", "i8", "i9", "u16", "i31", "u32", "i32", "u33", "i62", "u63", "i63", "i64"):
        for overflow in ("WRAP", "SAT", "FAIL"):
            for start in (0, -1, 1, (1 << 62), -(1 << 62)):
                words = ["BITFIELD", "k", "SET", width, 3, start]
                for edge in edges:
                    words += ["OVERFLOW", overflow, "SET", width, 3, start, "INCRBY", width, 3, edge, "SET", width, 67, edge,
                              "GET", width, 67]
                commands.append(words)
        commands += [("GET", "k"), ("DEL", "k")]
    return all_equal(ours, theirs, commands)


@scenario("BITCOUNT and BITPOS of every short range")
def _(ours, theirs):
    commands = []
    for value in (b"", b"\x00", b"\xff", b"\x00\xff\x00", b"\xff\x00\xff", b"\x10\x00\x08", b"\xef\xff\xf7", b"\x00" * 9, b"\xff" * 9,
                  b"\xff" * 70 + b"\xfe" + b"\xff" * 70, b"\x00" * 70 + b"\x01" + b"\x00" * 70):
        commands.append(("SET", "k", value))
        far = (0, 1, 7, 8, 9, 559, 560, 567, 568, 1127, 1128) if len(value) > 9 else (7, 8)
        for unit in ((), ("BYTE",), ("BIT",)):
            for start in (*range(-10, 27, 2), *far):
                for end in (*range(-9, 27, 5), *far):
                    commands.append(("BITCOUNT", "k", start, end, *unit))
                    commands += [("BITPOS", "k", bit, start, end, *unit) for bit in (0, 1)]
        commands += [("BITPOS", "k", bit, start) for bit in (0, 1) for start in range(-10, 27)]
        commands += [("BITCOUNT", "k"), ("BITPOS", "k", 0), ("BITPOS", "k", 1)]
    return all_equal(ours, theirs, commands)


@scenario("how strings are kept, whatever was done to them")
def _(ours, theirs):
    commands = []
    for start in (b"", b"5", b"9999", b"10000", b"-1", b"text", b"x" * 44, b"x" * 45, b"12345678901234567890", b"9223372036854775807", b"007"):
        for change in ("APPEND k 1", "APPEND k", "SETRANGE k 0 1", "SETRANGE k 3", "SETBIT k 6 1", "SETBIT k 6 0", "SETBIT k 100 0",
                       "INCR k", "INCRBYFLOAT k 1", "BITFIELD k SET u8 0 49", "BITFIELD k GET u8 0", "BITFIELD k OVERFLOW FAIL SET u2 0 9",
                       "BITOP OR k k k", "BITOP NOT k k", "GETSET k 5", "SETNX k 5", "SETEX k 100 5", "COPY k c REPLACE", "RENAME k c",
                       "MOVE k 3", "GETEX k PERSIST", "EXPIRE k 100", "TOUCH k", "GETRANGE k 0 -1", "SETRANGE k 60 x"):
            words = change.split(" ")
            words += [""] * (3 - len(words)) if words[0] == "APPEND" else [""] if change == "SETRANGE k 3" else []
            commands += [("FLUSHALL",), ("SET", "k", start), words, ("OBJECT", "ENCODING", "k"), ("OBJECT", "ENCODING", "c"),
                         ("GET", "k"), ("STRLEN", "k")]
    return all_equal(ours, theirs, commands)


@scenario("scan sees all keys while the keyspace grows and shrinks")
def _(ours, theirs):
    with Connection(ours.path) as c:
        c.ask("FLUSHALL")
        for first in range(0, 20000, 1000):
            c.ask("MSET", *[w for i in range(first, first + 1000) for w in (f"keep:{i}", i)])
        found, cursor, step = set(), b"0", 0
        while True:
            reply = c.ask("SCAN", cursor, "COUNT", 50)
            cursor = reply[1][0][1]
            found.update(k for _, k in reply[1][1][1])
            step += 1
            words = [w for i in range(200) for w in (f"extra:{step}:{i}", i)]
            c.ask("MSET", *words) if step < 150 else c.ask("DEL", *[f"extra:{step - 150}:{i}" for i in range(200)])
            if cursor == b"0" or step > 20000:
                break
        missing = {b"keep:%d" % i for i in range(20000)} - found
        c.ask("FLUSHALL")
        return f"{len(missing)} keys that were there throughout were not returned" if missing else None


# INFO: the fields that we have beyond Redis's, by section. A section has Redis's in Redis's order, then these.
OURS = {
    "Server": ["bulkhead_version"],
    "Memory": ["used_memory_store", "used_memory_processes"],
    "Stats": ["read_retries", "lock_waits", "rollbacks", "pinned_reads", "store_growths", "evictions_by_clients"],
}


def info(server, *sections):
    with Connection(server.path) as c:
        c.ask("SET", "k", "v")
        c.ask("SET", "e", "v", "EX", "1000")
        reply = c.ask("INFO", *sections)
    text = reply[1].decode()
    found, section = {}, None
    for line in text.split("\r\n"):
        if line.startswith("# "):
            section = line[2:]
            found[section] = {}
        elif line:
            name, _, value = line.partition(":")
            found[section][name] = value
    return reply[0], found, text


def shape(value):
    return "int" if re.fullmatch(r"-?\d+", value) else "float" if re.fullmatch(r"-?\d+\.\d+", value) else "text"


@scenario("INFO has Redis's sections and fields, in Redis's order")
def _(ours, theirs):
    (kind, mine, text), (other_kind, its, _) = info(ours, "everything"), info(theirs, "everything")
    problems = []
    if kind != other_kind or not text.startswith("# Server\r\n") or not text.endswith("\r\n"):
        problems.append("the form differs")
    own = [] if ours.is_redis else ["Processes"]
    if list(mine) != list(its) + own:
        problems.append(f"the sections are {list(mine)}")
    for section, fields in its.items():
        # What was called in which order is each server's own; the names of what was called are compared elsewhere.
        if section in ("Commandstats", "Latencystats"):
            continue
        expected = list(fields) + ([] if ours.is_redis else OURS.get(section, []))
        if list(mine.get(section, {})) != expected:
            problems.append(f"{section} has {' '.join(mine.get(section, {}))}, expected {' '.join(expected)}")
        problems += [f"{f}:{mine[section][f]} is not as {v}" for f, v in fields.items()
                     if f in mine.get(section, {}) and shape(mine[section][f]) != shape(v) and f != "redis_build_id"]
    keyspace = mine.get("Keyspace", {}).get("db0", "")
    if not re.fullmatch(r"keys=2,expires=1,avg_ttl=\d+", keyspace):
        problems.append(f"db0:{keyspace}")
    return "; ".join(problems) or None


# Commands and what they count as: executed, failed, rejected.
COUNTED = ["SET k v", "GET k", "GET none", "GET", "INCR k", "INCR k", "INCR", "CONFIG GET maxmemory", "CONFIG GET", "CONFIG",
           "CONFIG NOSUCH", "CONFIG SET nosuch x", "CONFIG SET maxmemory abc", "NOSUCH", "NOSUCH a b", "CLIENT SETNAME x", "CLIENT SETNAME",
           "CLIENT NOSUCH", "SELECT 99", "SELECT 0", "EXPIRE k x", "AUTH nobody x", "AUTH x", "HELLO 9", "HELLO 2", "OBJECT", "DEL", "DEL a b c",
           "MEMORY USAGE k", "MEMORY USAGE k x y", "SLOWLOG GET x", "SLOWLOG GET 1 2", "LATENCY GRAPH x", "LATENCY RESET",
           "SET k v XX NX", "SET k v EX 0", "GETEX k EX x", "SETRANGE", "RENAME none other", "COPY k k", "COMMAND INFO x", "COMMAND COUNT x",
           "INFO nosuch", "PING a b", "ECHO", "TIME x", "SWAPDB 0 99", "DEBUG NOSUCH", "DEBUG SLEEP 0"]


@scenario("commandstats and errorstats count alike")
def _(ours, theirs):
    found = []
    for server in (ours, theirs):
        with Connection(server.path) as c:
            known = {name for _, name in c.ask("COMMAND", "LIST")[1]}
            found.append(known)
    shared = {name.decode().lower() for name in found[0] & found[1]}
    commands = [text for text in COUNTED if text.split()[0].lower() in shared | {"nosuch"}]
    for text in commands:
        words = text.lower().split()
        # A subcommand that only one has is an error to the other.
        assert len(words) == 1 or f"{words[0]}|{words[1]}" not in {n.decode() for n in found[0] ^ found[1]}, text
    found = []
    for server in (ours, theirs):
        with Connection(server.path) as c:
            c.ask("FLUSHALL")
            c.ask("CONFIG", "RESETSTAT")
            for text in commands:
                c.ask(*text.split())
            rows = {}
            for line in c.ask("INFO", "commandstats", "errorstats")[1].decode().split("\r\n"):
                if match := re.fullmatch(r"(cmdstat_[^:]*):calls=(\d+),usec=\d+,usec_per_call=\d+\.\d\d,(.*)", line):
                    rows[match[1]] = f"calls={match[2]},{match[3]}"
                elif match := re.fullmatch(r"(errorstat_.*):(.*)", line):
                    rows[match[1]] = match[2]
                elif line and not line.startswith("#"):
                    return f"{server.binary}: {line}"
            found.append(rows)
    mine, its = found
    return "; ".join(f"{name}: {mine.get(name)}, the reference has {its.get(name)}"
                     for name in sorted(set(mine) | set(its)) if mine.get(name) != its.get(name)) or None


@scenario("LATENCY HISTOGRAM and LATENCY GRAPH have the same form")
def _(ours, theirs):
    found = []
    for server in (ours, theirs):
        with Connection(server.path) as c:
            for words in (("CONFIG", "RESETSTAT"), ("CONFIG", "SET", "latency-monitor-threshold", "1"), ("DEBUG", "SLEEP", "0.1"),
                          ("DEBUG", "SLEEP", "1.05"), ("DEBUG", "SLEEP", "0.6")):
                c.ask(*words)
            histogram = c.ask("LATENCY", "HISTOGRAM", "debug", "nosuch", "config|set")
            graph = c.ask("LATENCY", "GRAPH", "command")[1].decode()
            c.ask("LATENCY", "RESET")
            c.ask("CONFIG", "SET", "latency-monitor-threshold", "0")
        lines = graph.split("\n")
        if not re.fullmatch(r"command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)", lines[0]):
            return f"{server.binary}: {lines[0]}"
        if lines[1] != "-" * 80 or any(set(line) - set("_o#| 0123456789smhd") for line in lines[2:]):
            return f"{server.binary}: {graph}"
        # How the samples fall into seconds is chance.
        found.append(([v[1] for v in histogram[1][1][1][3][1]], [k[1] for k in histogram[1][::2]]))
    mine, its = found
    return None if mine == its else f"{mine}, the reference has {its}"


@scenario("INFO of single sections")
def _(ours, theirs):
    for section in ("server", "Clients", "MEMORY", "stats", "keyspace", "cpu", "replication", "nosuch"):
        (_, mine, _), (_, its, _) = info(ours, section), info(theirs, section)
        if list(mine) != list(its):
            return f"INFO {section} has {list(mine)}, the reference's {list(its)}"
    for sections in (("server", "clients"), ("default",), ("all",), ("everything",), ("clients", "nosuch", "memory")):
        (_, mine, _), (_, its, _) = info(ours, *sections), info(theirs, *sections)
        known = [s for s in mine if s in its]
        if known != [s for s in its if s in mine]:
            return f"INFO {' '.join(sections)}: the order of the sections is {list(mine)}, the reference's {list(its)}"
    return None


@scenario("CLIENT LIST and CLIENT INFO have Redis's fields in Redis's order")
def _(ours, theirs):
    for server in (ours, theirs):
        with Connection(server.port) as c:
            c.ask("CLIENT", "SETNAME", "me")
            c.ask("SELECT", "3")
            own, listed = c.ask("CLIENT", "INFO"), c.ask("CLIENT", "LIST")
            by_id = c.ask("CLIENT", "LIST", "ID", c.ask("CLIENT", "ID")[1], 999999)
            fields = [line.split("=")[0] for line in own[1].decode().rstrip("\n").split(" ")]
            if server is ours:
                names = fields
            elif names[:len(fields)] != fields:
                return f"the fields are {names}, the reference's {fields}"
            elif not ours.is_redis and names[len(fields):] != ["lib-name", "lib-ver", "pid"]:
                return f"after Redis's fields come {names[len(fields):]}, not those of 7.2 and pid"
            for text in (listed, by_id):
                line = compare.client_line(next(line for line in text[1].decode().splitlines() if " name=me " in line))
                if (line["db"], line["user"], line["resp"], line["addr"].split(":")[0]) != ("3", "default", "2", "127.0.0.1"):
                    return f"{server.binary}: {line}"
    return None


def per_command(kind, resp, how):
    """COMMAND INFO or COMMAND DOCS of every command that both have."""
    def function(ours, theirs):
        problems = []
        with Connection(ours.path) as a, Connection(theirs.path) as b:
            for c in (a, b):
                c.ask("HELLO", resp)
            names, known = ({name for _, name in c.ask("COMMAND", "LIST")[1]} for c in (a, b))
            for name in sorted(names & known):
                words = ("COMMAND", kind, name)
                if wrong := how(words, a.ask(*words), b.ask(*words)):
                    problems.append(f"{name.decode()}: {wrong}")
        return f"{len(problems)} of {len(names & known)} differ: " + "\n# ".join(problems[:60]) if problems else None
    SCENARIOS.append((f"COMMAND {kind} of every command in RESP{resp}", (), function))


for resp in (2, 3):
    per_command("INFO", resp, compare.command_info)
    per_command("DOCS", resp, compare.command_docs)


@scenario("COMMAND lists what COMMAND LIST, COUNT, INFO and DOCS list")
def _(ours, theirs):
    with Connection(ours.path) as c:
        names = sorted(name for _, name in c.ask("COMMAND", "LIST")[1])
        # LIST alone names subcommands too.
        names = [name for name in names if b"|" not in name]
        if c.ask("COMMAND", "COUNT") != (":", len(names)):
            return "COUNT differs from LIST"
        for words in (("COMMAND",), ("COMMAND", "INFO")):
            if sorted(entry[1][0][1] for entry in c.ask(*words)[1]) != names:
                return f"{' '.join(words)} differs from LIST"
        if sorted(name for _, name in c.ask("COMMAND", "DOCS")[1][::2]) != names:
            return "DOCS differs from LIST"
    return None


@scenario("COMMAND LIST FILTERBY")
def _(ours, theirs):
    ((_, mine, its),) = both(ours, theirs, [("COMMAND", "LIST")])
    known = set(mine[1]) & set(its[1])
    filters = [("PATTERN", p) for p in "* get* *set* nosuch GET [gs]et client* client|*".split()]
    filters += [("ACLCAT", c) for c in "read write string keyspace connection fast slow dangerous admin nosuch blocking".split()]
    for words in filters + [("MODULE", "x")]:
        ((_, a, b),) = both(ours, theirs, [("COMMAND", "LIST", "FILTERBY", *words)])
        if a[0] != b[0] or a[0] == "-" and a != b:
            return f"{words}: {show(a)}, the reference has {show(b)}"
        wrong = (set(a[1]) ^ set(b[1])) & known
        if wrong:
            return f"{words}: {sorted(wrong)}"
    return None


def fixed_replies(group, resp):
    def function(ours, theirs):
        lines = [shlex.split(line) for line in getattr(fixed, group).split("\n") if line]
        wrong = []
        with Connection(ours.path) as a, Connection(theirs.path) as b:
            for c in (a, b):
                c.ask("FLUSHALL")
                c.ask("HELLO", resp)
            for line in lines:
                mine, its = a.ask(*line), b.ask(*line)
                if mine != its:
                    wrong.append(f"{line}: ours: {show(mine, 300)} reference: {show(its, 300)}")
        return "\n# ".join(wrong) or None
    SCENARIOS.append((f"{group.lower()}: replies that are given, in RESP{resp}", (), function))


for group in ("CLIENT", "CLUSTER", "MODULE", "SCRIPTING", "COMMAND", "SERVER", "DEBUG"):
    for resp in (2, 3):
        fixed_replies(group, resp)


def known_commands(ours, theirs):
    """COMMAND INFO by name, of the commands and subcommands that both have."""
    found = []
    for server in (ours, theirs):
        with Connection(server.path) as c:
            names = {name for _, name in c.ask("COMMAND", "LIST")[1]}
            found.append(names)
    with Connection(theirs.path) as c:
        names = sorted(found[0] & found[1])
        return {name.decode(): info[1] for name, info in zip(names, c.ask("COMMAND", "INFO", *names)[1])}


@scenario("DEBUG PROTOCOL: what has several parts")
def _(ours, theirs):
    words_3 = words("HELLO 3", "DEBUG PROTOCOL attrib", "PING", "DEBUG PROTOCOL push", "PING", "QUIT")
    words_2 = words("DEBUG PROTOCOL attrib", "DEBUG PROTOCOL push", "QUIT")
    for sent in (words_2, words_3):
        a, b = (neutral(talk(server, [sent])) for server in (ours, theirs))
        if a != b:
            return f"ours: {a!r} reference: {b!r}"[:1000]
    return None


@scenario("each command with a word too few, and with one too many")
def _(ours, theirs):
    commands = []
    for name, info in known_commands(ours, theirs).items():
        names, arity = name.upper().split("|"), info[1][1]
        if len(names) == 1 and info[9][1]:
            commands.append(names)
        least = abs(arity)
        if least - 1 >= len(names):
            commands.append(names + ["x"] * (least - 1 - len(names)))
        if arity > 0:
            commands.append(names + ["x"] * (arity + 1 - len(names)))
    # COMMAND alone has a reply, not an error.
    return all_equal(ours, theirs, [c for c in commands if c != ["COMMAND"]])


@scenario("each container: a subcommand that is not there, and HELP")
def _(ours, theirs):
    for name, info in known_commands(ours, theirs).items():
        if not info[9][1]:
            continue
        name = name.upper()
        asked = [(name, "BOGUS"), (name, "bogus", "x"), (name, ""), (name, "HELP", "x"), (name, "BOGUS" * 40), (name, "a\nb")]
        if wrong := all_equal(ours, theirs, asked) or all_equal(ours, theirs, [(name, "HELP"), (name, "help")], compare.help):
            return wrong
    return None


def whole_command(resp):
    """COMMAND without arguments: of what both have, the same."""
    def function(ours, theirs):
        tables = []
        for server in (ours, theirs):
            with Connection(server.path) as c:
                c.ask("HELLO", resp)
                tables.append({entry[1][0][1]: entry for entry in c.ask("COMMAND")[1]})
        wrong = [compare.same_tree(tables[0][name], tables[1][name], name.decode()) for name in sorted(set(tables[0]) & set(tables[1]))]
        return "\n# ".join(w for w in wrong if w) or None
    SCENARIOS.append((f"COMMAND as a whole in RESP{resp}", (), function))


whole_command(2)
whole_command(3)


@scenario("LOLWUT draws and names the version")
def _(ours, theirs):
    for words in (["LOLWUT"], ["LOLWUT", "VERSION", "5"], ["lolwut", "version", "6", "20", "2"], ["LOLWUT", "x"], ["LOLWUT", "VERSION", "7", "x"],
                  ["LOLWUT", "VERSION", "5", "-1", "0", "99999"], ["LOLWUT", "VERSION"]):
        for resp, kind, start in ((2, "$", b""), (3, "=", b"txt:")):
            for server in (ours, theirs):
                with Connection(server.path) as c:
                    c.ask("HELLO", resp)
                    reply = c.ask(*words)
                    if reply[0] != kind or not reply[1].startswith(start) or b"Redis ver. 7.0.15" not in reply[1].rsplit(b"\n", 2)[-2]:
                        return f"{words} in RESP{resp}: {show(reply, 300)}"
    return None


@scenario("a pipeline that is not read until its end")
def _(ours, theirs):
    value, results = b"v" * 10000, []
    for server in (ours, theirs):
        with Connection(server.port) as c:
            c.ask("SET", "k", value)
            results.append(exchange([(c, [encode([b"GET", b"k"]) * 2000], 2000)]) == [[("$", value)] * 2000])
    return None if all(results) else f"wrong replies: {results}"


def run(server, reference, word=""):
    """Runs the scenarios whose name contains the word, with a pair of servers for each set of options; returns how many failed."""
    failed = 0
    for options in dict.fromkeys(o for _, o, _ in SCENARIOS):
        chosen = [(name, f) for name, o, f in SCENARIOS if o == options and word in name]
        if not chosen:
            continue
        with Server(server, *options) as ours, Server(reference, *options) as theirs:
            for name, function in chosen:
                if not options:
                    for s in (ours, theirs):
                        with Connection(s.path) as c:
                            c.ask("FLUSHALL")
                try:
                    wrong = function(ours, theirs)
                except (Closed, OSError, ValueError, KeyError, IndexError, TypeError, StopIteration) as e:
                    wrong = f"{type(e).__name__}: {e}"
                failed += bool(wrong)
                print(f"not ok - diff {name}\n# {wrong}" if wrong else f"ok - diff {name}", flush=True)
    return failed
