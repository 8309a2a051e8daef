"""What is an orphan, and above all what is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError, NotFound

from stateroom.common.errors import SetupError
from stateroom.common.labels import HELPER
from stateroom.images.build import SOURCE_LABEL, STAGE_LABEL
from stateroom.operations.docker.orphans import (
    find_orphans,
    orphan_helpers,
    orphan_servers,
    remove_orphan,
    superseded_images,
    unused_networks,
)
from stateroom.operations.docker.resources import DockerResources
from stateroom.operations.homes import Standing, stored_home, stored_homes
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.database import read_records
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Kind, Orphan
from stateroom.storage.assignments import HomeAssignments, home_assignments_file
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

NOW = 1_000_000.0
MINUTE, HOUR = 60.0, 3600.0
ADA = ServerRef("hub", "ada")
NOBODY = Records({}, frozenset())


def container(ref: ServerRef = ADA, *, state: str = "exited", age: float = HOUR, **changes: Any) -> dict[str, Any]:
    usual = {"Id": ref.user, "Names": [f"/{ref.name}"], "Labels": dict(ref.labels), "State": state, "ImageID": "used"}
    return {**usual, "Created": int(NOW - age), "Status": "Exited (0) 2 hours ago", **changes}


def helper(hub: str = "hub", *, state: str = "created", age: float = HOUR) -> dict[str, Any]:
    return container(state=state, age=age, Id="helper", Names=["/quick_fox"], Labels={HELPER: hub})


class Engine:
    """An engine as `find_orphans` asks it."""

    def __init__(self, containers: list[dict[str, Any]], images: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self.listed, self.labelled = containers, images or {}
        self.steps: dict[str, str] = {}

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return self.listed

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": "n", "Name": "stateroom-net"}]

    def images(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return self.labelled.get(filters["label"], [])

    def history(self, image: str) -> list[dict[str, str]]:
        return [{"CreatedBy": self.steps.get(image, "CMD")}]


def found(engine: Any, records: Records = NOBODY, *, running: bool = True) -> list[Orphan]:
    return find_orphans(engine, "hub", lambda: records, NOW, running=running)


def kinds(orphans: list[Orphan]) -> list[Kind]:
    return [orphan.kind for orphan in orphans]


class TestServers:
    @pytest.mark.parametrize("state", ["running", "exited", "created", "dead", "paused"])
    def test_one_that_the_hub_does_not_know_is_an_orphan(self, state: str) -> None:
        [orphan] = orphan_servers([container(state=state)], "hub", NOBODY, NOW, running=True)
        assert (orphan.kind, orphan.id, orphan.name) == (Kind.SERVER, "ada", ADA.name)
        assert "server of ada" in orphan.why

    @pytest.mark.parametrize("state", ["running", "exited", "created"])
    @pytest.mark.parametrize("running", [True, False])
    def test_one_that_the_hub_takes_for_active_is_none(self, state: str, running: bool) -> None:
        known = Records({1: "ada"}, frozenset({("ada", "")}))
        assert not orphan_servers([container(state=state)], "hub", known, NOW, running=running)

    def test_another_server_of_the_same_user_is_told_apart(self) -> None:
        known = Records({1: "ada"}, frozenset({("ada", "gpu")}))
        assert orphan_servers([container()], "hub", known, NOW, running=True)

    @pytest.mark.parametrize(
        ("state", "age", "running", "is_orphan"),
        [
            ("created", MINUTE, True, False),  # a start may be under way
            ("created", HOUR, True, True),
            ("created", MINUTE, False, True),  # nobody starts anything
            ("exited", MINUTE, True, True),
        ],
    )
    def test_a_start_under_way_is_left(self, state: str, age: float, running: bool, is_orphan: bool) -> None:
        listed = [container(state=state, age=age)]
        assert bool(orphan_servers(listed, "hub", NOBODY, NOW, running=running)) is is_orphan

    @pytest.mark.parametrize(
        "changes",
        [
            {"Labels": None},
            {"Labels": {}},
            {"Labels": dict(ServerRef("other", "ada").labels)},
            {"Labels": dict(ADA.labels) | {"io.stateroom.kind": "home"}},
            {"Names": ["/a-copy-of-it"]},
            {"Names": []},
            {"Names": None},
        ],
    )
    def test_what_is_not_certainly_ours_is_left(self, changes: dict[str, Any]) -> None:
        assert not orphan_servers([container(**changes)], "hub", NOBODY, NOW, running=False)

    def test_the_database_is_asked_after_the_containers(self) -> None:
        asked: list[str] = []
        engine = Engine([])
        engine.containers = lambda **_: asked.append("engine") or []  # type: ignore[func-returns-value, method-assign]
        find_orphans(
            engine,  # type: ignore[arg-type]
            "hub",
            lambda: asked.append("database") or NOBODY,  # type: ignore[func-returns-value]
            NOW,
            running=True,
        )
        assert asked == ["engine", "database"]


class TestHelpers:
    @pytest.mark.parametrize(
        ("listed", "is_orphan"),
        [
            (helper(), True),
            (helper(state="exited"), True),
            (helper(state="running"), False),
            (helper(age=MINUTE), False),
            (helper("other"), False),
            (container(), False),
        ],
    )
    def test_one_that_was_left_is_an_orphan(self, listed: dict[str, Any], is_orphan: bool) -> None:
        assert bool(orphan_helpers([listed], "hub", NOW)) is is_orphan


class TestNetworks:
    def test_one_with_a_container_on_it_stays(self) -> None:
        networks = [{"Id": "1", "Name": "used"}, {"Id": "2", "Name": "unused"}]
        on = container(state="exited", NetworkSettings={"Networks": {"used": {}}})
        assert [orphan.name for orphan in unused_networks(networks, [on])] == ["unused"]

    def test_it_goes_with_its_last_orphan_and_only_while_the_hub_is_down(self) -> None:
        engine = Engine([container(NetworkSettings={"Networks": {"stateroom-net": {}}})])
        assert kinds(found(engine, running=False)) == [Kind.SERVER, Kind.NETWORK]
        assert kinds(found(engine)) == [Kind.SERVER]
        known = Records({1: "ada"}, frozenset({("ada", "")}))
        assert kinds(found(engine, known, running=False)) == []


class TestImages:
    def image(self, name: str, age: float = 2 * HOUR, stage: str = "unified") -> dict[str, Any]:
        return {"Id": name, "Created": int(NOW - age), "Labels": {STAGE_LABEL: stage}}

    def ids(self, engine: Any) -> list[str]:
        return [orphan.id for orphan in superseded_images(engine, engine.listed, NOW)]

    def test_an_old_build_goes_and_what_was_made_of_it_stays(self) -> None:
        engine = Engine([], {SOURCE_LABEL: [self.image("old"), self.image("made of ours")]})
        engine.steps = {"old": f"/bin/sh -c #(nop)  LABEL {SOURCE_LABEL}=x", "made of ours": "CMD []"}
        assert self.ids(engine) == ["old"]

    def test_one_that_is_used_or_new_stays(self) -> None:
        engine = Engine([container()], {SOURCE_LABEL: [self.image("used"), self.image("new", MINUTE)]})
        engine.steps = dict.fromkeys(["used", "new"], SOURCE_LABEL)
        assert self.ids(engine) == []

    def test_the_newest_stage_of_each_image_stays(self) -> None:
        others = [self.image("of the hub", 8 * HOUR, "hub"), self.image("old one of the hub", 9 * HOUR, "hub")]
        stages = [self.image("newest", 2 * HOUR), *others, self.image("old", 5 * HOUR)]
        assert self.ids(Engine([], {STAGE_LABEL: stages})) == ["old one of the hub", "old"]

    def test_of_one_images_stages_the_newest_stays(self) -> None:
        stages = [self.image("newest", 2 * HOUR), self.image("oldest", 9 * HOUR), self.image("old", 5 * HOUR)]
        assert self.ids(Engine([], {STAGE_LABEL: stages})) == ["oldest", "old"]


class TestRemoval:
    def removing(self, error: Exception | None) -> docker.APIClient:
        class Client:
            def remove_network(self, _: str) -> None:
                if error:
                    raise error

        return Client()  # type: ignore[return-value]

    def refusal(self, status: int) -> APIError:
        response = requests.Response()
        response.status_code = status
        return APIError("no", response)

    def test_what_is_gone_already_counts_as_removed(self) -> None:
        orphan = Orphan(Kind.NETWORK, "id", "name", "why")
        assert remove_orphan(self.removing(None), orphan)
        assert remove_orphan(self.removing(NotFound("gone")), orphan)

    def test_what_is_used_again_is_left(self) -> None:
        orphan = Orphan(Kind.NETWORK, "id", "name", "why")
        assert not remove_orphan(self.removing(self.refusal(409)), orphan)
        with pytest.raises(APIError):
            remove_orphan(self.removing(self.refusal(500)), orphan)


class TestDatabase:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = DataFolder(tmp_path / "a b?#%").database
        path.parent.mkdir()
        with sqlite3.connect(path) as database:
            database.executescript(
                """
                CREATE TABLE users (id INTEGER, name TEXT);
                CREATE TABLE spawners (user_id INTEGER, server_id INTEGER, name TEXT);
                INSERT INTO users VALUES (1, 'ada'), (2, 'bob');
                INSERT INTO spawners VALUES (1, 5, ''), (1, NULL, 'gpu'), (2, NULL, '');
                """
            )
        database.close()
        return path

    def test_it_is_read(self, file: Path) -> None:
        records = read_records(file)
        assert records == Records({1: "ada", 2: "bob"}, frozenset({("ada", "")}))
        assert records.number("bob") == 2
        assert records.number("carl") is None

    def test_it_is_not_written(self, file: Path) -> None:
        before = file.read_bytes()
        read_records(file)
        assert file.read_bytes() == before
        assert [path.name for path in file.parent.iterdir()] == [file.name]

    def test_without_one_nothing_is_taken_for_an_orphan(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="no database of a hub"):
            read_records(tmp_path / "jupyterhub.sqlite")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
    def test_a_damaged_one_is_told(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "jupyterhub.sqlite"
        file.write_bytes(content)
        with pytest.raises(SetupError, match="cannot be read"):
            read_records(file)

    def test_a_url_leads_to_a_file_as_well(self, file: Path) -> None:
        plain = file.rename(file.parent.parent / "plain.sqlite")
        assert read_records(f"sqlite:///{plain}").number("ada") == 1

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("postgresql+psycopg://hub:not-told@127.0.0.1:1/hub", r"postgresql\+psycopg://hub:\*\*\*@127.0.0.1:1/hub"),
            ("nosuchengine://hub:not-told@127.0.0.1/hub", "nosuchengine"),
            ("not-told", "at the URL that it was given"),
        ],
    )
    def test_one_that_cannot_be_asked_is_told_without_its_password(self, url: str, said: str) -> None:
        with pytest.raises(SetupError, match=said) as caught:
            read_records(url)
        assert "not-told" not in str(caught.value)
        assert "\n" not in str(caught.value)


class TestHomes:
    RECORDS = Records({7: "ada", 8: "bob"}, frozenset())

    @pytest.mark.parametrize(
        ("made_for", "standing"),
        [
            (("ada", 7), Standing.USED),
            (("ada", 3), Standing.GONE),
            (("zoe", 3), Standing.GONE),
            (("zoe", 8), Standing.RENAMED),
            (("zoe", 0), Standing.GONE),  # a folder carries no number
        ],
    )
    def test_whose_it_is(self, made_for: tuple[str, int], standing: Standing) -> None:
        assert stored_home(HomeRef("hub", *made_for), self.RECORDS, {}).standing is standing

    def test_an_assigned_home_is_its_new_users(self) -> None:
        home, ada = HomeRef("hub", "zoe", 3), HomeRef("hub", "ada", 7)
        assigned = {home: ada}
        assert stored_home(home, self.RECORDS, assigned).standing is Standing.USED
        assert stored_home(ada, self.RECORDS, assigned).standing is Standing.SET_ASIDE
        gone = {home: HomeRef("hub", "carl", 5)}
        assert stored_home(home, self.RECORDS, gone).standing is Standing.GONE

    def test_homes_in_a_folder(self, tmp_path: Path) -> None:
        data = DataFolder(tmp_path / "data")
        data.make()
        homes = tmp_path / "homes"
        settings = Settings("hub", "docker", "/c.yaml", str(homes), 1, 2, 3, ())
        there = DockerResources(None, settings)  # type: ignore[arg-type]
        ada, bob, zoe = HomeRef("hub", "ada", 7), HomeRef("hub", "bob", 8), HomeRef("hub", "zoe", 0)

        def standings(*named: str) -> dict[str, Standing]:
            found = stored_homes(there, data, "hub", self.RECORDS, *named)
            return {home.made_for.user: home.standing for home in found}

        assert not standings()
        for home in (ada, bob, zoe):
            (homes / home.name).mkdir(parents=True)
        assert standings() == {"ada": Standing.USED, "bob": Standing.USED}
        assert standings("zoe", "carl")["zoe"] is Standing.GONE
        assert "carl" not in standings("carl")
        assert there.unknown_homes([ada, bob]) == [f"{homes}/{zoe.name}"]
        assert "no host folders" in there.undeletable()

        assignments = HomeAssignments(home_assignments_file(data.path))
        assignments.assign(zoe, bob)
        assert standings() == {"ada": Standing.USED, "bob": Standing.SET_ASIDE, "zoe": Standing.USED}
        assignments.assign(bob, bob)
        assert standings() == {"ada": Standing.USED, "bob": Standing.USED}

    def test_what_to_do_about_a_rename_is_told(self) -> None:
        told: Callable[[str, int], str] = lambda *who: stored_home(HomeRef("hub", *who), self.RECORDS, {}).description  # noqa: E731
        assert told("zoe", 8).endswith("now called bob. To hand it over: stateroom homes assign zoe --to bob")
        assert told("zoe", 3) == "of zoe (number 3), who is gone"
