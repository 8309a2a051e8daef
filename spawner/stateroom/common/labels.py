"""The keys of the labels that Stateroom puts on what it makes.

On Kubernetes a label's value is short and plain, so these are annotations
there, and `naming.label_value` gives what can be selected by.
"""

from __future__ import annotations

_PREFIX = "io.stateroom."

HUB, USER, SERVER, KIND, USER_ID = (_PREFIX + word for word in ("hub", "user", "server", "kind", "user-id"))
MEMORY_GUARANTEE = _PREFIX + "memory-guarantee"
TLS = _PREFIX + "tls"  # there on a server that serves TLS
# On containers that a command needs for a moment; not HUB, by which a hub finds its servers.
HELPER = _PREFIX + "helper"
SPEC = _PREFIX + "spec"  # the hash of the spec that a server was made from

_LONGEST_NUMBER = 18


def resource(name: str) -> str:
    """Return the label of how much a server has of a kind of resource."""
    return _PREFIX + name


def is_number(text: str) -> bool:
    """Return whether a label's text is a whole number of a length that a label of ours can have."""
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
