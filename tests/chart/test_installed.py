"""A release with default values and an authenticator, in a namespace that enforces the restricted standard."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from playwright.sync_api import Page, expect

from harness.hub import wait_for
from harness.pods import kubectl
from harness.release import PASSWORD, Release
from harness.walk import WHERE_AND_HOW_MUCH, log_in, make_notebook, run_cell, save_notebook, stop_server
from stateroom.backends.kubernetes.rbac import RIGHTS


def test_a_person_logs_in_picks_a_size_and_works(release: Release, page: Page, screenshots: Path) -> None:
    log_in(page, release, "ada", PASSWORD)
    page.get_by_role("radio", name=re.compile("^Small")).check()
    page.screenshot(path=screenshots / "chart-form.png")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".jp-Launcher")).to_be_visible()
    make_notebook(page)
    run_cell(page, WHERE_AND_HOW_MUCH)
    expect(page.locator(".jp-OutputArea-output")).to_contain_text("found: /home/jovyan/notebooks 1073741824 0.5")
    page.screenshot(path=screenshots / "chart-notebook.png")
    save_notebook(page, "walk.ipynb")
    stop_server(page, release)
    wait_for(lambda: not release.pods.of("ada"), "the server's end")


def test_the_hubs_account_may_do_what_the_table_says_and_nothing_else(release: Release) -> None:
    account = f"--as=system:serviceaccount:{release.namespace}:{release.name}-hub"
    group = f"--as-group=system:serviceaccounts:{release.namespace}"
    listed = kubectl(
        "auth", "can-i", "--list", account, group, "--as-group=system:authenticated", "--namespace", release.namespace
    )
    found = {}
    for line in listed.splitlines()[1:]:
        resource, *_, verbs = (part.strip() for part in re.split(r"\s{2,}", line.strip()))
        if resource and not resource.startswith("[/") and not resource.endswith(".k8s.io"):
            found[resource] = set(verbs.strip("[]").split())
    assert found == {right.resource: set(right.verbs) for right in RIGHTS}, listed


def test_the_notes_give_the_next_commands_and_they_work(release: Release) -> None:
    notes = release.helm("get", "notes", release.name)
    assert f"kubectl --namespace {release.namespace} port-forward service/hub-proxy 8000:http" in notes
    assert "NOBODY CAN LOG IN" not in notes
    assert "ALL USERS' SERVERS SHARE ONE HOST NAME: whoever opens a page of another user's server" in notes
    commands = re.findall(r"^    kubectl (.*)$", notes, re.MULTILINE)
    ran = [command for command in commands if "port-forward" not in command]
    assert [command.split()[-1] for command in ran] == ["deployment/hub-hub", "doctor", "homes"]
    said = [kubectl(*shlex.split(command)) for command in ran]
    assert "successfully rolled out" in said[0]
    assert "FAIL" not in said[1], said[1]
    assert "ok   Proxy" in said[1], said[1]
    assert f"servers are behind {release.name}-servers" in said[1], said[1]


def test_idle_servers_are_looked_for(release: Release) -> None:
    """The service that stops them runs in the hub's pod; what becomes of idle servers, tests of the hub tell."""

    def log() -> str:
        return release.kubectl("logs", f"deployment/{release.name}-hub")

    assert "Idle servers are stopped after 8 h." in log()
    asked = re.compile(r" 200 GET /hub/api/stateroom/idle/users\S* \(stateroom-idle@")
    wait_for(lambda: asked.search(log()), "the service's question", seconds=20)
