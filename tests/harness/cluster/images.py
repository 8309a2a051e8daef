"""Images for the cluster's node, and registries that it fetches from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from harness.cluster.programs import ctr, run
from harness.cluster.settings import FOLDER, ClusterError, write_json


def load(folder: Path, *images: str) -> None:
    """Copy images of the local Docker engine in, but for those that are there as they are.

    A pod names what Docker calls NAME:TAG by its full name, docker.io/library/NAME:TAG.
    """
    folder = folder.resolve()
    note = folder / "loaded.json"
    loaded = json.loads(note.read_text()) if note.exists() else {}
    now = {image: run("docker", "image", "inspect", "--format={{.Id}}", image).strip() for image in images}
    wanted = [image for image in images if loaded.get(image) != now[image]]
    if not wanted:
        return
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as saving:
        imported = ctr(folder, "images", "import", "-", stdin=saving.stdout)
    if saving.returncode or imported.returncode:
        raise ClusterError(f"{' '.join(wanted)} could not be loaded: {imported.stderr.strip()}")
    write_json(note, loaded | now)


def push(image: str, to: str, folder: Path = FOLDER) -> None:
    """Copy an image that the node has to a registry that speaks plain HTTP."""
    for words in (["tag", "--force", image, to], ["push", "--plain-http", to], ["rm", to]):
        done = ctr(folder, "images", *words)
        if done.returncode != 0:
            raise ClusterError(f"ctr images {' '.join(words)}: {done.stderr}")


def know_registry(address: str, folder: Path = FOLDER) -> None:
    """Let the node fetch from a registry that speaks plain HTTP."""
    hosts = folder / "registries" / address / "hosts.toml"
    hosts.parent.mkdir(parents=True, exist_ok=True)
    way = f"http://{address}"
    hosts.write_text(f'server = "{way}"\n[host."{way}"]\ncapabilities = ["pull", "resolve"]\n')
