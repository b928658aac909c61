# SPDX-License-Identifier: BSD-2-Clause
"""What the sections of scripts/bench share: a server that can be measured, figures of the machine, tables."""
import os
import random
import re
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/tests/lib")
import servers
from resp import encode as encode_bytes

ROOT = servers.ROOT
KEYS = 1_000_000


class Server(servers.Server):
    """A server, and what is measured of it."""

    def cpu_ns(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/schedstat") as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
        return total

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        return s

    def crash(self):
        """Ends the server process with SIGKILL, starts it again, and returns the seconds from there to its first answer."""
        self.process.kill()
        self.process.wait()
        start = time.time()
        self.launch()
        while True:
            try:
                if self.ask("PING") == "+PONG":
                    return time.time() - start
            except OSError:
                time.sleep(0.0005)

    def ask(self, *words):
        """One command with a one-line reply."""
        with self.connect() as s:
            s.sendall(encode(words))
            return s.makefile("rb").readline().decode().strip()

    def info(self, field):
        with self.connect() as s:
            s.sendall(encode(["INFO", "everything"]))
            f = s.makefile("rb")
            text = f.read(int(f.readline()[1:])).decode()
        found = re.search(rf"^{field}:(\d+)", text, re.M)
        return int(found[1]) if found else None

    def fill(self, expiry=False, keys=KEYS):
        """1M keys of 16 bytes with values of 32; with expiry each gets a due time of its own, far away."""
        value = b"v" * 32
        with self.connect() as s:
            for first in range(0, keys, 10000):
                batch = []
                for i in range(first, min(first + 10000, keys)):
                    if expiry:
                        due = b"%d" % (10_000_000 + i * 97 % 90_000_000)
                        batch.append(b"*5\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%s\r\n$2\r\nPX\r\n$%d\r\n%s\r\n"
                                     % (i, value, len(due), due))
                    else:
                        batch.append(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%s\r\n" % (i, value))
                s.sendall(b"".join(batch))
                left = 5 * len(batch)
                while left > 0:
                    left -= len(s.recv(65536))


def encode(words):
    return encode_bytes([word if isinstance(word, bytes) else str(word).encode() for word in words])


def meminfo():
    with open("/proc/meminfo") as f:
        return {line.split(":")[0]: int(line.split()[1]) for line in f}


def used_kb():
    """Memory in use by anyone, the kernel included. Shared memory counts as used, the page cache proper does not."""
    m = meminfo()
    return m["MemTotal"] - m["MemFree"] - m["Buffers"] - (m["Cached"] - m["Shmem"]) - m["SReclaimable"]


def settled(measure, patience=5):
    """Repeats a measurement until it no longer moves by more than a thousandth."""
    last = measure()
    for _ in range(patience * 2):
        time.sleep(0.5)
        value = measure()
        if abs(value - last) <= abs(last) / 1000:
            return value
        last = value
    return last


def median(values):
    return statistics.median(values)


def table(title, head, rows):
    print(f"\n## {title}\n")
    rows = [head] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for n, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                                for i, (cell, w) in enumerate(zip(row, widths))) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    sys.stdout.flush()
