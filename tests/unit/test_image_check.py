"""What `stateroom images check` and `list` make of what they see, without an engine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stateroom.backends.docker.payload import DockerSettings, ImageFacts, container_payload
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.storage import DockerHome
from stateroom.common.errors import SetupError
from stateroom.images.build import SOURCE_LABEL
from stateroom.images.check.trial import KernelRun, Trial, _payload, trial_from_lines
from stateroom.images.metadata import StoredImage
from stateroom.images.sources import UNIFIED, unified
from stateroom.operations.checks.findings import Finding, Verdict
from stateroom.operations.images.check import findings, spec_of
from stateroom.operations.images.listing import advice, row, state
from stateroom.operations.images.names import NamedImage, all_images, images_named

CATALOG = """\
version: 1
images:
  - {id: lab, image: "registry.example/lab:2", kernels: [python3, ir], default: true}
  - {id: ours, image: "stateroom/unified:1"}
sizes:
  - {id: standard, cpu: 1.5, memory: 2 GiB, gpu: 1, default: true}
"""
TOLD = [
    {
        "kind": "facts",
        "user": 1000,
        "home": "/home/jovyan/notebooks",
        "writable": True,
        "cores": "2",
        "jupyterhub": "6.1.1",
        "singleuser": True,
    },
    {"kind": "doing", "what": "Starting its server"},
    {"kind": "server", "seconds": 1.25, "problem": ""},
    {"kind": "kernels", "names": ["ir", "python3"]},
    {"kind": "kernel", "name": "ir", "language": "R", "ran": True, "seconds": 1.0, "problem": ""},
    {"kind": "kernel", "name": "python3", "language": "python", "ran": True, "seconds": 0.5, "problem": ""},
    {"kind": "end"},
]
GOOD = trial_from_lines(TOLD)
LABELLED = {"io.stateroom.kernels": "python3 ir", "io.stateroom.jupyterhub": "6"}
FACTS = ImageFacts(1000, 100, "/home/jovyan", ("start.sh", "jupyter"))


@pytest.fixture
def catalog() -> Catalog:
    return parse_catalog(CATALOG)


@pytest.fixture
def lab(catalog: Catalog) -> NamedImage:
    (lab,) = images_named(["lab"], catalog)
    return lab


def found(trial: Trial, image: NamedImage, labels: dict[str, str] | None = None) -> dict[str, Finding]:
    """The findings by their names; of the kernels' the last."""
    stored = StoredImage("sha256:1", 1, LABELLED if labels is None else labels)
    return dict(findings(trial, stored, image, spec_of(parse_catalog(CATALOG), image)))


def fault(trial: Trial, image: NamedImage, labels: dict[str, str] | None = None) -> str:
    """The one thing that is wrong, with its remedy."""
    (wrong,) = [one for one in found(trial, image, labels).values() if one.verdict is Verdict.FAIL]
    assert wrong.remedy.endswith(".")
    return f"{wrong.fact}. {wrong.remedy}"


def test_an_image_as_it_should_be_has_no_fault(lab: NamedImage) -> None:
    told = found(GOOD, lab)
    assert {finding.verdict for finding in told.values()} == {Verdict.OK}
    assert told["Kernels"].fact == "there are ir and python3, as the label io.stateroom.kernels and the catalog say"
    assert told["Server"].fact == "it answers on port 8888 after 1.2 s"


def test_an_image_without_labels_says_so_and_is_not_at_fault() -> None:
    told = found(GOOD, NamedImage("jupyter/r-notebook", "jupyter/r-notebook"), {})
    assert {finding.verdict for finding in told.values()} == {Verdict.OK}
    assert "no label io.stateroom.kernels" in told["Kernels"].fact
    assert "no label io.stateroom.jupyterhub" in told["Hub"].fact


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"writable": False}, ["/home/jovyan/notebooks cannot be written to by user 1000"]),
        ({"jupyterhub": "5.3.0"}, ["JupyterHub 5.3.0, but the label io.stateroom.jupyterhub says 6"]),
        ({"singleuser": False}, ["no jupyterhub-singleuser", "Install the package jupyterhub"]),
        ({"server_problem": "it ended with 1"}, ["does not answer on port 8888: it ended with 1", "within 60 s"]),
        (
            {"kernels": (*GOOD.kernels, KernelRun("broken", "python", ran=True, seconds=0, problem="No such file"))},
            ["there are ir, python3 and broken, but", "broken does not run: No such file. Put it right"],
        ),
        ({"kernels": ()}, ["there are none, but the label io.stateroom.kernels says python3 and ir and the catalog"]),
    ],
)
def test_a_fault_says_what_was_found_and_expected_and_what_to_do(
    lab: NamedImage, change: dict[str, object], words: list[str]
) -> None:
    trial = replace(GOOD, **change)  # type: ignore[arg-type]
    wrong = [one for one in found(trial, lab).values() if one.verdict is Verdict.FAIL]
    text = " ".join(f"{one.fact}. {one.remedy}" for one in wrong)
    assert all(one.remedy.endswith(".") for one in wrong)
    for part in words:
        assert part in text


@pytest.mark.parametrize(("cores", "words"), [("8", "nproc says 8 with 1.5 CPU"), ("", "nproc says nothing")])
def test_cores_that_are_the_machines_are_a_warning(lab: NamedImage, cores: str, words: str) -> None:
    told = found(replace(GOOD, cores=cores), lab)["Cores"]
    assert told.verdict is Verdict.WARN
    assert words in told.fact


def test_numbers_of_threads_that_the_catalog_sets_are_what_is_expected(lab: NamedImage) -> None:
    catalog = parse_catalog(CATALOG + "environment: {OMP_NUM_THREADS: '8,2'}\n")
    told = dict(findings(replace(GOOD, cores="8"), StoredImage("sha256:1", 1, {}), lab, spec_of(catalog, lab)))
    assert told["Cores"].verdict is Verdict.OK


def test_a_label_that_lies_is_told_apart_from_a_catalog_that_does(lab: NamedImage) -> None:
    label = fault(GOOD, lab, {"io.stateroom.kernels": "python3 scala"})
    assert "but the label io.stateroom.kernels says python3 and scala. Correct the label" in label
    one = replace(GOOD, kernels=GOOD.kernels[1:])
    assert "there is python3, but the catalog says python3 and ir. Correct the catalog" in fault(one, lab, {})


def test_a_kernel_of_an_unknown_language_only_has_to_answer(lab: NamedImage) -> None:
    kernel = KernelRun("apl", "apl", ran=False, seconds=0.2, problem="")
    told = found(replace(GOOD, kernels=(kernel,)), lab)["Kernel"]
    assert (told.verdict, told.fact) == (Verdict.OK, "apl answers (nothing is known to run in apl), 0.2 s")


def test_a_trial_is_a_servers_container_without_network_and_home(catalog: Catalog, lab: NamedImage) -> None:
    spec = spec_of(catalog, lab)
    trial, server = _payload(spec, FACTS), container_payload(spec, FACTS, DockerSettings("servers", DockerHome()))
    other = {"NetworkMode": "none", "Binds": []}
    assert trial["HostConfig"] == {**server["HostConfig"], **other}
    assert trial["HostConfig"]["DeviceRequests"] == []
    assert (trial["User"], trial["Env"]) == (server["User"], server["Env"])
    assert json.loads(trial["Cmd"][0]) == ["start.sh", "jupyter"]
    assert list(trial["Volumes"]) == ["/home/jovyan/notebooks"]


def test_images_are_named_by_id_recipe_or_reference(catalog: Catalog) -> None:
    names = ["lab", "unified", UNIFIED, "registry.example/lab:2", "other:1"]
    references = [image.reference for image in images_named(names, catalog)]
    assert references == ["registry.example/lab:2", UNIFIED, UNIFIED, "registry.example/lab:2", "other:1"]
    assert [image.name for image in images_named([], catalog)] == ["lab", "ours"]


def test_the_hubs_image_is_not_checked(catalog: Catalog) -> None:
    said = r'"hub" is no notebook image\. Name one that is, such as lab, ours and unified-spark'
    with pytest.raises(SetupError, match=said):
        images_named(["lab", "hub"], catalog)


def test_the_list_has_the_catalogs_images_and_ours_once_each(catalog: Catalog) -> None:
    images = [image.name for image in all_images(catalog)]
    assert images[:2] == ["lab", "ours"]
    assert {"hub", "proxy"} < set(images)
    assert "unified" not in images


def test_a_row_tells_what_the_engine_has(catalog: Catalog) -> None:
    images = {image.name: image for image in all_images(catalog)}
    stored = StoredImage("sha256:1", 796_000_000, {**LABELLED, "io.stateroom.versions": "python=3.13"})
    reference = "registry.example/lab:2"
    assert row(images["lab"], None) == ("lab", reference, "not here", "", "", "")
    cells = ("lab", reference, "here", "796 MB", "python3, ir", "python 3.13, jupyterhub 6")
    assert row(images["lab"], stored) == cells
    assert state(images["ours"], stored) == "superseded"
    current = replace(stored, labels={SOURCE_LABEL: unified().digest})
    assert state(images["ours"], current) == "up to date"


def test_the_list_says_what_to_do(catalog: Catalog) -> None:
    images = {image.name: image for image in all_images(catalog)}
    stored = StoredImage("sha256:1", 1, {})
    lab, ours, hub = images["lab"], images["ours"], images["hub"]
    build, pulled = advice([(lab, None), (ours, stored), (hub, None)])
    assert build == "To build what is missing or superseded: stateroom images build unified hub"
    assert "pulled when a server of theirs is first started" in pulled
    assert advice([(lab, stored)]) == []
