"""The language in which tests/wire says what to ask a broker: steps, made into scenarios, made into families.

A *step* is one request, by fields or as raw bytes.  A *scenario* is a list of steps on fresh connections, a
*family* a list of scenarios that one fresh broker answers in order: later ones may build on earlier ones' topics.

What is known only at run time is written as a value that resolves itself: `Kept("orders id")`, which an earlier
step with `keep={"orders id": "topics.0.topic_id"}` took out of its answer, `Now(-5000)`, and `Batch(...)` around
either.  The same family runs against Apache Kafka (`wire/record.py`, which writes the golden file) and against
our broker (`wire/test_replay.py`).

A step ends in one of: an answer; the connection closed by the broker; silence, where `answers=False` says none
is owed.  `later=True` sends and goes on; `answer(on=...)` then collects.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from . import handmade, schema
from .schema import JSON
from .wire import VERSIONS, Api, Closed, Connection, decode_response, request_header

# --- values -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Known:
    """What a run has learned so far: the clock at its start, and the values kept from answers."""

    now_ms: int
    kept: dict[str, JSON] = field(default_factory=dict)


class Value(Protocol):
    def resolve(self, known: Known) -> JSON: ...


@dataclass(frozen=True, slots=True)
class Kept:
    name: str
    plus: int = 0

    def resolve(self, known: Known) -> JSON:
        value = known.kept[self.name]
        return value + self.plus if self.plus else value


@dataclass(frozen=True, slots=True)
class Now:
    plus_ms: int = 0

    def resolve(self, known: Known) -> JSON:
        return known.now_ms + self.plus_ms


class Batch:
    """`handmade.batch` with arguments that may be values themselves; several are joined with `+`."""

    def __init__(self, content: Sequence[handmade.Record] | None = None, **arguments: Any) -> None:
        self._parts: list[tuple[Sequence[handmade.Record] | None, dict[str, Any]]] = [(content, arguments)]

    def __add__(self, other: Batch) -> Batch:
        joined = Batch()
        joined._parts = self._parts + other._parts
        return joined

    def resolve(self, known: Known) -> JSON:
        return b"".join(
            handmade.batch(**({} if content is None else {"content": content}), **resolve(arguments, known))
            for content, arguments in self._parts
        )


def resolve(value: Any, known: Known) -> JSON:
    if isinstance(value, dict):
        return {name: resolve(each, known) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(each, known) for each in value]
    return value.resolve(known) if hasattr(value, "resolve") else value


# --- steps ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One request, or (`frame` and `api` None) the collection of an answer to an earlier one."""

    label: str
    api: Api | None = None
    version: int = 0
    fields: Mapping[str, Any] | None = None
    frame: bytes | None = None  # sent as it is, its length included
    on: str = "a"
    keep: Mapping[str, str] = field(default_factory=dict)
    client_id: str | None = "wire"
    tail: bytes = b""  # appended to the body
    answers: bool = True
    later: bool = False
    lenient: bool = False  # drop fields the version does not have
    notes: frozenset[str] = frozenset()  # named normalisations (see tests/wire/normal.py), or PATIENT
    until: tuple[str, JSON] | None = None  # ask again until the answer has this value at this path


PATIENT = "patient"


def call(api: Api, version: int, label: str = "", /, *, keep: Mapping[str, str] | None = None, **fields: Any) -> Step:
    """Ask, by fields."""
    return Step(_label(api, version, label), api, version, fields, keep=keep or {})


def every(
    api: Api,
    fields: Mapping[str, Any] | Callable[[int], Mapping[str, Any]],
    label: str = "",
    *,
    versions: Iterable[int] | None = None,
) -> list[Step]:
    """Ask in every version; fields a version lacks are left out."""
    return [
        Step(
            _label(api, version, label),
            api,
            version,
            fields(version) if callable(fields) else fields,
            lenient=True,
        )
        for version in (VERSIONS[api] if versions is None else versions)
    ]


def patient(step: Step) -> Step:
    """Ask again while the coordinator says that it will soon be able to answer."""
    return replace(step, notes=step.notes | {PATIENT})


def raw(label: str, frame: bytes, *, api: Api | None = None, version: int = 0, framed: bool = False) -> Step:
    """Send bytes, with their length in front unless they are `framed`; `api` and `version` read the answer."""
    return Step(label, api, version, frame=frame if framed else struct.pack(">i", len(frame)) + frame)


def answer(api: Api, version: int, label: str = "", *, on: str) -> Step:
    """Collect what an earlier `later` step asked."""
    return Step(_label(api, version, label or "answer"), api, version, on=on)


def _label(api: Api, version: int, label: str) -> str:
    return f"{api.name} v{version}{' ' + label if label else ''}"


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    scenarios: Sequence[Scenario]
    settings: Mapping[str, str] = field(default_factory=dict)


COORDINATOR_LOAD_IN_PROGRESS = 14
NO_COORDINATOR = frozenset({COORDINATOR_LOAD_IN_PROGRESS, 15, 16})
OF_GROUPS = frozenset(
    {
        Api.OFFSET_COMMIT,
        Api.OFFSET_FETCH,
        Api.FIND_COORDINATOR,
        Api.JOIN_GROUP,
        Api.HEARTBEAT,
        Api.LEAVE_GROUP,
        Api.SYNC_GROUP,
        Api.DESCRIBE_GROUPS,
        Api.LIST_GROUPS,
        Api.DELETE_GROUPS,
        Api.OFFSET_DELETE,
    }
)
COMES_SOON = NO_COORDINATOR | {51}
"""What a patient step waits for: a coordinator, or a transaction whose markers are being written."""
PATIENCE_S = 0.1

# --- running ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Exchange:
    """What became of a step: `response` is a frame without its length, None when there was none."""

    step: Step
    request: bytes  # with its length; empty for `answer` steps
    response: bytes | None
    closed: bool
    lost: list[str] = field(default_factory=list)  # values that should have been kept and were not in the answer

    def decoded(self) -> dict[str, JSON] | None:
        if self.response is None or self.step.api is None:
            return None
        return decode_response(self.step.api, self.step.version, self.response)[1]


def build(step: Step, known: Known, correlation_id: int) -> bytes:
    """A step's request, with its length."""
    if step.frame is not None:
        return step.frame
    if step.fields is None or step.api is None:
        return b""
    body_schema = schema.schema(step.api, step.version, "request")
    header = request_header(
        step.api,
        step.version,
        correlation_id=correlation_id,
        client_id=step.client_id,
        flexible=body_schema.flexible,
    )
    fields = resolve(dict(step.fields), known)
    if step.lenient:
        fields = _fitting(fields, body_schema)
    frame = header + schema.encode(body_schema, fields) + step.tail
    return struct.pack(">i", len(frame)) + frame


def _fitting(value: JSON, of: schema.Struct) -> JSON:
    fitting = {}
    for known in of.fields:
        if known.name not in value:
            continue
        inner = value[known.name]
        if known.struct is not None and inner is not None:
            inner = (
                [_fitting(each, known.struct) for each in inner] if known.is_array else _fitting(inner, known.struct)
            )
        fitting[known.name] = inner
    return fitting


def may_create_topics(step: Step) -> bool:
    """Metadata that creates what it does not find, behind its answer."""
    fields = step.fields or {}
    named = [each for each in fields.get("topics") or [] if each.get("name")]
    return step.api == Api.METADATA and bool(named) and bool(fields.get("allow_auto_topic_creation", step.version < 4))


def is_still_loading(exchange: Exchange) -> bool:
    """A broker just started that asks to come back: for producer ids, or because its coordinators are not there yet; or
    what a patient step waits for.
    """
    if PATIENT in exchange.step.notes:
        return _has_error(exchange.decoded(), COMES_SOON)
    if exchange.step.api == Api.INIT_PRODUCER_ID:
        return (exchange.decoded() or {}).get("error_code") == COORDINATOR_LOAD_IN_PROGRESS
    return exchange.step.api in OF_GROUPS and _has_error(exchange.decoded(), NO_COORDINATOR)


def has_come_to_be(exchange: Exchange) -> bool:
    """Whether the step waits for nothing, or finds it: what another connection asked for happens in its own time."""
    if exchange.step.until is None:
        return True
    path, value = exchange.step.until
    with contextlib.suppress(LookupError, TypeError):
        return bool(at_path(exchange.decoded(), path) == value)
    return False


def _has_error(value: JSON, codes: frozenset[int]) -> bool:
    """Whether a message has one of these codes anywhere."""
    return any(code in codes for code in error_codes(value))


def error_codes(value: JSON) -> Iterator[int]:
    """All that stand in an answer, at whatever depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name.endswith("error_code"):
                yield each
            else:
                yield from error_codes(each)
    elif isinstance(value, list):
        for each in value:
            yield from error_codes(each)


class Runner:
    """Runs scenarios against the broker at `port`.

    `settle(exchange)` is called after each answered step: Apache Kafka answers an administrator before its own
    broker has taken notice, ours must not need it.
    """

    def __init__(self, port: int, known: Known, settle: Callable[[Exchange], None] | None = None) -> None:
        self._port = port
        self._known = known
        self._settle = settle

    def run(self, scenario: Scenario, *, fallback: Mapping[str, JSON] | None = None) -> list[Exchange]:
        """`fallback` stands in for values an answer failed to give: one defect should not hide the rest."""
        connections: dict[str, Connection] = {}
        try:
            return [
                self._step(step, correlation_id, connections, fallback or {})
                for correlation_id, step in enumerate(scenario.steps, start=1)
            ]
        finally:
            for connection in connections.values():
                connection.close()

    def _step(
        self,
        step: Step,
        correlation_id: int,
        connections: dict[str, Connection],
        fallback: Mapping[str, JSON],
    ) -> Exchange:
        connection = connections.get(step.on)
        if connection is None:
            connection = connections[step.on] = Connection(self._port)
        exchange = Exchange(step, build(step, self._known, correlation_id), None, False)
        self._exchange(exchange, connection)
        while exchange.response is not None and (is_still_loading(exchange) or not has_come_to_be(exchange)):
            time.sleep(PATIENCE_S)
            self._exchange(exchange, connection)
        if exchange.closed:
            connections.pop(step.on).close()
        self._keep(exchange, fallback)
        if self._settle is not None:
            self._settle(exchange)
        return exchange

    def _exchange(self, exchange: Exchange, connection: Connection) -> None:
        if exchange.request:
            connection.send_bytes(exchange.request)
        if exchange.step.answers and not exchange.step.later:
            try:
                exchange.response = connection.receive()
            except Closed:
                exchange.closed = True

    def _keep(self, exchange: Exchange, fallback: Mapping[str, JSON]) -> None:
        kept = kept_from(exchange)
        exchange.lost = [name for name in exchange.step.keep if name not in kept]
        self._known.kept.update(kept | {name: fallback.get(name) for name in exchange.lost})


def kept_from(exchange: Exchange) -> dict[str, JSON]:
    """The values that the step keeps, as far as the answer has them."""
    kept = {}
    for name, path in exchange.step.keep.items():
        with contextlib.suppress(LookupError, TypeError):
            kept[name] = at_path(exchange.decoded(), path)
    return kept


def at_path(value: JSON, path: str) -> JSON:
    """`topics.0.topic_id` of a message."""
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def now_ms() -> int:
    return time.time_ns() // 1_000_000
