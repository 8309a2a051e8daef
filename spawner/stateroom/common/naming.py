"""Names of what Stateroom makes: a pure function of the parts that identify it.

A name is a readable slug and 80 bits of SHA-256 over the exact parts, so that
any user name works, two names never meet by accident or by design, and every
process that knows the parts finds the object without asking. At most 63
characters of `[a-z0-9-]`, starting with a letter: valid for Docker and as a
DNS label.
"""

from __future__ import annotations

import base64
import hashlib
import re

LONGEST = 63
_HASH_LETTERS = 16  # of base32: 80 bits
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)


def object_name(prefix: str, *parts: str) -> str:
    """Return the name for `parts`: the kind of object, the hub's id, and what tells it apart there."""
    digest = _digest(parts)
    room = LONGEST - len(prefix) - len(digest) - 2
    slug = _slug("-".join(part for part in parts[2:] if part))[:room].rstrip("-")
    return "-".join(word for word in (prefix, slug, digest) if word)


def label_value(text: str) -> str:
    """Return `text` as the value of a Kubernetes label: itself where that is one, else a slug and a hash of it."""
    return text if _LABEL_VALUE.fullmatch(text) else object_name("x", "label", "", text)


def _digest(parts: tuple[str, ...]) -> str:
    # Each part with its length, so that ("ab", "c") and ("a", "bc") differ.
    content = b"".join(b"%d:%s" % (len(data), data) for data in map(_bytes, parts))
    return base64.b32encode(hashlib.sha256(content).digest()).decode()[:_HASH_LETTERS].lower()


def _bytes(part: str) -> bytes:
    # A lone surrogate is no valid text, but a name all the same.
    return part.encode("utf-8", "surrogatepass")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
