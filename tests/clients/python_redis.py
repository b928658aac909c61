# SPDX-License-Identifier: BSD-2-Clause
"""One case with python3-redis against the server on a port: python_redis.py PORT CASE. Run by tests/82-python-redis.bats."""
import datetime
import sys
import threading
import time

import redis

port, name = int(sys.argv[1]), sys.argv[2]


def connect(r):
    assert r.ping() is True
    assert r.client_info()["user"] == "default"
    assert r.info("server")["redis_mode"] == "standalone"


def operations(r):
    assert r.set("k", "v") is True
    assert r.get("k") == b"v" and r.get("none") is None
    assert r.set("k", "w", nx=True) is None
    assert r.set("k", "w", ex=100, get=True) == b"v"
    assert 90 < r.ttl("k") <= 100
    assert r.incrby("n", 41) == 41 and r.incrbyfloat("n", 0.5) == 41.5
    assert r.mset({"a": 1, "b": 2}) is True
    assert r.mget("a", "none", "b") == [b"1", None, b"2"]
    assert sorted(r.keys("[ab]")) == [b"a", b"b"]
    r.set("bytes", bytes(range(256)))
    assert r.get("bytes") == bytes(range(256))
    assert r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1
    assert r.getrange("k", 0, -1) == b"w"
    assert r.delete("a", "b", "none") == 2 and r.exists("a") == 0
    assert r.config_get("port") == {"port": str(port)}
    for wrong, message in ((lambda: r.incr("k"), "not an integer"), (lambda: r.execute_command("NOSUCH"), "unknown command")):
        try:
            wrong()
        except redis.ResponseError as e:
            assert message in str(e), e
        else:
            raise AssertionError("no error")


def pipelines(r):
    p = r.pipeline(transaction=False)
    for i in range(1000):
        p.set(f"p{i}", i).get(f"p{i}")
    replies = p.execute()
    assert replies == [x for i in range(1000) for x in (True, b"%d" % i)]
    replies = r.pipeline(transaction=False).set("s", "text").incr("s").get("s").execute(raise_on_error=False)
    assert replies[0] is True and isinstance(replies[1], redis.ResponseError) and replies[2] == b"text"


def scan(r):
    r.mset({f"scan:{i}": i for i in range(500)})
    assert len(set(r.scan_iter("scan:*", count=50))) == 500


def threads(r):
    """A pool of connections, one for each thread."""
    workers = [threading.Thread(target=lambda: [r.incr("counter") for _ in range(200)]) for _ in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert r.get("counter") == b"1600"


def reconnect(r):
    """Another client kills the connection's process: the pool makes a new connection for the next command."""
    r.set("k", "before")
    mine = r.client_id()
    with redis.Redis(port=port) as other:
        assert other.client_kill_filter(_id=mine) == 1
    assert r.get("k") == b"before"
    assert r.client_id() != mine


def persistence(r):
    """SAVE and its kin, what INFO says of them, DUMP and RESTORE."""
    def idle():
        info = r.info("persistence")
        return not any(info[f] for f in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled"))

    def wait():
        for _ in range(500):
            if idle():
                return
            time.sleep(0.02)
        raise AssertionError("it goes on for ever")

    r.set("k", b"\x00\xffbytes")
    assert r.save() is True and r.info("persistence")["rdb_changes_since_last_save"] == 0
    assert isinstance(r.lastsave(), datetime.datetime)
    assert r.bgsave() is True
    wait()
    assert r.config_set("appendonly", "yes") is True and r.config_get("append*")["appendonly"] == "yes"
    wait()
    r.set("k", b"\x00\xffother")
    assert r.bgrewriteaof() is True
    wait()
    info = r.info("persistence")
    assert info["aof_last_write_status"] == info["rdb_last_bgsave_status"] == info["aof_last_bgrewrite_status"] == "ok", info
    payload = r.dump("k")
    assert r.restore("copy", 100000, payload) == b"OK" and r.get("copy") == b"\x00\xffother" and 0 < r.pttl("copy") <= 100000
    try:
        r.restore("copy", 0, payload)
    except redis.ResponseError as e:
        assert "BUSYKEY" in str(e), e
    else:
        raise AssertionError("no error")
    assert r.restore("copy", 0, payload, replace=True) == b"OK"
    assert r.config_set("appendonly", "no") is True


with redis.Redis(port=port) as client:
    {f.__name__: f for f in (connect, operations, pipelines, scan, threads, reconnect, persistence)}[name](client)
print("well")
