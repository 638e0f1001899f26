"""A client belongs to the event loop on which it was started: connections, timers and tasks are that loop's.

From another one it would wait for what never comes, or change what another thread reads.  So whatever waits, begins
something or wakes somebody looks here first; what is done per record does not.
"""

from __future__ import annotations

import asyncio


def must_be_on(home: asyncio.AbstractEventLoop, who: str) -> None:
    """RuntimeError when the client's home is elsewhere: another loop runs here, or none while its own runs, or is closed.

    Between two runs of its own loop, what does not wait may be called without any.
    """
    here = asyncio._get_running_loop()  # which says None where none runs, instead of raising
    if here is not home and (here is not None or home.is_running() or home.is_closed()):
        raise RuntimeError(f"the {who} was started on another event loop; start it, use it and stop it on one")
