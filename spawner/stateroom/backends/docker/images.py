"""The images that servers run, and what must be known of one before a server runs on it."""

from __future__ import annotations

import asyncio
import time

from stateroom.backends.base import Report
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.payload import ImageFacts, facts_from_image
from stateroom.backends.docker.pulls import Pulls
from stateroom.catalog.images import Pull
from stateroom.common.deadline import Deadline
from stateroom.common.errors import ImageUnavailable
from stateroom.workloads.identity import look_labels
from stateroom.workloads.progress import Phase, Progress


class Images:
    """The engine's images. Each is pulled once and inspected once, however many servers wait for it."""

    def __init__(self, engine: Engine, hub: str) -> None:
        self._engine = engine
        self._hub = hub
        self._pulls = Pulls(engine)
        self._facts: dict[str, ImageFacts] = {}
        self._looking = asyncio.Lock()  # into an image, one at a time

    async def ensure(
        self, image: str, pull: Pull, pull_timeout: float, deadline: Deadline, report: Report
    ) -> tuple[ImageFacts, Deadline]:
        """Have an image on the engine; return its facts and the deadline, later by the time of a pull."""
        report(Progress(Phase.PREPARING, "Looking for the image"))
        async with deadline.enforced():
            facts = await self._facts_of(image)
        if facts is None and pull == "never":
            raise ImageUnavailable(
                f'The image "{image}" is not on the machine, and the catalog says never to fetch it. '
                "Choose another image, and tell an administrator."
            )
        if facts is None or pull == "always":
            began = time.monotonic()
            await self._pulls.pull(image, pull_timeout, report)
            deadline = deadline.later(time.monotonic() - began)
            async with deadline.enforced():
                facts = await self._facts_of(image)
        if facts is None:
            raise ImageUnavailable(f'The image "{image}" was pulled but is not there. Tell an administrator.')
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
