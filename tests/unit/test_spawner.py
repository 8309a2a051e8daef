"""What the adapter leaves with the hub."""

from __future__ import annotations

import gc
from unittest.mock import Mock

import pytest
from tornado.web import HTTPError

from stateroom import spawner
from stateroom.errors import EngineRefused
from stateroom.spawner import StateroomSpawner


async def test_a_failure_holds_nothing_of_its_causes_since_the_hub_keeps_it_until_the_next_start() -> None:
    spawner = Mock(**{"_begin.side_effect": EngineRefused("The disk is full.")})
    with pytest.raises(HTTPError, match="The disk is full") as failed:
        await StateroomSpawner.start(spawner)
    assert failed.value.__cause__ is failed.value.__context__ is None
    assert spawner._begun is None


def test_what_a_hub_has_loaded_is_not_searched_for_garbage() -> None:
    gc.unfreeze()
    spawner._keep_what_is_loaded.cache_clear()
    spawner._kubernetes_backend("hub-of-this-test", "lab", Mock())
    try:
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
