"""Which clients are beside each other: record by record, and in bulk.

*One by one*: a call for each record, and each delivery looked at in the end; an iteration to read.  *In bulk*: our
`send_batch` and `batches()` beside confluent-kafka's `produce` without callbacks and its `consume`; our `getmany`, which gives
whole records, is shown with them.  Whoever reads looks at the length of every value.

One by one each client has the batch size that it has by default, and in rows of their own all have librdkafka's, since a good
part of what one producer is faster than another is the size of its batches.  In bulk both have librdkafka's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from . import asyncio_clients, confluent, kafka_python
from .measured import Turn

Produce = Callable[[str, str, Sequence[bytes]], Turn]
"""Of bootstrap, topic and values."""
Consume = Callable[[str, str, int], Turn]
"""Of bootstrap, topic and how many records; from the beginning of partition 0."""

OURS, OURS_MANY = "ottla", "ottla getmany"


SMALL_BATCH_BYTES, OUR_BATCH_BYTES, LARGE_BATCH_BYTES = 16 * 1024, 64 * 1024, 1_000_000
"""The defaults: of aiokafka and kafka-python, which is Java's; ours; librdkafka's."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way of using a client, by client; `aim` is how many times as fast as each peer ours is to be."""

    name: str
    aim: float
    peers: tuple[str, ...]
    produce: Mapping[str, Produce]
    consume: Mapping[str, Consume]


def _one_by_one(ours: int, theirs: int) -> Mapping[str, Produce]:
    return {
        OURS: partial(asyncio_clients.ottla_sends_each, batch_bytes=ours),
        "aiokafka": partial(asyncio_clients.aiokafka_sends_each, batch_bytes=theirs),
        "kafka-python": partial(kafka_python.sends_each, batch_bytes=theirs),
    }


FORMS = (
    Form(
        "one by one",
        3,
        ("aiokafka", "kafka-python"),
        produce=_one_by_one(OUR_BATCH_BYTES, SMALL_BATCH_BYTES),
        consume={
            OURS: asyncio_clients.ottla_reads_each,
            "aiokafka": asyncio_clients.aiokafka_reads_each,
            "kafka-python": kafka_python.reads_each,
        },
    ),
    Form(
        "one by one, batches of 1 MB",
        3,
        ("aiokafka", "kafka-python"),
        produce=_one_by_one(LARGE_BATCH_BYTES, LARGE_BATCH_BYTES),
        consume={},
    ),
    Form(
        "in bulk",
        1,
        ("confluent-kafka",),
        produce={
            OURS: partial(asyncio_clients.ottla_sends_in_bulk, batch_bytes=LARGE_BATCH_BYTES),
            "confluent-kafka": partial(confluent.sends_in_bulk, batch_bytes=LARGE_BATCH_BYTES),
        },
        consume={
            OURS: asyncio_clients.ottla_reads_batches,
            OURS_MANY: asyncio_clients.ottla_reads_many,
            "confluent-kafka": confluent.reads_in_bulk,
        },
    ),
)
