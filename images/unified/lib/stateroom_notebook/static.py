"""The page's scripts and styles, sent as they lie on the disk: compressed when the image was built.

A first visit takes some sixty files of JupyterLab, 5 MB. They are the same for
everybody, so no file waits for the hub's word on who asks; and a file is read
and sent at once, not in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import FileFindHandler
from tornado import web

_SUFFIX = ".gz"


class StaticFiles(FileFindHandler):  # type: ignore[misc] # no types there
    """Serves a file, or what it was compressed to where the browser takes that."""

    async def prepare(self) -> None:
        """Nobody needs to be logged in for these, as in its base, so it is not even asked."""
        if not self.check_host():
            raise web.HTTPError(403)
        self.current_user = self._jupyter_current_user = None

    def validate_absolute_path(self, root: str, absolute_path: str) -> Any:
        """See its base, which measures the file too. The compressed one beside it, if that will do."""
        path = super().validate_absolute_path(root, absolute_path)
        accepts = "gzip" in self.request.headers.get("Accept-Encoding", "") and "Range" not in self.request.headers
        if path is None or not Path(path + _SUFFIX).is_file():
            return path
        self.set_header("Vary", "Accept-Encoding")
        if not accepts:
            return path
        self.set_header("Content-Encoding", "gzip")
        return super().validate_absolute_path(root, path + _SUFFIX)

    def get_content_type(self) -> str:
        """Of what is in the compressed file, where that is sent for another."""
        self.absolute_path: str
        if "Content-Encoding" not in self._headers:
            return str(super().get_content_type())
        compressed, self.absolute_path = self.absolute_path, self.absolute_path.removesuffix(_SUFFIX)
        try:
            return str(super().get_content_type())
        finally:
            self.absolute_path = compressed

    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Iterator[bytes]:
        """The whole, in one piece."""
        with open(abspath, "rb") as file:  # noqa: PTH123 - as everywhere in tornado
            file.seek(start or 0)
            yield file.read() if end is None else file.read(end - (start or 0))
