"""Which clients are beside each other: record by record, and in bulk.

*One by one*: a call for each record, and each delivery looked at in the end; an iteration to read.  *In bulk*: our
`send_batch` and `batches()` beside confluent-kafka's `produce` without callbacks and its `consume`; our `getmany`, which gives
whole records, is shown with them.  Whoever reads looks at the length of every value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import asyncio_clients, confluent, kafka_python
from .measured import Turn

Produce = Callable[[str, str, Sequence[bytes]], Turn]
"""Of bootstrap, topic and values."""
Consume = Callable[[str, str, int], Turn]
"""Of bootstrap, topic and how many records; from the beginning of partition 0."""

OURS, OURS_MANY = "ottla", "ottla getmany"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of using a client, by client; `aim` is how many times as fast as each peer ours is to be."""

    name: str
    aim: float
    peers: tuple[str, ...]
    produce: Mapping[str, Produce]
    consume: Mapping[str, Consume]


FORMS = (
    Form(
        "one by one",
        3,
        ("aiokafka", "kafka-python"),
        produce={
            OURS: asyncio_clients.ottla_sends_each,
            "aiokafka": asyncio_clients.aiokafka_sends_each,
            "kafka-python": kafka_python.sends_each,
        },
        consume={
            OURS: asyncio_clients.ottla_reads_each,
            "aiokafka": asyncio_clients.aiokafka_reads_each,
            "kafka-python": kafka_python.reads_each,
        },
    ),
    Form(
        "in bulk",
        1,
        ("confluent-kafka",),
        produce={
            OURS: asyncio_clients.ottla_sends_in_bulk,
            "confluent-kafka": confluent.sends_in_bulk,
        },
        consume={
            OURS: asyncio_clients.ottla_reads_batches,
            OURS_MANY: asyncio_clients.ottla_reads_many,
            "confluent-kafka": confluent.reads_in_bulk,
        },
    ),
)
