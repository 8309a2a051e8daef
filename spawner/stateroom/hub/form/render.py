"""The form on the hub's start page: an allowance and what is typed in, HTML out.

The result of `render_form` goes into the hub's own `<form>`. It brings its
style and its script along, so it needs no address to fetch them from. Nothing
here decides what is allowed; `choose` does, with what `options_from_form` hands
it. The browser checks nothing either: it would hold up a named size for the
sake of a field that does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from stateroom.catalog.sizes import CUSTOM
from stateroom.common.quantity import MEMORY
from stateroom.common.text import joined, listed
from stateroom.hub.form.amounts import amount_fields
from stateroom.hub.form.cards import chosen_size, folded, image_cards, isolated, not_offered, size_cards
from stateroom.hub.form.state import FormState
from stateroom.offers.allowance import Allowance
from stateroom.offers.quota import Left, server_title

_HUB = Path(__file__).parent.parent


def render_form(allowance: Allowance, state: FormState) -> str:
    """The form's fields as HTML. Whatever the values, one image and one size are chosen."""
    amounts = amount_fields(allowance.custom, allowance.default_size, state) if allowance.custom else ()
    images, sizes = image_cards(allowance, state), size_cards(allowance, state)
    # The fields that have a place of their own for an error, in their order.
    shown = [*(["image"] if len(images) > 1 else []), "size", *(amount.field for amount in amounts)]
    return _template().render(
        images=folded(images),
        sizes=folded(sizes),
        custom=CUSTOM,
        custom_chosen=chosen_size(allowance, state) == CUSTOM,
        custom_description=f"Set {joined([amount.unit.removeprefix('GiB ') for amount in amounts])} yourself",
        amounts=amounts,
        refused=bool(state.errors),
        errors={field: text for field, text in state.errors.items() if field in shown},
        focus=next((field for field in shown if field in state.errors), ""),
        other_errors=[text for field, text in state.errors.items() if field not in shown],
        notices=(*state.notices, *not_offered(allowance, state)),
        admin_notices=state.admin_notices,
        warnings=_nothing_left(allowance, state) if "quota" not in state.errors else [],
        left=[*_left_lines(state.left), *_left_on_machine(allowance, state.left)],
    )


def _nothing_left(allowance: Allowance, state: FormState) -> list[str]:
    least = min(_memory_offered(allowance))
    full = any(limit.machine and limit.free < least for limit in state.left)
    return _no_servers_left(state) + (
        ["The machine has too little memory left for another server. Wait until somebody stops one."] if full else []
    )


def _no_servers_left(state: FormState) -> list[str]:
    return [
        f"Members of {isolated(limit.of)} run as many servers as they may. Wait until somebody stops one."
        if limit.of
        else "You run as many servers as you may. Stop one on your home page to start another."
        for limit in state.left
        if limit.kind.name == "servers" and not limit.free
    ]


def _left_lines(left: Sequence[Left]) -> list[str]:
    """What may still be started: a line for the user, one for each group whose total leaves less than that."""
    left = [limit for limit in left if not limit.machine]
    own = {limit.kind: limit.free for limit in left if not limit.of}
    lines = []
    for whose in dict.fromkeys(limit.of for limit in left):
        # A limit of none is no news to anybody.
        limits = [limit for limit in left if limit.of == whose and limit.limit]
        if whose:
            limits = [limit for limit in limits if limit.kind not in own or limit.free < own[limit.kind]]
        words = joined([_left_words(limit) for limit in limits])
        running = {isolated(server_title(ref)) for limit in limits for ref, _ in limit.holders}
        use = f" Running: {listed(sorted(running))}." if running else ""
        if words:
            lines.append(f"Left for {f'all members of {isolated(whose)} together' if whose else 'you'}: {words}.{use}")
    return lines


def _left_on_machine(allowance: Allowance, left: Sequence[Left]) -> list[str]:
    """What the machine has left, where that may be in the user's way."""
    limits = [limit.free for limit in left if limit.kind is MEMORY and not limit.machine]
    most = min([*limits, max(_memory_offered(allowance))])
    return [f"Left on the machine: {_left_words(limit)}." for limit in left if limit.machine and limit.free < most]


def _memory_offered(allowance: Allowance) -> list[int]:
    """The ends of what may be chosen."""
    ends = [allowance.custom.memory.min, allowance.custom.memory.max] if allowance.custom else []
    return [*ends, *(size.memory for size in allowance.sizes)]


def _left_words(limit: Left) -> str:
    """`6 of 8 CPU`; `8 CPU` where nothing of it is used."""
    memory = limit.kind is MEMORY
    # Of a machine's memory, which is no round number, never more than there is.
    total = f"{limit.kind.free_text(limit.limit)} memory" if memory else limit.kind.spelled(limit.limit)
    if not limit.used:
        return total
    free = limit.kind.free_text(limit.free)
    return f"{free} of {total}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HUB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for kind in ("css", "js"):
        environment.globals[f"form_{kind}"] = (_HUB / "static" / f"form.{kind}").read_text("utf-8")
    return environment.get_template("form.html.jinja")
