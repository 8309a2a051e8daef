"""The Docker backend: the order of things, and what each answer of the engine means."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from stateroom.backends.base import Life, Report, RunningServer, ServerState, Tls
from stateroom.backends.diagnosis import START, diagnosed, ended, last_words, not_theirs
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.events import ServerWatch
from stateroom.backends.docker.payload import (
    HOME_UNWRITABLE,
    LAUNCHER,
    ImageFacts,
    certificate_archive,
    container_payload,
    facts_from_image,
    handed_over,
    home_archive,
    home_source,
)
from stateroom.backends.docker.pulling import Pulls
from stateroom.backends.removals import Removals
from stateroom.backends.starts import Starts
from stateroom.catalog import DockerHome
from stateroom.deadline import Deadline
from stateroom.errors import (
    BackendError,
    BackendUnavailable,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    ImageUnavailable,
    NameTaken,
    ServerEnded,
)
from stateroom.names import (
    HomeRef,
    ServerRef,
    home_from_labels,
    look_labels,
    resources_from_labels,
    server_from_labels,
)
from stateroom.progress import Phase, Progress
from stateroom.quantity import Machine
from stateroom.readiness import wait_until_answers
from stateroom.spec import ServerSpec, require_passable

_ROOT = 0  # the number of its user
_LAST_WORDS = 20  # lines of a dead server's log that are looked at
_GRACE = 10.0  # seconds between asking a server to end and killing it
_PATIENCE = 5.0  # seconds for the clearing away after a failed start

# Starts that the engine works on at once: with fewer its processors idle, with more all are done later.
# Measured with bursts of 30 on two of them.
_STARTS_AT_ONCE = 5


class DockerBackend:
    """Servers of one hub as containers of one engine."""

    def __init__(self, hub: str, network: str, homes: DockerHome) -> None:
        self._hub = hub
        self._network = network
        self._homes = homes
        self._engine = Engine()
        self._watch = ServerWatch(self._engine, hub, network)
        self._starts = Starts()
        self._slots = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._removals = Removals(self._remove_what_is_left)
        self._claimed: set[str] = set()  # the homes that are known to have been handed over
        self._looking = asyncio.Lock()  # into an image, one at a time
        self._facts: dict[str, ImageFacts] = {}
        self._pulls = Pulls(self._engine)

    async def start(self, spec: ServerSpec, deadline: Deadline, report: Report, tls: Tls | None = None) -> str:
        """See Backend.start."""
        return await self._starts.run(spec.ref, self._start(spec, deadline, report, tls))

    async def state(self, ref: ServerRef) -> ServerState:
        """See Backend.state."""
        return await self._watch.state(ref.name)

    async def changed(self, ref: ServerRef, known: ServerState | None) -> ServerState:
        """See Backend.changed."""
        return await self._watch.changed(ref.name, known)

    async def stop(self, ref: ServerRef, deadline: Deadline) -> None:
        """See Backend.stop. What the engine could not do now is done when it answers again."""
        await self._starts.cancel(ref)
        try:
            async with deadline.enforced():
                await self._end(ref)
        except BackendError:
            self._removals.later(ref)
            raise

    async def list(self) -> list[RunningServer]:
        """See Backend.list."""
        servers = []
        for seen in await self._watch.all():
            ref = server_from_labels(seen.labels, self._hub)
            if ref is not None:
                servers.append(RunningServer(ref, seen.state, seen.image, resources_from_labels(seen.labels)))
        return servers

    async def machine(self) -> Machine | None:
        """See Backend.machine."""
        return await self._watch.machine()

    def silence(self) -> float:
        """See Backend.silence."""
        return self._watch.silence()

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
        self._removals.close()
        await self._watch.close()
        self._engine.close()

    async def _start(self, spec: ServerSpec, deadline: Deadline, report: Report, tls: Tls | None) -> str:
        require_passable(spec)
        image, deadline = await self._image(spec, deadline, report)
        try:
            async with deadline.enforced():
                claim_home = await self._ensure_home(spec.home)
                async with self._slot(report):
                    await self._removals.end(spec.ref)
                    with self._watch.looked_after(spec.ref.name):
                        await self._run(spec, image, report, claim_home=claim_home)
                report(Progress(Phase.ANSWERING, "Waiting for your server to answer"))
                return await self._answer(spec, image, tls)
        except EngineRefused as error:
            await self._discard(spec.ref)
            told = diagnosed(f"{error} {error.detail}", START, spec.image)
            raise EngineRefused(told or str(error), detail=str(error)) from error
        except (ServerEnded, DeadlineExceeded) as error:
            words = await self._last_words(spec)
            await self._discard(spec.ref)
            raise self._explained(error, words, spec, image) from error
        except BaseException:
            await self._discard(spec.ref)
            raise

    async def _image(self, spec: ServerSpec, deadline: Deadline, report: Report) -> tuple[ImageFacts, Deadline]:
        """Have the image on the engine, and know it; the deadline, put off by the time that a pull took."""
        report(Progress(Phase.PREPARING, "Looking for the image"))
        async with deadline.enforced():
            facts = await self._facts_of(spec.image)
        if facts is None and spec.pull == "never":
            raise ImageUnavailable(
                f'The image "{spec.image}" is not on the machine, and the catalog says never to fetch it. '
                "Choose another image, and tell an administrator."
            )
        if facts is None or spec.pull == "always":
            began = time.monotonic()
            await self._pulls.pull(spec.image, spec.pull_timeout, report)
            deadline = deadline.later(time.monotonic() - began)
            async with deadline.enforced():
                facts = await self._facts_of(spec.image)
        if facts is None:
            raise ImageUnavailable(f'The image "{spec.image}" was pulled but is not there. Tell an administrator.')
        return facts, deadline

    async def _facts_of(self, image: str) -> ImageFacts | None:
        """What must be known of the image, None if it is not on the engine."""
        inspected = await self._engine.inspect_image(image)
        if inspected is None:
            return None
        async with self._looking:
            known = self._facts.get(inspected["Id"])
            if known is None:
                passwd = await self._engine.read_passwd(inspected["Id"], look_labels(self._hub))
                known = self._facts[inspected["Id"]] = facts_from_image(image, inspected, passwd)
        return known

    @asynccontextmanager
    async def _slot(self, report: Report) -> AsyncIterator[None]:
        """One of the few starts that the engine works on: it finishes those begun before it begins another."""
        if self._slots.locked():
            report(Progress(Phase.PREPARING, "Waiting for the servers that others are starting", 0.5))
        async with self._slots:
            yield

    async def _run(self, spec: ServerSpec, image: ImageFacts, report: Report, *, claim_home: bool) -> None:
        """What the engine works at. The calls are few, since in a burst the loop comes late to the next."""
        report(Progress(Phase.CREATING, "Preparing your server"))
        await self._create(spec, image)
        if claim_home or await self._is_unclaimed(spec, image):
            await self._engine.put_archive(spec.ref.name, home_archive(spec, image))
        self._claimed.add(spec.home.name)
        report(Progress(Phase.STARTING, "Starting your server"))
        found, began = await self._engine.start_container(spec.ref.name, handed_over(spec))
        self._watch.take(spec.ref.name, found, began)

    async def _ensure_home(self, home: HomeRef) -> bool:
        """Whether the home must be handed to the server's user: it is new, or a folder the engine makes."""
        if self._homes.path:
            return True
        if await self._owned_volume(home):
            return False
        await self._engine.create_volume(home.name, home.labels)
        return True

    async def _is_unclaimed(self, spec: ServerSpec, image: ImageFacts) -> bool:
        """Whether an earlier start made the home and did not come to hand it over. Asked once for each home."""
        if spec.home.name in self._claimed:
            return False
        return await self._engine.owner(spec.ref.name, f"{image.home}/{spec.mount}") == _ROOT

    async def _owned_volume(self, home: HomeRef) -> bool:
        """Whether the volume exists. Raises HomeRefused if it is not this user's."""
        volume = await self._engine.inspect_volume(home.name)
        if volume is None:
            return False
        found = home_from_labels(volume.get("Labels") or {}, self._hub)
        if found != home:
            raise HomeRefused(not_theirs("volume", home, found))
        return True

    async def _create(self, spec: ServerSpec, image: ImageFacts) -> None:
        payload = container_payload(spec, image, self._network, self._homes)
        try:
            await self._create_or_doubt(spec.ref, payload)
        except NameTaken:
            found = await self._watch.look(spec.ref.name)
            if found is not None and not _is(spec.ref, found):
                raise NameTaken(
                    f'A container named "{spec.ref.name}" is there, and it is not of this hub. '
                    "It was left as it is; an administrator must rename or remove it.",
                ) from None
            await self._remove(spec.ref)
            await self._create_or_doubt(spec.ref, payload)

    async def _create_or_doubt(self, ref: ServerRef, payload: dict[str, Any]) -> None:
        try:
            await self._engine.create_container(ref.name, payload)
        except (BackendUnavailable, asyncio.CancelledError):
            # The answer did not come, which does not keep the engine from making it.
            self._removals.later(ref)
            raise

    async def _answer(self, spec: ServerSpec, image: ImageFacts, tls: Tls | None) -> str:
        """Wait until the server answers or ends, whichever is first."""
        state = self._watch.last(spec.ref.name)
        if not state.address:
            raise ended(spec, state)
        if tls is not None:
            files = await tls.certify(urlsplit(state.address).hostname or "")
            await self._engine.put_archive(spec.ref.name, certificate_archive(files, image))
        over = asyncio.ensure_future(self._over(spec.ref, state))
        answers = asyncio.ensure_future(wait_until_answers(state.address, spec.base_url, tls.hub if tls else None))
        try:
            await asyncio.wait([over, answers], return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                answers.result()
                await self._require_running(spec, state.address)
                return state.address
            raise ended(spec, over.result())
        finally:
            over.cancel()
            answers.cancel()

    async def _require_running(self, spec: ServerSpec, address: str) -> None:
        """Raise ServerEnded unless the server has the address: that of one just ended may be another server's now."""
        await self._watch.look(spec.ref.name)
        if (state := self._watch.last(spec.ref.name)).address != address:
            raise ended(spec, state)

    async def _over(self, ref: ServerRef, state: ServerState) -> ServerState:
        """Wait until a server that runs, as `state` says, does so no more."""
        while state.life is Life.RUNNING:
            state = await self.changed(ref, state)
        return state

    async def _end(self, ref: ServerRef) -> None:
        """Ask the server to end, kill it if it does not, and remove it. No thread waits meanwhile."""
        found = await self._found(ref)
        if found is None:
            return
        if found["State"]["Running"]:
            await self._engine.signal_container(ref.name, found["Config"].get("StopSignal") or "SIGTERM")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._over(ref, self._watch.last(ref.name))
        await self._remove(ref)

    async def _last_words(self, spec: ServerSpec) -> str:
        with contextlib.suppress(BackendError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                return last_words(await self.logs(spec.ref, _LAST_WORDS), spec.secrets.values())
        return ""

    def _explained(self, error: BackendError, words: str, spec: ServerSpec, image: ImageFacts) -> BackendError:
        """Why a server came to nothing, after what it wrote."""
        if HOME_UNWRITABLE in words:
            return HomeRefused(
                f'Your home cannot be written to by the user of the image "{spec.image}", number {image.uid}. '
                f"It was left as it is; an administrator must give {home_source(spec.home, self._homes)} to that user."
            )
        if f"{LAUNCHER}: " in words and (told := diagnosed(words, START, spec.image)):
            return ServerEnded(told, detail=words)
        return type(error)(f"{error} {words}".rstrip(), detail=error.detail)

    async def _discard(self, ref: ServerRef) -> None:
        """Leave nothing of a failed start; with an engine that does not answer, once it does."""
        try:
            async with asyncio.timeout(_PATIENCE):
                # What is not there now may be made by a call that still hangs.
                await self._engine.settled()
                if await self._found(ref):
                    await self._remove(ref)
        except (BackendError, TimeoutError):
            self._removals.later(ref)

    async def _remove_what_is_left(self, ref: ServerRef) -> bool:
        # A call that hung may still make what is to be removed.
        await self._engine.settled()
        if not await self._found(ref):
            return False
        await self._remove(ref)
        return True

    async def _remove(self, ref: ServerRef) -> None:
        with self._watch.looked_after(ref.name):
            await self._engine.remove_container(ref.name)
            self._watch.removed(ref.name)

    async def _found(self, ref: ServerRef) -> dict[str, Any] | None:
        """The server's container, None if there is none. One of somebody else's under its name does not count."""
        found = await self._watch.look(ref.name)
        return found if found and _is(ref, found) else None


def _is(ref: ServerRef, found: dict[str, Any]) -> bool:
    """Whether a container's labels are those of this server."""
    labels = found["Config"]["Labels"] or {}
    return all(labels.get(key) == value for key, value in ref.labels.items())
