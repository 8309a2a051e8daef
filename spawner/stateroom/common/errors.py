"""Every error that Stateroom raises on purpose.

    StateroomError
    ├── CatalogError             the catalog file, or the chart's values, cannot be used
    ├── ChoiceRefused            the user asked for what is not offered
    │   └── QuotaExceeded        it is offered, but too much runs already
    ├── SetupError               `stateroom up` and its kin cannot go on
    └── BackendError             a server could not be started, stopped or looked at
        ├── BackendUnavailable   the engine does not answer; says nothing about servers
        ├── DeadlineExceeded     the time allowed is over
        ├── ImageUnavailable     the image is neither here nor to be had
        ├── ImageUnfit           the image cannot run a server as it is
        ├── NameTaken            what has the server's name is not ours
        ├── HomeRefused          the home belongs to somebody else, or cannot be written to
        ├── ServerEnded          the server ended before it answered
        │   └── OutOfMemory      since it wanted more than it may have
        └── EngineRefused        the engine said no, for a reason given in its own words

`str(error)` is one or two sentences fit for the person who waits: what was
found, what was expected, what to do. `detail` is for the log alone. Neither
ever holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class StateroomError(Exception):
    """The root of the tree; catch it to catch what Stateroom raises."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CatalogFault:
    """One fault of a catalog, or of a file of the chart's values.

    Line and column count from 1, and are 0 where a fault is the whole file's.
    """

    file: str
    sentence: str
    line: int = 0
    column: int = 0
    where: str = ""  # such as "sizes[2].memory"

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        return ": ".join(part for part in (place, self.where, self.sentence) if part)


class CatalogError(StateroomError):
    """The catalog, or a file of values, does not hold; `problems` has one line for each fault."""

    def __init__(self, faults: Sequence[CatalogFault]) -> None:
        self.faults = tuple(faults)
        self.problems = tuple(map(str, faults))
        super().__init__("\n".join(self.problems))


class ChoiceRefused(StateroomError):
    """A choice lies outside the allowance; `fields` maps each field to its sentence."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


class QuotaExceeded(ChoiceRefused):
    """More would run at once than the user, or one of the user's groups, may have."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__({"quota": " ".join(sentences)})


class SetupError(StateroomError):
    """A command cannot go on; the sentence says what is missing and how to get it."""


class BackendError(StateroomError):
    """A backend could not do what was asked."""


class BackendUnavailable(BackendError):
    """The engine cannot be reached. Its servers may well be running."""


class DeadlineExceeded(BackendError):
    """The time allowed for a start or stop is over."""


class ImageUnavailable(BackendError):
    """The image is not on the engine and could not be pulled."""


class ImageUnfit(BackendError):
    """The image cannot be run as a server: it runs as root, or has no command."""


class NameTaken(BackendError):
    """An object that is not ours has a name that is ours by rule; it is left alone."""


class NetworkUnready(BackendError):
    """The network that a server is to be on lacks what keeps people apart, or is not there."""


class HomeRefused(BackendError):
    """A home carries another owner, or the server's user cannot write to it."""


class ServerEnded(BackendError):
    """The server ended before it answered; the message holds its last words."""


class OutOfMemory(ServerEnded):
    """The server ran out of its memory before it answered."""


class EngineRefused(BackendError):
    """The engine answered with an error that no more precise class describes."""
