"""JupyterHub's `internal_ssl` with servers as pods: a Service, whose address the certificate is made to."""

from __future__ import annotations

from pathlib import Path

from harness import cluster
from harness.cluster_hub import ClusterHub, cluster_hub
from harness.hub import Person
from harness.kernels import Kernel
from harness.pods import core, kubectl, until
from stateroom.workloads.names import ServerRef

CONFIGURATION = f"""
c.JupyterHub.internal_ssl = True
c.JupyterHub.trusted_alt_names.append("IP:{cluster.HOST}")
"""
CERTIFICATE = "/var/lib/stateroom/certificate"


def test_a_server_with_a_certificate_works_from_its_start_through_a_restart_of_the_hub(tmp_path: Path) -> None:
    with cluster_hub(tmp_path, more=CONFIGURATION, scheme="https") as hub:
        person = hub.person()
        person.started({"user_options": {"size": "small"}})
        assert_its_service_is_its_address(hub, person)
        assert_its_key_is_its_own(hub, person)
        kernel = Kernel(person)
        assert kernel.run("answer = 6 * 7; print('set')") == "set\n"

        assert hub.interrupt() in {0, 130}
        hub.up()

        person.wait_until_ready()
        assert kernel.run("print(answer)") == "42\n"
        person.stop()
        until(lambda: kubectl("get", "secrets,services", "-n", hub.namespace, "-o", "name") == "", "nothing is left")
        person.close()


def assert_its_service_is_its_address(hub: ClusterHub, person: Person) -> None:
    """An address that was known before the pod ran."""
    (service,) = core().list_namespaced_service(hub.namespace).items
    found = core().read_namespaced_pod(ServerRef(hub.id, person.name).name, hub.namespace)
    assert found.metadata.annotations["io.stateroom.address"] == service.spec.cluster_ip


def assert_its_key_is_its_own(hub: ClusterHub, person: Person) -> None:
    """The key is a file that the server reads, in no variable, and nothing shows it."""
    key = hub.pods.output(person.name, f"cat {CERTIFICATE}/keyfile")
    assert "PRIVATE KEY" in key
    assert "PRIVATE KEY" not in hub.pods.output(person.name, "export -p")
    assert "PRIVATE KEY" not in kubectl("get", "pods,events,services", "-n", hub.namespace, "-o", "yaml") + hub.log()
