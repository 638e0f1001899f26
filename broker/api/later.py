"""An answer that a handler gives later by calling, for requests that wait for nothing but the disk.

A coroutine that waits costs a task, a future, a timeout, and two turns of the loop, which is more than such a request costs
otherwise. A handler makes a `Later`, has `answer` called when all is done, and returns it; whoever serves the request gives it
someone to tell. Either may come first. It can be awaited, too, by those who have a task anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

from ...protocol.messages import Message

Tell = Callable[[Message], None]


class Later:
    """One answer on its way. Owned by the loop."""

    __slots__ = ("_answer", "_tell")

    def __init__(self) -> None:
        self._answer: Message | None = None
        self._tell: Tell | None = None

    def answer(self, message: Message) -> None:
        """This is it; called once."""
        assert self._answer is None, "answered once"
        self._answer = message
        if self._tell is not None:
            self._tell(message)

    def then(self, tell: Tell) -> None:
        """Call `tell` with the answer, at once if it is there; called once."""
        assert self._tell is None, "told to one"
        self._tell = tell
        if self._answer is not None:
            tell(self._answer)

    def __await__(self) -> Generator[None, None, Message]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def tell(message: Message) -> None:
            if not future.done():  # who waited may have been cancelled
                future.set_result(message)

        self.then(tell)
        return future.__await__()
