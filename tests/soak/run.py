"""Thousands of starts and stops, with all that can go wrong, after which nothing must be left or have grown.

`python -m soak.run [--starts N] [--seed N] [--folder FOLDER]`. A real hub on a real engine, reached
through a proxy that fails at times. Prints where it stands and a table, and
ends with 1 where something is left, has grown, or was not as expected.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from uuid import uuid4

from contract.engines import BASE_IMAGE, build_image, engine_client, stub_image
from harness.engine_proxy import EngineProxy
from harness.hub import Hub, wait_for
from soak.figures import Figures, hub_process, memory_of, quiet_figures, threads_and_descriptors, witness_file
from soak.load import Load, User, Weather
from stateroom.backends.memory import Behaviour
from stateroom.operations.accounts import AccountStore
from stateroom.operations.local.data import DataFolder

HERE = Path(__file__).parent
USERS = 50
STARTS = 2000
IMAGE = "stateroom.test/soak:1"

# Shares of all starts: while the hub is killed twice, and until it has met with everything once.
EARLY, WARMING = 0.05, 0.15
LOOKS = 4  # at quiet moments, from the first on
LAST_LOAD = 20  # starts around the last kill

CATALOG = f"""
version: 1
images:
  - {{id: answers, title: Answers, image: "{IMAGE}", default: true}}
  - {{id: crashes, title: Crashes, image: "stateroom.test/crashes:1"}}
  - {{id: missing, title: Missing, image: "127.0.0.1:9/stateroom/missing:1"}}
sizes:
  - {{id: small, title: Small, cpu: 2, memory: 64 MiB, default: true}}
quota: {{servers: 2}}
start: {{timeout: 60 s}}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much more there may be of something at the end than at the first quiet moment."""

    more: int = 0
    share: float = 0.0
    most: int | None = None  # however many there were at first

    def holds(self, first: int, last: int) -> bool:
        return last <= (first + self.more + self.share * first if self.most is None else self.most)


# What the Docker SDK keeps open in the three clients of a backend, 18 addresses each.
CONNECTIONS = 3 * 18

LIMITS = {
    "memory_kib": Limit(share=0.10),
    "threads": Limit(more=6),  # pools are filled as they are needed
    "sockets": Limit(more=CONNECTIONS // 2),
    "pipes": Limit(),
    "open_files": Limit(more=2),
    "other_descriptors": Limit(),
    "tasks": Limit(more=2),
    "live_objects": Limit(share=0.05),
    "connections_to_the_engine": Limit(most=CONNECTIONS),
    "containers": Limit(most=0),
    "homes": Limit(most=USERS),
    "networks": Limit(most=1),
    "files_in_the_data_folder": Limit(more=1),
    "tokens_of_servers": Limit(most=0),
    "other_tokens": Limit(),
    "oauth_clients": Limit(more=USERS),  # the hub keeps that of a start that was cut short, one for each server
}


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--starts", type=int, default=STARTS, help=f"how many ({STARTS})")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the random order begins with")
    parser.add_argument("--folder", type=Path, help="where to keep the hub's data, its log among it")
    asked = parser.parse_args(arguments)
    print(f"{asked.starts} starts by {USERS} users, seed {asked.seed}", flush=True)
    if asked.folder:
        asked.folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="stateroom-soak-") as folder:
        return soaked(asked.folder or Path(folder), asked.starts, asked.seed)


def soaked(folder: Path, starts: int, seed: int) -> int:
    """All of it; the exit code."""
    with engine_client() as engine, engine_in_between(folder) as proxy:
        build_image(engine, IMAGE, dockerfile(), (HERE.parent / "contract" / "stub.py").read_text())
        stub_image(engine, Behaviour.CRASHES)
        with soaked_hub(folder / "hub", proxy) as hub:
            load = Load(hub, Weather(hub, proxy), new_users(hub), engine, seed)
            looks = run(load, hub, proxy, starts)
            left = left_behind(load, hub, proxy)
            print_tally(load)
            return print_verdict(looks, left, load.tally.surprises)


def run(load: Load, hub: Hub, proxy: EngineProxy, starts: int) -> list[Figures]:
    """The load itself, with a look at each quiet moment."""
    progress = Progress(load, hub)
    early, warming = int(starts * EARLY), int(starts * WARMING)
    for _ in range(2):
        with later(2 + early / 20, load.weather.kill_the_hub):
            load.run(early // 2, progress.tell)
    print("The hub was killed twice while it was busy, and came back.", flush=True)
    load.run(warming - early, progress.tell)
    looks = [look(load, hub, proxy)]
    for _ in range(LOOKS - 1):
        load.run((starts - warming) // (LOOKS - 1), progress.tell)
        looks.append(look(load, hub, proxy))
    return looks


def look(load: Load, hub: Hub, proxy: EngineProxy) -> Figures:
    load.stop_everything()
    return quiet_figures(hub, proxy)


def left_behind(load: Load, hub: Hub, proxy: EngineProxy) -> list[str]:
    """What is left after a last kill of the hub among running servers, and the end of everything."""
    load.run(LAST_LOAD)
    # What a failed start left is removed within seconds. After a kill before that, it is for `stateroom gc`.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: len(hub.servers.names()) == sum(map(len, load.running().values())), "the clean-up")
    before = load.running()
    load.weather.kill_the_hub()
    after = load.running()
    wrong = [f"after the last kill the hub knows {after}, not {before}"] if after != before else []
    load.stop_everything()
    last = quiet_figures(hub, proxy)
    wrong += [
        f"after the last kill: {name} is {getattr(last, name)}"
        for name in ("containers", "tokens_of_servers")
        if getattr(last, name)
    ]
    volumes = {volume["Name"] for volume in load.engine.volumes()["Volumes"] or ()}
    wrong += [f"the nameless volume {name} is left" for name in sorted(load.tally.scratch & volumes)]
    nameless = load.engine.containers(all=True, filters={"ancestor": IMAGE})
    return wrong + [f"the container {container['Names']} is left" for container in nameless]


# The stage


@contextmanager
def engine_in_between(folder: Path) -> Iterator[EngineProxy]:
    proxy = EngineProxy(folder / "engine.sock")
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def soaked_hub(data: Path, proxy: EngineProxy) -> Iterator[Hub]:
    """A hub that reaches the engine through the proxy, and tells what lives in it."""
    data.mkdir()
    hub = Hub(data)
    hub.catalog.write_text(f"hub: {hub.id}\n{CATALOG}")
    assert hub.servers.engine.ping()  # connected before the environment names the proxy
    os.environ["DOCKER_HOST"] = proxy.host
    os.environ["STATEROOM_SOAK_WITNESS"] = str(witness_file(hub))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE / "witness"), os.environ.get("PYTHONPATH")]))
    try:
        hub.up()
        yield hub
    finally:
        hub.down()


def new_users(hub: Hub) -> list[User]:
    """Accounts, and a token for each, made by an admin."""
    names = [f"user{number}" for number in range(USERS)]
    store = AccountStore(DataFolder(hub.data).accounts)
    for name in names:
        store.add(name, uuid4().hex)
    admin = hub.person("--admin")
    admin.api("POST", "users", json={"usernames": names}).raise_for_status()
    return [User(name, str(admin.api("POST", f"users/{name}/tokens").json()["token"])) for name in names]


def dockerfile() -> str:
    """A server that answers at once, with a nameless volume that must go with it."""
    return f'FROM {BASE_IMAGE}\nCOPY stub.py /stub.py\nVOLUME /scratch\nCMD ["python3", "/stub.py", "answers"]\n'


@contextmanager
def later(seconds: float, work: object) -> Iterator[None]:
    """Do something beside the body, a while after it began."""
    assert callable(work)
    timer = threading.Timer(seconds, work)
    timer.start()
    yield
    timer.join()


# What the reader sees


class Progress:
    """A line for each hundred starts."""

    def __init__(self, load: Load, hub: Hub) -> None:
        self._load = load
        self._hub = hub
        self._began = time.monotonic()

    def tell(self) -> None:
        pid = hub_process(self._hub)
        threads, descriptors = threads_and_descriptors(pid)
        print(
            f"{time.monotonic() - self._began:6.0f} s {self._load.tally.starts:6} starts"
            f" {memory_of(pid) / 1024:8.1f} MiB {threads:4} threads"
            f" {sum(number for _, number in descriptors):4} descriptors",
            flush=True,
        )


def print_tally(load: Load) -> None:
    print(f"\n{'what people did, and what happened':50}{'times':>8}")
    for act, number in load.tally.acts.most_common():
        print(f"{act.replace('_', ' '):50}{number:8}")
    print(f"\n{'what came of a start':100}{'times':>8}")
    for outcome, number in load.tally.outcomes.most_common(30):
        print(f"{outcome:100}{number:8}")


def print_verdict(looks: list[Figures], left: list[str], surprises: list[str]) -> int:
    """The table of figures and all that is wrong; the exit code."""
    columns = ["first", *("then" for _ in looks[1:-1]), "last"]
    print(f"\n{'at quiet moments':30}{''.join(f'{column:>10}' for column in columns)}")
    grown = []
    for name, limit in LIMITS.items():
        values = [getattr(look, name) for look in looks]
        holds = limit.holds(values[0], values[-1])
        grown += [] if holds else [f"{name.replace('_', ' ')}: {values[0]} at first, {values[-1]} at the end"]
        print(f"{name.replace('_', ' '):30}{''.join(f'{value:10}' for value in values)}{'' if holds else '  over'}")
    print_what_grew(looks)
    wrong = [*left, *grown, *(f"surprise: {words}" for words in surprises)]
    print("\n".join(["", *wrong]) if wrong else "\nNothing is left, and nothing has grown.")
    return 1 if wrong else 0


def print_what_grew(looks: list[Figures]) -> None:
    more = looks[-1].objects - looks[0].objects
    print("\nlive objects that became more: ", end="")
    print(", ".join(f"{kind} +{number}" for kind, number in more.most_common(12)) or "none")


assert set(LIMITS) == {field.name for field in fields(Figures)} - {"objects"}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
