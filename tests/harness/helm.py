"""Helm, and the chart as tests render it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml

from harness import cluster
from stateroom import __version__

Json = Mapping[str, Any]

CHART = Path(__file__).parents[2] / "helm" / "stateroom"
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text())
CATALOG: str = VALUES["catalog"]
_LONGEST = 300  # seconds for one command
# Helm built from its Go module takes a cluster that it cannot ask for a very old one.
_VERSION = "--kube-version=1.34"


class HelmRefused(Exception):
    """What Helm said."""


def helm(*words: str, values: Json | None = None, patience: float = _LONGEST) -> str:
    """Run Helm on the tests' cluster; `values` become a file of their own. Raises HelmRefused."""
    with _written(values) as options:
        command = [program(), *words, *options]
        environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig())}
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, env=environment, check=False)
    if done.returncode:
        raise HelmRefused(done.stdout + done.stderr)
    return done.stdout + done.stderr


def chart_of(folder: Path, version: str) -> Path:
    """A copy of the chart with another version."""
    chart = folder / "stateroom"
    shutil.copytree(CHART, chart)
    description = chart / "Chart.yaml"
    description.write_text(description.read_text().replace(__version__, version))
    return chart


def render(
    values: Json | None = None, *, release: str = "hub", namespace: str = "hubs", chart: Path = CHART
) -> Objects:
    """What the chart makes of values, without a cluster. Raises HelmRefused."""
    said = helm("template", release, str(chart), f"--namespace={namespace}", _VERSION, values=values)
    return Objects([found for found in yaml.safe_load_all(said) if found])


class Objects(list[dict[str, Any]]):
    """Rendered objects, found by what they are."""

    def of(self, kind: str) -> Objects:
        """All of a kind."""
        return Objects([found for found in self if found["kind"] == kind])

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The one of a kind and name."""
        (one,) = (found for found in self.of(kind) if found["metadata"]["name"] == name)
        return one

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The spec of each pod that they lead to, with the name of what makes it."""
        for found in self:
            if template := found.get("spec", {}).get("template"):
                yield found["metadata"]["name"], template["spec"]


@cache
def program() -> str:
    """Helm; skips where there is none."""
    try:
        return str(cluster.program("helm"))
    except cluster.ClusterError as error:
        pytest.skip(str(error))


@contextmanager
def _written(values: Json | None) -> Iterator[Sequence[str]]:
    if values is None:
        yield []
        return
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        yield [f"--values={file.name}"]
