"""Ours, in JupyterHub's fixtures: what the hub, which looks first, keeps from `rename`."""

import asyncio

import pytest
from tornado.web import HTTPError


async def test_a_server_that_runs_is_refused_a_new_name(user):
    await user.spawn()
    await assert_refuses(user.spawner)
    await user.stop()


async def test_a_server_that_starts_is_refused_a_new_name(user):
    spawner = user.spawner
    spawner._start_future = asyncio.Future()
    start = asyncio.ensure_future(user.spawn())
    async with asyncio.timeout(60):
        while not spawner._begun:  # noqa: ASYNC110 - the hub tells of no such moment
            await asyncio.sleep(0.01)
    await assert_refuses(spawner)
    spawner._start_future.set_result(None)
    await start
    await user.stop()


async def assert_refuses(spawner):
    with pytest.raises(HTTPError) as refused:
        await spawner.rename(spawner.name, "other")
    assert refused.value.status_code == 400
    assert refused.value.log_message == "Stop the server before you rename it."
    assert await spawner.poll() is None
