# SPDX-License-Identifier: BSD-2-Clause
"""What is done to both servers for tests/diff/effects: every command that writes, with every option, where it changes something and where it
does not, and what is logged that nobody asked for.

A case is a list of steps: a command as text (its words separated by one blank) or as a list of words, a number of seconds to wait,
or a function of the pair of connections and the pair of servers. Nothing expires by itself meanwhile, unless a case says so.
"""
import collections
import time

import rdb_samples

Case = collections.namedtuple("Case", "name steps options needs unordered")
CASES = []
FAR, PAST = "4102444800", "1000000000"


def case(name, *steps, options=(), needs=(), unordered=False):
    CASES.append(Case(name, steps, tuple(options), tuple(needs), unordered))


def lines(texts):
    return [line.strip("\n").lstrip() for line in texts.strip().split("\n")]


def due(*names, after=0.02):
    """Keys that are there and due."""
    return [f"SET {name} 5 PX 2" for name in names] + [after]


# ---- each command ----

case("SET", *lines(f"""
SET k v
set k v
SET k v NX
SET k v XX
SET n v XX
SET n v NX
SET k w GET
SET k w NX GET
SET o w NX GET
SET o w XX GET
SET k 1 EX 100
SET k 1 px 100000
SET k 1 EXAT {FAR}
SET k 1 PXAT {FAR}000
SET k 2 KEEPTTL
SET k 3 keepttl get xx
SET k 4 XX EX 100 GET
SET k 4 EX 100 XX
SET k 4 NX EX 100
SET k 5 PXAT 1
SET p 5 PXAT 1
SET q v EXAT 1
SET k v EX 0
SET k v BOGUS
SET k
SET k v EX 100 PX 100
SET k v"""))
case("SETEX, PSETEX, SETNX, GETSET", *lines(f"""
SETEX k 100 v
setex k 0 v
PSETEX k 100000 v
PSETEX k -1 v
SETNX k v
SETNX m v
GETSET k w
GETSET new w
getset k w
GETSET k"""))
case("GETDEL", *lines("""
SET k v
GETDEL k
GETDEL k
getdel nosuch
SETEX k 100 v
GETDEL k"""))
case("GETEX", *lines(f"""
SET k v
GETEX k
GETEX k PERSIST
GETEX k EX 100
getex k px 100000
GETEX k EXAT {FAR}
GETEX k PXAT {FAR}000
GETEX k PERSIST
GETEX k PERSIST
GETEX k EX 0
GETEX k EXAT {PAST}
GETEX k PERSIST
GETEX nosuch EX 100
SET k v
GETEX k PXAT 1"""))
case("MSET, MSETNX", *lines("""
MSET a 1
mset a 1 b 2 a 3
MSETNX a 1 c 2
MSETNX c 1 d 2
MSET a
MSETNX a 1 b"""))
case("counters", *lines("""
INCR n
INCR n
DECR n
INCRBY n 10
DECRBY n 3
INCRBY n 0
DECRBY n 0
incr n
SET t text
INCR t
INCRBY n x
SETEX e 1000 5
INCR e
DECRBY e -5
SET m 9223372036854775807
INCR m"""))
case("INCRBYFLOAT", *lines("""
INCRBYFLOAT f 1.5
INCRBYFLOAT f 0
incrbyfloat f 1e3
INCRBYFLOAT f -0.1
SETEX e 1000 5
INCRBYFLOAT e 0.1
INCRBYFLOAT e 5
SET t x
INCRBYFLOAT t 1
INCRBYFLOAT f nan
INCRBYFLOAT f 3.0e17"""))
case("APPEND, SETRANGE", ["APPEND", "k", "abc"], ["APPEND", "k", ""], ["APPEND", "new", ""], ["append", "k", b"\x00\r\n"], ["SETRANGE", "k", 1, "xyz"],
     ["SETRANGE", "k", 1, "xyz"], ["SETRANGE", "k", 100, ""], ["SETRANGE", "none", 100, ""], ["SETRANGE", "none", 5, "x"], ["SETRANGE", "k", -1, "x"],
     ["SETRANGE", "k", 1 << 40, "x"], ["SET", "i", "12"], ["APPEND", "i", "3"], ["SETEX", "e", 100, "v"], ["APPEND", "e", "v"], ["SETRANGE", "e", 0, "w"])
case("SETBIT", *lines("""
SETBIT k 7 1
SETBIT k 7 1
SETBIT k 7 0
SETBIT k 7 0
SETBIT k 100 0
SETBIT k 99 0
setbit k 0 1
SET i 5
SETBIT i 0 0
SETBIT i 1 1
SETBIT k -1 1
SETBIT k 0 2
SET e v EX 1000
SETBIT e 0 0
SETBIT e 0 1"""))
case("BITFIELD", *lines("""
BITFIELD k GET u8 0
BITFIELD k SET u8 0 0
BITFIELD k SET u8 0 0
BITFIELD k SET u8 0 5
BITFIELD k SET u8 0 5
BITFIELD k SET u8 0 5 GET u8 0
BITFIELD k INCRBY u8 0 0
BITFIELD k INCRBY u8 0 1
bitfield k set u8 #1 7 incrby i5 100 1 get u4 0
BITFIELD k OVERFLOW FAIL INCRBY u2 0 3
BITFIELD k OVERFLOW FAIL INCRBY u2 0 3
BITFIELD k OVERFLOW FAIL INCRBY u2 1000 9
BITFIELD k OVERFLOW SAT INCRBY u2 0 3
BITFIELD k OVERFLOW SAT INCRBY u2 0 3
BITFIELD k
BITFIELD k SET u99 0 1
SET i 5
BITFIELD i SET u8 0 53
BITFIELD i GET u8 0 SET u1 0 0
BITFIELD_RO k GET u8 0"""))
case("BITOP", *lines("""
MSET a abc b xyz
BITOP AND d a b
bitop or d a b
BITOP XOR d a a
BITOP NOT d a
BITOP NOT d nosuch
BITOP NOT d nosuch
BITOP AND d nosuch nosuch
BITOP AND a a b
SET e v EX 100
BITOP OR e a b
BITOP BOGUS d a
BITOP NOT d a b"""))
case("EXPIRE and its kin", *lines(f"""
MSET k v l v
EXPIRE k 100
EXPIRE k 200 NX
EXPIRE k 200 XX
EXPIRE k 300 GT
EXPIRE k 100 GT
EXPIRE k 150 lt
EXPIRE k 1500 xx gt
EXPIRE l 100 GT
EXPIRE l 100 LT
PEXPIRE k 100000
pexpire k 1000000 GT
EXPIREAT k {FAR}
PEXPIREAT k {FAR}000
PEXPIREAT k {FAR}000 GT
EXPIRE nosuch 10
EXPIRE k x
EXPIRE k 10 BOGUS
PERSIST k
PERSIST k
PERSIST nosuch
EXPIRE k 0
EXPIRE k 0
SET k v
EXPIRE k -1
SET k v
PEXPIRE k -5
SET k v
EXPIREAT k {PAST}
SET k v
PEXPIREAT k 1
SET k v EX 100
EXPIRE k -1 NX
EXPIRE k -1 GT
EXPIRE k -1 LT"""))
HELLO = rdb_samples.payload(0, rdb_samples.string("hello"))
case("RESTORE with each option", *[[HELLO if word == "P" else word for word in line.split(" ")] for line in lines(f"""
RESTORE k 0 P
restore k 0 P
restore k 0 P replace
RESTORE k 100000 P REPLACE
RESTORE new 100000 P IDLETIME 7 replace REPLACE
RESTORE k {FAR}000 P ABSTTL REPLACE
RESTORE k 0 P ABSTTL REPLACE FREQ 9
RESTORE k 1 P REPLACE ABSTTL
RESTORE k 1 P ABSTTL
RESTORE k 1 P REPLACE ABSTTL
RESTORE-ASKING asked 1000000 P
RESTORE k 0 junk
RESTORE k -1 P
RESTORE k 0 P BOGUS""")], "SET lazy v", "CONFIG SET lazyfree-lazy-server-del yes", ["RESTORE", "lazy", 1, HELLO, "REPLACE", "ABSTTL"],
     "CONFIG SET lazyfree-lazy-server-del no")
case("DEL, UNLINK, TOUCH", *lines("""
MSET a 1 b 2 c 3 d 4
DEL nosuch
DEL a nosuch a
del b
UNLINK c nosuch
UNLINK c
TOUCH d nosuch
EXISTS d
DEL d d"""))
case("RENAME, RENAMENX", *lines("""
SET a 1
RENAME a b
RENAME b b
RENAME nosuch b
SET c 1 EX 100
RENAME b c
RENAMENX c c
RENAMENX c d
SET e 1
RENAMENX d e
renamenx d f
SET g 1 EX 100
rename g h"""))
case("COPY", *lines("""
SET a 1 EX 1000
COPY a b
COPY a b
COPY a b REPLACE
COPY a a
copy a a DB 2
COPY a b DB 2 REPLACE
COPY nosuch b REPLACE
COPY a b DB 99
SELECT 2
COPY a c DB 0"""))
case("MOVE", *lines("""
MSET a 1 b 2
MOVE a 3
MOVE a 3
SET a 1
MOVE a 3
MOVE b 0
MOVE nosuch 3
SELECT 3
MOVE a 4
SELECT 4
move a 5"""))
case("SWAPDB, FLUSHDB, FLUSHALL", *lines("""
SET a 1
SWAPDB 0 1
SWAPDB 1 1
SWAPDB 4 5
SWAPDB 0 99
SELECT 1
SET b 1
flushdb
FLUSHDB
FLUSHDB ASYNC
FLUSHDB sync
FLUSHDB BOGUS
SET c 1
FLUSHALL ASYNC
FLUSHALL SYNC
FLUSHALL
FLUSHALL x"""))
case("several databases", *[s for i in (0, 1, 1, 15, 0, 2) for s in (f"SELECT {i}", "GET k", "INCR k")], "SELECT 99", "INCR k", "SELECT 3", "SELECT 4",
     "SELECT 2", "INCR k")


def two_clients(pair, servers):
    """Two clients with databases of their own, in turn."""
    from resp import Connection
    for server in servers:
        with Connection(server.path) as a, Connection(server.path) as b:
            a.ask("SELECT", 1)
            b.ask("SELECT", 2)
            for client in (a, a, b, a, b, b):
                client.ask("INCR", "n")


case("clients in different databases", two_clients)
case("reads and mistakes", *lines("""
SET k v
GET k
MGET k nosuch
STRLEN k
GETRANGE k 0 1
TTL k
TYPE k
KEYS *
SCAN 0
RANDOMKEY
DBSIZE
OBJECT ENCODING k
DEBUG OBJECT k
DEBUG SLEEP 0
NOSUCH
INCR k
GETEX k EX x
CONFIG SET maxmemory 0
CONFIG RESETSTAT
CLIENT SETNAME me
INFO
PING
ECHO x
SELECT 0
LCS k k
BITCOUNT k
BITPOS k 1
GETBIT k 0
MEMORY USAGE k"""))
case("scripts and functions that are not there", "FUNCTION FLUSH", "FUNCTION FLUSH ASYNC", "FUNCTION DELETE nosuch", "SCRIPT FLUSH", "SCRIPT EXISTS a")
case("bytes of every kind", ["SET", bytes(range(256)), bytes(range(255, -1, -1))], ["SET", "", ""], ["APPEND", "", b"\r\n"], ["RENAME", "", b"\r\n\r\n"])

# ---- what is due ----

# Each meets a key (or two) that is there and due.
DUE = """
SET k v
SET k v NX
SET k v XX
SET k v GET
SET k v EX 100
SET k v KEEPTTL
SETNX k v
SETEX k 100 v
PSETEX k 100000 v
GETSET k v
GETDEL k
GETEX k PERSIST
GETEX k EX 100
GETEX k
MSET k v
MSET a 1 k v j w
MSETNX k v
MSETNX k v j w
MSETNX a 1 k v
INCR k
DECRBY k 5
INCRBYFLOAT k 1
APPEND k x
SETRANGE k 0 x
SETRANGE k 1 x
SETBIT k 1 1
SETBIT k 1 0
BITFIELD k SET u8 0 1
BITFIELD k INCRBY u8 0 0
BITOP NOT k a
BITOP NOT a k
BITOP AND x k j
BITOP OR k j l
EXPIRE k 100
EXPIRE k -1
PEXPIREAT k 1
PERSIST k
DEL k
DEL k j l
UNLINK k j
DEL a k
RENAME k z
RENAME a k
RENAME k j
RENAMENX k z
RENAMENX a k
COPY k z
COPY a k
COPY a k REPLACE
COPY k j
MOVE k 1
SWAPDB 0 1
FLUSHDB
FLUSHALL"""
for command in lines(DUE):
    case(f"due: {command}", "SET a 1", *due("k", "j", "l"), command, "SELECT 2", "SET other 1")
case("due in two databases: MOVE", "SET k a", "SELECT 1", *due("k"), "SELECT 0", "MOVE k 1")
case("due in two databases: COPY", "SET k a", "SELECT 1", *due("k"), "SELECT 0", "COPY k k DB 1", "SELECT 1", *due("k"), "SELECT 0",
     "COPY k k DB 1 REPLACE")
case("due in another database, and the log in a third", "SELECT 1", *due("k"), "SELECT 2", "SET x 1", "SELECT 1", "INCR k")
case("a due key met twice", *due("k"), "INCR k", "INCR k", *due("k"), "DEL k k", *due("k"), "MSET k 1 k 2")


def all_gone(pair, servers):
    """Waits until nothing is left in the database."""
    for c in pair:
        end = time.monotonic() + 60
        while c.ask("DBSIZE") != (":", 0) and time.monotonic() < end:
            time.sleep(0.01)


case("what expires in the background", "DEBUG SET-ACTIVE-EXPIRE 1", "SELECT 3", "SET k v PX 30", all_gone, "SELECT 4", "SET k v PX 30",
     all_gone, "SET k v PX 30", all_gone, "SELECT 5")
# In order of time here, by sampling there.
case("many that expire in the background", *[f"SET k:{i} v PXAT {PAST}" for i in range(50)], "DEBUG SET-ACTIVE-EXPIRE 1", all_gone, unordered=True)

# ---- lazyfree, eviction ----

LAZY = [o for name in ("expire", "server-del", "user-del", "user-flush", "eviction") for o in (f"--lazyfree-lazy-{name}", "yes")]
NOT_LAZY = [o if o != "yes" else "no" for o in LAZY]
for name, options in (("lazy: ", LAZY), ("not lazy: ", NOT_LAZY), *((f"{LAZY[i]}: ", NOT_LAZY[:i] + LAZY[i:i + 2] + NOT_LAZY[i + 2:])
                                                                     for i in range(0, len(LAZY) - 2, 2))):
    case(name + "what deletes", *lines(f"""
MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7
DEL a
UNLINK b
GETDEL c
EXPIRE d -1
GETEX e PXAT 1
SET h 1
SET h 2 PXAT 1
RENAME f g
FLUSHDB
SET x 1
FLUSHALL
FLUSHALL SYNC
FLUSHALL ASYNC"""), *due("k"), "INCR k", *due("k"), "DEL k", *due("k", "l"), "UNLINK k l", options=options)
    case(name + "what expires", "SET k v PX 20", "DEBUG SET-ACTIVE-EXPIRE 1", all_gone, options=options)



def evict_all(pair, servers):
    """Makes room for nothing: all keys go."""
    for c in pair:
        c.ask("CONFIG", "SET", "maxmemory", 1)
    for c in pair:
        end = time.monotonic() + 60
        while c.ask("INFO", "keyspace")[1].count(b"keys=") and time.monotonic() < end:
            c.ask("GET", "nosuch")
            time.sleep(0.01)
        c.ask("CONFIG", "SET", "maxmemory", 0)


for lazy, policy in (("yes", "allkeys-lru"), ("no", "allkeys-random"), ("no", "allkeys-lfu")):
    case(f"what is evicted: {policy}, lazily: {lazy}", *[f"SET k:{i} v" for i in range(30)], "SELECT 3", *[f"SET k:{i} v" for i in range(30)],
         "SELECT 5", "SET k v EX 1000", evict_all, "SELECT 0", "SET after 1", unordered=True,
         options=("--maxmemory-policy", policy, "--lazyfree-lazy-eviction", lazy))

# ---- long values ----

for mib in (1, 10, 200):
    value = b"0123456789abcdef" * (mib << 16)
    case(f"a value of {mib} MiB", ["SET", "k", value], "SETRANGE k 1000 x", "RENAME k l", "EXPIRE l 1000", "SELECT 1", ["APPEND", "m", value], "SELECT 0",
         "SET small 1")
case("a pair of long values, and many short ones", ["MSET", "a", b"x" * 3_000_000, "b", b"y" * 3_000_000, "c", "z"],
     ["MSET", *[w for i in range(20000) for w in (f"key:{i}", f"{i}" * 20)]], ["DEL", *[f"key:{i}" for i in range(20000)]])
case("values about as long as what is copied", *[["SET", f"k{n}", b"v" * n] for p in (12, 16, 20, 22) for n in range((1 << p) - 60, (1 << p) + 20, 3)])

# ---- RESTORE ----


def restore(*options, ttl=0, key="r"):
    def run(pair, servers):
        for c in pair:
            c.ask("SET", "source", "value")
        # One payload for both: what they dump is compared elsewhere.
        payload = pair[1].ask("DUMP", "source")[1]
        for c in pair:
            c.ask("RESTORE", key, ttl, payload, *options)
    return run


NEEDS = ("dump", "restore")
case("RESTORE", restore(), restore(), restore("REPLACE"), restore(ttl=100000, key="s"), restore("ABSTTL", ttl=f"{FAR}000", key="t"), "TTL t",
     restore("replace", "idletime", "100", key="u"), restore("REPLACE", "ABSTTL", ttl=1, key="u"), restore("ABSTTL", ttl=1, key="v"),
     restore("BOGUS"), restore(ttl=-1), restore("REPLACE", "FREQ", "5"), needs=NEEDS)
case("due: RESTORE", *due("k"), restore(key="k"), *due("k"), restore("REPLACE", key="k"), *due("k"), restore("REPLACE", "ABSTTL", ttl=1, key="k"), needs=NEEDS)
