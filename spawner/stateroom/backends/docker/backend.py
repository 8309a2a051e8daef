"""The Docker backend: the order of things, and what each answer of the engine means."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from stateroom.backends.base import Life, Report, RunningServer, ServerState
from stateroom.backends.diagnosis import START, diagnosed
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.events import ServerWatch
from stateroom.backends.docker.payload import ImageFacts, container_payload, facts_from_image, files_archive
from stateroom.backends.docker.pulling import Pulls
from stateroom.backends.starts import Starts
from stateroom.catalog import DockerHome
from stateroom.deadline import Deadline
from stateroom.errors import (
    BackendError,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    ImageUnavailable,
    NameTaken,
    ServerEnded,
)
from stateroom.names import USER_ID, HomeRef, ServerRef, resources_from_labels, server_from_labels
from stateroom.progress import Phase, Progress
from stateroom.readiness import wait_until_answers
from stateroom.spec import ServerSpec

_LAST_WORDS = 20  # lines of a dead server's log that are looked at
_MOST_SHOWN = 400  # letters of them that are shown
_GRACE = 10  # seconds between asking a server to end and killing it


class DockerBackend:
    """Servers of one hub as containers of one engine."""

    def __init__(self, hub: str, network: str, homes: DockerHome) -> None:
        self._hub = hub
        self._network = network
        self._homes = homes
        self._engine = Engine()
        self._watch = ServerWatch(self._engine, hub, network)
        self._starts = Starts()
        self._facts: dict[str, ImageFacts] = {}
        self._pulls = Pulls(self._engine)

    async def start(self, spec: ServerSpec, deadline: Deadline, report: Report) -> str:
        """See Backend.start."""
        return await self._starts.run(spec.ref, self._start(spec, deadline, report))

    async def state(self, ref: ServerRef) -> ServerState:
        """See Backend.state."""
        return await self._watch.state(ref.name)

    async def ended(self, ref: ServerRef) -> ServerState:
        """See Backend.ended."""
        return await self._watch.ended(ref.name)

    async def stop(self, ref: ServerRef, deadline: Deadline) -> None:
        """See Backend.stop."""
        await self._starts.cancel(ref)
        found = await self._found(ref)
        if found is None:
            return
        if found["State"]["Running"]:
            async with deadline.enforced():
                await self._engine.stop_container(ref.name, min(_GRACE, int(deadline.left())))
        await self._remove(ref)

    async def list(self) -> list[RunningServer]:
        """See Backend.list."""
        servers = []
        for seen in await self._watch.all():
            ref = server_from_labels(seen.labels, self._hub)
            if ref is not None:
                servers.append(RunningServer(ref, seen.state, seen.image, resources_from_labels(seen.labels)))
        return servers

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See Backend.logs."""
        return await self._engine.read_logs(ref.name, lines) if await self._found(ref) else ""

    async def remove_home(self, home: HomeRef) -> None:
        """See Backend.remove_home."""
        if self._homes.path:
            raise HomeRefused(f'The home "{home.name}" is a folder of the host; Stateroom deletes no host folders.')
        if await self._owned_volume(home):
            await self._engine.remove_volume(home.name)

    async def close(self) -> None:
        """See Backend.close."""
        self._watch.close()
        self._engine.close()

    async def _start(self, spec: ServerSpec, deadline: Deadline, report: Report) -> str:
        report(Progress(Phase.PREPARING, "Looking for the image"))
        image = await self._image(spec, report)
        claim_home = await self._ensure_home(spec.home)
        try:
            async with deadline.enforced():
                report(Progress(Phase.CREATING, "Preparing your server"))
                await self._create(spec, image)
                await self._engine.put_archive(spec.ref.name, files_archive(spec, image, claim_home=claim_home))
                report(Progress(Phase.STARTING, "Starting your server"))
                await self._engine.start_container(spec.ref.name)
                report(Progress(Phase.ANSWERING, "Waiting for your server to answer"))
                return await self._answer(spec)
        except EngineRefused as error:
            await self._discard(spec.ref)
            told = diagnosed(f"{error} {error.detail}", START, spec.image)
            raise EngineRefused(told or str(error), detail=str(error)) from error
        except (ServerEnded, DeadlineExceeded) as error:
            words = await self._last_words(spec)
            await self._discard(spec.ref)
            raise type(error)(f"{error} {words}".rstrip(), detail=error.detail) from error
        except BaseException:
            await self._discard(spec.ref)
            raise

    async def _image(self, spec: ServerSpec, report: Report) -> ImageFacts:
        inspected = await self._engine.inspect_image(spec.image)
        if inspected is None:
            await self._pulls.pull(spec.image, spec.pull_timeout, report)
            inspected = await self._engine.inspect_image(spec.image)
        if inspected is None:
            raise ImageUnavailable(f'The image "{spec.image}" was pulled but is not there. Tell an administrator.')
        known = self._facts.get(inspected["Id"])
        if known is None:
            passwd = await self._engine.read_passwd(inspected["Id"])
            known = self._facts[inspected["Id"]] = facts_from_image(spec.image, inspected, passwd)
        return known

    async def _ensure_home(self, home: HomeRef) -> bool:
        """Whether the home must be handed to the server's user: it is new, or a folder the engine makes."""
        if self._homes.path:
            return True
        if await self._owned_volume(home):
            return False
        await self._engine.create_volume(home.name, home.labels)
        return True

    async def _owned_volume(self, home: HomeRef) -> bool:
        """Whether the volume exists. Raises HomeRefused if it is not this user's."""
        volume = await self._engine.inspect_volume(home.name)
        if volume is None:
            return False
        labels = volume.get("Labels") or {}
        if labels != home.labels:
            owner = f"the hub's user number {labels[USER_ID]}" if USER_ID in labels else "nobody that Stateroom knows"
            raise HomeRefused(
                f'The home "{home.name}" belongs to {owner}, not to {home.user} (number {home.user_id}). '
                "It was left as it is; an administrator must move its files or remove the volume.",
            )
        return True

    async def _create(self, spec: ServerSpec, image: ImageFacts) -> None:
        payload = container_payload(spec, image, self._network, self._homes)
        try:
            await self._engine.create_container(spec.ref.name, payload)
        except NameTaken:
            found = await self._engine.inspect_container(spec.ref.name)
            if found is not None and not _is(spec.ref, found):
                raise NameTaken(
                    f'A container named "{spec.ref.name}" is there, and it is not of this hub. '
                    "It was left as it is; an administrator must rename or remove it.",
                ) from None
            await self._remove(spec.ref)
            await self._engine.create_container(spec.ref.name, payload)

    async def _answer(self, spec: ServerSpec) -> str:
        """Wait until the server answers or ends, whichever is first."""
        state = await self._watch.look(spec.ref.name)
        if not state.address:
            raise ServerEnded(_farewell(state))
        ended = asyncio.ensure_future(self.ended(spec.ref))
        answers = asyncio.ensure_future(wait_until_answers(state.address, spec.base_url))
        try:
            await asyncio.wait([ended, answers], return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                answers.result()
                return state.address
            raise ServerEnded(_farewell(ended.result()))
        finally:
            ended.cancel()
            answers.cancel()

    async def _last_words(self, spec: ServerSpec) -> str:
        with contextlib.suppress(BackendError):
            return last_words(await self.logs(spec.ref, _LAST_WORDS), spec.secrets.values())
        return ""

    async def _discard(self, ref: ServerRef) -> None:
        """Leave nothing of a failed start. An engine that is away keeps it until the next start removes it."""
        with contextlib.suppress(BackendError):
            if await self._found(ref):
                await self._remove(ref)

    async def _remove(self, ref: ServerRef) -> None:
        await self._engine.remove_container(ref.name)
        with contextlib.suppress(BackendError):  # it is gone; the event stream tells so as well
            await self._watch.look(ref.name)

    async def _found(self, ref: ServerRef) -> dict[str, Any] | None:
        """The server's container, None if there is none. One of somebody else's under its name does not count."""
        found = await self._engine.inspect_container(ref.name)
        return found if found and _is(ref, found) else None


def _is(ref: ServerRef, found: dict[str, Any]) -> bool:
    """Whether a container's labels are those of this server."""
    labels = found["Config"]["Labels"] or {}
    return all(labels.get(key) == value for key, value in ref.labels.items())


def _farewell(state: ServerState) -> str:
    if state.life is Life.ABSENT:
        return "The server was removed before it answered."
    return f"The server ended before it answered (exit code {state.exit_code}). {state.reason}".rstrip()


def last_words(log: str, secrets: Iterable[str]) -> str:
    """A log's end as a sentence: printable, on one line, cut, without the secrets; "" for an empty log."""
    for secret in secrets:
        log = log.replace(secret, "***")
    lines = ["".join(letter for letter in line if letter.isprintable()).strip() for line in log.splitlines()]
    text = " / ".join(line for line in lines if line)
    shown = text if len(text) <= _MOST_SHOWN else f"…{text[-_MOST_SHOWN:]}"
    return f'It last wrote: "{shown}"' if shown else ""
