from __future__ import annotations

from stateroom.catalog import Catalog
from stateroom.policy import allowance_for

from .conftest import ADA


def test_everything_in_the_catalog_is_offered_to_everyone(catalog: Catalog) -> None:
    allowance = allowance_for(catalog, ADA)
    assert allowance.images == catalog.images
    assert allowance.sizes == catalog.sizes
    assert allowance.custom == catalog.custom
    assert allowance.default_image is catalog.default_image
    assert allowance.default_size is catalog.default_size
