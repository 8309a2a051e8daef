from __future__ import annotations

from stateroom.catalog import Catalog
from stateroom.policy import Allowance, allowance_from_catalog
from stateroom.quantity import GiB


def test_everything_in_the_catalog_is_offered_to_everyone(catalog: Catalog) -> None:
    allowance = allowance_from_catalog(catalog)
    assert allowance.images == catalog.images
    assert allowance.sizes == catalog.sizes
    assert allowance.custom == catalog.custom
    assert allowance.default_image is catalog.default_image
    assert allowance.default_size is catalog.default_size


def test_the_most_counts_sizes_beyond_the_custom_range(allowance: Allowance) -> None:
    assert (allowance.most_cpu, allowance.most_memory) == (32_000, 128 * GiB)


def test_the_most_is_known_without_a_custom_range(sizes_only: Allowance) -> None:
    assert (sizes_only.most_cpu, sizes_only.most_memory) == (32_000, 128 * GiB)
