"""The catalog in force: the file is read again when it changes, and a broken one leaves the last good catalog in force.

One thread looks at the file twice a second, so that no request waits for the
reading, and takes a change once the file has stood still for a look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.catalog.load import load_catalog
from stateroom.catalog.scalars import Model
from stateroom.catalog.sizes import Size
from stateroom.common.errors import CatalogError
from stateroom.common.files import file_signature
from stateroom.common.text import listed

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _View:
    """What is in force, and what is wrong with the file as it is now."""

    catalog: Catalog
    problems: tuple[str, ...] = ()


class CatalogFile:
    """The catalog in force: what the file says, or what it said when it last held."""

    def __init__(self, path: Path) -> None:
        """Raises CatalogError: there is no last good one yet."""
        self._path = path
        self._read_at = self._seen = file_signature(path)
        self._view = _View(load_catalog(path))
        self._ended = threading.Event()

    @property
    def catalog(self) -> Catalog:
        """The catalog in force."""
        return self._view.catalog

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each fault of the file as it is now, none if `catalog` is what it says."""
        return self._view.problems

    def look(self) -> bool:
        """Take over a change of the file, at the second look that sees it the same; whether the catalog changed.

        A file that is written in place is half there at first.
        """
        seen, before = file_signature(self._path), self._seen
        self._seen = seen
        if seen != before or seen == self._read_at:
            return False
        self._read_at = seen
        return self._read_again()

    def keep_looking(self) -> None:
        """Look twice a second from now on, in a thread of its own, until `stop_looking` or the process's end."""
        self._ended = threading.Event()
        threading.Thread(target=self._look_for_ever, args=[self._ended], name="catalog", daemon=True).start()

    def stop_looking(self) -> None:
        """End the thread, without waiting for it. Idempotent."""
        self._ended.set()

    def _look_for_ever(self, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # whatever one file holds, the next one is looked at
                log.exception("The catalog could not be read; the last good one serves on.")

    def _read_again(self) -> bool:
        old = self._view.catalog
        try:
            new = load_catalog(self._path)
        except CatalogError as error:
            self._view = _View(old, error.problems)
            log.error("The catalog is broken; the last good one serves on. %s", "; ".join(error.problems))  # noqa: TRY400 - the sentence says it all
            return False
        self._view = _View(new)
        log.info("The catalog was read again from %s: %s.", self._path, changes(old, new))
        return new != old


def changes(old: Catalog, new: Catalog) -> str:
    """What an edit did, in words, such as "images: added gpu; sizes: altered large; altered: idle"."""
    words = [
        f"{section}: {told}"
        for section in ("images", "sizes", "groups", "users")
        if (told := _entries_changed(_by_name(getattr(old, section)), _by_name(getattr(new, section))))
    ]
    rest = [
        section
        for section in Catalog.model_fields
        if section not in {"images", "sizes", "groups", "users"} and getattr(old, section) != getattr(new, section)
    ]
    return "; ".join([*words, f"altered: {listed(rest)}"] if rest else words) or "it says the same as before"


def _by_name(entries: Mapping[str, Model] | Sequence[Image | Size]) -> Mapping[str, Model]:
    return entries if isinstance(entries, Mapping) else {entry.id: entry for entry in entries}


def _entries_changed(old: Mapping[str, Model], new: Mapping[str, Model]) -> str:
    groups = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "altered": [name for name in new if name in old and new[name] != old[name]],
    }
    words = [f"{what} {listed(names)}" for what, names in groups.items() if names]
    if [name for name in old if name in new] != [name for name in new if name in old]:
        words.append("in another order")
    return ", ".join(words)
