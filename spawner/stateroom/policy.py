"""What one user may choose: the catalog seen through the user.

Form, REST and every start ask for the same Allowance, so what is shown is what
is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from stateroom.catalog import Catalog, Custom, Image, Size


@dataclass(frozen=True, slots=True)
class Allowance:
    """Images, sizes and ranges offered to one user, with the defaults among them."""

    images: tuple[Image, ...]
    sizes: tuple[Size, ...]
    custom: Custom | None
    default_image: Image
    default_size: Size

    @property
    def most_cpu(self) -> int:
        """The most CPU that any offer reaches, in thousandths of a core."""
        return max([size.cpu for size in self.sizes] + ([self.custom.cpu.max] if self.custom else []))

    @property
    def most_memory(self) -> int:
        """The most memory that any offer reaches, in bytes."""
        return max([size.memory for size in self.sizes] + ([self.custom.memory.max] if self.custom else []))


def allowance_from_catalog(catalog: Catalog) -> Allowance:
    """What the catalog offers to everyone."""
    return Allowance(
        images=catalog.images,
        sizes=catalog.sizes,
        custom=catalog.custom,
        default_image=catalog.default_image,
        default_size=catalog.default_size,
    )
