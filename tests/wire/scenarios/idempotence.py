"""InitProducerId, and what Produce makes of sequences and epochs."""

from __future__ import annotations

from typing import Any

from support.handmade import (
    LZ4,
    records,
)
from support.scenarios import Batch, Family, Kept, Scenario, Step, call, every
from support.wire import Api
from wire.shapes import (
    KEEP_FOREVER,
    create,
    produce,
    produce_fields,
    read,
    several,
    topic,
)


def sequenced(first: int, count: int = 1, *, producer: Any = None, epoch: int = 0, **more: Any) -> Batch:
    return Batch(
        records(*(b"%d" % (first + at) for at in range(count))),
        producer_id=Kept("pid") if producer is None else producer,
        producer_epoch=epoch,
        base_sequence=first,
        **more,
    )


def new_producer(version: int = 5, name: str = "pid") -> Step:
    return call(
        Api.INIT_PRODUCER_ID,
        version,
        "a producer id",
        transactional_id=None,
        transaction_timeout_ms=60_000,
        keep={name: "producer_id"},
    )


IDEMPOTENCE = [
    Scenario(
        "sequences",
        [
            create("set up", topic("seq")),
            new_producer(),
            produce("0", "seq", sequenced(0, 2)),
            produce("2", "seq", sequenced(2)),
            produce("2 again", "seq", sequenced(2)),
            produce("0 again", "seq", sequenced(0, 2)),
            produce("0 again, other size", "seq", sequenced(0, 1)),
            produce("2 and more", "seq", sequenced(2, 2)),
            produce("gap", "seq", sequenced(9)),
            produce("3", "seq", sequenced(3)),
            produce("4", "seq", sequenced(4)),
            produce("5", "seq", sequenced(5)),
            produce("6", "seq", sequenced(6)),
            produce("2 again, the oldest remembered", "seq", sequenced(2)),
            produce("7", "seq", sequenced(7)),
            produce("2 again, forgotten", "seq", sequenced(2)),
            produce("0 again, forgotten", "seq", sequenced(0, 2)),
            produce("3 again, remembered", "seq", sequenced(3)),
            read("once each", "seq"),
        ],
    ),
    Scenario(
        "duplicates in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(7), name="seq", topic_id=Kept("seq id")),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "a gap in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(70), name="seq"),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "epochs",
        [
            create("set up", topic("ep")),
            produce("epoch 0", "ep", sequenced(0)),
            produce("epoch 1 begins at 5", "ep", sequenced(5, epoch=1)),
            produce("epoch 1 begins at 0", "ep", sequenced(0, epoch=1)),
            produce("epoch 0 is fenced", "ep", sequenced(1, epoch=0)),
            produce("epoch 0, its own duplicate", "ep", sequenced(0, epoch=0)),
            produce("epoch 1 goes on", "ep", sequenced(1, epoch=1)),
            produce("epoch 3 skips one", "ep", sequenced(0, epoch=3)),
            produce("largest epoch", "ep", sequenced(0, epoch=32_767)),
            read("what is there", "ep"),
        ],
    ),
    Scenario(
        "fenced in every version",
        every(
            Api.PRODUCE,
            lambda v: produce_fields(v, sequenced(1, epoch=2), name="ep"),
            versions=range(3, 13),
        ),
    ),
    Scenario(
        "unknown producers",
        [
            create("set up", topic("unk")),
            produce("begins at 17", "unk", sequenced(17, producer=9_000_001)),
            produce("goes on", "unk", sequenced(18, producer=9_000_001)),
            produce("begins at epoch 4", "unk", sequenced(0, producer=9_000_002, epoch=4)),
            produce("an id never given out", "unk", sequenced(0, producer=2**62)),
        ],
    ),
    Scenario(
        "sequences wrap",
        [
            create("set up", topic("wrap")),
            produce("at the largest", "wrap", sequenced(2**31 - 1, producer=77)),
            produce("then 0", "wrap", sequenced(0, producer=77)),
            produce("a batch over the edge", "wrap", sequenced(2**31 - 2, 3, producer=78)),
            produce("then 1", "wrap", sequenced(1, producer=78)),
        ],
    ),
    Scenario(
        "under log append time",
        [
            create("set up", topic("lat", configs={"message.timestamp.type": "LogAppendTime"})),
            produce("0", "lat", sequenced(0)),
            produce("0 again", "lat", sequenced(0)),
        ],
    ),
    Scenario(
        "compressed duplicates",
        [
            create("set up", topic("zip")),
            produce("0", "zip", sequenced(0, 3, codec=LZ4)),
            produce("0 again", "zip", sequenced(0, 3, codec=LZ4)),
            produce("0 again with a wrong crc", "zip", sequenced(0, 3, crc=3)),
            produce("acks 1", "zip", sequenced(0, 3), acks=1),
        ],
    ),
    Scenario(
        "two partitions, one wrong",
        [
            create("set up", topic("par", 2)),
            call(
                Api.PRODUCE,
                12,
                "one right, one with a gap",
                **several(12, ("par", [(0, sequenced(0)), (1, sequenced(0))])),
            ),
            call(
                Api.PRODUCE,
                12,
                "one goes on, one with a gap",
                **several(12, ("par", [(0, sequenced(1)), (1, sequenced(5))])),
            ),
        ],
    ),
]

INIT_PRODUCER_ID = [
    Scenario(
        "in every version",
        every(
            Api.INIT_PRODUCER_ID,
            {"transactional_id": None, "transaction_timeout_ms": 60_000},
        ),
    ),
    Scenario(
        "with an id and epoch, in every version that has them",
        every(
            Api.INIT_PRODUCER_ID,
            {
                "transactional_id": None,
                "transaction_timeout_ms": 60_000,
                "producer_id": 5,
                "producer_epoch": 1,
            },
            versions=range(3, 6),
        ),
    ),
    Scenario(
        "variants",
        [
            call(
                Api.INIT_PRODUCER_ID,
                4,
                f"timeout {timeout}, id {pid}, epoch {epoch}",
                transactional_id=None,
                transaction_timeout_ms=timeout,
                producer_id=pid,
                producer_epoch=epoch,
            )
            for timeout, pid, epoch in [
                (0, -1, -1),
                (-1, -1, -1),
                (2**31 - 1, -1, -1),
                (60_000, 5, -1),
                (60_000, -1, 5),
                (60_000, -2, 0),
            ]
        ],
    ),
    Scenario(
        "empty transactional id, in every version",
        every(
            Api.INIT_PRODUCER_ID,
            {"transactional_id": "", "transaction_timeout_ms": 60_000},
        ),
    ),
]


FAMILIES = [
    Family("idempotence", IDEMPOTENCE, KEEP_FOREVER),
    Family("init_producer_id", INIT_PRODUCER_ID),
]
