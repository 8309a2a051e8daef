"""What the adapter leaves with the hub."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from unittest.mock import Mock

import pytest
from tornado.web import HTTPError

from stateroom.backends.base import Life, ServerState
from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import ChoiceRefused, EngineRefused
from stateroom.common.quantity import GiB, Resources
from stateroom.hub.form import request
from stateroom.hub.saved_state import SavedState, end_reason
from stateroom.hub.spawner import StateroomSpawner
from stateroom.offers.choice import Choice


async def test_a_failure_holds_nothing_of_its_causes_since_the_hub_keeps_it_until_the_next_start() -> None:
    spawner = Mock(**{"_begin.side_effect": EngineRefused("The disk is full.")}, _saved=SavedState())
    with pytest.raises(HTTPError, match="The disk is full") as failed:
        await StateroomSpawner.start(spawner)
    assert failed.value.__cause__ is failed.value.__context__ is None
    assert spawner._begun is None


class TestSavedState:
    SAVED = SavedState({"size": "small"}, 7, "It ended.", True, "abc", 60)

    def test_it_comes_back_as_it_was_saved(self) -> None:
        assert SavedState.from_json(json.loads(json.dumps(asdict(self.SAVED)))) == self.SAVED

    def test_a_server_that_was_never_started_has_none(self) -> None:
        assert SavedState.from_json({}) == SavedState()

    def test_what_is_not_ours_is_ignored(self) -> None:
        assert SavedState.from_json({"pid": 12, "token_id": 3}) == SavedState(token_id=3)

    def test_a_server_that_is_gone_leaves_its_choice_and_the_reason_of_its_end(self) -> None:
        assert self.SAVED.without_server() == SavedState({"size": "small"}, end_reason="It ended.", out_of_memory=True)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ServerState(Life.RUNNING), "The hub was restarted while your server was starting. Start it again."),
        (ServerState(Life.STARTING), "The hub was restarted while your server was starting. Start it again."),
        (ServerState(Life.ABSENT), "Your server was stopped from outside the hub."),
        (ServerState(Life.ENDED), "Your server ended by itself."),
        (ServerState(Life.ENDED, reason="It crashed."), "Your server has ended. It crashed."),
        (ServerState(Life.ENDED, out_of_memory=True), "Your server ran out of its 3 GiB of memory, and ended."),
    ],
)
def test_why_a_server_ended_is_said_in_a_sentence(catalog: Catalog, state: ServerState, reason: str) -> None:
    assert end_reason(state, Choice(catalog.default_image, None, Resources(1000, 3 * GiB))) == reason


class TestRequest:
    async def test_two_requests_never_see_what_the_other_typed(self) -> None:
        both_have_typed = asyncio.Barrier(2)

        async def typed(size: str) -> dict[str, str]:
            kept = request.keep_posted({"size": [size]})
            await asyncio.wait_for(both_have_typed.wait(), 30)
            # As the hub runs a hook that is a coroutine.
            await asyncio.ensure_future(refuse(kept))
            return dict(request.typed_before().values)

        async def refuse(kept: request.Typed) -> None:
            kept.refuse(ChoiceRefused({"size": "No."}), [])

        assert await asyncio.gather(typed("a"), typed("b")) == [{"size": "a"}, {"size": "b"}]

    @pytest.mark.parametrize("body", [None, [], "small", 3])
    def test_options_that_are_no_object_are_refused(self, body: object) -> None:
        with pytest.raises(ChoiceRefused, match="must be an object"):
            request.options_from_body(body, None)

    @pytest.mark.parametrize(
        ("body", "options"),
        [
            ({}, {}),
            ({"user_options": {"size": "small"}}, {"size": "small"}),
            ({"display_name": "mine"}, {"size": "large"}),
            ({"size": "small"}, {"size": "small"}),
        ],
    )
    def test_the_body_of_a_newer_hubs_rest_start_is_understood_by_an_older_hub(
        self, monkeypatch: pytest.MonkeyPatch, body: dict[str, object], options: dict[str, str]
    ) -> None:
        monkeypatch.setattr("jupyterhub.version_info", (5, 3, 0))
        assert request.options_from_body(body, {"size": "large"}) == options
