"""What the images that ship with Stateroom are made from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import stateroom
from harness.command import run
from stateroom.images import sources as recipes
from stateroom.images.build import STAGE_LABEL
from stateroom.images.sources import RECIPES, USUAL, hub, proxy, unified, unified_spark


@pytest.mark.parametrize("name", RECIPES)
def test_each_has_a_dockerfile_and_a_lock_that_pins_everything(name: str) -> None:
    recipe = RECIPES[name]()
    assert recipe.name == name
    assert b"\nUSER 1000\n" in recipe.files["Dockerfile"]
    # By this a build finds the first stages of its own predecessors, and of no other image.
    assert f"\nLABEL {STAGE_LABEL}={name}\n".encode() in recipe.files["Dockerfile"]
    lines = recipe.files["requirements.lock"].decode().split()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines), lines


def test_the_hash_tells_names_and_contents_apart() -> None:
    recipe = replace(unified(), files={"Dockerfile": b"FROM scratch\n", "bin/start": b""})
    renamed = replace(recipe, files={"Dockerfile": b"FROM scratch\n", "bin/begin": b""})
    changed = replace(recipe, files={"Dockerfile": b"FROM scratch\n", "bin/start": b"echo\n"})
    assert len({recipe.digest, renamed.digest, changed.digest}) == 3
    assert replace(recipe, files=dict(reversed(recipe.files.items()))).digest == recipe.digest


def test_a_command_that_names_no_image_is_about_all_but_the_large_one() -> None:
    assert {*RECIPES} - {*USUAL} == {"unified-spark"}
    for verb in ("build", "push", "load"):
        assert f"if none is named, {', '.join(USUAL)}" in " ".join(run("images", verb, "--help").out.split())


def test_the_hash_of_an_image_changes_with_its_base() -> None:
    spark = unified_spark()
    changed = replace(unified(), files={"Dockerfile": b"FROM scratch\n"})
    assert replace(spark, base=changed).digest != spark.digest


def test_the_spark_image_adds_to_the_notebook_image_and_replaces_only_pandas() -> None:
    # A package of both would be there twice, or mixed of two versions. images/README.md has the command that
    # makes the lock anew.
    below, above = (set(names(recipe.files["requirements.lock"])) for recipe in (unified(), unified_spark()))
    assert below & above == {"pandas"}
    assert b"pip uninstall --quiet --yes --root-user-action ignore pandas\n" in unified_spark().files["Dockerfile"]


def test_the_spark_image_has_the_notebook_images_kernels_and_its_own() -> None:
    assert kernels(unified_spark().files["Dockerfile"]) == [*kernels(unified().files["Dockerfile"]), "pyspark"]


def names(lock: bytes) -> list[str]:
    return [line.partition("==")[0] for line in lock.decode().splitlines()]


def kernels(dockerfile: bytes) -> list[str]:
    (label,) = re.findall(r'io\.stateroom\.kernels="([^"]+)"', dockerfile.decode())
    return str(label).split()


def test_what_python_leaves_behind_is_no_part_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unified" / "__pycache__").mkdir(parents=True)
    (tmp_path / "unified" / "__pycache__" / "x.pyc").touch()
    (tmp_path / "unified" / "Dockerfile").touch()
    monkeypatch.setattr(recipes, "folder_of", lambda image: tmp_path / image)
    assert list(recipes.files_of("unified")) == ["Dockerfile"]


def test_the_notebook_image_leaves_out_what_notebooks_do_not_need() -> None:
    files = unified().files
    lock = files["requirements.lock"].decode().split()
    assert json.loads(files["jupyter/overrides.json"])
    assert any(line.startswith("jupyterhub==6.") for line in lock)
    # Costs each start of a server two seconds for a check that notebooks do not need.
    assert not any(line.startswith(("rfc3987-syntax", "lark")) for line in lock)


def test_the_hub_has_the_stateroom_that_builds_it_as_an_installed_package() -> None:
    files = hub().files
    code = Path(stateroom.__file__).parent
    assert files["package/stateroom/hub/spawner.py"] == (code / "hub" / "spawner.py").read_bytes()
    assert any(name.startswith("package/stateroom/hub/templates/") for name in files)
    about = f"package/stateroom-{stateroom.__version__}.dist-info"
    assert b"stateroom = stateroom.hub.spawner:StateroomSpawner" in files[f"{about}/entry_points.txt"]
    assert f"\nVersion: {stateroom.__version__}\n".encode() in files[f"{about}/METADATA"]
    assert not any("shipped/" in name or "__pycache__" in name for name in files)


def test_the_proxy_is_that_of_up() -> None:
    lock = Path(stateroom.__file__).parent / "operations" / "local" / "proxy" / "package-lock.json"
    assert proxy().files["package-lock.json"] == lock.read_bytes()
