"""Answers whatever it is asked at the servers' port, at all of this machine's addresses."""

from __future__ import annotations

import asyncio
import contextlib
import os

from stateroom.common.parent_death import end_with_parent
from stateroom.workloads.server import PORT

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection. Some only look whether the port is open."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    writer.close()


async def main() -> None:
    """Serve until ended."""
    server = await asyncio.start_server(answer, "0.0.0.0", PORT, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    end_with_parent(os.getppid())
    asyncio.run(main())
