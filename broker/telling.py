"""Awaiting what is told by a callback: the bridge between the callbacks of hot paths and coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def teller(future: asyncio.Future[None]) -> Callable[[Exception | None], None]:
    """A callback that ends `future`, well with None or with the error; one that was cancelled meanwhile is left alone."""

    def tell(error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    return tell
