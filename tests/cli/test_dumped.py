"""Everything that a dump can yield has a line for people and an object for programs."""

from __future__ import annotations

import json

import pytest
from ottla.cli.dumped import json_of, lines_of
from ottla.protocol.batch_header import DELETE_HORIZON_BIT
from ottla.protocol.records import read_header
from ottla.storage.dump import (
    Dumped,
    DumpedAbort,
    DumpedBatch,
    DumpedEpoch,
    DumpedOffset,
    DumpedPosition,
    DumpedProducer,
    DumpedProperty,
    DumpedTime,
    Unreadable,
)
from support.batches import batch

PRODUCER = DumpedProducer(
    producer_id=7,
    producer_epoch=1,
    coordinator_epoch=-1,
    last_timestamp=0,
    current_txn_first_offset=9,
    first_sequence=3,
    last_sequence=5,
    last_offset=12,
    offset_delta=2,
)


@pytest.mark.parametrize(
    ("dumped", "line", "kind"),
    [
        (DumpedPosition(5, 400), "offset 5  position 400", "index_entry"),
        (DumpedTime(1_000, 5), "time 1970-01-01T00:00:01.000Z  offset 5", "time_index_entry"),
        (DumpedTime(-1, 5), "time no time  offset 5", "time_index_entry"),
        (DumpedTime(2**62, 5), f"time {2**62} ms  offset 5", "time_index_entry"),
        (DumpedEpoch(3, 10), "epoch 3  from offset 10", "leader_epoch"),
        (DumpedOffset("t", 1, 10), "t-1  offset 10", "offset"),
        (DumpedProperty("node.id", "1"), "node.id=1", "property"),
        (
            PRODUCER,
            "producer 7 epoch 1  sequences 3..5  last offset 12  at 1970-01-01T00:00:00.000Z  in a transaction from 9",
            "producer",
        ),
        (DumpedAbort(0, 7, 3, 9, 10), "producer 7  aborted 3..9  last stable offset 10", "aborted_transaction"),
        (Unreadable(61, "torn"), "unreadable at 61: torn", "unreadable"),
        (Unreadable(None, "torn"), "unreadable: torn", "unreadable"),
    ],
)
def test_it_is_said_in_a_line_and_as_an_object(dumped: Dumped, line: str, kind: str) -> None:
    assert list(lines_of(dumped)) == [line]
    assert json.loads(json.dumps(json_of(dumped)))["type"] == kind


def test_a_batch_that_compaction_has_touched_tells_when_its_tombstones_go() -> None:
    header = read_header(batch(None, key=b"k"))
    touched = header._replace(attributes=header.attributes | DELETE_HORIZON_BIT, base_timestamp=1_000)
    (line,) = lines_of(DumpedBatch(0, touched, True, None))
    assert "tombstones and markers go at 1970-01-01T00:00:01.000Z" in line
    assert json_of(DumpedBatch(0, touched, True, None))["delete_horizon"] == 1_000
    assert json_of(DumpedBatch(0, header, True, None))["delete_horizon"] is None
