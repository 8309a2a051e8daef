"""What an engine says, as cause and remedy for the person who waits: a table.

An engine's own words are written for its administrators, differ between its
versions, and hold addresses that are nobody else's business. The first row
whose words are found tells the sentence; what no row knows is told in the
engine's words.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Trouble(NamedTuple):
    """Words that an engine uses, and the sentence for them, with `{image}` for the image's name."""

    words: str
    sentence: str


_TELL_ADMIN = "tell an administrator"

# The disk is full wherever the words come up.
_FULL = Trouble(
    "no space left on device|disk quota exceeded",
    "The disk of the machine that runs servers is full. Try again later, and " + _TELL_ADMIN + ".",
)

PULL = (
    _FULL,
    Trouble(
        "invalid reference format|invalid tag format",
        '"{image}" is no name of an image. Choose another one, and tell an administrator to correct the catalog.',
    ),
    Trouble(
        "credentials? store|docker-credential-",
        'The logins for registries cannot be read here, so "{image}" cannot be fetched. Choose another image, and tell '
        "an administrator.",
    ),
    Trouble(
        "unauthorized|authentication required|no basic auth|pull access denied|denied: ",
        'The registry does not give out "{image}" without a login. Choose another image, and tell an administrator, '
        "who can log the engine in.",
    ),
    Trouble(
        "manifest unknown|not found|does not exist|name unknown",
        'The registry has no image "{image}". Choose another image, and tell an administrator: the catalog names one '
        "that is not there.",
    ),
    Trouble(
        "connection refused|no such host|timeout|timed out|server misbehaving|network is unreachable|no route to host"
        "|x509|tls: |deadline exceeded|connection reset|EOF|Client.Timeout|50[0234] ",
        'The registry of "{image}" cannot be reached. Try again in some minutes, or choose another image; '
        "if it stays so, tell an administrator.",
    ),
)

START = (
    _FULL,
    Trouble(
        "no available (?:IPv4 )?address|could not find an available|address pool|no available network",
        "All addresses of the servers' network are in use. Try again later, and tell an administrator: "
        "the network must be larger, or servers be stopped.",
    ),
    Trouble(
        "port is already allocated|address already in use",
        "A port that the server needs is in use by another program. Tell an administrator.",
    ),
    Trouble(
        "executable file not found|exec: .*(?:no such file|not found|permission denied)|exec format error",
        'The image "{image}" cannot be started: its command is missing, or made for another kind of machine. '
        "Choose another image, and tell an administrator.",
    ),
    Trouble(
        "minimum memory limit|memory limit .*(?:low|small)|unable to set memory limit",
        "The memory that you chose is too little for a container to start at all. Choose more.",
    ),
    Trouble(
        "bind source path does not exist|error while mounting|error mounting|failed to mount|permission denied.*mount",
        "Your home could not be mounted. It was left as it is; " + _TELL_ADMIN + ".",
    ),
    Trouble(
        "could not select device driver|nvidia-container-cli|unknown or invalid runtime",
        "This machine has no GPU to give, or lacks the toolkit for it. Choose a size without GPUs, and "
        + _TELL_ADMIN
        + ".",
    ),
    Trouble(
        "no such image",
        'The image "{image}" is no longer on the machine. Start again to have it fetched.',
    ),
)


def diagnosed(said: str, table: tuple[Trouble, ...], image: str) -> str:
    """The sentence for what an engine said, "" where the table knows none."""
    for trouble in table:
        if re.search(trouble.words, said, re.IGNORECASE):
            return trouble.sentence.replace("{image}", image)
    return ""
