"""Names and labels of what Stateroom makes: a pure function of hub, user and server.

A name is a readable slug and 80 bits of SHA-256 over the exact parts, so that
any user name works, two names never meet by accident or by design, and every
process that knows the three parts finds the object without asking. At most 63
characters of `[a-z0-9-]`, starting with a letter: valid for Docker and as a
DNS label.

On Kubernetes a label's value is short and plain, so the labels here are
annotations there, and `label_value` gives what can be selected by.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from stateroom.quantity import Resources

LONGEST = 63
_HASH_LETTERS = 16  # of base32: 80 bits
_LABEL = "io.stateroom."

HUB, USER, SERVER, KIND, USER_ID = (_LABEL + word for word in ("hub", "user", "server", "kind", "user-id"))
CPU, MEMORY, GPU, RESERVED_MEMORY = (_LABEL + word for word in ("cpu", "memory", "gpu", "reserved-memory"))
TLS = _LABEL + "tls"  # there on a server that serves TLS
# On containers that a command needs for a moment; not HUB, by which a hub finds its servers.
HELPER = _LABEL + "helper"
SPEC = _LABEL + "spec"  # the hash of the spec that a server was made from

HOME_PREFIX = "stateroom-home"

_LONGEST_NUMBER = 18
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerRef:
    """Which server: the hub's id, the user's name, and the server's name ("" is the default one)."""

    hub: str
    user: str
    server: str = ""

    @property
    def name(self) -> str:
        """The container's or pod's name."""
        return _name("stateroom", "server", self.hub, self.user, self.server)

    @property
    def labels(self) -> Mapping[str, str]:
        """What marks an object as this server and nobody else's."""
        return {KIND: "server", HUB: self.hub, USER: self.user, SERVER: self.server}

    def is_sibling_of(self, other: ServerRef) -> bool:
        """Whether it is another server of the same user."""
        return (self.hub, self.user) == (other.hub, other.user) and self.server != other.server

    def __str__(self) -> str:
        return f"{self.user}/{self.server}" if self.server else self.user


@dataclass(frozen=True, slots=True)
class HomeRef:
    """Whose home: all servers of a user share it. `user_id` is the hub's own id of the user."""

    hub: str
    user: str
    user_id: int

    @property
    def name(self) -> str:
        """The volume's, claim's or folder's name; it does not depend on `user_id`."""
        return _name(HOME_PREFIX, "home", self.hub, self.user)

    @property
    def labels(self) -> Mapping[str, str]:
        """What marks a volume as this home; `user_id` tells a reused user name apart."""
        return {KIND: "home", HUB: self.hub, USER: self.user, USER_ID: str(self.user_id)}


def label_value(text: str) -> str:
    """`text` as the value of a Kubernetes label: itself where that is one, else a slug and a hash of it."""
    return text if _LABEL_VALUE.fullmatch(text) else _name("x", "label", "", text)


def network_name(hub: str) -> str:
    """The network that the hub's servers are on."""
    return _name("stateroom-net", "network", hub)


def look_labels(hub: str) -> Mapping[str, str]:
    """What marks a container that never runs, and is there only while the hub looks into an image."""
    return {KIND: "look", HUB: hub}


def home_from_labels(labels: Mapping[str, str], hub: str) -> HomeRef | None:
    """The home that `labels` describe, if it is one of `hub`."""
    if labels.get(KIND) != "home" or labels.get(HUB) != hub or USER not in labels:
        return None
    number = labels.get(USER_ID, "")
    return HomeRef(hub, labels[USER], int(number)) if _is_number(number) else None


def server_from_labels(labels: Mapping[str, str], hub: str) -> ServerRef | None:
    """The server that `labels` describe, if it is one of `hub`."""
    if labels.get(KIND) != "server" or labels.get(HUB) != hub:
        return None
    if USER not in labels or SERVER not in labels:
        return None
    return ServerRef(hub, labels[USER], labels[SERVER])


def resources_as_labels(resources: Resources) -> Mapping[str, str]:
    """What a server has, in thousandths of a core, bytes and GPUs, for whoever counts what runs."""
    return {
        CPU: str(resources.cpu),
        MEMORY: str(resources.memory),
        GPU: str(resources.gpu),
        RESERVED_MEMORY: str(resources.reserved_memory),
    }


def resources_from_labels(labels: Mapping[str, str]) -> Resources:
    """What `resources_as_labels` wrote; 0 for what is no number."""
    return Resources(*(_number(labels.get(label, "")) for label in (CPU, MEMORY, GPU, RESERVED_MEMORY)))


def _number(text: str) -> int:
    return int(text) if _is_number(text) else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _name(prefix: str, *parts: str) -> str:
    digest = _digest(parts)
    room = LONGEST - len(prefix) - len(digest) - 2
    slug = _slug("-".join(part for part in parts[2:] if part))[:room].rstrip("-")
    return "-".join(word for word in (prefix, slug, digest) if word)


def _digest(parts: tuple[str, ...]) -> str:
    # Each part with its length, so that ("ab", "c") and ("a", "bc") differ.
    content = b"".join(b"%d:%s" % (len(data), data) for data in map(_bytes, parts))
    return base64.b32encode(hashlib.sha256(content).digest()).decode()[:_HASH_LETTERS].lower()


def _bytes(part: str) -> bytes:
    # A lone surrogate is no valid text, but a name all the same.
    return part.encode("utf-8", "surrogatepass")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
