"""Lets a hub recover by itself once its database is back.

JupyterHub (6.1) tests a connection when it takes one from the pool, and rolls
back what an error of a request leaves behind: pages work again by themselves.
What was starting, stopping or ending meanwhile does not. After a rollback a
stopped server counts as running, for good since nothing polls it any more; and a
server that had just started has neither poll nor route. So every server that the
hub takes for running is checked once the database is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import selectinload

log = logging.getLogger(__name__)

_PAUSE = 1.0
_AT_ONCE = 100


class DatabaseRecovery:
    """Notices that the hub's database is away, and acts when it is back."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def notice(self, context: Any) -> None:
        """Take note of an error. SQLAlchemy calls this for each one, in the middle of what the hub is doing."""
        if not context.is_disconnect and context.connection is not None:
            return
        with contextlib.suppress(RuntimeError):  # of a thread: the question below
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        if not JupyterHub.initialized():
            return
        hub = JupyterHub.instance()
        if not hasattr(hub, "db"):  # one that is starting, and ends by itself
            return
        hub.db.rollback()
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._follow(hub))

    async def _follow(self, hub: JupyterHub) -> None:
        log.warning("The connection to the database is lost.")
        while self._again:
            while not await asyncio.to_thread(_answers, hub.db.get_bind()):  # noqa: ASYNC110 - no event reports it
                await asyncio.sleep(_PAUSE)
            self._again = False
            log.warning("The database answers. What was starting or stopping meanwhile is looked at.")
            try:
                await _settle(hub)
            except Exception as error:  # noqa: BLE001 - whatever it was, the hub is to come out of it
                log.warning("Servers could not be looked at after the database's absence: %s", error)
                hub.db.rollback()
                self._again = True
                await asyncio.sleep(_PAUSE)


_recovery = DatabaseRecovery()


def recover_from_outages() -> None:
    """Let this process's hub recover after its database was away. Idempotent."""
    if not event.contains(Engine, "handle_error", _recovery.notice):
        event.listen(Engine, "handle_error", _recovery.notice)


def _answers(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(select(1))
    except SQLAlchemyError:
        return False
    return True


async def _settle(hub: JupyterHub) -> None:
    """Look at all servers, and again when those have settled that are starting or stopping now."""
    moving = [spawner for _, _, spawner in _servers(hub) if spawner.pending]
    await _look_after(hub)
    while any(spawner.pending for spawner in moving):  # noqa: ASYNC110 - as above
        await asyncio.sleep(_PAUSE)
    if moving:
        await _look_after(hub)


async def _look_after(hub: JupyterHub) -> None:
    await _read_again(hub)
    for user, name, spawner in _servers(hub):
        if spawner.watch.is_missing:
            await spawner.watch.resume(partial(_ended, hub, user, name))
        await asyncio.sleep(0)
    await hub.proxy.check_routes(hub.users, hub._service_map)  # noqa: SLF001 - as the hub's own calls


async def _read_again(hub: JupyterHub) -> None:
    """Read what the rollback made the hub forget, many at a time: one by one takes seven times as long."""
    running = hub.db.query(orm.Spawner).filter(orm.Spawner.server != None)  # noqa: E711 - an expression of SQL
    known = running.options(selectinload(orm.Spawner.server), selectinload(orm.Spawner.user))
    last = 0
    while few := known.filter(orm.Spawner.id > last).order_by(orm.Spawner.id).limit(_AT_ONCE).all():
        last = few[-1].id
        await asyncio.sleep(0)


def _servers(hub: JupyterHub) -> list[tuple[Any, str, Any]]:
    users = list(hub.users.values())
    return [(user, name, spawner) for user in users for name, spawner in list(user.spawners.items())]


async def _ended(hub: JupyterHub, user: Any, name: str) -> None:
    await hub.proxy.delete_user(user, name)
    await user.stop(name)
