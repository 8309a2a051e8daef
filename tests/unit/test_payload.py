"""The Docker payload against golden files, and the rules that they could hide.

`STATEROOM_UPDATE_GOLDEN=1` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from harness.workloads import changed
from stateroom.backends.docker.observation import container_from_list
from stateroom.backends.docker.payload import (
    DockerSettings,
    ImageFacts,
    certificate_archive,
    container_payload,
    facts_from_image,
    handed_over,
    home_archive,
)
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.storage import DockerHome
from stateroom.common.errors import ImageUnfit
from stateroom.common.labels import TLS
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server, server_for

CASES = Path(__file__).parents[1] / "data" / "payload"
SHIPPED = (Path(__file__).parents[2] / "config" / "catalog.yaml").read_text("utf-8")
GROUPS = """
guarantee: {cpu: 0.5, memory: 0.75}
groups:
  research:
    identity:
      environment: {TEAM: research, LANG: de_DE.UTF-8}
      supplemental_groups: [2001, 2002]
      service_account: research
      network: stateroom-research
"""
LEAST_GUARANTEE = "\nguarantee: {cpu: 0.001, memory: 0.05}\n"
GPU_SIZE = SHIPPED.replace("sizes:\n", "sizes:\n  - {id: gpu, cpu: 4, memory: 8 GiB, gpu: 2}\n")
TOKEN = "token-that-nobody-may-see"
IMAGE = ImageFacts(1000, 100, "/home/jovyan", ("tini", "--", "start-notebook.py"))
PASSWD = "root:x:0:0:root:/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/bash\nbroken\n"


def spec_for(
    options: dict[str, object],
    user: str = "ada",
    server: str = "",
    *,
    text: str = SHIPPED,
    groups: tuple[str, ...] = (),
) -> Server:
    catalog = parse_catalog(text)
    allowance = allowance_for(catalog, Person(user, frozenset(groups)))
    return server_for(
        catalog,
        allowance,
        choose(options, allowance),
        ref=ServerRef("hub-1", user, server),
        home=HomeRef("hub-1", user, 7),
        base_url=f"/user/{user}/",
        variables={"JUPYTERHUB_API_TOKEN": TOKEN, "JPY_API_TOKEN": TOKEN, "JUPYTERHUB_USER": user},
    )


@pytest.mark.parametrize(
    ("case", "spec", "homes"),
    [
        ("default", spec_for({}), DockerHome()),
        ("custom", spec_for({"cpu": 1.5, "memory": "3 GiB"}, server="deep-dive"), DockerHome()),
        ("host-folder", spec_for({"size": "small"}, user="Zoë <z@example.org>"), DockerHome(path="/srv/homes/")),
        ("gpu", spec_for({"size": "gpu"}, text=GPU_SIZE), DockerHome()),
        ("group", spec_for({}, text=SHIPPED + GROUPS, groups=("research",)), DockerHome()),
        ("least", spec_for({"cpu": 0.25, "memory": "512 MiB"}, text=SHIPPED + LEAST_GUARANTEE), DockerHome()),
    ],
)
def test_the_payload_is_as_reviewed(case: str, spec: Server, homes: DockerHome) -> None:
    payload = container_payload(spec, IMAGE, DockerSettings("stateroom-net", homes))
    file = CASES / f"{case}.json"
    if os.environ.get("STATEROOM_UPDATE_GOLDEN"):
        file.write_text(json.dumps(payload, indent=2, ensure_ascii=False) + "\n")
    assert payload == json.loads(file.read_text())


def test_secrets_are_in_no_configuration_and_no_representation() -> None:
    spec = spec_for({})
    assert TOKEN not in json.dumps(container_payload(spec, IMAGE, DockerSettings("net", DockerHome())))
    assert TOKEN not in repr(spec)


def test_a_home_is_handed_to_the_servers_user() -> None:
    with tarfile.open(fileobj=io.BytesIO(home_archive(spec_for({}), IMAGE))) as archive:
        entries = [(entry.name, entry.uid, entry.gid, entry.mode, entry.isdir()) for entry in archive.getmembers()]
    assert entries == [("home/jovyan/notebooks", 1000, 100, 0o755, True)]


def test_what_is_handed_over_tells_its_own_length() -> None:
    spec = changed(spec_for({}), secrets={"TOKEN": "ü\n\n'x"})
    length, _, text = handed_over(spec).partition(b"\n")
    assert int(length) == len(text)
    assert text.decode() == "export TOKEN='ü\n\n'\"'\"'x'\n"


def test_a_certificate_is_for_the_servers_user_alone_and_what_tells_that_it_is_there_comes_last() -> None:
    data = certificate_archive({"keyfile": b"key", "certfile": b"certificate", "cafile": b"authorities"}, IMAGE)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        entries = {entry.name: (entry.uid, entry.gid, entry.mode) for entry in archive.getmembers()}
    folder = "var/lib/stateroom/certificate"
    files = {f"{folder}/{kind}": (1000, 100, 0o400) for kind in ("keyfile", "certfile", "cafile")}
    assert entries == {folder: (0, 0, 0o755), **files, f"{folder}/complete": (0, 0, 0o444)}
    assert list(entries)[-1] == f"{folder}/complete"


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_awaits_its_certificate_and_is_marked_only_where_it_serves_tls(tls: bool) -> None:
    spec = changed(spec_for({}), tls=tls)
    payload = container_payload(spec, IMAGE, DockerSettings("net", DockerHome()))
    launcher = payload["Entrypoint"][2]
    assert ("while ! [ -e /var/lib/stateroom/certificate/complete ]" in launcher) is tls
    assert launcher.endswith('\nexec "$@" </dev/null\n')
    assert (TLS in payload["Labels"]) is tls
    found = {"Names": ["/x"], "State": "running", "Image": "", "Labels": payload["Labels"]}
    seen = container_from_list(found | {"NetworkSettings": {"Networks": {"net": {"IPAddress": "10.0.0.2"}}}}, "hub-1")
    assert seen is not None
    assert seen.state.address == f"{'https' if tls else 'http'}://10.0.0.2:8888"


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"User": "1000", "Env": ["HOME=/home/x"], "Cmd": ["a"]}, ImageFacts(1000, 100, "/home/x", ("a",))),
        ({"User": "jovyan", "Entrypoint": ["e"], "Cmd": ["c"]}, ImageFacts(1000, 100, "/home/jovyan", ("e", "c"))),
        ({"User": "1000:5", "Cmd": ["a"]}, ImageFacts(1000, 5, "/home/jovyan", ("a",))),
        ({"User": "4711", "Env": ["HOME=/data/"], "Cmd": ["a"]}, ImageFacts(4711, 4711, "/data", ("a",))),
    ],
)
def test_user_home_and_command_are_read_from_the_image(config: dict[str, object], facts: ImageFacts) -> None:
    assert facts_from_image("x:1", {"Config": config}, PASSWD) == facts


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"Cmd": ["a"]}, "runs as root"),
        ({"User": "0", "Cmd": ["a"]}, "runs as root"),
        ({"User": "root:100", "Cmd": ["a"]}, "runs as root"),
        ({"User": "nobody-knows", "Cmd": ["a"]}, 'has no user "nobody-knows"'),
        ({"User": "1000", "Cmd": None}, "has no command"),
        ({"User": "4711", "Cmd": ["a"]}, "has no home directory"),
    ],
)
def test_an_image_that_cannot_serve_is_refused_with_what_to_do(config: dict[str, object], sentence: str) -> None:
    with pytest.raises(ImageUnfit, match=sentence):
        facts_from_image("x:1", {"Config": config}, PASSWD)


def test_an_image_without_passwd_and_user_counts_as_root() -> None:
    with pytest.raises(ImageUnfit, match='has no user "root"'):
        facts_from_image("x:1", {"Config": {"Cmd": ["a"]}}, "")
