"""What `configure` sets, keeps and leaves alone; the hub's id, which it makes once."""

from __future__ import annotations

import gc
import logging
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from jupyterhub.app import JupyterHub
from tornado.log import app_log
from traitlets.config import Config

from stateroom import configure
from stateroom.common.errors import CatalogError, EngineRefused
from stateroom.hub import expected_errors
from stateroom.hub.spawner import StateroomSpawner
from stateroom.runtime.hub_id import stored_hub_id
from stateroom.runtime.runtime import RuntimeSettings, runtime_for

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"
TEMPLATES = str(Path(expected_errors.__file__).parent / "templates" / "hub")


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """What `configure` keeps from the garbage collector is its again after the test."""
    yield
    gc.unfreeze()


def test_the_id_is_made_once(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first = stored_hub_id(tmp_path)
    assert stored_hub_id(tmp_path) == first
    assert stored_hub_id(tmp_path) != stored_hub_id(other)


@pytest.mark.parametrize("text", ["../../etc\n", ""])
def test_a_damaged_id_is_refused_and_not_replaced_and_where_it_is_found_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "hub-id").write_text(text)
    with pytest.raises(CatalogError, match=r"settings\.json.* has it, and so have the labels `io\.stateroom\.hub`"):
        stored_hub_id(tmp_path)
    assert (tmp_path / "hub-id").read_text() == text


def test_a_lost_id_is_made_of_what_else_knows_it(tmp_path: Path) -> None:
    assert stored_hub_id(tmp_path, "lab-1") == "lab-1" == stored_hub_id(tmp_path, "lab-2")


def test_an_id_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "fsync", Mock(side_effect=OSError("the disk is full")))
        stored_hub_id(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", Mock(side_effect=PermissionError))
        first = stored_hub_id(tmp_path)
        assert stored_hub_id(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["hub-id"]


def test_a_hub_is_configured_in_one_line(tmp_path: Path) -> None:
    c = Config()
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path)
    assert c.JupyterHub.spawner_class == "stateroom"
    assert c.JupyterHub.cleanup_servers is False
    assert c.JupyterHub.concurrent_spawn_limit == 0
    assert c.StateroomSpawner.catalog == str(CATALOG)
    assert c.StateroomSpawner.hub_id == stored_hub_id(tmp_path)


def test_servers_have_host_names_where_the_hub_has_a_public_one(tmp_path: Path) -> None:
    c = Config({"JupyterHub": {"public_url": "https://hub.example.org:8443/jupyter/"}})
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path)
    assert c.JupyterHub.subdomain_host == "https://hub.example.org:8443"
    assert c.JupyterHub.cookie_host_prefix_enabled is True
    assert c.JupyterHub.tornado_settings.get_value({}) == {"xsrf_cookie_kwargs": {"secure": True}}


@pytest.mark.parametrize("own", ["", "https://other.example.org"])
def test_an_admins_own_word_on_host_names_stays(own: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    c = Config({"JupyterHub": {"public_url": "https://hub.example.org/", "subdomain_host": own}})
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path)
    assert c.JupyterHub.subdomain_host == own
    assert "share one host name" not in caplog.text


def test_a_hub_without_host_names_says_what_that_means(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="stateroom"):
        logging.getLogger("stateroom").propagate = True
        configure(Config(), catalog=CATALOG, backend="memory", data=tmp_path)
    assert "whoever opens a page of another user's server gives it access" in caplog.text


def test_an_id_that_is_given_counts_where_the_catalog_has_none(tmp_path: Path) -> None:
    c = Config()
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path, hub_id="notebooks.hub")
    assert c.StateroomSpawner.hub_id == "notebooks.hub"
    assert not (tmp_path / "hub-id").exists()
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(f"hub: the-catalogs\n{CATALOG.read_text()}")
    c = Config()
    configure(c, catalog=catalog, backend="memory", data=tmp_path, hub_id="notebooks.hub")
    assert c.StateroomSpawner.hub_id == "the-catalogs"


@pytest.mark.parametrize("text", ["Notebooks", "a/b", "x" * 64])
def test_a_given_id_that_is_none_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError, match=r'^hub_id: ".*" is not an id; write lower-case letters') as caught:
        configure(Config(), catalog=CATALOG, backend="memory", data=tmp_path, hub_id=text)
    assert "\n" not in str(caught.value)


def test_a_catalog_that_is_a_link_is_known_by_the_link(tmp_path: Path) -> None:
    """A mounted ConfigMap is links, which lead elsewhere when it changes."""
    (tmp_path / "catalog.yaml").symlink_to(CATALOG)
    c = Config()
    configure(c, catalog=tmp_path / "catalog.yaml", backend="memory", data=tmp_path)
    assert c.StateroomSpawner.catalog == str(tmp_path / "catalog.yaml")
    (idle,) = c.JupyterHub.services.get_value([])
    assert str(tmp_path / "catalog.yaml") in idle["command"]


def configured(tmp_path: Path, c: Config, **settings: bool) -> Config:
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path, **settings)
    return c


def test_a_process_that_only_reads_the_configuration_starts_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    configured(tmp_path, Config())
    assert threading.active_count() == before


async def test_a_hub_watches_its_catalog_before_anybody_asks_for_a_server(tmp_path: Path) -> None:
    """A hub reads its configuration on its loop."""
    c = configured(tmp_path, Config()).StateroomSpawner
    threads = {thread.name for thread in threading.enumerate()}
    settings = RuntimeSettings(Path(c.catalog), c.backend, c.hub_id, Path(c.home_assignments))
    await runtime_for(settings).close()
    assert "catalog" in threads


def test_a_hub_may_open_as_many_files_as_the_machine_allows(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        configure(Config(), catalog=CATALOG, backend="memory", data=tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == (2**20 if hard == resource.RLIM_INFINITY else min(hard, 2**20))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("freeze", [True, False])
def test_what_a_hub_has_loaded_is_not_searched_for_garbage(tmp_path: Path, *, freeze: bool) -> None:
    gc.unfreeze()
    configured(tmp_path, Config(), freeze_gc=freeze)
    assert (gc.get_freeze_count() > 10_000) is freeze


@pytest.mark.parametrize("log", [logging.getLogger("JupyterHub"), app_log])
def test_an_expected_error_is_logged_as_its_sentence(
    tmp_path: Path, log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    configured(tmp_path, Config())
    caplog.clear()
    log.addHandler(caplog.handler)
    try:
        log.error("Failed", exc_info=expected_errors.failure(EngineRefused("The disk is full.")))
        log.error("Failed", exc_info=expected_errors.PrefillOnly())
        log.error("Failed", exc_info=ValueError("a fault of ours"))
    finally:
        log.removeHandler(caplog.handler)
    said = dict.fromkeys((record.getMessage(), bool(record.exc_info)) for record in caplog.records)
    assert list(said) == [("Failed: HTTP 500: Internal Server Error (The disk is full.)", False), ("Failed", True)]


class TestAdminsOwn:
    """What lines above `configure` have set."""

    def test_templates_win_over_ours_and_ours_over_the_hubs(self, tmp_path: Path) -> None:
        c = Config()
        c.JupyterHub.template_paths = ["/admins"]
        assert JupyterHub(config=configured(tmp_path, c)).template_paths == ["/admins", TEMPLATES]
        hubs = JupyterHub().template_paths
        assert JupyterHub(config=configured(tmp_path, Config())).template_paths == [TEMPLATES, *hubs]

    def test_templates_added_below_are_added(self, tmp_path: Path) -> None:
        c = configured(tmp_path, Config())
        c.JupyterHub.template_paths.prepend(["/admins"])
        assert JupyterHub(config=c).template_paths[:2] == ["/admins", TEMPLATES]

    @pytest.mark.parametrize("name", ["services", "load_roles", "extra_handlers"])
    def test_lists_are_added_to(self, tmp_path: Path, name: str) -> None:
        c = Config()
        c.JupyterHub[name] = ["the admin's"]
        configured(tmp_path, c)
        assert c.JupyterHub[name][0] == "the admin's"
        assert len(c.JupyterHub[name]) > 1

    def test_a_limit_of_starts_is_kept(self, tmp_path: Path) -> None:
        c = Config()
        c.JupyterHub.concurrent_spawn_limit = 7
        configure(c, catalog=CATALOG, backend="memory", data=tmp_path)
        assert c.JupyterHub.concurrent_spawn_limit == 7

    def test_servers_end_with_the_hub_if_they_are_to(self, tmp_path: Path) -> None:
        c = Config()
        c.JupyterHub.cleanup_servers = True
        assert configured(tmp_path, c).JupyterHub.cleanup_servers is True

    def test_a_spawner_made_of_ours_is_kept(self, tmp_path: Path) -> None:
        class Own(StateroomSpawner):
            pass

        c = Config()
        c.JupyterHub.spawner_class = Own
        assert configured(tmp_path, c).JupyterHub.spawner_class is Own

    def test_what_must_be_replaced_is_replaced_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging.getLogger("stateroom"), "parent", logging.getLogger())
        c = Config()
        c.JupyterHub.spawner_class = "simple"
        with caplog.at_level(logging.WARNING, "stateroom"):
            caplog.handler.addFilter(lambda record: record.name.startswith("stateroom"))
            log = logging.getLogger("stateroom.hub.configure")
            log.addHandler(caplog.handler)
            configured(tmp_path, c)
            log.removeHandler(caplog.handler)
        assert c.JupyterHub.spawner_class == "stateroom"
        assert "has replaced c.JupyterHub.spawner_class = 'simple' by 'stateroom'" in caplog.text
