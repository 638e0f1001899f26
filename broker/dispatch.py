"""From a frame to its handler, and from the handler's answer to the reply.

Produce and Fetch have serve functions of their own, which read the frame in place. Every other API is decoded to a
`Message`, handled, and its answer encoded. A handler that returns a `Later` tells its answer itself, which costs no task; one
that returns an awaitable runs as a task, of which the dispatcher is the owner: it is cancelled when its connection is gone
or the broker stops. What was left with a connection as a lane serves requests that it knows before any of this.

The first request of an API and version waits for a thread that imports the handler (`api/table`) and compiles the messages,
5 to 100 ms; the connection's next request begins after it, and all others go on meanwhile.

Who is to blame decides what happens: a frame that cannot be read, an unknown API or version ends the connection (as in
Kafka, but for ApiVersions, which answers). An exception that nobody expected is ours: it is logged with its traceback, and
the connection ends, because what the request did is not known.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from ..protocol.apis import SUPPORTED, ApiKey, response_header_version
from ..protocol.errors import MalformedMessage
from ..protocol.messages import (
    Message,
    RequestHeader,
    decode_request,
    decode_request_header,
    encode_response,
    prepare,
)
from .api import api_versions, fetch_again, produce_again, table
from .api.context import Handler, LeaveLane, RequestContext
from .api.later import Later
from .replies import framed

if TYPE_CHECKING:
    from .app import Broker
    from .connection import Connection, Reply

OLDEST_PRODUCE = 3
"""Produce is advertised from 0, and versions 0 to 2 end the connection, as with Kafka 4."""

_KEY_VERSION_CORRELATION = struct.Struct(">hhi")

Serve = Callable[["Broker", RequestHeader, memoryview, "Reply"], None]

log = logging.getLogger(__name__)


class Dispatcher:
    """Owns the handlers in use, by API and version, and the tasks of those that wait."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._handlers: dict[tuple[int, int], Handler] = {}
        self._leave_lane: dict[int, LeaveLane] = {}
        self._served_in_place: dict[int, Serve] = {ApiKey.PRODUCE: produce_again.serve, ApiKey.FETCH: fetch_again.serve}
        self._tasks: dict[asyncio.Task[None], Connection | None] = {}

    def serve(self, connection: Connection, frame: memoryview, reply: Reply) -> None:
        """Begin to serve one request. Raises MalformedMessage when the connection must end."""
        try:
            for lane in connection.lanes:
                if lane.begin(frame, reply):
                    return
            if not self._speaks(frame, reply):
                return
            header = decode_request_header(frame)
            in_place = self._served_in_place.get(header.api_key)
            if in_place is not None:
                in_place(self._broker, header, frame, reply)
            else:
                self._handle(connection, header, frame, reply)
        except MalformedMessage:
            raise
        except Exception:  # noqa: BLE001 - a bug of ours ends one connection, not the broker
            key, version, _ = _KEY_VERSION_CORRELATION.unpack_from(frame)
            self._failed(key, version, reply)

    def own(self, task: asyncio.Task[None]) -> None:
        """Keep a task that a served request goes on in; whoever made it sees to its connection."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def connection_closed(self, connection: Connection) -> None:
        """Nobody waits for these any more."""
        for task in [task for task, owner in self._tasks.items() if owner is connection]:
            task.cancel()

    async def close(self) -> None:
        """Cancel what still waits."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _speaks(self, frame: memoryview, reply: Reply) -> bool:
        """Whether we know this API and version; ApiVersions in a version above ours is answered here (KIP-511)."""
        if len(frame) < _KEY_VERSION_CORRELATION.size:
            raise MalformedMessage("a request without a whole header")
        key, version, correlation_id = _KEY_VERSION_CORRELATION.unpack_from(frame)
        api = SUPPORTED.get(key)
        if api is None:
            raise MalformedMessage(f"API key {key} is not supported")
        if api.min_version <= version <= api.max_version:
            if key == ApiKey.PRODUCE and version < OLDEST_PRODUCE:
                raise MalformedMessage(f"Produce version {version} is not supported")
            return True
        if key != ApiKey.API_VERSIONS:
            raise MalformedMessage(f"{api.key.name} version {version} is not supported")
        body = encode_response(key, 0, api_versions.UNSUPPORTED_VERSION_ANSWER)
        reply.complete([framed(correlation_id, body, flexible=False)])
        return False

    def _handle(self, connection: Connection, header: RequestHeader, frame: memoryview, reply: Reply) -> None:
        handler = self._handlers.get((header.api_key, header.api_version))
        body = frame[header.body_position :]
        if handler is None:
            # The frame is ours only until we return.
            self._go_on(None, header, self._answer_to_first(connection, header, bytes(body), reply), reply)
            return
        request = decode_request(header.api_key, header.api_version, body)
        answer = self._ask(handler, connection, header, request, reply)
        if isinstance(answer, Message):
            self._answer(header, answer, reply)
        elif isinstance(answer, Later):
            leave_lane = self._leave_lane.get(header.api_key)
            if leave_lane is not None:
                leave_lane(self._broker, connection, header, frame, request)
            answer.then(partial(self._answer_later, header, reply))
        else:
            self._go_on(connection, header, answer, reply)

    async def _answer_to_first(
        self, connection: Connection, header: RequestHeader, body: bytes, reply: Reply
    ) -> Message:
        key, version = header.api_key, header.api_version
        handler, leave_lane = await asyncio.to_thread(_load, ApiKey(key), version)
        self._handlers[key, version] = handler
        if leave_lane is not None:
            self._leave_lane[key] = leave_lane
        task = asyncio.current_task()
        # Where the connection is gone, the request counts all the same: who leaves a group may not wait for the answer.
        if task is not None and not connection.is_closed:
            self._tasks[task] = connection
        answer = self._ask(handler, connection, header, decode_request(key, version, body), reply)
        # mypy takes a Message, which has any attribute, for awaitable.
        return answer if isinstance(answer, Message) else await cast(Awaitable[Message], answer)

    def _ask(
        self, handler: Handler, connection: Connection, header: RequestHeader, request: Message, reply: Reply
    ) -> Message | Later | Awaitable[Message]:
        context = RequestContext(
            header.api_key,
            header.api_version,
            header.client_id,
            connection.listener,
            connection.local_host,
            connection.peer,
            self._broker.clock.now_ms(),
            reply.let_next_begin,
        )
        return handler(self._broker, context, request)

    def _go_on(self, owner: Connection | None, header: RequestHeader, answer: Awaitable[Message], reply: Reply) -> None:
        task = asyncio.ensure_future(self._await(header, answer, reply))
        self._tasks[task] = owner
        task.add_done_callback(self._tasks.pop)

    async def _await(self, header: RequestHeader, answer: Awaitable[Message], reply: Reply) -> None:
        try:
            self._answer(header, await answer, reply)
        except MalformedMessage as error:
            reply.refuse(str(error))
        except Exception:  # noqa: BLE001 - as in serve
            self._failed(header.api_key, header.api_version, reply)

    def _answer(self, header: RequestHeader, answer: Message, reply: Reply) -> None:
        key, version = header.api_key, header.api_version
        body = encode_response(key, version, answer)
        flexible = response_header_version(key, version) > 0
        reply.complete([framed(header.correlation_id, body, flexible=flexible)])

    def _answer_later(self, header: RequestHeader, reply: Reply, answer: Message) -> None:
        """Called by whoever told it, whom a bug of ours here is no concern of."""
        try:
            self._answer(header, answer, reply)
        except Exception:  # noqa: BLE001 - as in serve
            self._failed(header.api_key, header.api_version, reply)

    def _failed(self, key: int, version: int, reply: Reply) -> None:
        name = ApiKey(key).name
        log.exception("%s version %d failed", name, version)
        reply.close(f"{name} failed in the broker")


def _load(key: ApiKey, version: int) -> tuple[Handler, LeaveLane | None]:
    """In a thread: the handler, what leaves lanes for its requests, and the messages of this version."""
    prepare(key, version)
    return table.load(key), table.load_lane(key)
