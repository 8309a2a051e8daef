"""The hub's id, which `configure` makes once and keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets.config import Config

from stateroom import configure
from stateroom.errors import CatalogError
from stateroom.hub_id import stored_hub_id

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"


def test_the_id_is_made_once(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first = stored_hub_id(tmp_path)
    assert stored_hub_id(tmp_path) == first
    assert stored_hub_id(tmp_path) != stored_hub_id(other)


def test_a_damaged_id_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "hub-id").write_text("../../etc\n")
    with pytest.raises(CatalogError, match="remove the file"):
        stored_hub_id(tmp_path)
    assert (tmp_path / "hub-id").read_text() == "../../etc\n"


def test_a_hub_is_configured_in_one_line(tmp_path: Path) -> None:
    c = Config()
    configure(c, catalog=CATALOG, backend="memory", data=tmp_path)
    assert c.JupyterHub.spawner_class == "stateroom"
    assert c.JupyterHub.cleanup_servers is False
    assert c.StateroomSpawner.catalog == str(CATALOG)
    assert c.StateroomSpawner.hub_id == stored_hub_id(tmp_path)


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
