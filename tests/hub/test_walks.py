"""The two ways that spawner/README.md describes, walked in a real hub: of a value, and of a start."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.configured_hub import configured_hub
from harness.figures import Told
from harness.hub import wait_for

TESTS = Path(__file__).parents[1]
README = TESTS.parent / "spawner" / "README.md"
FORM = "hub/templates/form.html.jinja"  # where the value is typed; the browser has it from there
MOST = {"value": 12, "start": 14}

# What a start passes without doing a step of it: words and settings, types with their names and units, the owner of
# what it uses, what the engine says, which comes on a thread of its own, and the connections and logins of whoever asks
# meanwhile.
NO_STEPS = (
    "common/", "catalog/", "offers/", "runtime/", "hub/accounts/", "hub/templates/", "operations/accounts.py",
    "hub/expected_errors.py", "hub/http_server.py",
    "workloads/container.py", "workloads/identity.py", "workloads/names.py", "workloads/progress.py",
    "workloads/resources.py", "storage/homes.py", "storage/mounts.py", "backends/docker/listener.py",
)  # fmt: skip

_RECORD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from harness.call_trace import Way, record
record({{
    "value": Way(("hub/spawner.py", "accept_form"), ("backends/docker/engine.py", "create_container"),
                 (3489660928, "3.25")),
    "start": Way(("hub/spawner.py", "start"), ("hub/spawner.py", "start_polling")),
}}, Path({output!r}))
"""


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The files of each way, of a server of 3.25 GiB that is started by the form."""
    folder = tmp_path_factory.mktemp("walks")
    output = folder / "ways"
    output.touch()
    (folder / "data").mkdir()
    with configured_hub(folder / "data", _RECORD.format(tests=str(TESTS), output=str(output))) as hub:
        person = hub.person()
        person.submitted({"image": "unified", "size": "custom", "cpu": "1.5", "memory": "3.25"})
        wait_for(lambda: output.read_text().count("\n") == len(MOST), "both ways")
    return dict(json.loads(line) for line in output.read_text().splitlines())


def described(heading: str) -> list[str]:
    """The files that the README names below a heading, in their order."""
    text = README.read_text().partition(f"\n## {heading}")[2].partition("\n## ")[0]
    files = re.findall(r"`([a-z_/]+\.(?:py|html\.jinja))`", text)
    return [file for file in dict.fromkeys(files) if not file.startswith("tests/")]


def test_the_value_passes_the_files_that_the_readme_names(walked: dict[str, list[str]], told: Told) -> None:
    passed = [FORM, *walked["value"]]
    told(f"The value passes {len(passed)} files: {', '.join(passed)}")
    assert set(passed) == set(described("The way of one value"))
    assert len(passed) <= MOST["value"]


def test_a_start_passes_the_files_that_the_readme_names(walked: dict[str, list[str]], told: Told) -> None:
    passed = [file for file in walked["start"] if not file.startswith(NO_STEPS)]
    told(f"A start passes {len(passed)} files: {', '.join(passed)}")
    assert set(passed) == set(described("The way of one start"))
    assert len(passed) <= MOST["start"]
