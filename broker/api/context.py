"""What a handler knows of a request besides its body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...protocol.messages import Message, RequestHeader
from ...protocol.values import dataclass
from .later import Later

if TYPE_CHECKING:
    from ..app import Broker
    from ..connection import Connection


def _nothing() -> None:
    """Who is not told lets nobody begin."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from and when.

    `listener` names the listener it came in by, `reached_at` is the host under which the client reached it. A handler that
    has decided and only waits for the disk may call `let_next_begin`: the connection's next request begins then, and the
    answers leave in order all the same.
    """

    api_key: int
    api_version: int
    client_id: str | None
    listener: str
    reached_at: str
    peer: str
    now_ms: int
    let_next_begin: Callable[[], None] = _nothing


Handler = Callable[["Broker", RequestContext, Message], Message | Later | Awaitable[Message]]
"""Answers one API in all its versions; returns the response, or what it comes by: a `Later`, or something to await."""

LeaveLane = Callable[["Broker", "Connection", RequestHeader, memoryview, Message], None]
"""Called with a request that was taken and waits for the disk, and its frame, for those that follow on its connection."""
