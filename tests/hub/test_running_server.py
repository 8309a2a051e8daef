"""What a running server is, seen from outside and from inside. Nothing here changes it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from harness.hub import Hub, Person, call_api, metrics
from stateroom.common.labels import HUB, KIND, SERVER, USER

DOCUMENTATION = Path(__file__).parents[2] / "config" / "README.md"
HOME = "/home/jovyan/notebooks"
GiB = 1024**3


@pytest.fixture(scope="module")
def owner(hub: Hub) -> Iterator[Person]:
    """Somebody whose server runs: 1.5 CPU, 3 GiB."""
    owner = hub.person()
    owner.started({"user_options": {"cpu": 1.5, "memory": "3 GiB"}})
    yield owner
    owner.stop()
    owner.close()


@pytest.fixture(scope="module")
def inspected(hub: Hub, owner: Person) -> dict[str, Any]:
    return hub.servers.inspected(owner.name)


@pytest.fixture(scope="module")
def token(hub: Hub, owner: Person) -> str:
    """The server's own token, from the environment of its process."""
    return server_token(hub, owner)


class TestSeenFromOutside:
    def test_no_token_shows(self, inspected: dict[str, Any], token: str) -> None:
        assert token not in json.dumps(inspected)
        assert not [line for line in inspected["Config"]["Env"] if "TOKEN" in line]

    def test_no_token_is_logged(self, hub: Hub, owner: Person, token: str) -> None:
        assert token not in hub.log()
        assert token not in hub.servers.container(owner.name).logs().decode()

    def test_all_capabilities_are_dropped(self, inspected: dict[str, Any]) -> None:
        host = inspected["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]

    def test_privileges_cannot_be_gained(self, inspected: dict[str, Any]) -> None:
        assert "no-new-privileges" in " ".join(inspected["HostConfig"]["SecurityOpt"])
        assert "unconfined" not in " ".join(inspected["HostConfig"]["SecurityOpt"])

    def test_memory_is_limited_and_swap_with_it(self, inspected: dict[str, Any]) -> None:
        assert inspected["HostConfig"]["Memory"] == 3 * GiB
        assert inspected["HostConfig"]["MemorySwap"] == 3 * GiB

    def test_cpu_is_limited_by_quota(self, inspected: dict[str, Any]) -> None:
        host = inspected["HostConfig"]
        assert host["CpuQuota"] / host["CpuPeriod"] == 1.5
        assert not host["NanoCpus"]

    def test_processes_are_limited_and_reaped(self, inspected: dict[str, Any]) -> None:
        assert 0 < inspected["HostConfig"]["PidsLimit"] <= 32_768
        assert inspected["HostConfig"]["Init"] is True

    def test_our_labels_say_whose_it_is(self, hub: Hub, owner: Person, inspected: dict[str, Any]) -> None:
        labels = inspected["Config"]["Labels"]
        assert {key: labels[key] for key in (HUB, USER, SERVER, KIND)} == {
            HUB: hub.id,
            USER: owner.name,
            SERVER: "",
            KIND: "server",
        }

    def test_no_port_is_published_and_no_host_namespace_shared(self, inspected: dict[str, Any]) -> None:
        host = inspected["HostConfig"]
        assert not host["PortBindings"]
        assert not host["PublishAllPorts"]
        assert host["NetworkMode"] != "host"
        assert "host" not in (host["PidMode"], host["IpcMode"], host["UTSMode"], host["UsernsMode"])

    def test_only_the_home_is_mounted(self, inspected: dict[str, Any]) -> None:
        assert [mount["Destination"] for mount in inspected["Mounts"]] == [HOME]


class TestSeenFromInside:
    def test_the_limits_are_the_kernels(self, hub: Hub, owner: Person) -> None:
        limits = hub.servers.limits(owner.name)
        assert (limits.cpu, limits.memory) == (1.5, 3 * GiB)

    def test_the_token_is_a_file_of_the_servers_user_alone(self, hub: Hub, owner: Person, token: str) -> None:
        (found,) = files_with(hub, owner, token)
        assert found.split()[:2] == ["400", "1000"]

    def test_the_token_is_not_in_the_home(self, hub: Hub, owner: Person, token: str) -> None:
        found = hub.servers.output(owner.name, "sh", "-c", f"grep -rlF {token} {HOME} || true")
        assert found == ""

    def test_the_user_is_a_plain_one_without_capabilities(self, hub: Hub, owner: Person) -> None:
        assert hub.servers.output(owner.name, "id", "-u").strip() == "1000"
        status = hub.servers.output(owner.name, "cat", "/proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"

    def test_the_home_is_the_users_and_can_be_written_to(self, hub: Hub, owner: Person) -> None:
        assert hub.servers.output(owner.name, "stat", "-c", "%u", HOME).strip() == "1000"
        hub.servers.output(owner.name, "touch", f"{HOME}/mine")

    def test_its_variables_are_those_of_the_documented_table(self, hub: Hub, owner: Person) -> None:
        lines = hub.servers.output(owner.name, "env", "-0").split("\0")
        found = dict(line.split("=", 1) for line in lines if line)
        documented = documented_variables() | {
            "JUPYTERHUB_USER": owner.name,
            "JUPYTERHUB_SERVER_NAME": "",
            "STATEROOM_HUB": hub.id,
            "STATEROOM_GROUPS": "[]",
        }
        assert {name: found.get(name) for name in documented} == documented

    def test_a_program_that_counts_cores_sees_those_of_the_server(self, hub: Hub, person: Person) -> None:
        person.started({"user_options": {"size": "small"}})
        assert hub.servers.output(person.name, "nproc").strip() == "1"


class TestSomebodyElse:
    def test_cannot_see_or_stop_the_server(self, hub: Hub, owner: Person, person: Person) -> None:
        assert person.api("GET", f"users/{owner.name}").status_code in {403, 404}
        assert person.api("DELETE", f"users/{owner.name}/server").status_code in {403, 404}
        assert person.api("POST", f"users/{owner.name}/server").status_code in {403, 404}
        page = requests.get(
            f"{hub.url}/user/{owner.name}/api/contents", headers={"Authorization": f"token {person.token}"}, timeout=10
        )
        assert page.status_code in {403, 404}

    def test_cannot_start_anything_with_the_servers_token(self, hub: Hub, owner: Person, token: str) -> None:
        assert call_api(hub, token, "GET", "users").status_code == 403
        assert call_api(hub, token, "POST", f"users/{owner.name}/servers/more").status_code in {403, 404}

    def test_cannot_reach_the_server_from_another(self, hub: Hub, owner: Person, person: Person) -> None:
        person.started({"user_options": {"size": "small"}})
        networks = hub.servers.inspected(owner.name)["NetworkSettings"]["Networks"]
        (address,) = [network["IPAddress"] for network in networks.values()]
        probe = (
            "import socket\n"
            f"try: socket.create_connection(('{address}', 8888), timeout=2).close(); print('reached')\n"
            "except OSError: print('nothing')\n"
        )
        assert hub.servers.output(owner.name, "python3", "-c", probe).strip() == "reached"
        assert hub.servers.output(person.name, "python3", "-c", probe).strip() == "nothing"

    def test_has_a_home_of_their_own(self, hub: Hub, owner: Person, person: Person) -> None:
        hub.servers.output(owner.name, "touch", f"{HOME}/secret-plans")
        person.started({"user_options": {"size": "small"}})
        assert "secret-plans" not in hub.servers.output(person.name, "ls", HOME)


def documented_variables() -> dict[str, str]:
    """The table of variables in config/README.md, with its values for a server of 1.5 CPU and 3 GiB."""
    table = DOCUMENTATION.read_text().partition("## What a server is told")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| `")]
    names = [re.findall("`([^`]+)`", first) for first, _, _ in rows]
    values = [re.findall("`([^`]+)`", last) or [""] for _, _, last in rows]
    return {name: value for pair in zip(names, values, strict=True) for name, value in zip(*pair, strict=True)}


def files_with(hub: Hub, person: Person, token: str) -> list[str]:
    """Mode, owner and name of the files in the container's own layer that hold the token.

    Jupyter Server writes its own token beside its address for programs that the
    same user runs; nobody else is in the container.
    """
    places = "/etc /home /opt /root /run /srv /tmp /usr/local /var"
    search = f"find {places} -xdev -type f -cmin -60 -exec grep -slF {token} {{}} + 2>/dev/null"
    script = f"{search} | grep -v /jupyter/runtime/jpserver- | xargs stat -c '%a %u %n'"
    return hub.servers.output(person.name, "sh", "-c", script).splitlines()


def server_token(hub: Hub, person: Person) -> str:
    """The token that a person's server has from the hub."""
    token = hub.servers.variable(person.name, "JUPYTERHUB_API_TOKEN")
    assert len(token) >= 32
    return token


def test_the_hubs_metrics_have_the_time_of_the_last_contact_with_the_engine(hub: Hub, owner: Person) -> None:
    assert owner.active()
    admin = hub.person("--admin")
    ((labels, contact),) = metrics(admin, "stateroom_backend_last_contact_timestamp_seconds")
    admin.close()
    assert labels == ""
    assert contact <= time.time()
