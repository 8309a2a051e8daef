"""A release with default values and an authenticator, in a namespace that enforces the restricted standard."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from harness.hub import wait_for
from harness.pods import kubectl
from harness.release import PASSWORD, Release
from harness.walk import WHERE_AND_HOW_MUCH, log_in, make_notebook, run_cell, save_notebook, stop_server
from stateroom.backends.kubernetes.rights import RIGHTS


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
