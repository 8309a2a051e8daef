"""What the hub's database keeps about one server, and outlives the spawner object.

It is written before the first engine call of a start, so that a hub which is
killed at any moment finds what it had begun, and revokes the token of what it
does not find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from stateroom.backends.base import Life, ServerState
from stateroom.common.quantity import format_memory
from stateroom.offers.choice import Choice


@dataclass(frozen=True, slots=True)
class SavedState:
    """The saved state of one server. It never holds the token itself."""

    accepted: dict[str, Any] | None = None  # the options of the last accepted choice
    token_id: int | None = None  # the database id of the server's token, while it may run
    end_reason: str = ""  # why the server ended, if not by its owner
    out_of_memory: bool = False  # whether the server, or a program in it, ran out of memory
    spec_hash: str = ""  # of the server that this hub started
    activity_interval: int = 0  # seconds between the server's reports of its use, for the idle culler

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made; keys of other versions are ignored."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})

    def without_server(self) -> SavedState:
        """Forget the server; the accepted choice and the reason of its end stay."""
        return replace(self, token_id=None, spec_hash="", activity_interval=0)


def end_reason(state: ServerState, choice: Choice | None) -> str:
    """Why a server that is no more has ended, as a sentence for its owner's next form."""
    if state.life in (Life.RUNNING, Life.STARTING):
        # What is there was not made, or not started, by the last start.
        return "The hub was restarted while your server was starting. Start it again."
    if state.life is Life.ABSENT:
        return "Your server was stopped from outside the hub."
    if state.out_of_memory and choice is not None:
        return f"Your server ran out of its {format_memory(choice.resources.memory)} of memory, and ended."
    return f"Your server has ended. {state.reason}" if state.reason else "Your server ended by itself."
