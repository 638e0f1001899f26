"""Each client reads what each other client wrote: null and empty fields, headers, times, and every codec in one log.

A writer fills one topic, once for the whole module: its messages in one codec after the other.  Every reader then
reads that topic from its start.  The messages are text, which also the console tools can say.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from interop.every_client import KCAT, LIBRARIES, Client
from interop.java_console import JavaConsole
from interop.messages import CODECS, Message, contents
from interop.topics import create_topic
from support.apache_kafka import why_java_is_absent

pytestmark = pytest.mark.interop

JAVA = pytest.param(
    JavaConsole(),
    id=JavaConsole.name,
    marks=[
        pytest.mark.java,
        pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
    ],
)
EVERYBODY = [*LIBRARIES, KCAT, JAVA]

MESSAGES = [
    Message(key=b"key", value=b"value", timestamp_ms=1_700_000_000_000),
    Message(key=None, value="без ключа".encode(), timestamp_ms=1_700_000_000_001),
    Message(key=b"no value", value=None, timestamp_ms=1_699_999_999_999),
    Message(key=b"headers", value=b"x", headers=(("trace", b"abc"), ("twice", b"2"), ("twice", b"1"))),
    Message(key=b"long", value=b"0123456789" * 2_000),
]


@dataclass(frozen=True)
class Written:
    topic: str
    messages: list[Message]
    tells_timestamps: bool


@pytest.fixture(scope="module")
def written_by(broker: object) -> Callable[[Client | JavaConsole], Written]:
    """The topic that a writer filled; it is filled when it is first asked for."""
    bootstrap: str = broker.bootstrap  # type: ignore[attr-defined]
    done: dict[str, Written] = {}

    def write(writer: Client | JavaConsole) -> Written:
        topic = f"written-by-{writer.name}-{uuid.uuid4().hex[:8]}"
        create_topic(bootstrap, topic)
        messages = MESSAGES
        for codec in CODECS:
            writer.produce(bootstrap, topic, messages, codec=codec)
        return Written(topic, messages * len(CODECS), writer.sets_timestamps)

    def written(writer: Client | JavaConsole) -> Written:
        if writer.name not in done:
            done[writer.name] = write(writer)
        return done[writer.name]

    return written


@pytest.mark.parametrize("reader", EVERYBODY)
@pytest.mark.parametrize("writer", EVERYBODY)
def test_what_one_client_writes_every_other_reads(
    writer: Client | JavaConsole, reader: Client | JavaConsole, bootstrap: str, written_by: Callable[..., Written]
) -> None:
    written = written_by(writer)

    received = reader.read(bootstrap, written.topic, count=len(written.messages))

    assert contents(received) == contents(written.messages)
    assert [message.offset for message in received] == list(range(len(written.messages)))
    if written.tells_timestamps:
        given = [message.timestamp_ms for message in written.messages]
        assert [got.timestamp_ms if at else None for got, at in zip(received, given, strict=True)] == given
