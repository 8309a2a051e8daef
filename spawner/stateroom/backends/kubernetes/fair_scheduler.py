"""Many who have something to compute, and a loop that must turn in between."""

from __future__ import annotations

import asyncio


class FairScheduler:
    """Lets one caller go on in a turn of the loop, in the order in which they came.

    A hundred starts at once go the same steps at the same time. Each step takes
    a millisecond or two, and all of them one after another would hold the loop up.
    """

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def yield_turn(self) -> None:
        """Return in a turn of the loop that is the caller's alone."""
        async with self._one_at_a_time:
            await asyncio.sleep(0)
