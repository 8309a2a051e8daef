"""An image made as the Jupyter Docker Stacks make theirs is a catalog entry like any other.

None of theirs can be fetched in a test, so one is made here after their
conventions: Python at /opt/conda, `tini -g -- start.sh` with hooks, the command
`start-notebook.py`, and a home with `work` and without our `notebooks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from harness.hub import Hub, Person
from harness.images import build_from
from harness.skips import program_or_skip
from stateroom.images.sources import UNIFIED

# Of this run alone: the same tests run beside it with another JupyterHub.
IMAGE = f"stateroom.test/stacks:{uuid4().hex[:10]}"
HOME = "/home/jovyan"

# Our image gives the packages; nothing of what starts or configures them is left.
DOCKERFILE = f"""\
FROM {UNIFIED}
USER root
RUN rm -r /usr/local/bin/* /opt/stateroom/etc/jupyter/jupyter_server_config.py {HOME}/notebooks && \\
    ln -s /opt/stateroom /opt/conda && \\
    mkdir /usr/local/bin/start-notebook.d /usr/local/bin/before-notebook.d {HOME}/work && \\
    chown 1000:100 {HOME}/work
COPY bin /usr/local/bin
ENV CONDA_DIR=/opt/conda PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    LANG=C.UTF-8 LC_ALL=C.UTF-8 LANGUAGE=C.UTF-8 JUPYTER_PORT=8888
USER 1000
WORKDIR {HOME}
ENTRYPOINT ["tini", "-g", "--", "start.sh"]
CMD ["start-notebook.py"]
"""
START = """\
#!/bin/bash
set -e
for hook in /usr/local/bin/before-notebook.d/*; do
    case $hook in *.sh) source "$hook" || echo "$hook has failed" ;; *) "$hook" ;; esac
done
exec "$@"
"""
START_NOTEBOOK = """\
#!/usr/bin/env python
import os, shlex, sys
single = "JUPYTERHUB_API_TOKEN" in os.environ
command = ["jupyterhub-singleuser"] if single else ["jupyter", "lab"]
os.execvp(command[0], [*command, *shlex.split(os.environ.get("NOTEBOOK_ARGS", "")), *sys.argv[1:]])
"""
SOURCED = f'export FROM_HOOK="sourced for $JUPYTERHUB_USER"\necho hello > {HOME}/notebooks/from-hook\n'
RUN = f"#!/bin/sh\ncd {HOME}/work && id -un > ran\n"

ENVIRONMENT = "tr '\\0' '\\n' < /proc/$(pgrep --oldest --full bin/jupyterhub-singleuser)/environ"


@pytest.fixture
def in_catalog(hub: Hub, person: Person, original: str) -> Iterator[str]:
    """The image's id in the catalog."""
    files = {
        "Dockerfile": DOCKERFILE.encode(),
        "bin/tini": Path(program_or_skip("docker-init")).read_bytes(),  # which is what the engine calls tini
        "bin/start.sh": START.encode(),
        "bin/start-notebook.py": START_NOTEBOOK.encode(),
        "bin/before-notebook.d/10-sourced.sh": SOURCED.encode(),
        "bin/before-notebook.d/20-run": RUN.encode(),
    }
    build_from(hub.servers.engine, IMAGE, files)
    entry = f"images:\n  - {{id: stacks, title: Stacks, image: {IMAGE}}}\n"
    greeting = original.replace("environment: {", "environment: {GREETING: hello, ")
    hub.save_catalog(greeting.replace("images:\n", entry))
    yield "stacks"
    for container in hub.servers.of(person.name):
        container.remove(force=True, v=True)
    hub.servers.engine.images.remove(IMAGE, force=True)


def test_its_server_answers_with_its_hooks_run_and_the_home_mounted(hub: Hub, person: Person, in_catalog: str) -> None:
    person.started({"user_options": {"image": in_catalog, "size": "standard"}})
    assert sorted(asked(person, "kernelspecs")["kernelspecs"]) == ["bash", "ir", "python3"]

    def said(command: str) -> str:
        return hub.servers.output(person.name, "sh", "-c", command).strip()

    server = dict(line.split("=", 1) for line in said(ENVIRONMENT).splitlines() if "=" in line)
    told = {"FROM_HOOK": f"sourced for {person.name}", "GREETING": "hello", "CPU_LIMIT": "1"}
    told |= {"STATEROOM_IMAGE": in_catalog, "STATEROOM_IMAGE_REFERENCE": IMAGE, "LC_ALL": "C.UTF-8"}
    assert {name: server.get(name) for name in told} == told
    assert said(f"cd {HOME} && cat work/ran notebooks/from-hook") == "jovyan\nhello"
    assert said(f"stat -c '%u %a' {HOME}/notebooks; touch {HOME}/notebooks/mine; pwd").startswith("1000 ")

    # What is made in Lab lies in the home, and is there for a server of another image.
    assert "mine" in {entry["name"] for entry in asked(person, "contents?content=1")["content"]}
    person.stop()
    person.started({"user_options": {"image": "unified"}})
    assert hub.servers.output(person.name, "cat", f"{HOME}/notebooks/from-hook").strip() == "hello"


def asked(person: Person, what: str) -> dict[str, Any]:
    """What the person's server answers."""
    address = f"{person.hub.url}/user/{person.name}/api/{what}"
    answer = requests.get(address, headers={"Authorization": f"token {person.token}"}, timeout=30)
    assert answer.ok, answer.text
    found: dict[str, Any] = answer.json()
    return found
