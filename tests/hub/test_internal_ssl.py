"""JupyterHub's `internal_ssl`: hub, proxy and servers speak TLS, and each knows the other by its certificate."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import requests

from harness.configured_hub import ConfiguredHub, configured_hub
from harness.hub import Person, wait_for
from harness.kernels import Kernel
from harness.skips import skip_without_image

HOST = "hub.example.org"
CONFIGURATION = f"""
c.JupyterHub.internal_ssl = True
c.JupyterHub.trusted_alt_names.append("DNS:{HOST}")
"""
CERTIFICATE = "/var/lib/stateroom/certificate"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredHub]:
    skip_without_image()
    with configured_hub(tmp_path_factory.mktemp("tls"), CONFIGURATION, "https") as hub:
        yield hub


def test_a_server_with_a_certificate_of_its_own_works_from_its_start_through_a_restart_of_the_hub(
    hub: ConfiguredHub, person: Person
) -> None:
    person.started({"user_options": {"size": "small"}})
    address = address_of(hub, person)
    kernel = Kernel(person)
    assert kernel.run("answer = 6 * 7; print('set')") == "set\n"
    assert_it_is_reached_by_the_hubs_public_name(hub, person)
    assert_no_key_shows(hub, person)
    assert_it_serves_nobody_else(address)

    assert hub.interrupt() in {0, 130}
    hub.up()

    person.wait_until_ready()
    assert address_of(hub, person) == address
    assert kernel.run("print(answer)") == "42\n"
    person.stop()
    assert hub.servers.of(person.name) == []


def test_each_server_of_a_user_has_a_certificate_of_its_own_however_long_the_name(hub: ConfiguredHub) -> None:
    person = hub.person(name="ü" * 60)  # a certificate's own name has room for 64 bytes
    for server in ("", "second"):
        person.started({"user_options": {"size": "small"}}, server)
    texts = {hub.servers.output(person.name, "cat", f"{CERTIFICATE}/certfile", server=name) for name in ("", "second")}
    assert len(texts) == 2
    person.close()


def test_the_service_for_idle_servers_reaches_its_hub(hub: ConfiguredHub) -> None:
    wait_for(lambda: "200 GET /hub/api/stateroom/idle/users" in hub.log(), "the service's first question")
    assert "could not be asked for idle servers" not in hub.log()


def address_of(hub: ConfiguredHub, person: Person) -> str:
    networks = hub.servers.inspected(person.name)["NetworkSettings"]["Networks"]
    (network,) = networks.values()
    return f"https://{network['IPAddress']}:8888"


def assert_it_is_reached_by_the_hubs_public_name(hub: ConfiguredHub, person: Person) -> None:
    """The proxy looks for the name that the browser asked for in every certificate."""
    headers = {"Host": HOST, "Authorization": f"token {person.token}"}
    for path in ("/hub/api/", f"/user/{person.name}/api/status"):
        assert requests.get(f"{hub.url}{path}", headers=headers, timeout=60).status_code == 200


def assert_no_key_shows(hub: ConfiguredHub, person: Person) -> None:
    """The key is a file that the server's user alone can read, and nowhere else."""
    key = hub.servers.output(person.name, "cat", f"{CERTIFICATE}/keyfile")
    assert "PRIVATE KEY" in key
    assert hub.servers.output(person.name, "stat", "-c", "%a %u %g", f"{CERTIFICATE}/keyfile") == "400 1000 100\n"
    shown = json.dumps(hub.servers.inspected(person.name)) + hub.log()
    assert "PRIVATE KEY" not in shown
    assert key.splitlines()[1] not in shown
    # It stays in the container: no mount holds it.
    assert "/var/lib/stateroom" not in hub.servers.output(person.name, "cat", "/proc/mounts")


def assert_it_serves_nobody_else(address: str) -> None:
    """Neither in the clear nor to somebody without a certificate of the hub's."""
    with pytest.raises(OSError):
        urllib.request.urlopen(address.replace("https", "http"), timeout=10)
    stranger = ssl.create_default_context()
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((OSError, urllib.error.URLError)):
        urllib.request.urlopen(f"{address}/", timeout=10, context=stranger)
