#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""RDB files built by hand: every type and encoding of versions 1 to 11, also those that no server writes any more.

usage: tests/lib/rdb_samples.py DIR | --payload NAME [VERSION]

Writes NAME.rdb and NAME.txt for each: the file, and what is in it as tests/unit/test_rdb_read.c prints it. tests/data/rdb has them. With
--payload: one value as RESTORE takes it, to standard output. As a module
it gives the pieces: payload() makes what RESTORE takes, VALUES has a value of each encoding.
"""
import os
import struct
import sys

TABLE = []
for b in range(256):
    for _ in range(8):
        b = b >> 1 ^ 0x95ac9329ac4bc9b5 if b & 1 else b >> 1
    TABLE.append(b)


def crc64(data, crc=0):
    for b in data:
        crc = TABLE[(crc ^ b) & 0xff] ^ crc >> 8
    return crc


def length(n):
    if n < 1 << 6:
        return bytes([n])
    if n < 1 << 14:
        return bytes([0x40 | n >> 8, n & 0xff])
    return b"\x80" + struct.pack(">I", n) if n < 1 << 32 else b"\x81" + struct.pack(">Q", n)


def string(s):
    s = s if isinstance(s, bytes) else str(s).encode()
    return length(len(s)) + s


def lzf_string(s):
    """As pieces of the compressed form: what repeats a single byte is one reference."""
    s = s if isinstance(s, bytes) else s.encode()
    out, at = b"", 0
    while at < len(s):
        run = 1
        while at + run < len(s) and s[at + run] == s[at] and run < 200:
            run += 1
        out += bytes([0, s[at]])
        if run > 9:
            out += bytes([7 << 5, run - 1 - 9, 0])
            at += run
        else:
            at += 1
    return b"\xc3" + length(len(out)) + length(len(s)) + out


def ziplist(items, wide=False):
    out, last, before = b"", 10, 0
    for it in items:
        entry = bytes([before]) if before < 254 and not wide else b"\xfe" + struct.pack("<I", before)
        if isinstance(it, int):
            if 0 <= it <= 12 and not wide:
                entry += bytes([0xf1 + it])
            elif -128 <= it < 128:
                entry += b"\xfe" + struct.pack("<b", it)
            elif -1 << 15 <= it < 1 << 15:
                entry += b"\xc0" + struct.pack("<h", it)
            elif -1 << 23 <= it < 1 << 23:
                entry += b"\xf0" + struct.pack("<i", it)[:3]
            elif -1 << 31 <= it < 1 << 31:
                entry += b"\xd0" + struct.pack("<i", it)
            else:
                entry += b"\xe0" + struct.pack("<q", it)
        else:
            s, n = it.encode(), len(it)
            entry += bytes([n]) if n < 64 else bytes([0x40 | n >> 8, n & 0xff]) if n < 1 << 14 else b"\x80" + struct.pack(">I", n)
            entry += s
        last, before = 10 + len(out), len(entry)
        out += entry
    return struct.pack("<IIH", 11 + len(out), last, min(len(items), 65535)) + out + b"\xff"


def listpack(items):
    out = b""
    for it in items:
        if isinstance(it, int):
            if 0 <= it < 128:
                entry = bytes([it])
            elif -4096 <= it < 4096:
                entry = bytes([0xc0 | (it & 0x1fff) >> 8, it & 0xff])
            else:
                kind = next(k for k, bits in enumerate((16, 24, 32, 64)) if -1 << bits - 1 <= it < 1 << bits - 1)
                entry = bytes([0xf1 + kind]) + struct.pack("<q", it)[:(2, 3, 4, 8)[kind]]
        else:
            s, n = it.encode(), len(it)
            entry = (bytes([0x80 | n]) if n < 64 else bytes([0xe0 | n >> 8, n & 0xff]) if n < 4096 else b"\xf0" + struct.pack("<I", n)) + s
        n, back = len(entry), []
        while True:
            back.insert(0, n & 0x7f)
            n >>= 7
            if not n:
                break
        out += entry + bytes([b | (0x80 if i else 0) for i, b in enumerate(back)])
    return struct.pack("<IH", 7 + len(out), min(len(items), 65535)) + out + b"\xff"


def zipmap(pairs):
    def size(s):
        return bytes([len(s)]) if len(s) < 254 else b"\xfe" + struct.pack("<I", len(s))
    out = bytes([min(len(pairs), 254)])
    for i, (k, v) in enumerate(pairs):
        unused = i % 3
        out += size(k) + k.encode() + size(v) + bytes([unused]) + v.encode() + b"\0" * unused
    return out + b"\xff"


def intset(numbers, width):
    return struct.pack("<II", width, len(numbers)) + b"".join(struct.pack("<q", n)[:width] for n in numbers)


def stream(kind, groups=True):
    """Three entries of two nodes, one more deleted; two groups."""
    def sid(ms, seq):
        return struct.pack(">QQ", ms, seq)
    first = listpack([2, 1, 2, "temp", "hum", 0, 2, 0, 0, 20, "wet", 5, 1, 0, 1, 2, "temp", 21, "hum", "dry", 8, 0, 5, 0, 1, "only", "x", 6])
    second = listpack([1, 0, 1, "a", 0, 2, 3, 0, "b", 4])
    out = length(2) + string(sid(100, 1)) + string(first) + string(sid(200, 7)) + string(second)
    out += length(3) + length(203) + length(7)
    if kind != 15:
        out += length(100) + length(1) + length(100) + length(2) + length(4)
    if not groups:
        return out + length(0)
    out += length(2) + string("g1") + length(105) + length(1)
    if kind != 15:
        out += length(2)
    out += length(2) + sid(100, 1) + struct.pack("<q", 1111) + length(1) + sid(105, 1) + struct.pack("<q", 2222) + length(70)
    out += length(2)
    for name, owned in (("alice", [sid(100, 1), sid(105, 1)]), ("bob", [])):
        out += string(name) + struct.pack("<q", 3333) + (struct.pack("<q", 4444) if kind == 21 else b"")
        out += length(len(owned)) + b"".join(owned)
    out += string("g2") + length(0) + length(0)
    if kind != 15:
        out += length((1 << 64) - 1)
    return out + length(0) + length(0)


def stream_text(kind):
    v2, active = kind != 15, 4444 if kind == 21 else 3333
    return ["N 100-1 2", "F temp 20", "F hum wet", "N 105-1 1", "F only x", "N 203-7 1", "F a b",
            "T 3 203-7 %s %s %d" % (("100-1", "100-2", 4) if v2 else ("0-0", "0-0", 3)),
            "G g1 105-1 %d" % (2 if v2 else -1), "P 100-1 1111 1", "P 105-1 2222 70", "C alice 3333 %d" % active, "O 100-1", "O 105-1",
            "C bob 3333 %d" % active, "G g2 0-0 -1"]


NUMBERS = [0, 12, 13, -1, 127, -128, 128, 4095, -4096, 4096, 32767, -32768, 8388607, -8388608, 2147483647, -2147483648, 1 << 40, -(1 << 63), (1 << 63) - 1]
LONG = "l" * 300
HUGE = "h" * 20000
TEXTS = ["", "a", "b" * 63, "c" * 64, LONG, "d" * 4095, "e" * 4096, HUGE]
PAIRS = [("f%d" % i, "v%d" % i) for i in range(5)]
ITEMS = NUMBERS + TEXTS


def flat(pairs):
    return [x for p in pairs for x in p]


def old_score(s):
    return {"inf": b"\xfe", "-inf": b"\xff"}.get(s) or bytes([len(s)]) + s.encode()


SCORES = [("one", "1"), ("half", "0.5"), ("top", "inf"), ("bottom", "-inf"), ("small", "-3.25")]
BINARY = b"".join(string(m) + struct.pack("<d", float(s)) for m, s in SCORES)


def fields(pairs):
    return ["F %s %s" % p for p in pairs]


def members(items):
    return ["M %s" % i for i in items]


def elements(items):
    return ["E %s" % i for i in items]


ZSET = ["Z %s %.17g" % (m, float(s)) for m, s in SCORES]
COMPACT_SCORES = flat([(m, int(s) if s == "1" else s) for m, s in SCORES])

# name: type, its name, bytes, parts
VALUES = {
    "string": (0, "string", string("hello"), ["S hello"]),
    "string-empty": (0, "string", string(""), ["S "]),
    "string-int8": (0, "string", b"\xc0\x85", ["S -123"]),
    "string-int16": (0, "string", b"\xc1\x39\x30", ["S 12345"]),
    "string-int32": (0, "string", b"\xc2\x00\x00\x00\x80", ["S -2147483648"]),
    "string-14": (0, "string", string(LONG), ["S " + LONG]),
    "string-32": (0, "string", string(HUGE), ["S " + HUGE]),
    "string-64": (0, "string", b"\x81" + struct.pack(">Q", 3) + b"abc", ["S abc"]),
    "string-lzf": (0, "string", lzf_string("q" * 150 + "abc" + "r" * 90), ["S " + "q" * 150 + "abc" + "r" * 90]),
    "list": (1, "list", length(4) + string("a") + b"\xc0\x07" + lzf_string("q" * 99) + string(""), elements(["a", 7, "q" * 99, ""])),
    "list-ziplist": (10, "list", string(ziplist(ITEMS)), elements(ITEMS)),
    "list-ziplist-wide": (10, "list", string(ziplist(NUMBERS[:5], True)), elements(NUMBERS[:5])),
    "list-quicklist": (14, "list", length(2) + string(ziplist(["a", 1])) + string(ziplist([HUGE])), elements(["a", 1, HUGE])),
    "list-quicklist-2": (18, "list", length(3) + b"\x02" + string(listpack(ITEMS)) + b"\x01" + string("plain") + b"\x02" + string(listpack([5])),
                         elements(ITEMS + ["plain", 5])),
    "set": (2, "set", length(3) + string("x") + b"\xc0\x02" + lzf_string("q" * 99), members(["x", 2, "q" * 99])),
    "set-intset-2": (11, "set", string(intset([-5, 0, 300], 2)), members([-5, 0, 300])),
    "set-intset-4": (11, "set", string(intset([-70000, 2], 4)), members([-70000, 2])),
    "set-intset-8": (11, "set", string(intset([-(1 << 60), 1, 1 << 62], 8)), members([-(1 << 60), 1, 1 << 62])),
    "set-listpack": (20, "set", string(listpack(ITEMS)), members(ITEMS)),
    "zset": (3, "zset", length(5) + b"".join(string(m) + old_score(s) for m, s in SCORES), ZSET),
    "zset-2": (5, "zset", length(5) + BINARY, ZSET),
    "zset-ziplist": (12, "zset", string(ziplist(COMPACT_SCORES)), ZSET),
    "zset-listpack": (17, "zset", string(listpack(COMPACT_SCORES)), ZSET),
    "hash": (4, "hash", length(5) + b"".join(string(k) + string(v) for k, v in PAIRS), fields(PAIRS)),
    "hash-zipmap": (9, "hash", string(zipmap(PAIRS + [("big", LONG), ("k" * 260, "")])), fields(PAIRS + [("big", LONG), ("k" * 260, "")])),
    "hash-ziplist": (13, "hash", string(ziplist(flat(PAIRS) + ["n", 5])), fields(PAIRS + [("n", 5)])),
    "hash-ziplist-lzf": (13, "hash", lzf_string(ziplist(["f", "v" * 100])), fields([("f", "v" * 100)])),
    "hash-listpack": (16, "hash", string(listpack(flat(PAIRS) + ["n", 5])), fields(PAIRS + [("n", 5)])),
    "stream": (15, "stream", stream(15), stream_text(15)),
    "stream-2": (19, "stream", stream(19), stream_text(19)),
    "stream-3": (21, "stream", stream(21), stream_text(21)),
}
# The version that first wrote a type.
SINCE = {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 9: 2, 10: 2, 11: 2, 12: 2, 13: 4, 14: 7, 5: 8, 15: 9, 16: 10, 17: 10, 18: 10, 19: 10, 20: 11, 21: 11}

MODULE_ID = 0x5a9a69b4d6d8c401
MODULE = length(MODULE_ID) + b"\x02\x05" + b"\x01\x07" + b"\x03" + b"\0" * 4 + b"\x04" + b"\0" * 8 + b"\x05" + string("text") + b"\x00"


def module_name(number):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(letters[number >> (10 + 6 * i) & 63] for i in range(9))[::-1]


def payload(kind, value, version=10):
    """What RESTORE takes."""
    body = bytes([kind]) + value + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


class File:
    def __init__(self, version, with_sum=True):
        self.version, self.with_sum = version, with_sum
        self.data, self.text, self.db = b"REDIS%04d" % version, [], 0

    def select(self, db):
        self.db = db
        self.data += b"\xfe" + length(db)

    def raw(self, data, *text):
        self.data += data
        self.text += text

    def key(self, name, kind, type_name, value, parts, before=b"", due=None, idle=-1, freq=-1):
        self.data += before + bytes([kind]) + string(name) + value
        self.text += ["K %d %s %s due=%s idle=%d freq=%d" % (self.db, type_name, name, "-" if due is None else due, idle, freq)] + parts + ["."]

    def end(self):
        self.data += b"\xff"
        if self.version >= 5:
            self.data += struct.pack("<Q", crc64(self.data) if self.with_sum else 0)
        return self.data, "".join(t + "\n" for t in self.text)


def of_version(version):
    f = File(version, version % 2 == 0)
    if version >= 7:
        f.raw(b"\xfa" + string("redis-ver") + string("9.9"), "A redis-ver 9.9")
        f.raw(b"\xfa" + string("bits") + b"\xc0\x40", "A bits 64")
    if version >= 10:
        f.raw(b"\xf5" + string("#!lua name=lib\nreturn 1"), "L #!lua name=lib|return 1")
    if version >= 9:
        f.raw(b"\xf7" + length(MODULE_ID) + b"\x02\x01" + MODULE[len(length(MODULE_ID)):], "X " + module_name(MODULE_ID))
    f.select(0)
    if version >= 7:
        f.raw(b"\xfb" + length(100) + length(3), "R 0 100 3")
    for name, (kind, type_name, value, parts) in VALUES.items():
        if SINCE[kind] == version or version == 11 or (SINCE[kind] < version and len(value) < 4000):
            f.key(name, kind, type_name, value, parts)
    f.select(7)
    f.key("seconds", 0, "string", string("v"), ["S v"], b"\xfd" + struct.pack("<I", 1700000000), 1700000000000)
    if version >= 3:
        f.key("ms", 0, "string", string("v"), ["S v"], b"\xfc" + struct.pack("<q", 1700000000123), 1700000000123)
    if version >= 9:
        f.key("idle", 0, "string", string("v"), ["S v"], b"\xfc" + struct.pack("<q", 99) + b"\xf8" + length(12345), 99, 12345)
        f.key("freq", 1, "list", length(1) + string("v"), ["E v"], b"\xf9\xc8", None, -1, 200)
        f.raw(b"\x07" + string("module") + MODULE, "X " + module_name(MODULE_ID))
    if version >= 11:
        f.raw(b"\xf4" + length(5) + length(1) + length(0))
    return f.end()


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for version in range(1, 12):
        data, text = of_version(version)
        with open(os.path.join(folder, "v%02d.rdb" % version), "wb") as f:
            f.write(data)
        with open(os.path.join(folder, "v%02d.txt" % version), "w") as f:
            f.write(text)


if __name__ == "__main__":
    if sys.argv[1] == "--payload":
        sys.stdout.buffer.write(payload(*VALUES[sys.argv[2]][0:3:2], *map(int, sys.argv[3:4])))
    else:
        main(sys.argv[1])
