"""Our class in the roles of the spawners of `jupyterhub.tests.mocking`.

What their spawners do in their own `start` and `stop`, ours meets in the
server or in the backend: a server that crashes, one that never answers, a
backend that is slow.
"""

from __future__ import annotations

import asyncio
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub.tests import mocksu
from traitlets import default

from contract.engines import BASE_IMAGE, DockerSubject, MemorySubject, build_image
from stateroom.backends.base import Backend, Life, Report, Tls
from stateroom.backends.memory import Behaviour
from stateroom.common.deadline import Deadline
from stateroom.hub.spawner import StateroomSpawner
from stateroom.runtime.runtime import Runtime
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server

CATALOG = """\
version: 1
images: [{{id: image, image: "{image}", default: true}}]
sizes: [{{id: small, cpu: 0.5, memory: 128 MiB, default: true}}]
start: {{timeout: {timeout}}}
"""
# JupyterHub's own test server, which shows its arguments and its environment. The image has no package's tests.
MOCKSU = f"""\
FROM {BASE_IMAGE}
COPY stub.py /tmp/
RUN python3 /tmp/stub.py
CMD ["python3", "-m", "jupyterhub.tests.mocksu"]
"""
PUT_THERE = """\
from pathlib import Path
import jupyterhub
folder = Path(jupyterhub.__file__).parent / "tests"
folder.mkdir(exist_ok=True)
for name, text in {files!r}.items():
    (folder / name).write_text(text)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the servers of the tests run."""

    subject: MemorySubject | DockerSubject
    folder: Path

    def catalog(self, behaviour: Behaviour, timeout: str) -> str:
        """The file of a catalog whose only image behaves so."""
        file = self.folder / f"{behaviour.name}.yaml"
        if not file.exists():
            file.write_text(CATALOG.format(image=self._image(behaviour), timeout=timeout))
        return str(file)

    def runs(self, ref: ServerRef) -> bool:
        """Whether a server runs, asked of where it runs."""
        if isinstance(self.subject, MemorySubject):
            server = self.subject.backend.servers._servers.get(ref)
            return server is not None and server.state.life is Life.RUNNING
        return bool(self.subject.client.containers(filters={"name": f"^/{ref.name}$"}))

    def _image(self, behaviour: Behaviour) -> str:
        if behaviour is Behaviour.ANSWERS and isinstance(self.subject, DockerSubject):
            here = Path(mocksu.__file__).parent
            files = {name: (here / name).read_text() for name in ("__init__.py", "mocksu.py", "mockservice.py")}
            return build_image(self.subject.client, "stateroom.test/mocksu:1", MOCKSU, PUT_THERE.format(files=files))
        return self.subject.image(behaviour)


class Current:
    """The place of the test that runs; the hub makes its spawners without telling for which test."""

    place: Place


class StandIn(StateroomSpawner):
    """Ours, in the place of the test that runs.

    A start and a stop take `delay` seconds more, or as long as `_start_future`
    lasts: some tests look at a start that no process could end sooner.
    """

    behaviour = Behaviour.ANSWERS
    answers_within = "1 min"
    delay: float = 0.5
    _start_future: asyncio.Future[None] | None = None

    @default("hub_id")
    def _hub_of_the_place(self) -> str:
        return Current.place.subject.hub

    @default("catalog")
    def _catalog_of_the_behaviour(self) -> str:
        return Current.place.catalog(self.behaviour, self.answers_within)

    @property
    def proc(self) -> Process:
        """The server as a process, for the test that ends it behind the hub's back."""
        return Process(Current.place, self.ref)

    @property
    def runtime(self) -> Runtime:
        """The one of the place, with a backend that takes this spawner's time."""
        runtime = copy(super().runtime)
        runtime._backend = SlowServers(Current.place.subject.backend, self)
        return runtime


class FormSpawner(StandIn):
    """Its form is ours."""


class MockSpawner(StandIn):
    """It has no form, and its server answers."""

    options_form = ""


class BadSpawner(MockSpawner):
    """Its server ends at once."""

    behaviour = Behaviour.CRASHES


class NeverSpawner(MockSpawner):
    """Its server never answers."""

    behaviour = Behaviour.IS_SILENT
    answers_within = "3 s"


class SlowSpawner(MockSpawner):
    """Takes some seconds."""

    delay = 5


class SlowBadSpawner(BadSpawner):
    """Its server ends at once, after a while."""

    delay = 0.5


STAND_INS = (MockSpawner, FormSpawner, BadSpawner, NeverSpawner, SlowSpawner, SlowBadSpawner)


@dataclass(frozen=True, slots=True)
class SlowServers:
    """A backend's servers, but for the time they take."""

    backend: Backend
    spawner: StandIn

    @property
    def servers(self) -> SlowServers:
        return self

    async def start(self, spec: Server, deadline: Deadline, report: Report, tls: Tls | None = None) -> str:
        try:
            await (self.spawner._start_future or asyncio.sleep(self.spawner.delay))
            return await self.backend.servers.start(spec, deadline, report, tls)
        except asyncio.CancelledError:
            await self.stop(spec.ref, deadline)  # as every backend does
            raise

    async def stop(self, ref: ServerRef, deadline: Deadline, *, gently: bool = True) -> None:
        await asyncio.sleep(self.spawner.delay)
        await self.backend.servers.stop(ref, deadline, gently=gently)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend.servers if hasattr(self.backend.servers, name) else self.backend, name)


@dataclass(frozen=True, slots=True)
class Process:
    """As much of `Popen` as the tests use."""

    place: Place
    ref: ServerRef

    def poll(self) -> int | None:
        return None if self.place.runs(self.ref) else 0

    def terminate(self) -> None:
        self.place.subject.kill(self.ref)

    def wait(self, timeout: float) -> None:
        """Nothing is left to wait for: `terminate` does."""
