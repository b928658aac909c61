# SPDX-License-Identifier: BSD-2-Clause
"""Starts servers for the Python programs of tests/ and scripts/: Bulkhead or redis-server, on a free port."""
import ctypes
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBUG_BUILD = ROOT + "/build/debug/bulkhead-server"
REDIS = "/usr/bin/redis-server"


def die_with_parent():
    """In the child: should this program be killed, the server is told to stop."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def target():
    """The server under test."""
    return os.environ.get("BULKHEAD_SERVER", DEBUG_BUILD)


class Server:
    """A server on a free port and a unix socket, in a temporary directory, which may begin as a copy of `folder`, stopped when the block ends."""

    def __init__(self, binary, *options, folder=None):
        self.binary, self.options, self.folder = binary, list(options), folder
        self.is_redis = os.path.basename(binary) == "redis-server"
        self.options = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes", *self.options]

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="bulkhead-server.")
        self.path = self.dir.name + "/socket"
        if self.folder:
            shutil.copytree(self.folder, self.dir.name, dirs_exist_ok=True)
        # Nobody can reserve a port: whoever loses the race for one tries another.
        if not os.access(self.binary, os.X_OK):
            raise SystemExit(f"not ok - {self.binary} does not exist")
        for _ in range(8):
            self.port = random.SystemRandom().randint(10000, 30000)
            self.launch()
            for _ in range(3000):
                if "ready to accept connections" in self.log().lower():
                    self.note()
                    return self
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise SystemExit(f"not ok - {self.binary} does not start:\n{self.log()}")

    def launch(self):
        """Starts the process, without waiting for it to serve."""
        with open(self.dir.name + "/log", "w") as log:
            self.process = subprocess.Popen(
                [self.binary, "--port", str(self.port), "--dir", self.dir.name, "--unixsocket", self.path, *self.options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def note(self):
        """For scripts/test, which proves at its end that no server left anything."""
        ledger = os.environ.get("BULKHEAD_LEDGER")
        if ledger and not self.is_redis:
            with open(ledger + "/servers", "a") as f:
                f.write(f"{self.port} {self.process.pid} {self.binary}\n")

    def log(self):
        with open(self.dir.name + "/log", errors="replace") as f:
            return f.read()

    def stop(self):
        """Orderly stop; returns the exit status (negative: the signal that ended it)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def __exit__(self, *_):
        self.stop()
        self.dir.cleanup()

    def pids(self):
        """The server's process and all that descend from it."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as f:
                    parents.setdefault(int(f.read().rpartition(")")[2].split()[1]), []).append(int(name))
            except OSError:
                pass
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found


def wounds(log):
    """Lines of a log that no test may cause: a broken invariant, a process ended by a signal, a sanitizer's complaint."""
    signs = re.compile(r"panic|sanitizer|runtime error:|crashed|ended by signal (?!15\b)", re.I)
    return [line for line in log.splitlines() if signs.search(line)]
