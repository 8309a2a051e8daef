"""What a notebook can be exported to, asked for by each page that opens one.

To list it, all of nbconvert is imported, just as the notebook's kernel starts
and its page is drawn. Nobody waits for the list, so another process makes it,
when nothing else is to be done.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE

from jupyter_server.auth.decorator import authorized
from jupyter_server.services.nbconvert.handlers import NbconvertRootHandler
from tornado import web

_NICE = 19

_listed: asyncio.Task[bytes] | None = None


class Exporters(NbconvertRootHandler):  # type: ignore[misc] # no types there
    """In the place of Jupyter Server's own."""

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """The list, which is made once."""
        global _listed  # noqa: PLW0603 - one for the whole server
        if _listed is None or (_listed.done() and _listed.exception()):
            _listed = asyncio.create_task(_asked())
        try:
            self.finish(await asyncio.shield(_listed))
        except OSError as error:
            raise web.HTTPError(500, str(error)) from error


async def _asked() -> bytes:
    """Raises OSError."""
    command = [sys.executable, "-P", "-m", __name__]
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    assert process.stdout is not None  # noqa: S101 - a pipe
    said = await process.stdout.read()
    if await process.wait():
        raise ChildProcessError("The list of exporters could not be made; the server's log tells why.")
    return said


def _main() -> None:
    os.nice(_NICE)
    from nbconvert.exporters import base  # noqa: PLC0415 - it takes half a second

    found = {}
    for name in base.get_export_names():
        try:
            found[name] = {"output_mimetype": base.get_exporter(name).output_mimetype}
        except ValueError:
            continue  # switched off, or not all there
    print(json.dumps(found))  # noqa: T201 - to the server


default_handlers = [(r"/api/nbconvert", Exporters)]

if __name__ == "__main__":
    _main()
