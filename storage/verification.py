"""Who asked the transaction coordinator whether a transactional batch may be appended, and has not appended it yet (KIP-890).

A transaction must not begin in a log unless its coordinator knows of it: else nobody would ever end it, and everything
behind it would stay unstable. So before the first batch of a transaction is appended the coordinator is asked:

    begin    -> a Verification, remembered under the producer's id; None when the transaction is open here already
    (the coordinator is asked, and says yes)
    append   with that Verification: refused (INVALID_TXN_STATE) unless it is still the remembered one

A marker or the first batch of the transaction takes the Verification away. So a yes that was overtaken by the
transaction's end opens nothing. While one is remembered, the lowest sequence that was asked for is: a later one that
comes first, because the first was refused for now, would break the order for good.

Kafka's classes: `VerificationStateEntry`, `VerificationGuard`.
"""

from __future__ import annotations

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass


@dataclass(slots=True, eq=False)
class Verification:
    """One producer's question to the coordinator; it is told from others by identity."""

    begun_ms: int
    lowest_sequence: int
    epoch: int
    bumps_epoch: bool  # the client speaks transaction protocol v2: each transaction has an epoch of its own

    def include(self, sequence: int, epoch: int) -> None:
        """Another batch of the producer waits, too."""
        if epoch == self.epoch:
            self.lowest_sequence = min(self.lowest_sequence, sequence)
        elif epoch > self.epoch:
            self.epoch, self.lowest_sequence = epoch, sequence


class Verifications:
    """Those of one log, by producer id; they do not outlive the process."""

    __slots__ = ("_by_producer",)

    def __init__(self) -> None:
        self._by_producer: dict[int, Verification] = {}

    def __len__(self) -> int:
        return len(self._by_producer)

    def get(self, producer_id: int) -> Verification | None:
        return self._by_producer.get(producer_id)

    def begin(self, producer_id: int, sequence: int, epoch: int, *, bumps_epoch: bool, now_ms: int) -> Verification:
        """The producer's verification, an earlier one if it has one."""
        known = self._by_producer.get(producer_id)
        if known is None:
            known = self._by_producer[producer_id] = Verification(now_ms, sequence, epoch, bumps_epoch)
        else:
            known.include(sequence, epoch)
        return known

    def forget(self, producer_id: int) -> None:
        """A marker or a batch of the transaction is in the log."""
        self._by_producer.pop(producer_id, None)

    def check(self, producer_id: int, verification: Verification) -> None:
        """Raise KafkaError(INVALID_TXN_STATE) unless it is still the producer's."""
        if self._by_producer.get(producer_id) is not verification:
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "Record was not part of an ongoing transaction")

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget those that were never followed by an append."""
        for producer_id, each in list(self._by_producer.items()):
            if now_ms - each.begun_ms >= expiration_ms:
                del self._by_producer[producer_id]

    def clear(self) -> None:
        self._by_producer.clear()
