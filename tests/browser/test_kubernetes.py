"""The same walk where servers are pods of a cluster, and what a person reads there when a start cannot succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from contract.engines import tiny_stub
from harness.cluster_hub import ClusterHub, cluster_hub
from harness.hub import wait_for
from harness.pods import core, tiny_image
from harness.walk import WHERE_AND_HOW_MUCH, log_in, make_notebook, run_cell, save_notebook, stop_server
from stateroom.backends.memory import Behaviour

from .conftest import Enter, Look

CATALOG = """
version: 1
images:
  - {id: tiny, title: Tiny, image: "stateroom.test/tiny-answers:1", default: true}
  - {id: absent, title: Absent, image: "10.97.0.1:1/nothing:1"}
  - {id: crashing, title: Crashing, image: "stateroom.test/tiny-crashes:1"}
  - {id: hungry, title: Hungry, image: "stateroom.test/hungry:1"}
sizes:
  - {id: small, title: Small, cpu: 0.1, memory: 64 MiB, default: true}
  - {id: large, title: Large, cpu: 0.1, memory: 1 GiB}
  - {id: huge, title: Huge, cpu: 4000, memory: 64 MiB}
start: {timeout: 60 s}
"""


@pytest.fixture(scope="module")
def walk_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    with cluster_hub(tmp_path_factory.mktemp("walk")) as hub:
        yield hub


@pytest.fixture(scope="module")
def troubled_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    core()
    tiny_stub(Behaviour.ANSWERS)
    tiny_stub(Behaviour.CRASHES)
    tiny_image("hungry", "/bin/sh", "-c", "held=xxxxxxxxxxxxxxxx; while :; do held=$held$held; done")
    with cluster_hub(tmp_path_factory.mktemp("trouble"), CATALOG) as hub:
        hard = {"metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "512Mi"}}}
        core().create_namespaced_resource_quota(hub.namespace, hard)
        yield hub


def test_a_person_picks_a_size_and_works_in_a_pod(
    walk_hub: ClusterHub, page: Page, look: Look, screenshots: Path
) -> None:
    hub = walk_hub
    person = hub.person(name="ada")
    log_in(page, hub, person.name, person.password)
    page.get_by_role("radio", name="Custom").check()
    page.locator("input[name=cpu]").fill("1.5")
    page.locator("input[name=memory]").fill("3")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    look(page, "kubernetes-progress")

    expect(page.locator(".jp-Launcher")).to_be_visible()
    make_notebook(page)
    run_cell(page, WHERE_AND_HOW_MUCH)
    expect(page.locator(".jp-OutputArea-output")).to_contain_text("found: /home/jovyan/notebooks 3221225472 1.5")
    page.screenshot(path=screenshots / "kubernetes-notebook.png")
    save_notebook(page, "walk.ipynb")

    stop_server(page, hub)
    wait_for(lambda: not hub.pods.of(person.name), "the server's end")

    page.goto(f"{hub.url}/hub/spawn/{person.name}")
    expect(page.locator("input[name=cpu]")).to_have_value("1.5")
    page.get_by_role("button", name="Start").click()
    page.locator(".jp-DirListing-item", has_text="walk.ipynb").dblclick()
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("found: /home/jovyan/notebooks")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            "image=absent",
            'The registry of "10.97.0.1:1/nothing:1" cannot be reached. Try again in some minutes, or choose another',
        ),
        ("size=huge", "No node of the cluster has enough cpu free for this size. Choose a smaller size or try again"),
        ("size=large", "The cluster's quota for servers is used up: limits.memory=0 of limits.memory=512Mi is in use"),
        ("image=crashing", 'The server ended before it answered (exit code 1). It last wrote: "Cannot go on. ***"'),
        ("image=hungry", "The server ran out of its 64 MiB of memory before it answered. Choose more memory."),
    ],
)
def test_what_cannot_start_is_told_within_seconds(
    troubled_hub: ClusterHub, enter: Enter, look: Look, choice: str, words: str
) -> None:
    hub = troubled_hub
    person = hub.person()
    page = enter(person, f"?{choice}")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("body")).to_contain_text(words)
    look(page, f"kubernetes-{re.sub('[^a-z]', '-', choice)}")
    assert hub.pods.of(person.name) == []
