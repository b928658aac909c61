# SPDX-License-Identifier: BSD-2-Clause
"""RESP2 and RESP3 over a raw socket. A reply is a pair (type byte, value), so that types can be compared:
('+', b'OK'), ('-', b'ERR ...'), (':', 1), ('$', b'..'), ('$', None), ('*', [replies]), ('*', None), ('%', [replies, key and
value in turn]), ('~', [replies]), ('_', None), (',', b'1.5'), ('#', b't'), ('(', b'..'), ('=', b'txt:..'), ('>', [replies])."""
import select
import socket


class Closed(Exception):
    """The server closed the connection."""


def encode(words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


class Connection:
    def __init__(self, where, timeout=150):
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(where)
        else:
            self.socket = socket.create_connection(("127.0.0.1", where), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.at = bytearray(), 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def more(self):
        try:
            data = self.socket.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            raise Closed
        if self.at > 1 << 16:
            del self.buffer[:self.at]
            self.at = 0
        self.buffer += data

    def line(self):
        while (end := self.buffer.find(b"\r\n", self.at)) < 0:
            self.more()
        line = bytes(self.buffer[self.at:end])
        self.at = end + 2
        return line

    def bulk(self, size):
        while len(self.buffer) - self.at < size + 2:
            self.more()
        data = bytes(self.buffer[self.at:self.at + size])
        if self.buffer[self.at + size:self.at + size + 2] != b"\r\n":
            raise ValueError(f"bulk string without end: {data[:80]!r}")
        self.at += size + 2
        return data

    def reply(self):
        line = self.line()
        kind, rest = chr(line[0]) if line else "", line[1:]
        if kind == ":":
            return kind, int(rest)
        if kind in "$=" and kind:
            return kind, None if rest == b"-1" else self.bulk(int(rest))
        if kind in "*~>" and kind:
            return kind, None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == "%":
            return kind, [self.reply() for _ in range(2 * int(rest))]
        if kind in "+-,#(_" and kind:
            return kind, rest
        raise ValueError(f"not a reply: {line[:80]!r}")

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, *words):
        self.send(encode([w if isinstance(w, bytes) else str(w).encode() for w in words]))
        return self.reply()

    def rest(self):
        """All bytes until the server closes the connection."""
        try:
            while True:
                self.more()
        except Closed:
            pass
        return bytes(self.buffer[self.at:])


def exchange(jobs):
    """jobs: (connection, list of pieces to send, number of replies). Sends all pieces, one send for each, reads meanwhile, so
    that no side waits for the other, and returns the lists of replies."""
    waiting = {c.socket: (c, list(reversed(pieces))) for c, pieces, _ in jobs if pieces}
    by_socket = {c.socket: c for c, _, _ in jobs}
    while waiting:
        readable, writable, _ = select.select(list(by_socket), list(waiting), [], 150)
        if not readable and not writable:
            raise TimeoutError("neither reads nor answers")
        for s in readable:
            by_socket[s].more()
        for s in writable:
            _, pieces = waiting[s]
            piece = pieces.pop()
            try:
                sent = s.send(piece, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            except (BrokenPipeError, ConnectionResetError):
                raise Closed from None
            if sent < len(piece):
                pieces.append(piece[sent:])
            if not pieces:
                del waiting[s]
    return [[c.reply() for _ in range(count)] for c, _, count in jobs]


def show(reply, limit=300):
    """A reply as one line for a message."""
    if reply is None:
        return "(nothing)"
    kind, value = reply
    if isinstance(value, list):
        text = f"{kind}[{', '.join(show(v, limit) for v in value[:40])}{', ...' if len(value) > 40 else ''}]"
    else:
        text = f"{kind}{value!r}"
    return text if len(text) <= limit else text[:limit] + f"... ({len(text)})"
