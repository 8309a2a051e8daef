"""Values that no form sends and anybody may."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from typing import Any

# Each as it may come out of JSON, a form or YAML, none of it an amount or an id.
HOSTILE: tuple[Any, ...] = (
    None, True, False, "", " ", ".", "-", -1, "-1", 10**400, -(10**400), 1e999, -1e999, float("nan"),
    "nan", "NaN", "inf", "Infinity", "1e3", "1e999", "+1", "0x10", "1_000", "1,5", "1 2", "1..2", "1.2.3",
    [], [1], [[]], ["unified"], {}, {"cpu": 1}, {"id": "unified"},
    "x" * 1_000_000, "1" * 100_000, "9" * 33, "\u0661", "\uff11", "²", "½", "\x00", "1\x00", "\x1b[31m1", "\n",
    "\ud800", "\u202e1", "\u2028", "unified ", "Unified", "unified\n", "../unified", "one", "None",
    "<script>alert(1)</script>", "${CPU}", "{0.__class__}", "%s", "' OR 1=1 --",
)  # fmt: skip

# Names that people have given to users and servers, or that somebody may give to be taken for somebody else, to
# leave a folder, to be run, or to be read as a pattern. JupyterHub lets most of them through.
HOSTILE_NAMES: tuple[str, ...] = (
    "", "/", "../../etc", "..", ".", "/etc/passwd", "a/../b", "\\", "..\\..\\etc", "C:\\", "con", "%2f", "%2e%2e%2fetc",
    "a", "A", "alice", "Alice", "ALICE", "alice ", " alice", "alice!", "alice!!", "alice?!", "alice-", "-alice",
    "al-ice", "al--ice", "al.ice", "al_ice", "alice@example.org", "alice+x@example.org", "@alice", "~alice", "~",
    ".hidden", "-", "--", "---", "-rf", "--privileged", "_", "__proto__", ":", "a:b", "a:/etc:rw", "a,b", "a=b", "=",
    "Foo", "foo", "FOO", "x" * 63, "x" * 64, "x" * 255, "x" * 256, "x" * 1000, "x" * 1001, "x" * 30_000, "-" * 100,
    "ü" * 60, "Ü" * 60, "İ", "\u0131", "ß", "ss", "ﬁ", "fi", "\u00c5", "A\u030a", "\u212b", "\u0430lice", "\uff41",
    "用户", "مستخدم", "😀", "\U0001f469\u200d\U0001f467", "\u202ealice", "\u200falice", "\u200b", "al\u200dice",
    "\ufeffalice", "\ufffd", "\uffff", "\U0010ffff", "\u2028", "\u00a0",
    "\x01", "\t", "\n", "\r\n", "a\nb", "a\n", "\x1b[31mred", "\x7f", "\x85",
    "{username}", "{userid.__class__}", "{nokey}", "{username:>200000000}", "{}", "{0}", "{{", "}", "%s", "%(name)s",
    "%n%n", "${HOME}", "$HOME", "$(id)", "`id`", "; id", "| id", "& id", "a' b", 'a" b', "*", "?", "[a-z]", "#", "a b",
    "' OR 1=1 --", "'; DROP TABLE users; --", "<script>alert(1)</script>", "<b>", "&amp;", "{{7*7}}", "{% if %}",
    "None", "null", "true", "undefined", "NaN", "0", "1", "01", "-1", "1e9", "1:a", "2:ab", "0" * 16,
    "server", "home", "network", "stateroom", "hub", "api", "root", "admin", "user", "a" * 16, "phzqn2bbbj6vmocd",
)  # fmt: skip

# What no program can be given as a variable, and no database of the hub's keeps.
UNSPEAKABLE_NAMES: tuple[str, ...] = ("\x00", "a\x00b", "\ud800", "\udfff", "alice\ud83d")

_PIECES = (*(name for name in HOSTILE_NAMES if 0 < len(name) < 20), "alice", "bob", "-", "--", ".", "/", "../", " ")


def generated_names(count: int, seed: int = 6) -> list[str]:
    """As many different names, the same on every run: any letters, hostile pieces put together, and near twins."""
    chance = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < count:
        for name in _family(chance):
            names.setdefault(name)
    return list(names)[:count]


def _family(chance: random.Random) -> Iterator[str]:
    """A name and names that a careless rule would take for the same."""
    if chance.random() < 0.5:
        name = "".join(chance.choice(_PIECES) for _ in range(chance.randint(1, 6)))
    else:
        name = "".join(_letter(chance) for _ in range(chance.choice((1, 2, 5, 20, 63, 64, 200))))
    yield name
    yield chance.choice((name.upper(), name.lower(), name.swapcase(), unicodedata.normalize("NFKD", name)))
    yield chance.choice((f"{name} ", f"{name}-", f" {name}", f"{name}!", name.replace("-", "--"), name[::-1], name * 2))


def _letter(chance: random.Random) -> str:
    code = chance.choice((chance.randint(1, 0x7F), chance.randint(1, 0x2FFF), chance.randint(1, 0x10FFFF)))
    return chr(code) if not 0xD800 <= code <= 0xDFFF else "?"


def shown(value: object) -> str:
    """A short name for a test's id."""
    return ascii(value)[:24]
