# SPDX-License-Identifier: BSD-2-Clause
"""How two replies to the same command are compared. Each function gets the words, the replies (see tests/lib/resp.py) of the server under
test and of the reference, and the context: ours and theirs, the two connections, for questions of its own. It returns None
if the replies agree, else what is wrong with them."""
import re
import time as clock

# Texts in COMMAND DOCS that are each project's own words: that there are any is compared, and the versions of the history.
OWN_WORDS = {b"summary", b"complexity"}


def exact(words, ours, theirs, context=None):
    return None if ours == theirs else "the replies differ"


def kinds(ours, theirs):
    """Errors compare as text, replies by type."""
    if ours[0] != theirs[0]:
        return "the types differ"
    if ours[0] == "-" and ours != theirs:
        return "the errors differ"
    return None


def same_type(words, ours, theirs, context=None):
    """Replies that depend on the server: of the same type, and errors of the same text."""
    return kinds(ours, theirs)


def usage(words, ours, theirs, context):
    """MEMORY USAGE looks at a key that is due as long as it is there."""
    if ours in (("$", None), ("_", b"")) and theirs[0] == ":" and context.theirs.ask("EXISTS", words[2]) == (":", 0):
        return None
    return kinds(ours, theirs)


def near(tolerance):
    """Integers that depend on the moment. Negative ones have a meaning and must be equal."""
    def compare(words, ours, theirs, context=None):
        if ours == theirs:
            return None
        if ours[0] == theirs[0] == ":" and ours[1] >= 0 and theirs[1] >= 0 and abs(ours[1] - theirs[1]) <= tolerance:
            return None
        return "the replies differ by more than time explains"
    return compare


def idle_time(words, ours, theirs, context):
    """redis-server keeps one object for all values of 99, say: how long it has been idle says nothing of a key."""
    wrong = near(2)(words, ours, theirs)
    return None if wrong and context.theirs.ask("OBJECT", "REFCOUNT", words[2]) == (":", 2147483647) else wrong


def unordered(words, ours, theirs, context=None):
    if ours == theirs:
        return None
    if wrong := kinds(ours, theirs):
        return wrong
    if not isinstance(ours[1], list) or sorted(ours[1]) != sorted(theirs[1]):
        return "the members differ"
    return None


def any_integer(words, ours, theirs, context=None):
    if ours[0] == theirs[0] == ":":
        return None if ours[1] > 0 else "not positive"
    return exact(words, ours, theirs)


def reference_count(words, ours, theirs, context=None):
    """Which of the small numbers are shared is Redis's own affair: a copy of one is not."""
    if ours[0] == theirs[0] == ":" and {ours[1], theirs[1]} <= {1, 2147483647}:
        return None
    return exact(words, ours, theirs)


def iterate(words, connection, first):
    """All that a full iteration returns, from its first reply."""
    found, reply, rounds = set(), first, 0
    while True:
        if reply[0] != "*" or len(reply[1]) != 2 or reply[1][0][0] != "$" or reply[1][1][0] != "*":
            return f"not the reply of a SCAN: {reply!r}"[:300]
        found.update(value for _, value in reply[1][1][1])
        cursor = reply[1][0][1]
        if not cursor.isdigit():
            return f"not a cursor: {cursor!r}"
        if cursor == b"0":
            return found
        rounds += 1
        if rounds > 10000:
            return "the iteration does not end"
        reply = connection.ask(words[0], cursor, *words[2:])


def scan(words, ours, theirs, context):
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    a, b = iterate(words, context.ours, ours), iterate(words, context.theirs, theirs)
    return None if a == b else f"a full iteration returns {a!r}, the reference's {b!r}"[:2000]


def random_key(words, ours, theirs, context):
    if wrong := kinds(ours, theirs):
        return wrong
    if (ours[1] is None) != (theirs[1] is None):
        return "one has no key"
    if ours[0] == "$" and ours[1] is not None:
        for key in (ours[1], theirs[1]):
            for connection in (context.ours, context.theirs):
                if connection.ask("EXISTS", key) != (":", 1):
                    return f"{key!r} does not exist"
    return None


def size(words, ours, theirs, context):
    """DBSIZE counts keys that are due but not yet deleted, so the two may agree only a moment later."""
    end = clock.time() + 3
    while ours != theirs and clock.time() < end:
        clock.sleep(0.01)
        ours, theirs = context.ours.ask(*words), context.theirs.ask(*words)
    return exact(words, ours, theirs)


def time(words, ours, theirs, context=None):
    if ours[0] == "-":
        return exact(words, ours, theirs)
    for kind, value in (ours, theirs):
        if kind != "*" or [k for k, _ in value] != ["$", "$"] or not all(v.isdigit() for _, v in value):
            return "not a time"
        if abs(int(value[0][1]) - clock.time()) > 5 or int(value[1][1]) > 999999:
            return "not the time"
    return None


def pairs(reply):
    """The fields of a map, or of an array that stands for one in RESP2."""
    value = reply[1]
    return list(zip(value[::2], value[1::2]))


def hello(words, ours, theirs, context=None):
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    if wrong := kinds(ours, theirs):
        return wrong
    a, b = pairs(ours), pairs(theirs)
    if [k for k, _ in a] != [k for k, _ in b]:
        return "the fields differ"
    for (name, x), (_, y) in zip(a, b):
        if x[0] != y[0] or name[1] in (b"proto", b"mode", b"role", b"modules") and x != y:
            return f"{name[1]!r} differs"
    return None


def client_line(line):
    return dict(field.split("=", 1) for field in line.split(" "))


def client_list(words, ours, theirs, context=None):
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    if ours[0] != theirs[0]:
        return "the types differ"
    a, b = (reply[1].decode("latin-1").removeprefix("txt:") for reply in (ours, theirs))
    if bool(a) != bool(b) or a.endswith("\n") != b.endswith("\n"):
        return "one is empty or does not end with a newline"
    lines = a.splitlines()
    if len(lines) != len(b.splitlines()):
        return "the numbers of clients differ"
    for line, other in zip(lines, b.splitlines()):
        names = list(client_line(line))
        expected = list(client_line(other))
        if names[:len(expected)] != expected:
            return f"the fields differ: {' '.join(names)}"
        mine, its = client_line(line), client_line(other)
        for name in ("name", "flags", "db", "sub", "psub", "ssub", "multi", "user", "redir", "resp", "cmd"):
            # Only of the asking client itself, which is the same on both sides.
            if len(lines) == 1 and mine[name] != its[name]:
                return f"{name} differs"
        for name in ("id", "fd", "age", "idle", "qbuf", "qbuf-free", "omem", "tot-mem"):
            if not re.fullmatch(r"-?\d+", mine[name]):
                return f"{name} is not a number"
    return None


def config(words, ours, theirs, context=None):
    """Parameters and values; the port differs by nature, and the order of a reply of several is not promised."""
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    if wrong := kinds(ours, theirs):
        return wrong
    a, b = (sorted((k, v if k[1] != b"port" else None) for k, v in pairs(reply)) for reply in (ours, theirs))
    if any(set(word) & set(b"*?[") for word in words[2:]):
        # A pattern: not every parameter of the reference exists here.
        b = [(k, v) for k, v in b if k in dict(a)]
    return None if a == b else "the parameters differ"


def help(words, ours, theirs, context=None):
    """Own sentences under Redis's heading, each a status reply."""
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    if wrong := kinds(ours, theirs):
        return wrong
    if ours[1][0] != theirs[1][0]:
        return "the headings differ"
    return None if all(kind == "+" for kind, _ in ours[1]) else "the types differ"


def known_names(words, ours, theirs, context):
    """COMMAND LIST: of the commands that both have, the same ones."""
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    both = {c for _, c in context.ours.ask("COMMAND", "LIST")[1]} & {c for _, c in context.theirs.ask("COMMAND", "LIST")[1]}
    wrong = (set(name for _, name in ours[1]) ^ set(name for _, name in theirs[1])) & both
    return f"{sorted(wrong)} are named by one" if wrong else None


def lolwut(words, ours, theirs, context=None):
    """A drawing each; both name the version in the last line."""
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    if wrong := kinds(ours, theirs):
        return wrong
    return None if all(b"Redis ver. " in reply[1].rsplit(b"\n", 2)[-2] for reply in (ours, theirs)) else "no version"


def debug_object(words, ours, theirs, context=None):
    if ours == ("-", b"ERR no such key") and theirs[0] == "+" and context.theirs.ask("EXISTS", words[2]) == (":", 0):
        return None  # past due, though still there
    if ours[0] != "+" or theirs[0] != "+":
        return exact(words, ours, theirs)
    form = rb"Value at:0x[0-9a-f]+ refcount:\d+ encoding:(\w+) serializedlength:(\d+) lru:\d+ lru_seconds_idle:\d+"
    a, b = re.match(form, ours[1]), re.match(form, theirs[1])
    if not a:
        return "not the form of DEBUG OBJECT"
    return None if a[1] == b[1] else "the encodings differ"


def digest_values(words, ours, theirs, context):
    """Digests of keys; one that is due may still be there on the other side."""
    if ours == theirs:
        return None
    if wrong := kinds(ours, theirs):
        return wrong
    if len(ours[1]) != len(theirs[1]):
        return "the numbers of digests differ"
    for key, a, b in zip(words[2:], ours[1], theirs[1]):
        if a != b and not (a == ("+", b"0" * 40) and context.theirs.ask("EXISTS", key) == (":", 0)):
            return f"the digests of {key!r} differ"
    return None


def same_tree(ours, theirs, path=""):
    """Replies of COMMAND INFO: sets and maps have no order, and of subcommands only those that ours has are compared."""
    if ours[0] != theirs[0]:
        return f"{path}: the types differ"
    kind, value = ours
    if not isinstance(value, list):
        return None if ours == theirs else f"{path}: {value!r}, the reference has {theirs[1]!r}"
    if kind == "~" and not any(isinstance(v, list) for _, v in value):
        return None if sorted(value) == sorted(theirs[1]) else f"{path}: the sets differ"
    if is_info(ours) and is_info(theirs):
        mine = {sub[1][0][1]: sub for sub in value[9][1]} if len(value) > 9 else {}
        its = {sub[1][0][1]: sub for sub in theirs[1][9][1]}
        for name, sub in mine.items():
            if name in its and (wrong := same_tree(sub, its[name], f"{path}/{name.decode()}")):
                return wrong
        value, other = value[:9] + value[10:], theirs[1][:9] + theirs[1][10:]
        # Flags and categories are sets, but arrays in RESP2.
        for i in (2, 6):
            if sorted(map(repr, value[i][1])) != sorted(map(repr, other[i][1])):
                return f"{path}[{i}]: the members differ: {value[i][1]!r}, the reference has {other[i][1]!r}"[:600]
        value = [v for i, v in enumerate(value) if i not in (2, 6)]
        other = [v for i, v in enumerate(other) if i not in (2, 6)]
    else:
        other = theirs[1]
    if len(value) != len(other):
        return f"{path}: {len(value)} elements, the reference has {len(other)}"
    for i, (x, y) in enumerate(zip(value, other)):
        # The notes of key specifications are each project's own words.
        if i > 0 and value[i - 1] == other[i - 1] == ("$", b"notes") and x[1] and y[1]:
            continue
        if wrong := same_tree(x, y, f"{path}[{i}]"):
            return wrong
    return None


def is_info(reply):
    return reply[0] == "*" and len(reply[1] or []) == 10 and reply[1][0][0] in "$+" and reply[1][1][0] == ":"


def command_info(words, ours, theirs, context=None):
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    return same_tree(ours, theirs)


def command_docs(words, ours, theirs, context=None):
    if ours[0] == "-" or theirs[0] == "-":
        return exact(words, ours, theirs)
    return same_docs(ours, theirs)


def same_docs(ours, theirs, path="", field=b""):
    if ours[0] != theirs[0]:
        return f"{path}: the types differ"
    kind, value = ours
    if not isinstance(value, list):
        if field in OWN_WORDS:
            return None if value and re.fullmatch(rb"[^\r\n]+", value) else f"{path}: no text"
        return None if ours == theirs else f"{path}: {value!r}, the reference has {theirs[1]!r}"
    other = theirs[1]
    if field == b"history":
        versions, expected = (sorted(entry[1][0] for entry in reply[1]) for reply in (ours, theirs))
        if versions != expected or not all(len(entry[1]) == 2 and entry[1][1][1] for entry in value):
            return f"{path}: versions {versions}, the reference has {expected}"
        return None
    named = kind == "%" or (value and len(value) % 2 == 0 and field in (b"", b"subcommands") or is_doc(ours))
    if named:
        mine, its = ({k[1]: v for k, v in pairs(reply)} for reply in (ours, theirs))
        if field != b"subcommands" and list(mine) != list(its) and set(mine) != set(its):
            return f"{path}: fields {sorted(mine)}, the reference has {sorted(its)}"
        for name, v in mine.items():
            if name in its and (wrong := same_docs(v, its[name], f"{path}/{name.decode()}", name if path else b"(command)")):
                return wrong
        return None
    if len(value) != len(other):
        return f"{path}: {len(value)} elements, the reference has {len(other)}"
    for i, (x, y) in enumerate(zip(value, other)):
        if wrong := same_docs(x, y, f"{path}[{i}]", b"-"):
            return wrong
    return None


def is_doc(reply):
    """A RESP2 array that stands for a map: its first element names a field."""
    value = reply[1]
    return bool(value) and len(value) % 2 == 0 and value[0][0] == "$" and value[0][1] in (b"summary", b"name", b"since")
