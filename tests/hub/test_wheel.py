"""The package works from an installed wheel: what `up` needs beside the code is in it, and the chart."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

_WHERE = """
from stateroom.operations.local.proxy import _SOURCES
from stateroom.operations.local.catalog_file import shipped_catalog
from stateroom.images.sources import folder_of
from stateroom.operations.chart_values.chart import chart_folder
from stateroom.operations.chart_values.schema import values_schema
assert values_schema()
print(shipped_catalog(), folder_of("unified").parent, _SOURCES, chart_folder(), sep="\\n")
"""


def test_an_installed_wheel_brings_catalog_images_proxy_and_chart_along(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=600)
    (wheel,) = tmp_path.glob("stateroom-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    told = subprocess.run(
        [sys.executable, "-c", _WHERE],
        env={"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    catalog, images, proxy, chart = map(Path, told.stdout.split())
    assert all(path.is_relative_to(installed) for path in (catalog, images, proxy, chart))
    assert catalog.read_bytes() == (ROOT / "config" / "catalog.yaml").read_bytes()
    assert files(images) == files(ROOT / "images")
    assert files(chart) == files(ROOT / "helm" / "stateroom")
    assert (proxy / "package-lock.json").is_file()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
