"""What one request typed into the form or was linked with, as options and for the form that answers it.

The hub hands a posted form to one hook and, if that refuses it, has another hook
render the form again. Only the request joins the two: a spawner is shared by all
tabs of its user, and after a refusal the hub has the default server's spawner
render the form, whichever server is meant. Each request runs in a task of its
own, so a ContextVar keeps apart what two tabs type.

A coroutine of ours is run in a further task, which has a copy of the context:
what it sets there, the request never sees. So a plain function sets the variable
first, and the coroutine fills in the object that it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jupyterhub

from stateroom.catalog.sizes import CUSTOM
from stateroom.common.errors import ChoiceRefused
from stateroom.common.quantity import KINDS
from stateroom.hub.form.state import LONGEST_TEXT, FormState
from stateroom.offers.choice import AMOUNTS, KEYS
from stateroom.offers.quota import Left

_OF_THE_HUB = "_xsrf"
_TAKES_BODY_OF_REST_START = 6  # the major version of JupyterHub

_DECIMAL_COMMA = re.compile(r"([0-9]*),([0-9]+\D*)", re.ASCII)
_KINDS = {kind.name: kind for kind in KINDS}
_BARE_NUMBER = re.compile(r"[0-9.]+", re.ASCII)


@dataclass
class Typed:
    """The options that a request asks for, and what the form that answers it shows."""

    options: dict[str, Any] = field(default_factory=dict)
    state: FormState = field(default_factory=lambda: FormState(values={}))

    def refuse(self, refused: ChoiceRefused, left: Sequence[Left]) -> None:
        """Have the form show what was typed, with the sentences of the refusal."""
        values = {key: value for key, value in self.options.items() if isinstance(value, str)}
        self.state = FormState(values, refused.fields, left=tuple(left))


_typed: ContextVar[Typed | None] = ContextVar("typed", default=None)

# Whether this request stops servers because they are idle.
stopped_as_idle: ContextVar[bool] = ContextVar("stopped_as_idle", default=False)


def typed_before() -> FormState:
    """Return what this request typed, as the form shows it; empty if it typed nothing."""
    return (_typed.get() or Typed()).state


def keep_posted(form: Mapping[str, Sequence[Any]]) -> Typed:
    """Keep what was posted for the form that may answer the request."""
    _typed.set(typed := Typed(options_from_form(form)))
    return typed


def keep_linked(query: Mapping[str, Sequence[str]]) -> None:
    """Keep what a link fills in for the form that answers the request."""
    _typed.set(Typed(state=FormState(values_from_query(query))))


def options_from_form(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Turn what was posted into options for `choose`, which refuses what this keeps and does not know.

    The amounts are posted with every size, so they are dropped beside a named one.
    """
    options = {field: _single(field, posted) for field, posted in form.items() if field != _OF_THE_HUB}
    if options.get("size", CUSTOM) != CUSTOM:
        for amount in AMOUNTS:
            options.pop(amount, None)
    return options


def values_from_query(query: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what a link fills in, its keys with or without the hub's `opt-`."""
    named = {key.removeprefix("opt-"): texts for key, texts in query.items() if texts}
    return {key: named[key][0].strip()[:LONGEST_TEXT] for key in KEYS if key in named}


def options_from_body(body: Any, accepted: dict[str, Any] | None) -> dict[str, Any]:
    """Return the options in what a start was asked for with. Raises ChoiceRefused for what is no object.

    JupyterHub 6's body of a REST start may be sent to a JupyterHub 5. Without a choice it means the last accepted one.
    """
    options = body
    is_old_hub = jupyterhub.version_info[0] < _TAKES_BODY_OF_REST_START
    if is_old_hub and isinstance(body, dict) and body and body.keys() <= {"display_name", "user_options"}:
        given = body.get("user_options")
        options = (accepted or {}) if given is None else given
    if not isinstance(options, dict):
        raise ChoiceRefused({"user_options": "The options must be an object, such as {}."})
    return options


def _single(field: str, posted: Sequence[Any]) -> Any:
    """The one text of a field; a list, for `choose` to refuse, where it is not one text."""
    if len(posted) != 1 or not isinstance(posted[0], str):
        return list(posted)
    text, kind = posted[0].strip(), _KINDS.get(field)
    if kind is None:
        return text
    text = _with_decimal_point(text)
    return f"{text} {kind.unit}" if kind.unit and _BARE_NUMBER.fullmatch(text) else text


def _with_decimal_point(text: str) -> str:
    comma = _DECIMAL_COMMA.fullmatch(text)
    return f"{comma[1] or '0'}.{comma[2]}" if comma else text
