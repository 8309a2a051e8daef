"""A hub with an engine of its own, trouble in between, and what must hold when the trouble is over."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from harness.engine_proxy import EngineProxy, Mood
from harness.hub import PATIENCE, Hub, Person, wait_for
from harness.own_engine import OwnEngine
from stateroom.storage.homes import HomeRef
from stateroom.workloads.identity import look_labels
from stateroom.workloads.names import ServerRef

IMAGE = "stateroom.test/tiny:1"
REGISTRY_PORT = 5000  # in a network where nobody else is
BIG_IMAGE = f"127.0.0.1:{REGISTRY_PORT}/big:1"

CATALOG = f"""\
version: 1
images: [{{id: tiny, image: {IMAGE}, default: true}}, {{id: big, image: "{BIG_IMAGE}"}}]
sizes: [{{id: small, cpu: 0.5, memory: 64 MiB, default: true}}]
start: {{timeout: 15 s, pull_timeout: 1 min}}
"""

_MARKER = "marker"
_USER_ID = 1000  # of the image's user


@dataclass(frozen=True)
class Before:
    """What was there before a fault: the container of each server that ran."""

    containers: Mapping[str, str]

    def without(self, names: Collection[str]) -> Before:
        """Those whose owners have them stopped, and need not be there."""
        return Before({name: id_ for name, id_ in self.containers.items() if name not in names})


@dataclass
class Scene:
    """All that takes part. The bystander's server runs while others are started and stopped."""

    engine: OwnEngine
    proxy: EngineProxy
    hub: Hub
    people: dict[str, Person] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)  # whose homes hold something

    def up(self) -> None:
        """Start the hub, which knows the engine only through the proxy."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", self.proxy.host)
            self.hub.up()

    def person(self) -> Person:
        """Somebody new."""
        person = self.hub.person()
        self.people[person.name] = person
        return person

    def bystander(self) -> Person:
        """The first one, whose server runs, and is started if it does not."""
        person = next(iter(self.people.values()), None) or self.person()
        if not person.active():
            person.started()
        self.mark_home(person)
        return person

    def before(self) -> Before:
        """What is there now."""
        self.settle()
        return Before({name: self.container(name) for name, person in self.people.items() if person.active()})

    def settle(self) -> None:
        """Wait until the hub is about nothing any more."""
        wait_for(lambda: not any(self._is_pending(person) for person in self.people.values()), "the hub to settle")

    def repair(self) -> None:
        """Leave to the next trial nothing of this one but homes, even if it has failed."""
        self.proxy.passing = lambda _: None
        self.proxy.mood = Mood.WELL
        if not self.engine.runs:
            self.engine.start()
        if not self.hub.processes():
            self.up()
        for person in self.people.values():
            if self.home(person.name).exists():
                self.mark_home(person)
        active = {ServerRef(self.hub.id, name).name for name, person in self.people.items() if person.active()}
        with self.engine.client() as client:
            for name in self.containers() - active:
                client.remove_container(name, force=True)

    def home(self, name: str) -> Path:
        """Where the engine keeps somebody's home."""
        return self.engine.root / "volumes" / HomeRef(self.hub.id, name, 0).name / "_data"

    def mark_home(self, person: Person) -> None:
        """Leave something in it, which must stay."""
        (self.home(person.name) / _MARKER).write_text(person.name)
        self.marked.add(person.name)

    def container(self, name: str) -> str:
        """The container of somebody's server."""
        return str(self.hub.servers.container(name).id)

    def containers(self, *, looks: bool = True) -> set[str]:
        """The names of all containers on the engine; `looks`: with those in which a hub looks into an image."""
        with self.engine.client() as client:
            found = client.containers(all=True)
        return {
            each["Names"][0].removeprefix("/") for each in found if looks or each["Labels"] != look_labels(self.hub.id)
        }

    def images(self) -> set[str]:
        """The names of all images."""
        with self.engine.client() as client:
            return {tag for found in client.images() for tag in found["RepoTags"] or ("nameless",)}

    def volumes(self) -> set[str]:
        """The names of all volumes."""
        with self.engine.client() as client:
            return {found["Name"] for found in client.volumes()["Volumes"] or ()}

    def tokens(self) -> list[str]:
        """The tokens of servers that are valid, each by the note that the hub gave it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.hub.data}/jupyterhub.sqlite?mode=ro", uri=True)) as hub:
            return sorted(note for (note,) in hub.execute("select note from api_tokens where note like 'Server at %'"))

    def farewell(self, person: Person) -> str:
        """The page on which somebody starts the next server."""
        answer = person.web.get(f"{self.hub.url}/hub/spawn/{person.name}")
        answer.raise_for_status()
        return answer.text

    def _is_pending(self, person: Person) -> bool:
        found = person.server()
        return found is not None and (bool(found["pending"]) or not found["ready"])


def assert_all_is_well(scene: Scene, before: Before, victim: Person, *, ended: Iterable[Person] = ()) -> None:
    """What must hold after every fault.

    No server is lost, none is an orphan, no home was touched, no token of a
    server that does not run is valid, and the victim's next start works. Those
    in `ended` lost their servers to the engine, and are told so.
    """
    scene.settle()
    told = {person.name for person in ended}
    for name in told:
        assert_end_is_told(scene, scene.people[name])
    assert_servers_are_known(scene, {name: id_ for name, id_ in before.containers.items() if name not in told})
    # The next start looks into the image again, and takes away what an earlier look has left.
    assert_nothing_is_left_over(scene, looks=False)
    assert_next_start_works(victim)
    assert_homes_are_untouched(scene, victim)
    victim.stop()
    assert_nothing_is_left_over(scene)


def assert_end_is_told(scene: Scene, person: Person) -> None:
    """The hub comes to know that the server has ended, and tells its owner why."""
    wait_for(lambda: not person.active(), f"the end of {person.name}'s server")
    assert "engine was restarted" in scene.farewell(person)


def assert_servers_are_known(scene: Scene, containers: Mapping[str, str]) -> None:
    """Those servers run in the very containers they had, and are reached as before."""
    for name, container in containers.items():
        person = scene.people[name]
        assert person.active(), f"the hub has forgotten {name}'s server"
        assert scene.container(name) == container
        assert answers(person)


def assert_nothing_is_left_over(scene: Scene, *, looks: bool = True) -> None:
    """The engine holds the containers of the active servers and no other; they alone have tokens."""

    def expected() -> tuple[set[str], list[str]]:
        active = [name for name, person in scene.people.items() if person.active()]
        names = {ServerRef(scene.hub.id, name).name for name in active}
        return names, sorted(f"Server at /user/{name}/" for name in active)

    with contextlib.suppress(AssertionError):  # the comparison below tells more
        wait_for(lambda: (scene.containers(looks=looks), scene.tokens()) == expected(), "the clean-up", seconds=30)
    assert (scene.containers(looks=looks), scene.tokens()) == expected()


def assert_homes_are_untouched(scene: Scene, victim: Person) -> None:
    """Every home is there with all that was in it, no other volume is, and the victim can write to its own."""
    for name in scene.marked:
        assert (scene.home(name) / _MARKER).read_text() == name
    assert scene.volumes() == {HomeRef(scene.hub.id, name, 0).name for name in {*scene.marked, victim.name}}
    assert scene.home(victim.name).stat().st_uid == _USER_ID
    scene.mark_home(victim)


def assert_next_start_works(victim: Person) -> None:
    """Whatever became of the last one."""
    if victim.active():
        victim.stop()
    victim.started()
    assert answers(victim)


def answers(person: Person) -> bool:
    """Whether a server is reached through the hub's proxy."""
    answer = requests.get(f"{person.hub.url}/user/{person.name}/api", timeout=PATIENCE)
    return (answer.status_code, answer.text) == (200, "alive\n")
