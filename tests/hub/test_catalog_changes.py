"""A saved catalog is in force within two seconds, without a restart; a broken one changes nothing."""

from __future__ import annotations

import pytest

from harness.hub import Hub, Person, wait_for

pytestmark = pytest.mark.usefixtures("original")


def form(hub: Hub, person: Person) -> str:
    return person.web.get(f"{hub.url}/hub/spawn/{person.name}").text


def test_a_new_size_is_offered_and_started_at_once(hub: Hub, person: Person, original: str) -> None:
    assert "Tiny" not in form(hub, person)
    tiny = "  - {id: tiny, title: Tiny, cpu: 0.25, memory: 256 MiB}\n"
    hub.save_catalog(original.replace("sizes:\n", f"sizes:\n{tiny}"))
    assert "Tiny" in form(hub, person)
    assert "sizes: added tiny." in hub.log()
    person.started({"user_options": {"size": "tiny"}})
    assert hub.servers.limits(person.name).memory == 256 * 1024**2


def test_an_edit_loses_no_running_server(hub: Hub, person: Person, original: str) -> None:
    person.started({"user_options": {"size": "small"}})
    before = hub.servers.container(person.name).id
    hub.save_catalog(original.replace("cpu: 0.5, memory: 1 GiB", "cpu: 1, memory: 2 GiB"))
    assert person.active()
    assert hub.servers.container(person.name).id == before
    assert hub.servers.limits(person.name).cpu == 0.5


def test_a_remembered_size_that_is_gone_gives_way_to_the_default_with_a_word_about_it(
    hub: Hub, person: Person, original: str
) -> None:
    person.started({"user_options": {"size": "small"}})
    person.stop()
    hub.save_catalog(original.replace("id: small,", "id: other,"))
    assert "Standard is used instead." in form(hub, person)
    person.started()
    assert hub.servers.limits(person.name).cpu == 1


def test_a_broken_catalog_leaves_the_last_good_one_and_tells_admins_the_line(hub: Hub, original: str) -> None:
    admin, person = hub.person("--admin"), hub.person()
    hub.save_catalog(original.replace("version: 1", "version: 1\nsizs: []").replace("id: large", "id: giant"))
    line = original.split("version: 1", maxsplit=1)[0].count("\n") + 2
    fault = f"test-catalog.yaml:{line}:1: sizs: there is no such key; did you mean &#34;sizes&#34;?"
    try:
        assert fault in form(hub, admin)
        assert fault.replace("&#34;", '"') in hub.log()
        assert "sizs" not in form(hub, person)
        assert 'value="large"' in form(hub, person)
        assert 'value="giant"' not in form(hub, person)
    finally:
        admin.close()
        person.close()


@pytest.mark.parametrize("policy", ["keep", "delete"])
def test_a_home_goes_with_its_user_only_where_the_catalog_says_so(hub: Hub, original: str, policy: str) -> None:
    admin, person = hub.person("--admin"), hub.person()
    hub.save_catalog(original.replace("when_user_is_deleted: keep", f"when_user_is_deleted: {policy}"))
    try:
        person.started({"user_options": {"size": "small"}})
        person.started({"user_options": {"size": "small"}}, server="other")
        person.stop("other", remove=True)
        wait_for(lambda: len(hub.servers.of(person.name)) == 1, "the removal of the named server's container")
        assert hub.servers.has_home(person.name)
        answer = admin.api("DELETE", f"users/{person.name}")
        assert answer.status_code == 204, answer.text
        assert hub.servers.of(person.name) == []
        assert hub.servers.has_home(person.name) is (policy == "keep")
    finally:
        admin.close()
        person.close()
