"""One batch of a producer: open while records come in, then built once, then sent as often as it takes.

The bytes are built when it is first sent.  What changes afterwards, the producer's id, epoch and sequence, is patched
in place, so a batch is compressed once however often it is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.records import NO_SEQUENCE, BatchBuilder, Record, iter_records, patch_producer
from ..protocol.values import dataclass
from .delivery import Fate, Outcome

_MAX_UNFOLDED_BYTES = 2**31 - 1
"""We read back only what we built ourselves."""


_SEQUENCES = 2**31  # they run from 0 to 2^31 - 1 and begin again


def next_sequence(sequence: int, record_count: int) -> int:
    """The sequence so many records later."""
    return (sequence + record_count) % _SEQUENCES


@dataclass(frozen=True, slots=True)
class ProducerIdentity:
    """What the broker knows an idempotent producer by."""

    producer_id: int
    epoch: int


class Batch:
    """Records for one partition, and where they stand."""

    __slots__ = (
        "attempts",
        "base_sequence",
        "builder",
        "created_s",
        "data",
        "expected_bytes",
        "fate",
        "identity",
        "is_maybe_written",
        "last_error",
        "place",
        "reserved_bytes",
    )

    def __init__(
        self, topic: str, partition: int, *, place: tuple[int, ...], created_s: float, builder: BatchBuilder
    ) -> None:
        self.fate = Fate(topic, partition)
        self.place = place  # among the batches of its partition; a part of a batch stands between that and the next
        self.created_s = created_s
        self.builder = builder
        self.data: bytearray | None = None
        self.identity: ProducerIdentity | None = None
        self.base_sequence = NO_SEQUENCE
        self.attempts = 0
        self.is_maybe_written = False  # it was sent once and no answer came
        self.last_error: str | None = None
        self.expected_bytes = 0  # what the one before it had
        self.reserved_bytes = 0  # of the producer's buffer: for what is in it, and for some records to come

    @property
    def record_count(self) -> int:
        return self.builder.record_count

    @property
    def is_decided(self) -> bool:
        return self.fate.outcome is not None

    def build(self) -> bytearray:
        """The bytes to send."""
        if self.data is None:
            self.data = self.builder.build()
            self._patch()
        return self.data

    def identify(self, identity: ProducerIdentity, base_sequence: int) -> None:
        """Give it its place in a producer's sequence, or another one."""
        self.identity = identity
        self.base_sequence = base_sequence
        if self.data is not None:
            self._patch()

    def decide(self, outcome: Outcome) -> None:
        """Settle what becomes of its records; the bytes are no longer needed."""
        self.fate.decide(outcome, self.record_count)
        self.data = None

    def halves(self, new_builder: Callable[[], BatchBuilder]) -> tuple[Batch, Batch]:
        """Two batches of its records, for a broker that finds it too large; this one's fate is then theirs.

        Its place in the sequence is divided, too: the first half begins where it began, the second behind it.
        """
        records = list(iter_records(self.build(), max_decompressed_bytes=_MAX_UNFOLDED_BYTES))
        middle = len(records) // 2
        halves = self._part(records, 0, middle, new_builder()), self._part(records, middle, len(records), new_builder())
        self.fate.divide([(0, halves[0].fate), (middle, halves[1].fate)], self.record_count)
        self.data = None
        return halves

    def _part(self, records: list[Record], begin: int, end: int, builder: BatchBuilder) -> Batch:
        for record in records[begin:end]:
            builder.append(record.timestamp, record.key, record.value, record.headers)
        fate = self.fate
        place = (*self.place, begin)
        part = Batch(fate.topic, fate.partition, place=place, created_s=self.created_s, builder=builder)
        if self.identity is not None:
            part.identify(self.identity, next_sequence(self.base_sequence, begin))
        return part

    def _patch(self) -> None:
        if self.identity is not None and self.data is not None:
            patch_producer(
                self.data,
                0,
                len(self.data),
                producer_id=self.identity.producer_id,
                epoch=self.identity.epoch,
                base_sequence=self.base_sequence,
            )
