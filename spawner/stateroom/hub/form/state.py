"""What the form shows as chosen, and what it says: from what was typed, else from the remembered choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stateroom.common.quantity import Machine
from stateroom.hub.saved_state import SavedState
from stateroom.offers.allowance import Allowance
from stateroom.offers.choice import PROFILE, Choice, larger, recall
from stateroom.offers.quota import Left

LONGEST_TEXT = 64  # of a text shown in a field


@dataclass(frozen=True, slots=True)
class FormState:
    """What the form shows as chosen, and what it says.

    `values` are raw texts by field and may hold anything. `errors` are sentences
    by field. Notices are sentences; the admin's are the catalog's faults. `left`
    is what the user may still start, on this machine if there is one.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    admin_notices: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    machine: Machine | None = None


def form_state(
    typed: FormState,
    saved: SavedState,
    allowance: Allowance,
    *,
    left: Sequence[Left],
    problems: tuple[str, ...],
    machine: Machine | None,
) -> FormState:
    """Add to what a request typed what the form says at any time. Without values, the remembered choice is shown.

    `problems` are the catalog's faults, for admins.
    """
    # After a refusal the hub has the default server render the form, whichever server is meant.
    notices = [] if typed.errors else _end_notices(saved)
    values = typed.values
    if not values and saved.accepted is not None:
        recalled = recall(saved.accepted, allowance)
        more = larger(recalled.choice, allowance) if saved.out_of_memory else None
        values = values_from_choice(more or recalled.choice)
        notices += [f"{more.size.label if more.size else 'More memory'} is chosen below."] if more else []
        notices += [recalled.notice] if recalled.notice else []
    return replace(
        typed, values=values, notices=tuple(notices), admin_notices=problems, left=tuple(left), machine=machine
    )


def values_from_choice(choice: Choice) -> dict[str, str]:
    """Return a remembered choice, as the form shows it."""
    return {key: value for key, value in choice.as_options().items() if key != PROFILE}


def _end_notices(saved: SavedState) -> list[str]:
    if saved.end_reason:
        return [saved.end_reason]
    return ["A program in your last server ran out of memory, and was ended."] if saved.out_of_memory else []
