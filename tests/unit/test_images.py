"""Building the shipped image, as far as it needs no engine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError, ImageNotFound

from stateroom.common.errors import SetupError
from stateroom.images.base import sources_for
from stateroom.images.build import (
    SOURCE_LABEL,
    STAGE_LABEL,
    build,
    build_context,
    ca_bundle,
    follow_build,
    is_current,
    stored_image,
)
from stateroom.images.build_steps import BuildStep
from stateroom.images.sources import UNIFIED, Recipe

BASE = "debian:trixie-slim"
GOOD_BUILD = (
    {"stream": "Step 1/2 : FROM ${BASE}\n ---> aaaaaaaaaaaa\n"},
    {"stream": "Step 2/2 : RUN apt-get install --yes git\n"},
    {"stream": "Get:1 git\n ---> bbbbbbbbbbbb\n"},
    {"stream": "Successfully built bbbbbbbbbbbb\n"},
)


class FakeEngine:
    """Holds images by reference or id; a build gives the reference a new one."""

    def __init__(self, entries: tuple[Mapping[str, Any], ...] = GOOD_BUILD, **images: Mapping[str, str]) -> None:
        self.timeout = 60
        self.entries = entries
        self.labels = {reference: dict(labels) for reference, labels in images.items()}
        self.ids = {reference: f"sha256:{number:064x}" for number, reference in enumerate(images, start=1)}
        self.layers = {reference: [reference] for reference in images}
        self.built: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self.unnamed: dict[str, str] = {}  # by id, and whose first stage it is, if any's
        self.last_steps: dict[str, str] = {}  # of those with our label
        self.asked_registry = 0
        self.given = 0

    def version(self) -> dict[str, Any]:
        return {"Components": [{"Name": "Podman Engine"}]}

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.ids:
            raise ImageNotFound(reference)
        return {
            "Id": self.ids[reference],
            "Config": {"Labels": self.labels[reference] or None},
            "RootFS": {"Layers": self.layers[reference]},
        }

    def inspect_distribution(self, reference: str) -> dict[str, Any]:
        self.asked_registry += 1
        assert self.timeout <= 5
        raise requests.exceptions.ReadTimeout(reference)

    def import_image_from_file(self, filename: str, repository: str, tag: str) -> str:
        self._give(f"{repository}:{tag}", {}, [])
        return Path(filename).read_text()

    def build(self, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        self.built.append(arguments)
        yield from self.entries
        if old := self.ids.get(arguments["tag"]):
            self.unnamed[old] = ""
        self._give(arguments["tag"], last_labels(arguments), self.layers[arguments["buildargs"]["BASE"]])

    def images(self, filters: Mapping[str, Any]) -> list[dict[str, str]]:
        assert filters["dangling"] is True
        label, _, of = filters.get("label", "").partition("=")
        wanted: dict[str, Callable[[str], bool]] = {
            "": lambda _: True,
            STAGE_LABEL: lambda name: self.unnamed[name] == of,
            SOURCE_LABEL: lambda name: name in self.last_steps,
        }
        return [{"Id": name} for name in self.unnamed if wanted[label](name)]

    def history(self, name: str) -> list[dict[str, str]]:
        if name not in self.unnamed:
            raise ImageNotFound(name)
        return [{"CreatedBy": self.last_steps[name]}, {"CreatedBy": f"LABEL {SOURCE_LABEL}=1"}]

    def remove_image(self, name: str) -> None:
        self.removed.append(name)

    def _give(self, reference: str, labels: Mapping[str, str], below: list[str]) -> None:
        self.given += 1
        self.ids[reference] = f"sha256:{self.given + 100:064x}"
        self.layers[reference] = [*below, self.ids[reference]]
        self.labels[reference] = dict(labels)


def last_labels(arguments: Mapping[str, Any]) -> dict[str, str]:
    """The label that a build's last step adds."""
    with tarfile.open(fileobj=arguments["fileobj"]) as context:
        dockerfile = context.extractfile("Dockerfile")
        assert dockerfile
        instruction, label = dockerfile.read().decode().splitlines()[-1].split()
    assert instruction == "LABEL"
    return dict([label.split("=")])


FILES = {"Dockerfile": b"FROM scratch\n", "bin/start": b"#!/bin/sh\n"}
RECIPE = Recipe("unified", "notebook image", UNIFIED, "the libraries", FILES)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "build.log"


@pytest.fixture
def steps() -> list[BuildStep]:
    return []


def built(engine: FakeEngine, log: Path, **options: bool) -> bool:
    return build(engine, RECIPE, lambda _: None, log, **options)


def refusal(engine: FakeEngine, log: Path) -> str:
    with pytest.raises(SetupError) as caught:
        built(engine, log)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_context_holds_scripts_that_may_run_and_the_certificates(tmp_path: Path) -> None:
    bundle = tmp_path / "some.pem"
    bundle.write_text("certificates")
    with tarfile.open(fileobj=io.BytesIO(build_context(RECIPE.files, bundle))) as archive:
        modes = {entry.name: entry.mode for entry in archive}
    assert modes == {"Dockerfile": 0o644, "bin/start": 0o755, "ca.crt": 0o644}
    with tarfile.open(fileobj=io.BytesIO(build_context(RECIPE.files, None))) as archive:
        assert "ca.crt" not in archive.getnames()


def test_certificates_named_for_pip_come_first(tmp_path: Path) -> None:
    pip, openssl = tmp_path / "pip.pem", tmp_path / "openssl.pem"
    pip.touch()
    openssl.touch()
    assert ca_bundle({"PIP_CERT": str(pip), "SSL_CERT_FILE": str(openssl)}) == pip
    assert ca_bundle({"PIP_CERT": str(tmp_path / "gone"), "SSL_CERT_FILE": str(openssl)}) == openssl


def test_a_build_is_told_in_steps(steps: list[BuildStep]) -> None:
    log = io.StringIO()
    used = follow_build(GOOD_BUILD, steps.append, log, "the libraries")
    assert used == {"aaaaaaaaaaaa", "bbbbbbbbbbbb"}
    assert (steps[0].number, steps[0].total) == (0, 1)
    assert BuildStep(2, 2, "Installing Debian packages", "Get:1 git") in steps
    assert log.getvalue().rstrip().splitlines()[-1] == "Successfully built bbbbbbbbbbbb"


def test_lines_in_pieces_and_colours_are_put_right(steps: list[BuildStep]) -> None:
    entries = [
        {"stream": "Step 1/3 : FROM x\nStep 2/"},
        {"stream": "3 : RUN y\n\x1b[91mWARN"},
        {"stream": "ING\x1b[0m\n"},
    ]
    follow_build(entries, steps.append, io.StringIO(), "the libraries")
    assert (steps[-1].number, steps[-1].line) == (2, "WARNING")


def test_a_line_that_looks_like_the_end_is_not_one(steps: list[BuildStep]) -> None:
    follow_build([{"stream": "Step 1/1 : RUN x\nerror: no matter\n"}], steps.append, io.StringIO(), "the libraries")
    assert steps[-1].line == "error: no matter"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: No matching distribution found for nosuch==1\nbye\n", '"ERROR: No matching distribution found for'),
        ("E: Unable to locate package nosuch\n", '"E: Unable to locate package nosuch"'),
        ("", '"The command returned a non-zero code: 1"'),
        ("useradd: user 'x' already exists\nRemoving intermediate container 5112\n", "user 'x' already exists"),
        ("OSError: [Errno 28] No space left on device\n", "the disk is full"),
    ],
)
def test_a_failed_build_is_one_sentence_with_its_log(log: Path, output: str, said: str) -> None:
    entries = (
        {"stream": "Step 4/9 : RUN pip install\n" + output},
        {"error": "The command returned a non-zero code: 1"},
    )
    message = refusal(FakeEngine(entries, **{BASE: {}}), log)
    assert said in message
    assert str(log) in message
    assert "non-zero code" in log.read_text()
    assert "disk" in message or "step 4 of 9" in message


def test_a_long_line_is_shortened(log: Path) -> None:
    entries = ({"stream": "Step 1/1 : RUN x\n" + "x" * 5000}, {"error": "no"})
    assert len(refusal(FakeEngine(entries, **{BASE: {}}), log)) < 500


def test_the_engines_own_refusal_is_one_sentence(log: Path) -> None:
    class Refusing(FakeEngine):
        def build(self, **_: Any) -> Iterator[Mapping[str, Any]]:
            raise APIError("500", explanation="write /var/lib/docker/tmp: no space left on device")

    assert "the disk is full" in refusal(Refusing(**{BASE: {}}), log)


def test_what_is_no_name_of_an_image_is_refused() -> None:
    class Refusing(FakeEngine):
        def inspect_image(self, reference: str) -> dict[str, Any]:
            response = requests.Response()
            response.status_code = 400
            raise APIError("400", response=response, explanation=f"invalid reference format: {reference}")

    with pytest.raises(SetupError, match='"Bad Name" is no name of an image'):
        stored_image(Refusing(), "Bad Name")


def test_an_image_of_these_files_is_up_to_date(log: Path) -> None:
    engine = FakeEngine(**{UNIFIED: {SOURCE_LABEL: RECIPE.digest}})
    assert is_current(engine, RECIPE)
    assert not built(engine, log)
    assert not engine.built
    assert not log.exists()


@pytest.mark.parametrize("images", [{}, {UNIFIED: {}}, {UNIFIED: {SOURCE_LABEL: "another"}}])
def test_an_image_of_other_files_is_built_again(log: Path, images: dict[str, dict[str, str]]) -> None:
    engine = FakeEngine(**images, **{BASE: {}})
    assert built(engine, log)
    assert engine.built[0]["buildargs"] == {"BASE": BASE}
    assert not engine.built[0]["nocache"]
    assert not built(engine, log)
    assert engine.asked_registry == 0


class TestAnImageOnOneOfOurs:
    """It stands on the other as that is now."""

    RECIPE = Recipe("unified-spark", "Spark notebook image", "stateroom/unified-spark:1", "Spark", FILES, base=RECIPE)

    class Engine(FakeEngine):
        """One that reaches a registry."""

        def inspect_distribution(self, _: str) -> dict[str, Any]:
            return {}

        def pull(self, *_: Any, **__: Any) -> Iterator[Mapping[str, Any]]:
            return iter(())

    def built(self, engine: FakeEngine, log: Path, **options: bool) -> list[tuple[str, str]]:
        engine.built.clear()
        assert build(engine, self.RECIPE, lambda _: None, log, **options) is bool(engine.built)
        return [(arguments["tag"], arguments["buildargs"]["BASE"]) for arguments in engine.built]

    def test_the_other_is_built_first_where_need_be(self, log: Path) -> None:
        engine = self.Engine(**{BASE: {}})
        both = [(UNIFIED, BASE), (self.RECIPE.reference, UNIFIED)]
        assert self.built(engine, log) == both
        assert self.built(engine, log) == []
        assert self.built(engine, log, rebuild=True) == both

    def test_it_is_built_again_when_the_other_was(self, log: Path) -> None:
        engine = self.Engine(**{BASE: {}})
        self.built(engine, log)
        assert built(engine, log, rebuild=True)
        assert self.built(engine, log) == [(self.RECIPE.reference, UNIFIED)]


def test_what_a_build_replaces_is_removed_and_nothing_else(log: Path) -> None:
    engine = FakeEngine(**{UNIFIED: {}, BASE: {}})
    old_image, old_stage, new_stage, hubs_stage, foreign = (
        engine.ids[UNIFIED],
        "sha256:" + "c" * 64,
        "sha256:" + "a" * 64,
        "sha256:" + "e" * 64,
        "sha256:" + "d" * 64,
    )
    engine.unnamed = {old_stage: "unified", new_stage: "unified", hubs_stage: "hub", foreign: ""}
    built(engine, log)
    assert sorted(engine.removed) == sorted([old_image, old_stage])


def test_an_earlier_build_goes_once_nothing_holds_it_and_what_somebody_made_of_it_stays(log: Path) -> None:
    engine = FakeEngine(**{UNIFIED: {}, BASE: {}})
    earlier, derived = "sha256:" + "e" * 64, "sha256:" + "f" * 64
    engine.unnamed = {earlier: "", derived: ""}
    engine.last_steps = {earlier: f"/bin/sh -c #(nop)  LABEL {SOURCE_LABEL}=0", derived: "/bin/sh -c #(nop)  USER root"}
    old = engine.ids[UNIFIED]
    built(engine, log)
    assert sorted(engine.removed) == sorted([earlier, old])


def test_an_image_that_is_still_in_use_stays(log: Path) -> None:
    class InUse(FakeEngine):
        def remove_image(self, name: str) -> None:
            raise APIError("409", explanation=f"{name} is used by a running container")

    assert built(InUse(**{UNIFIED: {}, BASE: {}}), log)


def test_without_a_registry_mmdebstrap_makes_the_base(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    script = programs / "mmdebstrap"
    options = 'while [ "${1#--}" != "$1" ]; do shift; done'
    script.write_text(f'#!/bin/sh\n{options}\nprintf "making %s\\n" "$1"\nprintf archive > "$2"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    engine = FakeEngine()
    assert built(engine, log)
    assert engine.asked_registry == 1
    assert engine.timeout == 60
    assert engine.built[0]["buildargs"] == {"BASE": "stateroom/base:trixie"}
    assert "making trixie" in log.read_text()


def test_the_mirrors_of_an_older_debian_serve_the_release_of_the_base() -> None:
    listed = """\
http://mirror.example/debian/ bookworm main
http://mirror.example/debian/ bookworm-updates main
http://mirror.example/debian/ bookworm-backports main
http://mirror.example/security/ bookworm-security main
https://private.example/debian/ bookworm main
"""
    assert sources_for("trixie", listed) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/security/ trixie-security main",
    ]


@pytest.mark.parametrize("listed", ["", "http://mirror.example/security/ bookworm-security main\n"])
def test_updates_without_their_release_are_no_sources(listed: str) -> None:
    assert sources_for("trixie", listed) == []


def test_without_registry_and_mmdebstrap_the_sentence_says_what_to_do(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    message = refusal(FakeEngine(), log)
    assert "apt-get install mmdebstrap" in message
    assert BASE in message
