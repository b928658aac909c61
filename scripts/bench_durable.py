# SPDX-License-Identifier: BSD-2-Clause
"""The sections of scripts/bench that measure files, snapshots, expiry in floods and eviction."""
import itertools
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

from bench_lib import KEYS, Server, encode, median, table

FILES = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
MIB = 1 << 20


def blocks(server):
    """Bytes of shared memory that a server has; redis-server has none, so its process's are taken."""
    if server.is_redis:
        with open(f"/proc/{server.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))
    return sum(os.stat(f"/dev/shm/{f}").st_blocks * 512 for f in os.listdir("/dev/shm") if f.startswith(f"bulkhead.{server.port}."))


class Sampler(threading.Thread):
    """Calls a function again and again beside the rest, and keeps the largest result."""

    def __init__(self, function, pause=0.01):
        super().__init__(daemon=True)
        self.function, self.pause, self.largest, self.over = function, pause, 0, False
        self.start()

    def run(self):
        while not self.over:
            self.largest = max(self.largest, self.function())
            time.sleep(self.pause)

    def stop(self):
        self.over = True
        self.join()
        return self.largest


class Pipe:
    """A connection for pipelines of commands whose replies are counted by their lines."""

    def __init__(self, server):
        self.socket = server.connect()
        self.file = self.socket.makefile("rb", 1 << 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def lines(self, data, count):
        """Replies of one line each."""
        self.socket.sendall(data)
        return [self.file.readline() for _ in range(count)]

    def bulks(self, data, count):
        """Which of the replies, bulk strings, are not null."""
        self.socket.sendall(data)
        found = []
        for _ in range(count):
            n = int(self.file.readline()[1:])
            found.append(n >= 0)
            if n >= 0:
                self.file.read(n + 2)
        return found


def wait_for(condition, seconds, pause=0.002):
    """Whether it became true in that time, and the seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            return False, seconds
        time.sleep(pause)
    return True, time.monotonic() - start


class Durable:
    def keys_of(self, full):
        return full // 10 if self.o.quick else full

    # ---- log ----

    def log(self):
        print(f"\nThe disk of {tempfile.gettempdir()}: {self.fsync_us()} us for an fdatasync after 512 bytes (median)")
        # Each run must be some seconds long, or everysec has had nothing to do.
        n = lambda requests: str(max(2000, int(requests * self.o.scale)))
        self.compare("SET with an append only file, everysec",
                     [("50 clients, pipeline 16", False, ["-t", "set", "-c", "50", "-P", "16", "-n", n(2_000_000), "-r", "100000"]),
                      ("50 clients", False, ["-t", "set", "-c", "50", "-n", n(200_000), "-r", "100000"])], *FILES, "--appendfsync", "everysec")
        self.compare("SET with an append only file, always",
                     [("50 clients", False, ["-t", "set", "-c", "50", "-n", n(100_000), "-r", "100000"]),
                      ("1 client", False, ["-t", "set", "-c", "1", "-n", n(10_000), "-r", "100000"])], *FILES, "--appendfsync", "always")

    def fsync_us(self):
        with tempfile.TemporaryDirectory(prefix="bulkhead-bench.") as folder:
            out = subprocess.run([self.probe_binary(), "-f", folder + "/file"], capture_output=True, text=True, check=True)
        return out.stdout.split()[0]

    # ---- snapshot ----

    def save_time(self, server):
        """Seconds from BGSAVE to its end."""
        since = int(server.ask("LASTSAVE")[1:])
        while int(time.time()) <= since:
            time.sleep(0.05)
        start = time.monotonic()
        answer = server.ask("BGSAVE")
        if not answer.startswith("+Background saving started"):
            raise SystemExit(f"BGSAVE: {answer}")
        # As good as the look at it is; LASTSAVE has whole seconds.
        ok, _ = wait_for(lambda: server.info("rdb_bgsave_in_progress") == 0, 600, 0.01)
        if not ok or int(server.ask("LASTSAVE")[1:]) <= since:
            raise SystemExit("BGSAVE has not succeeded")
        return time.monotonic() - start

    def snapshot(self):
        keys = self.keys_of(2_000_000)
        speed, beside, growth = [], [], []
        for name, server in self.servers("--dbfilename", "dump.rdb"):
            server.fill(keys=keys)
            took = [self.save_time(server) for _ in range(max(3, self.o.rounds) if not self.o.quick else 1)]
            size = os.stat(server.dir.name + "/dump.rdb").st_size
            speed.append([name, f"{median(took):.2f}", f"{keys / median(took) / 1000:,.0f}", f"{size / median(took) / 1e6:.0f}"])
            for saving in (False, True):
                beside.append(self.beside_saving(name, server, keys, saving))
            growth.append(self.growth(name, server, keys))
        table(f"BGSAVE of {keys:,} keys, nothing else to do (median)", ["server", "s", "1,000 keys/s", "MB/s"], speed)
        table(f"Two other clients' latencies in ms beside 10,000 SETs/s, with BGSAVE of {keys:,} keys again and again (medians; the worst max)",
              ["server", "GET p50", "p99", "p99.9", "max", "SET p50", "p99", "p99.9", "max", "saves"], beside)
        table("Growth of memory during BGSAVE beside SETs as fast as they go",
              ["server", "keys written", "MB overwritten", "MB grown", "beyond 16 MB, for each byte overwritten"], growth)

    def beside_saving(self, name, server, keys, saving):
        saves, stop = [0], threading.Event()

        def again():
            while not stop.is_set():
                self.save_time(server)
                saves[0] += 1

        runs = []
        saver = threading.Thread(target=again, daemon=True)
        if saving:
            saver.start()
        for _ in range(1 if self.o.quick else 3):
            seconds = str(self.o.seconds)
            writer = self.start_probe(server, "-d", seconds, "-r", "10000", "-n", str(keys), "-c", "SET key:{} " + "w" * 32)
            get = self.start_probe(server, "-d", seconds, "-n", str(keys), "-c", "GET key:{}")
            put = self.start_probe(server, "-d", seconds, "-n", str(keys), "-c", "SET key:{} " + "w" * 32)
            runs.append([*self.end_probe(get), *self.end_probe(put)])
            self.end_probe(writer)
        if saving:
            stop.set()
            saver.join()
        columns = list(zip(*runs))
        return [f"{name}, {'saving' if saving else 'not saving'}",
                *(f"{(max if i % 4 == 3 else median)(column):.2f}" for i, column in enumerate(columns)), str(saves[0]) if saving else "-"]

    def start_probe(self, server, *options):
        return subprocess.Popen([self.probe_binary(), "-s", server.path, "-t", *options], stdout=subprocess.PIPE, text=True)

    def end_probe(self, probe):
        out = probe.communicate()[0]
        return [float(word) / 1000 for word in out.split()[:4]] if out else [float("nan")] * 4

    def growth(self, name, server, keys):
        """One connection walks through the keys in leaps, so that none is written twice, as fast as it can for as long as the save lasts."""
        per_key = (server.info("used_memory") or 0) / keys
        written, leap = 0, 7919
        time.sleep(1.1)
        before, sampler = blocks(server), Sampler(lambda: blocks(server))
        since = int(server.ask("LASTSAVE")[1:])
        # It is held up (a moment after every 20 keys), so that most keys are overwritten while it lasts.
        server.ask("CONFIG", "SET", "rdb-key-save-delay", "-20")
        if not server.ask("BGSAVE").startswith("+Background"):
            raise SystemExit("BGSAVE does not start")
        over = threading.Event()

        def watch():
            wait_for(lambda: server.info("rdb_bgsave_in_progress") == 0, 600, 0.01)
            over.set()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        value = b"x" * 32
        with Pipe(server) as pipe:
            while not over.is_set() and written + 100 <= keys:
                batch = [b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%s\r\n" % ((written + i) * leap % keys, value) for i in range(100)]
                pipe.lines(b"".join(batch), 100)
                written += 100
        watcher.join()
        grown = sampler.stop() - before
        overwritten = written * per_key
        server.ask("CONFIG", "SET", "rdb-key-save-delay", "0")
        if int(server.ask("LASTSAVE")[1:]) <= since:
            raise SystemExit("BGSAVE has not succeeded")
        ratio = max(0, grown - 16 * MIB) / overwritten if overwritten else 0
        return [name, f"{written:,}", f"{overwritten / 1e6:.0f}", f"{grown / 1e6:.0f}", f"{ratio:.2f}"]

    # ---- load ----

    def load(self):
        keys, rows = self.keys_of(2_000_000), []
        rounds = 1 if self.o.quick else max(3, self.o.rounds)
        with tempfile.TemporaryDirectory(prefix="bulkhead-bench.") as kept:
            self.make_files(kept, keys)
            for what, folder, options in (("RDB", "rdb", ()), ("AOF", "aof", FILES), ("AOF that begins with an RDB", "mixed", FILES)):
                times = {}
                # In turn, so that the machine's moods hit both.
                for _ in range(rounds):
                    for name, binary in zip(self.names, (self.o.server, self.o.ref)):
                        times.setdefault(name, []).append(self.load_time(binary, f"{kept}/{folder}", keys, options))
                ours, theirs = (median(times[n]) for n in self.names)
                rows.append([what, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.2f}"])
        table(f"s from the start to the first answer to PING, {keys:,} keys (median of {rounds})",
              ["file", *self.names, "ratio"], rows)

    def make_files(self, kept, keys):
        """The files of both forms, all made by the reference."""
        with Server(self.o.ref, *FILES, "--aof-use-rdb-preamble", "no") as server:
            server.fill(keys=keys)
            if server.ask("SAVE") != "+OK":
                raise SystemExit("SAVE failed")
            os.mkdir(kept + "/rdb")
            shutil.copy(server.dir.name + "/dump.rdb", kept + "/rdb/")
            shutil.copytree(server.dir.name + "/appendonlydir", kept + "/aof/appendonlydir")
            server.ask("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
            server.ask("BGREWRITEAOF")
            ok, _ = wait_for(lambda: server.info("aof_rewrite_in_progress") == 0 and server.info("aof_rewrite_scheduled") == 0, 300, 0.05)
            if not ok:
                raise SystemExit("BGREWRITEAOF does not end")
            shutil.copytree(server.dir.name + "/appendonlydir", kept + "/mixed/appendonlydir")

    def load_time(self, binary, folder, keys, options):
        with Server(binary, *options, folder=folder) as server:
            # Once more: the first start may have had to look for a port.
            server.stop()
            began = time.monotonic()
            server.launch()
            ok, _ = wait_for(lambda: self.answers(server), 300, 0.001)
            took = time.monotonic() - began
            if not ok:
                raise SystemExit(f"{binary} does not load {folder}")
            if (found := server.ask("DBSIZE")) != f":{keys}":
                raise SystemExit(f"{binary} has loaded {found} of {keys} keys from {folder}")
        return took

    @staticmethod
    def answers(server):
        try:
            return server.ask("PING") == "+PONG"
        except OSError:
            return False

    # ---- flood ----

    def flood(self):
        rows, count, get = [], self.keys_of(KEYS), "GET key:000000000777"
        for name, server in self.servers():
            server.ask("SET", "key:000000000777", "v" * 32)
            quiet = self.end_probe(self.start_probe(server, "-d", "4", "-c", get))
            rows.append([f"{name}, nothing due", "-", *(f"{f:.2f}" for f in quiet)])
            # Long enough that what growing has set going is over by then.
            spare = 6 + count / 50_000
            due = int((time.time() + spare) * 1000)
            with Pipe(server) as pipe:
                for first in range(0, count, 5000):
                    pipe.lines(b"".join(encode([b"SET", b"due:%012d" % i, b"v" * 32, b"PXAT", b"%d" % (due + i * 7919 % count * 1000 // count)])
                                        for i in range(first, min(count, first + 5000))), min(5000, count - first))
                if time.time() * 1000 > due:
                    raise SystemExit("the keys fell due while they were being made")
                time.sleep(max(0, due / 1000 - time.time() - 0.5))
                probe = self.start_probe(server, "-d", "4", "-c", get)
                # Seldom and over one connection: it is not the looking that is to be measured.
                gone, _ = wait_for(lambda: time.time() > due / 1000 and int(pipe.lines(b"DBSIZE\r\n", 1)[0][1:]) <= 1, 120, 0.02)
            took = time.time() - due / 1000 - 1
            figures = self.end_probe(probe)
            rows.append([f"{name}, flood", f"{took:.2f}" if gone else "never", *(f"{f:.2f}" for f in figures)])
        table(f"{count:,} keys that fall due within one second: s from its end until all are gone, and another client's GET in ms",
              ["server", "gone after s", "p50", "p99", "p99.9", "max"], rows)

    # ---- eviction ----

    def eviction(self):
        limit, rows = (20 if self.o.quick else 100) * MIB, []
        for name, server in self.servers("--maxmemory", str(limit), "--maxmemory-policy", "allkeys-lru"):
            for step, size, count in (("fill", 100, 3 * limit // 150), ("again", 100, 3 * limit // 150), ("the same keys", 1000, 3 * limit // 1050),
                                      ("and back", 100, 3 * limit // 150), ("mixed", None, limit // 400)):
                sampler = Sampler(lambda: blocks(server))
                took, refused = self.write(server, size, count)
                most = sampler.stop()
                live = self.live(server, 3 * limit // 150)
                over = most - limit * 1.02
                rows.append([f"{name}, {step}", str(size or "20-2,000"), f"{count / took / 1000:,.0f}", f"{most / limit:.3f}", f"{max(0, over) / MIB:.1f}",
                             f"{live / limit:.2f}", str(refused)])
        table(f"Memory of the machine under maxmemory {limit // MIB} MiB, allkeys-lru (redis: RSS)",
              ["server, step", "value bytes", "1,000 SET/s", "most, of the limit", "MiB above 1.02 of it", "live data, of it", "OOM errors"], rows)

    def write(self, server, size, count):
        rng, refused, start = random.Random(1), 0, time.monotonic()
        with Pipe(server) as pipe:
            for first in range(0, count, 1000):
                n = min(1000, count - first)
                data = b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n" % (first + i, s, b"v" * s)
                                for i in range(n) for s in (size or rng.randint(20, 2000),))
                refused += sum(line[:1] == b"-" for line in pipe.lines(data, n))
        return time.monotonic() - start, refused

    def live(self, server, count):
        """Bytes of the keys and values that are there."""
        total = 0
        with Pipe(server) as pipe:
            for first in range(0, count, 1000):
                lines = pipe.lines(b"".join(b"*2\r\n$6\r\nSTRLEN\r\n$16\r\nkey:%012d\r\n" % (first + i) for i in range(1000)), 1000)
                total += sum(16 + n for n in map(int, (line[1:] for line in lines)) if n)
        return total

    # ---- hits ----

    def hits(self):
        names, requests, size = self.keys_of(1_000_000), self.keys_of(4_000_000), 200
        room = names // 10
        weights = list(itertools.accumulate(1 / (i + 1) ** 0.99 for i in range(names)))
        rows = []
        for policy in ("allkeys-lru", "allkeys-lfu"):
            rates = []
            for name, server in self.servers("--maxmemory-policy", policy):
                # What a tenth of the keys take in this server is its limit.
                self.fill_numbers(server, room, size)
                server.ask("CONFIG", "SET", "maxmemory", server.info("used_memory"))
                rate, kept = self.replay(server, names, requests, size, weights)
                rates.append(rate)
                rows.append([f"{policy}, {name}", f"{100 * rate:.2f}", f"{kept:,}", f"{100 * (rates[0] - rates[-1]):+.2f}" if len(rates) > 1 else "-"])
        table(f"Hit rates in %: {requests:,} GETs of {names:,} keys by zipf(0.99), a SET for each miss, room for {room:,}; the second half counts",
              ["policy, server", "hits", "keys in the end", "points that Bulkhead is above"], rows)

    def fill_numbers(self, server, count, size):
        with Pipe(server) as pipe:
            for first in range(0, count, 1000):
                n = min(1000, count - first)
                pipe.lines(b"".join(encode([b"SET", b"fill:%011d" % (first + i), b"v" * size]) for i in range(n)), n)

    def replay(self, server, names, requests, size, weights):
        rng, value, hits, counted = random.Random(99), b"v" * size, 0, 0
        # Ranks are spread over the names, so that popular keys are no neighbours.
        order = list(range(names))
        rng.shuffle(order)
        with Pipe(server) as pipe:
            for done in range(0, requests, 50):
                wanted = [b"name:%011d" % order[i] for i in rng.choices(range(names), cum_weights=weights, k=50)]
                found = pipe.bulks(b"".join(b"*2\r\n$3\r\nGET\r\n$16\r\n%s\r\n" % w for w in wanted), 50)
                missed = [w for w, f in zip(wanted, found) if not f]
                if missed:
                    pipe.lines(b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n$%d\r\n%s\r\n" % (w, size, value) for w in missed), len(missed))
                if done >= requests // 2:
                    hits += sum(found)
                    counted += 50
        return hits / counted, int(server.ask("DBSIZE")[1:])
