"""Docker's engine as a place for a hub's servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import docker

from stateroom.backends.docker.engine import translated
from stateroom.backends.docker.firewall import isolate
from stateroom.backends.docker.network import hub_place
from stateroom.catalog import Catalog
from stateroom.cli.checks import Check, Installation, or_problem
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.docker.belongings import DockerBelongings
from stateroom.cli.docker.checks import ENGINE_TIMEOUT, checks
from stateroom.cli.docker.down import take_down
from stateroom.cli.docker.engine import answering, connected, ensure_engine
from stateroom.cli.images import build_with_progress
from stateroom.cli.places import Belongings
from stateroom.cli.screen import Screen
from stateroom.errors import SetupError
from stateroom.recipes import UNIFIED, unified


class DockerPlace:
    """See Place."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, screen: Screen) -> Settings:
        """See Place. The engine, the notebook image, and the packet rules of the servers' network."""
        if settings.hub_ip:
            raise SetupError(
                "On Docker the hub listens where its servers' network has it; --hub-ip is for --backend kubernetes."
            )
        with closing(ensure_engine(data, screen)) as engine:
            if any(image.image == UNIFIED for image in catalog.images):
                built = build_with_progress(screen.console, engine, unified(), data.logs)
                screen.line("Image", f"{UNIFIED} {'built' if built else 'is up to date'}")
            settings = replace(settings, homes=catalog.home.docker.path or "")
            data.keep(settings)
            _isolate(engine, catalog, settings, screen)
        return settings

    @contextmanager
    def checks(self, _: Installation) -> Iterator[Sequence[Check]]:
        """See Place."""
        engine, problem = or_problem(answering, None)
        if engine is not None:
            engine.timeout = ENGINE_TIMEOUT
        yield checks(engine, problem)

    def take_down(self, settings: Settings, data: DataFolder, screen: Screen) -> None:
        """See Place."""
        take_down(settings, data, screen)

    @contextmanager
    def opened(self, settings: Settings) -> Iterator[Belongings]:
        """See Place."""
        with closing(connected()) as engine, translated():
            yield DockerBelongings(engine, settings)


def _isolate(engine: docker.APIClient, catalog: Catalog, settings: Settings, screen: Screen) -> None:
    """Keep servers from each other, from this machine and from a cloud's metadata, or say what is open."""
    with screen.step("Isolation", "Writing the packet rules of the servers") as step:
        place = hub_place(engine, catalog, settings.hub_id, settings.hub_port)
        gaps = isolate(engine, place.servers, place.images)
        step.result = "servers reach the outside and their hub, and nothing else of this machine"
        if gaps:
            step.result = "is not complete; the hub starts all the same"
    for gap in gaps:
        screen.more(str(gap))
