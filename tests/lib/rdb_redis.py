#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""RDB files made by redis-server: a few keys of each type, once in compact encodings, once in large ones.

usage: tests/lib/rdb_redis.py DIR

Writes redis-compact.rdb (LRU clocks, checksum) and redis-tables.rdb (LFU clocks, neither checksum nor compression). tests/data/rdb has them.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

LARGE = {"hash-max-listpack-entries": 1, "zset-max-listpack-entries": 1, "set-max-intset-entries": 1, "list-max-listpack-size": 2,
         "stream-node-max-entries": 2}
LFU = {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lfu", "rdbcompression": "no", "rdbchecksum": "no"}
LRU = {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"}


def commands():
    for n in (0, -1, 127, -128, 128, 32767, -32768, 2147483647, -2147483648, 2147483648):
        yield ["SET", "n:%d" % n, n]
    yield ["SET", "text", "hello"]
    yield ["SET", "empty", ""]
    yield ["SET", "lzf", "ab" * 100]
    yield ["SET", "due", "soon", "PXAT", 4102444800000]
    yield ["RPUSH", "list", "a", "b", 1, 300, -70000, 123456789012, "x" * 70]
    yield ["SADD", "ints16", 1, 2, 3]
    yield ["SADD", "ints32", 1, 70000]
    yield ["SADD", "ints64", -3, 70000000000]
    yield ["SADD", "set", "a", "b", "c"]
    yield ["HSET", "hash", "a", 1, "b", 2, "c", "x" * 70]
    yield ["ZADD", "zset", 1, "a", 2.5, "b", "-inf", "c", "+inf", "d", 1e300, "e"]
    for i, fields in enumerate((["a", 1, "b", 2], ["a", 1, "b", 3], ["c", 1], ["a", 1, "b", 2])):
        yield ["XADD", "stream", "%d-1" % (i + 1)] + fields
    yield ["XDEL", "stream", "2-1"]
    yield ["XGROUP", "CREATE", "stream", "g1", 0]
    yield ["XREADGROUP", "GROUP", "g1", "alice", "COUNT", 2, "STREAMS", "stream", ">"]
    yield ["XREADGROUP", "GROUP", "g1", "bob", "COUNT", 1, "STREAMS", "stream", ">"]
    yield ["XGROUP", "CREATE", "stream", "g2", "$"]
    yield ["XGROUP", "CREATECONSUMER", "stream", "g2", "carol"]
    yield ["XGROUP", "CREATE", "nothing", "g", "$", "MKSTREAM"]
    yield ["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"]
    yield ["SELECT", 9]
    yield ["SET", "elsewhere", "x"]


def make(path, options):
    with tempfile.TemporaryDirectory() as folder:
        socket = folder + "/socket"
        words = [w for k, v in options.items() for w in ("--" + k, str(v))]
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""] + words,
                                  stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket):
                time.sleep(0.01)
            sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
            from resp import encode
            import socket as sockets
            with sockets.socket(sockets.AF_UNIX) as s:
                s.connect(socket)
                s.sendall(b"".join(encode([w if isinstance(w, bytes) else str(w).encode() for w in c])
                                   for c in list(commands()) + [["SAVE"], ["QUIT"]]))
                while s.recv(1 << 16):
                    pass
            shutil.copy(folder + "/dump.rdb", path)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    make(sys.argv[1] + "/redis-compact.rdb", LRU)
    make(sys.argv[1] + "/redis-tables.rdb", {**LARGE, **LFU})
