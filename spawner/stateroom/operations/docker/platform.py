"""A Docker engine as the platform of a hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import docker

from stateroom.backends.docker.engine import translated
from stateroom.backends.docker.network import hub_place
from stateroom.backends.docker.packet_filter import isolate
from stateroom.backends.docker.payload import servers_network
from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import SetupError
from stateroom.images.sources import UNIFIED, unified
from stateroom.operations.checks.installation import Check, Installation, attempt
from stateroom.operations.docker.build import build_with_progress
from stateroom.operations.docker.checks import ENGINE_TIMEOUT, checks
from stateroom.operations.docker.down import take_down
from stateroom.operations.docker.engine import answering, connected, ensure_engine
from stateroom.operations.docker.resources import DockerResources
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.platform import HubResources
from stateroom.operations.report import Report


class DockerPlatform:
    """See Platform."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, report: Report) -> Settings:
        """See Platform. The engine, the notebook image, and the packet rules of the servers' network."""
        if settings.hub_ip:
            raise SetupError(
                "On Docker the hub listens where its servers' network has it; --hub-ip is for --backend kubernetes."
            )
        with closing(ensure_engine(data, report)) as engine:
            if any(image.image == UNIFIED for image in catalog.images):
                built = build_with_progress(report, engine, unified(), data.logs)
                report.line("Image", f"{UNIFIED} {'built' if built else 'is up to date'}")
            network = servers_network(catalog, settings.hub_id)
            settings = replace(settings, homes=catalog.home.docker.path or "", network=network)
            data.keep(settings)
            _isolate(engine, catalog, settings, report)
        return settings

    @contextmanager
    def checks(self, _: Installation) -> Iterator[Sequence[Check]]:
        """See Platform."""
        engine, problem = attempt(answering, None)
        if engine is not None:
            engine.timeout = ENGINE_TIMEOUT
        yield checks(engine, problem)

    def take_down(self, settings: Settings, data: DataFolder, report: Report) -> None:
        """See Platform."""
        take_down(settings, data, report)

    @contextmanager
    def open(self, settings: Settings) -> Iterator[HubResources]:
        """See Platform."""
        with closing(connected()) as engine, translated():
            yield DockerResources(engine, settings)


def _isolate(engine: docker.APIClient, catalog: Catalog, settings: Settings, report: Report) -> None:
    """Isolate servers from each other, this machine and a cloud's metadata, and report what remains reachable."""
    with report.step("Isolation", "Writing the packet rules of the servers") as step:
        place = hub_place(engine, catalog, settings.hub_id, settings.hub_port)
        gaps = isolate(engine, place.servers, place.images)
        step.result = "servers reach the outside and their hub, and nothing else of this machine"
        if gaps:
            step.result = "is not complete; the hub starts all the same"
    for gap in gaps:
        report.more(str(gap))
