# SPDX-License-Identifier: BSD-2-Clause
"""Random commands, one generator for each command name.

To add a command, write a function below with @command("NAME"): it gets a Generator and returns the arguments. Weight is how
often it is drawn; compare (of compare.py) says how the two replies are compared where that is not "exactly". Commands that the server
under test does not have are not drawn.

Two servers never run at the same instant. So a due time is either far away, or so near that the driver can wait for it (Generator.pause),
or long past; and random due times differ by chance, so that GT and LT have one answer.
"""
import random

import compare
import fixed
import rdb_samples

COMMANDS = {}


class Command:
    def __init__(self, name, function, weight, how, mutable):
        self.name, self.function, self.weight, self.how, self.mutable = name, function, weight, how, mutable


def command(name, weight=10, how=compare.exact, mutable=True):
    def register(function):
        COMMANDS[name] = Command(name, function, weight, how, mutable)
        return function
    return register


class Step:
    """One command of a batch: its words, how to compare the replies, how long to wait afterwards."""
    __slots__ = ("name", "words", "how", "pause", "inline")

    def __init__(self, name, words, how, pause, inline):
        self.name, self.words, self.how, self.pause, self.inline = name, words, how, pause, inline


KEYS = [b"a", b"b", b"c", b"d", b"e", b"key:1", b"key:2", b"key:3", b"hello", b"hallo", b"hxllo", b"{tag}1", b"{tag}2",
        b"", b" ", b"with space", b"quote\"d", b"new\r\nline", b"\x00", b"\x00\xff\xfe", b"k" * 100, b"long" * 300]
INTEGERS = [b"0", b"1", b"-1", b"2", b"10", b"100", b"12345", b"-7", b"9223372036854775807", b"-9223372036854775808",
            b"9223372036854775806", b"4611686018427387904", b"2147483647", b"4294967296"]
NOT_INTEGERS = [b"", b"abc", b"1.5", b"12a", b" 1", b"1 ", b"+5", b"0x10", b"007", b"-0", b"--1", b"-", b"9223372036854775808",
                b"-9223372036854775809", b"1e3", b"99999999999999999999999", b"1\x00", b"nan", b"(1", b"\xff"]
FLOATS = [b"1.5", b"-0.1", b"0", b"1e5", b"3.0e3", b"200", b"-1.25e-3", b"0.1", b"1e18", b"123456789.123456789", b"5e-10", b".5",
          b"5.", b"+1.5", b"0x1p3", b"1e17", b"-0.0", b"3.14159265358979323846"]
NOT_FLOATS = [b"", b"abc", b"nan", b"-nan", b"inf", b"-inf", b"+inf", b"infinity", b" 1", b"1 ", b"1e", b"1,5", b"1.5.5", b"1e400",
              b"1e5000", b"\x00", b"1\x00", b"1" * 300]
TEXTS = [b"", b"x", b"hello", b"value", b"bulk\r\nhead", b"\x00\x01\x02", b"\xff\xfe", b"two words", b"3.0", b"1.50", b" 5",
         b"0", b"00", b"-1", b"a" * 43, b"a" * 44, b"a" * 45, b"a" * 63, b"a" * 64, b"b" * 511, b"c" * 4096, b"ab" * 10]
OPTION_NAMES = [b"NX", b"XX", b"GT", b"LT", b"GET", b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL", b"PERSIST", b"REPLACE", b"ABSTTL", b"IDLETIME", b"FREQ", b"DB", b"MATCH",
                b"COUNT", b"TYPE", b"ASYNC", b"SYNC", b"AUTH", b"SETNAME", b"BOGUS"]


class Generator:
    def __init__(self, seed, available=None):
        self.random = random.Random(seed)
        self.commands = [c for c in COMMANDS.values() if available is None or self.exists(c.name.lower(), available)]
        self.weights = [c.weight for c in self.commands]
        self.pause = 0

    @staticmethod
    def exists(name, available):
        """DEBUG has subcommands that COMMAND LIST does not name."""
        container = name.split(" ")[0]
        return name.replace(" ", "|") in available or (container in available and
                                                       not any(a.startswith(container + "|") for a in available))

    # What generators draw from.
    def chance(self, p):
        return self.random.random() < p

    def pick(self, *items):
        return self.random.choice(items)

    def words(self, *texts):
        """The words of one of the texts."""
        return self.random.choice(texts).encode().split()

    def key(self):
        # Mostly from a few keys, so that commands meet each other's keys.
        return self.random.choice(KEYS[:8] if self.chance(0.7) else KEYS)

    def keys(self, most=5):
        return [self.key() for _ in range(self.random.randint(1, most))]

    def value(self):
        roll = self.random.random()
        if roll < 0.35:
            return self.random.choice(INTEGERS)
        if roll < 0.5:
            return self.random.choice(FLOATS)
        if roll < 0.9:
            return self.random.choice(TEXTS)
        if roll < 0.995:
            return self.random.randbytes(self.random.randint(0, 200))
        return self.random.randbytes(1) * self.random.choice([16384, 65536, 100000, 300000])

    def integer(self):
        return self.random.choice(INTEGERS) if self.chance(0.85) else self.random.choice(NOT_INTEGERS)

    def position(self):
        """Of a byte, or a bit, from either end."""
        if self.chance(0.9):
            return b"%d" % self.random.randint(*self.pick((-3, 3), (-20, 20), (-100, 700)))
        return self.integer()

    def bit(self):
        roll = self.random.random()
        if roll < 0.93:
            return b"%d" % self.random.randint(0, self.pick(16, 100, 1000, 5000))
        return self.pick(b"1000000", b"4294967296", b"4294967297", b"-1", b"9223372036854775807", *NOT_INTEGERS)

    def float(self):
        return self.random.choice(FLOATS) if self.chance(0.8) else self.random.choice(NOT_FLOATS)

    def database(self):
        if self.chance(0.9):
            return b"%d" % self.random.randint(0, 4)
        return self.pick(b"15", b"16", b"-1", b"abc", b"", b"99999999999", b"1.0", b"9223372036854775807")

    def pattern(self):
        if self.chance(0.5):
            return self.pick(b"*", b"key:*", b"h?llo", b"h[ae]llo", b"h[^a]llo", b"h[a-x]llo", b"?", b"", b"[a-c]", b"[^a-c]", b"k*",
                             b"*o", b"\\*", b"a", b"*[0-9]", b"key:[12]", b"**", b"*\x00*", b"with\\ space", b"h*l*o")
        return bytes(self.random.choice(b"abcehlo:k*?[]^-\\1{}") for _ in range(self.random.randint(1, 8)))

    # Due times.
    def soon(self):
        """A few milliseconds, for which the driver waits."""
        self.pause = 0.015
        return b"%d" % self.random.randint(1, 5)

    def bad_time(self):
        return self.random.choice(NOT_INTEGERS + [b"0", b"-1", b"-100", b"9223372036854775807", b"-9223372036854775808",
                                                  b"9223372036854776", b"-9223372036854776", b"9223372036854775"])

    def seconds(self):
        return b"%d" % self.random.randint(1000, 10_000_000) if self.chance(0.8) else self.bad_time()

    def milliseconds(self):
        roll = self.random.random()
        if roll < 0.1:
            return self.soon()
        return b"%d" % self.random.randint(1_000_000, 10_000_000_000) if roll < 0.85 else self.bad_time()

    def at_seconds(self):
        return self.pick(b"%d" % self.random.randint(4_000_000_000, 9_000_000_000), b"1", b"1000000000") \
            if self.chance(0.85) else self.bad_time()

    def at_milliseconds(self):
        return self.pick(b"%d" % self.random.randint(4_000_000_000_000, 9_000_000_000_000), b"1", b"1000000000000") \
            if self.chance(0.85) else self.bad_time()

    def due(self, *more):
        """An option that sets a due time, or one of the others."""
        option = self.pick(b"EX", b"PX", b"EXAT", b"PXAT", *more)
        time = {b"EX": self.seconds, b"PX": self.milliseconds, b"EXAT": self.at_seconds, b"PXAT": self.at_milliseconds}.get(option)
        return [option, time()] if time else [option]

    def some(self, p, *options):
        """Each option (a list of words) with a chance of p, in random order."""
        chosen = [o for o in options if self.chance(p)]
        self.random.shuffle(chosen)
        return [word for option in chosen for word in option]

    # Steps.
    def mutate(self, words):
        """A mistake: an argument missing, twice, another's, or one too many."""
        kind = self.random.randrange(4)
        at = self.random.randrange(1, len(words)) if len(words) > 1 else 0
        if kind == 0 and at:
            del words[at]
        elif kind == 1 and at:
            words.insert(at, words[at])
        elif kind == 2 and at:
            words[at] = self.pick(b"", b"BOGUS", b"*", b"\x00", self.key(), self.random.choice(OPTION_NAMES))
        else:
            words.append(self.random.choice(OPTION_NAMES))
        # A changed unit or order may have made another due time of it.
        return words

    def case(self, word):
        roll = self.random.random()
        if roll < 0.8:
            return word
        return word.lower() if roll < 0.9 else bytes(c ^ 32 if self.chance(0.5) and 65 <= c & ~32 <= 90 else c for c in word)

    def step(self):
        chosen = self.random.choices(self.commands, self.weights)[0]
        self.pause = 0
        words = [w if isinstance(w, bytes) else str(w).encode() for w in chosen.function(self)]
        names = chosen.name.encode().split()
        if chosen.mutable and self.chance(0.05):
            words = self.mutate([b""] + words)[1:]
        words = [self.case(n) for n in names] + [self.case(w) if w in OPTION_NAMES else w for w in words]
        inline = self.chance(0.04) and sum(map(len, words)) < 10000
        return Step(chosen.name, words, chosen.how, self.pause, inline)


def inline(words, rng):
    """Words as an inline command, quoted in one of the ways there are."""
    out = []
    for word in words:
        plain = word and all(33 <= c < 127 and c not in b"\"'\\" for c in word)
        style = rng.randrange(3)
        if plain and style == 0:
            out.append(word)
        elif style == 1 and b"\n" not in word and b"\r" not in word and b"\x00" not in word:
            out.append(b"'" + word.replace(b"'", b"\\'") + b"'" if b"\\" not in word else double_quoted(word))
        else:
            out.append(double_quoted(word))
    return rng.choice([b" ", b"  ", b" \t "]).join(out) + rng.choice([b"\r\n", b"\n"])


def double_quoted(word):
    special = {10: b"\\n", 13: b"\\r", 9: b"\\t", 34: b'\\"', 92: b"\\\\", 7: b"\\a", 8: b"\\b"}
    return b'"' + b"".join(special.get(c) or (bytes([c]) if 32 <= c < 127 else b"\\x%02x" % c) for c in word) + b'"'


# Strings.

@command("SET", 60)
def _(g):
    return [g.key(), g.value(), *g.some(0.2, g.pick([b"NX"], [b"XX"]), [b"GET"], g.due(b"KEEPTTL"), [b"KEEPTTL"], [b"NX"],
                                        *([[b"BOGUS"]] if g.chance(0.05) else []))]


@command("GET", 40)
def _(g):
    return [g.key()]


@command("GETDEL")
def _(g):
    return [g.key()]


@command("GETEX", 15)
def _(g):
    return [g.key(), *g.some(0.6, g.due(b"PERSIST"), *([[b"PERSIST"]] if g.chance(0.1) else []))]


@command("MGET", 15)
def _(g):
    return g.keys()


@command("MSET", 15)
def _(g):
    return [w for k in g.keys() for w in (k, g.value())]


@command("MSETNX", 8)
def _(g):
    return [w for k in g.keys(3) for w in (k, g.value())]


@command("INCR", 15)
def _(g):
    return [g.key()]


@command("DECR", 15)
def _(g):
    return [g.key()]


@command("INCRBY", 15)
def _(g):
    return [g.key(), g.integer()]


@command("DECRBY", 15)
def _(g):
    return [g.key(), g.integer()]


@command("INCRBYFLOAT", 20)
def _(g):
    return [g.key(), g.float()]


@command("APPEND", 15)
def _(g):
    return [g.key(), g.value()]


@command("STRLEN")
def _(g):
    return [g.key()]


@command("SETEX", 5)
def _(g):
    return [g.key(), g.seconds(), g.value()]


@command("PSETEX", 5)
def _(g):
    return [g.key(), g.milliseconds(), g.value()]


@command("SETNX", 5)
def _(g):
    return [g.key(), g.value()]


@command("GETSET", 5)
def _(g):
    return [g.key(), g.value()]


@command("SETRANGE", 10)
def _(g):
    offset = g.position() if g.chance(0.95) else g.pick(b"536870911", b"536870912", b"4294967296", b"9223372036854775807")
    if offset == b"536870911":
        return [g.key(), offset, b"xy"]
    return [g.key(), offset, g.value()]


@command("GETRANGE", 10)
def _(g):
    return [g.key(), g.position(), g.position()]


@command("SUBSTR", 3)
def _(g):
    return [g.key(), g.position(), g.position()]


@command("LCS", 8)
def _(g):
    return [g.key(), g.key(), *g.some(0.3, g.pick([b"LEN"], [b"IDX"]), [b"IDX"], [b"MINMATCHLEN", g.pick(b"0", b"1", b"2", b"4", b"-1",
                                                                                                        b"abc", b"100000")],
                                      [b"WITHMATCHLEN"], *([[b"MINMATCHLEN"]] if g.chance(0.1) else []))]


# Bits.

@command("SETBIT", 25)
def _(g):
    return [g.key(), g.bit(), g.pick(b"0", b"1") if g.chance(0.95) else g.pick(b"2", b"-1", b"abc", b"")]


@command("GETBIT", 15)
def _(g):
    return [g.key(), g.bit()]


@command("BITCOUNT", 20)
def _(g):
    return [g.key(), *g.pick([], [g.position(), g.position()], [g.position(), g.position(), g.pick(b"BIT", b"bit", b"BYTE", b"x")],
                             [g.position()] if g.chance(0.2) else [])]


@command("BITPOS", 20)
def _(g):
    range = [g.position(), g.position(), g.pick(b"BIT", b"BYTE", b"byte", b"x")]
    return [g.key(), g.pick(b"0", b"1") if g.chance(0.95) else g.pick(b"2", b"-1", b"abc"), *range[:g.random.randint(0, 3)]]


@command("BITOP", 15)
def _(g):
    op = g.pick(b"AND", b"OR", b"XOR", b"and", b"NOT", b"not", b"BOGUS" if g.chance(0.1) else b"XOR")
    return [op, g.key(), *(g.keys(1) if op.upper() == b"NOT" and g.chance(0.9) else g.keys())]


def field(g):
    """The width of a field, and where it is."""
    width = g.pick(b"u", b"i") + g.pick(b"1", b"2", b"3", b"5", b"7", b"8", b"9", b"13", b"16", b"31", b"32", b"33", b"63") \
        if g.chance(0.9) else g.pick(b"i64", b"i64", b"i64", b"u64", b"i65", b"u0", b"i0", b"x8", b"", b"u", b"i", b"U8", b"u08", b"u-1")
    return [width, g.bit() if g.chance(0.5) else b"#" + (b"%d" % g.random.randint(0, 20) if g.chance(0.9) else g.integer())]


def fields(g):
    out = []
    for _ in range(g.random.randint(0, 5)):
        if g.chance(0.3):
            out += [b"OVERFLOW", g.pick(b"WRAP", b"SAT", b"FAIL", b"sat") if g.chance(0.97) else b"BOGUS"]
        verb = g.pick(b"GET", b"SET", b"INCRBY", b"get", b"incrby")
        number = b"%d" % g.random.randint(-300, 300) if g.chance(0.6) else g.integer()
        out += [verb, *field(g), *([number] if verb.upper() != b"GET" else [])]
    return out


def small(words):
    """Whether no number could be taken for a field far behind the others: strings of half a gigabyte take too long."""
    numbers = [int(w.lstrip(b"#")) for w in words if w.lstrip(b"#").isdigit()]
    return not any(1 << 24 <= n < 1 << 32 for n in numbers)


@command("BITFIELD", 25)
def _(g):
    words = fields(g)
    return [g.key(), *words] if small(words) else [g.key()]


@command("BITFIELD_RO", 10)
def _(g):
    words = fields(g) if g.chance(0.2) else [w for _ in range(g.random.randint(0, 4)) for w in (b"GET", *field(g))]
    return [g.key(), *words] if small(words) else [g.key()]


# Keys.

@command("DEL", 10)
def _(g):
    return g.keys()


@command("UNLINK", 5)
def _(g):
    return g.keys()


@command("EXISTS")
def _(g):
    return g.keys()


@command("TOUCH", 3)
def _(g):
    return g.keys()


def expire(unit):
    return lambda g: [g.key(), getattr(g, unit)(), *g.some(0.15, [b"NX"], [b"XX"], [b"GT"], [b"LT"],
                                                           *([[b"BOGUS"]] if g.chance(0.1) else []))]


command("EXPIRE", 20)(expire("seconds"))
command("PEXPIRE", 20)(expire("milliseconds"))
command("EXPIREAT", 12)(expire("at_seconds"))
command("PEXPIREAT", 12)(expire("at_milliseconds"))


@command("TTL", how=compare.near(2))
def _(g):
    return [g.key()]


@command("PTTL", how=compare.near(2000))
def _(g):
    return [g.key()]


@command("EXPIRETIME", how=compare.near(2))
def _(g):
    return [g.key()]


@command("PEXPIRETIME", how=compare.near(2000))
def _(g):
    return [g.key()]


@command("PERSIST")
def _(g):
    return [g.key()]


@command("TYPE")
def _(g):
    return [g.key()]


@command("KEYS", how=compare.unordered)
def _(g):
    return [g.pattern()]


@command("SCAN", 6, how=compare.scan)
def _(g):
    cursor = b"0" if g.chance(0.9) else g.pick(b"abc", b"", b"1.5", b" 0", b"99999999999999999999999999")
    return [cursor, *g.some(0.4, [b"MATCH", g.pattern()],
                            [b"COUNT", g.pick(b"1", b"2", b"10", b"1000", b"0", b"-1", b"abc", b"9223372036854775807")],
                            [b"TYPE", g.pick(b"string", b"list", b"STRING", b"nosuch", b"")])]


@command("RENAME")
def _(g):
    return [g.key(), g.key()]


@command("RENAMENX")
def _(g):
    return [g.key(), g.key()]


@command("COPY", 15)
def _(g):
    return [g.key(), g.key(), *g.some(0.35, [b"DB", g.database()], [b"REPLACE"])]


@command("DUMP", 15)
def _(g):
    return [g.key()]


def payload(g):
    """What DUMP may have given; some of it damaged."""
    text = g.pick(*TEXTS, *INTEGERS, *NOT_INTEGERS)
    whole = rdb_samples.payload(0, g.pick(rdb_samples.string(text), *(v[2] for v in rdb_samples.VALUES.values() if v[0] == 0)))
    roll = g.random.random()
    if roll < 0.8:
        return whole
    if roll < 0.85:
        return rdb_samples.payload(0, rdb_samples.string(text), g.pick(0, 1, 9, 12, 255, 65535))
    if roll < 0.9:
        return rdb_samples.payload(g.pick(8, 21, 60, 99, 250, 255), rdb_samples.string(text))
    at = g.random.randrange(len(whole))
    return g.pick(whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:], b"", text, whole + b"x")


@command("RESTORE", 15)
def _(g):
    # Far away, relative or absolute; or as near as the driver can wait for, and long past when it is absolute.
    roll = g.random.random()
    ttl = b"0" if roll < 0.5 else g.soon() if roll < 0.6 else g.bad_time() if roll < 0.7 else b"%d" % g.random.randint(4 * 10**12, 9 * 10**12)
    return [g.key(), ttl, payload(g), *g.some(0.4, [b"REPLACE"], [b"ABSTTL"], [b"IDLETIME", g.integer()], [b"FREQ", g.integer()])]


@command("MOVE", 5)
def _(g):
    return [g.key(), g.database()]


@command("RANDOMKEY", 5, how=compare.random_key)
def _(g):
    return []


@command("OBJECT ENCODING", 15)
def _(g):
    return [g.key()]


# A copy of a small number has a reference count of its own in Redis; here it is always that of the shared one.
@command("OBJECT REFCOUNT", 3, how=compare.reference_count)
def _(g):
    return [g.key()]


@command("OBJECT IDLETIME", 5, how=compare.idle_time)
def _(g):
    return [g.key()]


@command("OBJECT FREQ", 3)
def _(g):
    return [g.key()]


@command("OBJECT", 2, mutable=False)
def _(g):
    return g.pick([], [b"ENCODING"], [b"BOGUS", g.key()], [b"FREQ", g.key(), g.key()], [b"HELP", b"x"])


# Databases.

@command("SELECT", 12)
def _(g):
    return [g.database()]


@command("SWAPDB", 3)
def _(g):
    return [g.database(), g.database()]


@command("DBSIZE", 5, how=compare.size)
def _(g):
    return []


@command("FLUSHDB", 1)
def _(g):
    return g.some(0.3, [g.pick(b"ASYNC", b"SYNC", b"BOGUS", b"")])


@command("FLUSHALL", 1)
def _(g):
    return g.some(0.3, [g.pick(b"ASYNC", b"SYNC", b"BOGUS", b"")])


# Connection and server.

@command("PING", 5)
def _(g):
    return g.some(0.5, [g.value()])


@command("ECHO", 5)
def _(g):
    return [g.value()]


@command("HELLO", 4, how=compare.hello)
def _(g):
    if g.chance(0.2):
        return [g.pick(b"1", b"4", b"abc", b"", b"3.0", b"-1", b"99999999999999999999")]
    return g.some(0.9, [g.pick(b"2", b"3")]) + (
        g.some(0.3, [b"AUTH", b"default", b"any"], [b"SETNAME", g.pick(b"me", b"", b"a b", b"\xff", b"new\nline")],
               [b"AUTH", b"nobody", b"x"], [b"AUTH", b"default"], [b"BOGUS"]) if g.chance(0.5) else [])


@command("AUTH", 2)
def _(g):
    return g.pick([b"secret"], [b"default", b"any"], [b"nobody", b"x"], [b"", b""], [b"a", b"b", b"c"])


@command("TIME", 2, how=compare.time)
def _(g):
    return []


@command("CLIENT ID", 2, how=compare.any_integer)
def _(g):
    return []


@command("CLIENT SETNAME", 3)
def _(g):
    return [g.pick(b"me", b"", b"a b", b"new\nline", b"\xff", b"x" * 200, b"~!@#", b"\x7f")]


@command("CLIENT GETNAME", 3)
def _(g):
    return []


@command("CLIENT INFO", 1, how=compare.client_list)
def _(g):
    return []


@command("CLIENT LIST", 2, how=compare.client_list)
def _(g):
    return g.words("", "TYPE normal", "type pubsub", "TYPE replica", "TYPE master", "TYPE slave", "TYPE bogus", "TYPE", "ID", "ID abc",
                   "ID 0", "ID 999999999", "ID -1", "BOGUS", "BOGUS x")


@command("CLIENT NO-EVICT", 1)
def _(g):
    return g.words("ON", "off", "x", "")


@command("CLIENT TRACKING", 1, mutable=False)
def _(g):
    return g.words("OFF", "off BCAST", "OFF PREFIX a", "x", "ON BCAST OPTIN", "ON PREFIX a", "ON OPTIN OPTOUT", "OFF REDIRECT 0", "", "OFF x")


@command("CLIENT UNBLOCK", 1)
def _(g):
    return g.words("0", "999999", "999999 TIMEOUT", "-1 error", "x", "1 x", "")


@command("CLIENT KILL", 2, mutable=False)
def _(g):
    # Whom nobody is, and mistakes.
    return g.words("ID 999999999", "ID 0", "ID -1", "ID abc", "ID", "ADDR 1.2.3.4:5", "LADDR 1.2.3.4:5", "TYPE pubsub", "TYPE replica", "TYPE bogus",
                   "USER nosuch", "USER default ID 999999999", "1.2.3.4:5", "SKIPME maybe", "SKIPME yes ADDR x", "SKIPME no TYPE pubsub",
                   "id 999999999 Type Normal", "BOGUS x", "ID 1 BOGUS", "")


@command("CLIENT", 2, mutable=False)
def _(g):
    return g.words("", "GETREDIR", "TRACKINGINFO", "CACHING yes", "REPLY ON", "REPLY x", "UNPAUSE", "PAUSE 0", "PAUSE x", "PAUSE -1", "BOGUS", "BOGUS x", "GETNAME x", "SETNAME", "ID x", "INFO x")


@command("CONFIG GET", 3, how=compare.config, mutable=False)
def _(g):
    return g.words("maxmemory", "port", "MAXMEMORY", "nosuch", "databases", "timeout databases", "maxclients", "max*", "tcp-keepalive",
                   "proto-max-bulk-len", "requirepass", "databases databases", "[dt]*s")


@command("CONFIG SET", 3, mutable=False)
def _(g):
    return g.words("maxmemory 0", "maxmemory abc", "maxmemory -1", "nosuch 1", "timeout 0", "timeout -1", "timeout abc", "tcp-keepalive 300",
                   "maxmemory", "maxmemory 0 timeout", "maxmemory 0 timeout 0", "maxmemory 0 maxmemory 0", "maxmemory 1gb nosuch x",
                   "timeout 0 maxmemory 1x", "databases 20", "port", "timeout 99999999999", "timeout", "timeout 0 nosuch", "proto-max-bulk-len 512mb",
                   "proto-max-bulk-len 1")


@command("CONFIG", 1, mutable=False)
def _(g):
    return g.words("", "BOGUS", "GET", "SET", "BOGUS x y")


@command("CONFIG RESETSTAT", 1)
def _(g):
    return []


@command("LATENCY HELP", 1, how=compare.help)
@command("MEMORY HELP", 1, how=compare.help)
@command("OBJECT HELP", 1, how=compare.help)
@command("SLOWLOG HELP", 1, how=compare.help)
@command("CLUSTER HELP", 1, how=compare.help)
@command("MODULE HELP", 1, how=compare.help)
@command("FUNCTION HELP", 1, how=compare.help)
@command("SCRIPT HELP", 1, how=compare.help)
@command("CLIENT HELP", 1, how=compare.help)
@command("CONFIG HELP", 1, how=compare.help)
@command("COMMAND HELP", 1, how=compare.help)
def _(g):
    return []


@command("COMMAND GETKEYS", 4, mutable=False)
def _(g):
    if g.chance(0.5):
        return g.pick([b"GET", g.key()], [b"MSET", *g.keys()], [b"DEL", *g.keys()], [b"mget", *g.keys()], [b""])
    return g.words("MSET a 1 b 2", "SET k v EX 10", "PING", "PING x", "NOSUCH x", "COPY a b", "GET", "GET a b", "RENAME a b", "CONFIG GET x",
                   "CONFIG BOGUS", "FLUSHALL x", "MSETNX a", "SCAN 0")


@command("COMMAND GETKEYSANDFLAGS", 4, mutable=False)
def _(g):
    return g.pick([b"GET", g.key()], [b"MSET", *g.keys()], [b"DEL", *g.keys()], [b"SET", g.key(), *g.some(0.5, [b"GET"], [b"EX"], [g.value()])],
                  [b"PING", b"x"], [b"RENAME", g.key(), g.key()], [b"nosuch", b"x"])


@command("COMMAND LIST", 2, how=compare.known_names, mutable=False)
def _(g):
    return g.words("", "FILTERBY PATTERN [a-e]*", "FILTERBY PATTERN *set*", "filterby aclcat string", "FILTERBY ACLCAT fast", "FILTERBY ACLCAT bogus",
                   "FILTERBY MODULE m", "FILTERBY PATTERN", "FILTERBY BOGUS x", "x")


def texts_of(group):
    """The lines of a group of fixed.py, without the command's name."""
    return [line.split(" ", 1)[1] for line in getattr(fixed, group).split("\n") if " " in line and '"' not in line]


for name, group in (("CLUSTER", "CLUSTER"), ("MODULE", "MODULE")):
    command(name, 2, mutable=False)(lambda g, group=group: g.words(*texts_of(group)))


@command("FUNCTION", 2, mutable=False)
def _(g):
    return g.words("LIST", "LIST WITHCODE", "LIST LIBRARYNAME x", "LIST x", "STATS", "DUMP", "FLUSH", "FLUSH ASYNC", "FLUSH x", "DELETE x", "KILL", "BOGUS",
                   "")


@command("SCRIPT", 2, mutable=False)
def _(g):
    return g.words("EXISTS a b", "EXISTS", "FLUSH", "FLUSH SYNC", "FLUSH x", "KILL", "KILL x", "BOGUS", "")


@command("INFO", 1, how=compare.same_type, mutable=False)
def _(g):
    return g.words("", "server", "clients memory", "nosuch", "everything", "ALL", "default keyspace", "commandstats", "errorstats latencystats")


@command("SLOWLOG", 2, how=compare.same_type, mutable=False)
def _(g):
    return g.words("GET", "GET 0", "GET 3", "GET -1", "GET -2", "GET x", "GET 1 1", "LEN", "LEN x", "RESET", "reset x", "BOGUS", "")


@command("LATENCY", 2, how=compare.same_type, mutable=False)
def _(g):
    return g.words("LATEST", "LATEST x", "HISTORY command", "HISTORY nosuch", "HISTORY", "RESET", "RESET nosuch", "RESET command fork", "GRAPH nosuch",
                   "GRAPH", "DOCTOR", "DOCTOR x", "HISTOGRAM nosuch", "HISTOGRAM set", "HISTOGRAM SET nosuch GET", "HISTOGRAM client|id", "BOGUS", "")


@command("MEMORY", 2, how=compare.same_type, mutable=False)
def _(g):
    return g.words("DOCTOR", "DOCTOR x", "STATS", "STATS x", "MALLOC-STATS", "PURGE", "PURGE x", "USAGE", "BOGUS", "")


@command("MEMORY USAGE", 4, how=compare.usage)
def _(g):
    return [g.key(), *g.some(0.4, [b"SAMPLES", g.pick(b"0", b"1", b"5", b"-1", b"x", b"")], [b"BOGUS"])]


@command("LOLWUT", 1, how=compare.lolwut, mutable=False)
def _(g):
    return g.words("", "VERSION 5", "VERSION 5 10 2 2", "VERSION 6 10 x", "VERSION x", "x", "VERSION")


@command("COMMAND COUNT", 1, how=compare.any_integer)
def _(g):
    return []


@command("COMMAND", 1, mutable=False)
def _(g):
    return g.words("BOGUS", "COUNT x", "LIST x", "LIST FILTERBY BOGUS x", "LIST FILTERBY", "LIST FILTERBY MODULE x",
                   "LIST FILTERBY ACLCAT nosuch", "DOCS nosuch", "INFO nosuch", "INFO nosuch nosuch|x")


@command("COMMAND INFO", 2, how=compare.command_info, mutable=False)
def _(g):
    return [g.pick(*IMPLEMENTED) for _ in range(g.random.randint(1, 3))]


@command("COMMAND DOCS", 2, how=compare.command_docs, mutable=False)
def _(g):
    return [g.pick(*IMPLEMENTED) for _ in range(g.random.randint(1, 3))]


@command("DEBUG OBJECT", 2, how=compare.debug_object, mutable=False)
def _(g):
    return [g.key()]


@command("DEBUG DIGEST-VALUE", 4, how=compare.digest_values, mutable=False)
def _(g):
    return g.keys(3)


@command("DEBUG PROTOCOL", 2, mutable=False)
def _(g):
    # Not push, whose reply comes beside another one, and not attrib, which precedes one.
    return g.words("string", "integer", "double", "bignum", "null", "array", "set", "map", "verbatim", "true", "false", "bogus", "")


@command("DEBUG POPULATE", 2, mutable=False)
def _(g):
    return [g.pick(b"0", b"1", b"3", b"70", b"-1", b"x"), *([g.pick(b"key", b"a", b"", b"{tag}")] if g.chance(0.6) else [])] + \
        ([b"key", g.pick(b"0", b"3", b"44", b"45", b"5000", b"x")] if g.chance(0.2) else [])


@command("DEBUG", 3, mutable=False)
def _(g):
    return g.words("", "BOGUS", "ERROR x", "ERROR", "LOG x", "HTSTATS 99", "HTSTATS-KEY nosuch", "REPLYBUFFER RESIZING 1", "REPLYBUFFER x 1",
                   "REPLYBUFFER PEAK-RESET-TIME RESET", "PAUSE-CRON 0", "SET-ACTIVE-EXPIRE 1", "SLEEP", "OBJECT", "DIGEST x")


@command("DEBUG HELP", 1, how=compare.help, mutable=False)
def _(g):
    return []


@command("DEBUG SLEEP", 1, mutable=False)
def _(g):
    return [g.pick(b"0", b"0.001", b"0.0")]


@command("SHUTDOWN", 1, mutable=False)
def _(g):
    # Only what is refused.
    return g.words("BOGUS", "NOSAVE SAVE", "SAVE NOSAVE", "ABORT", "NOSAVE BOGUS", "ABORT NOW")


@command("NOSUCHCOMMAND", 2, mutable=False)
def _(g):
    return [g.value() for _ in range(g.random.randint(0, 5))]


@command("GE\r\nT", 1, mutable=False)
def _(g):
    return [g.key()]


# Those that the server under test has, for COMMAND INFO and COMMAND DOCS; the driver fills it in.
IMPLEMENTED = ["get"]
