"""Transactions as the cleaner passes them: whose records are aborted, and which markers are still needed. Pure.

Batches are shown in the order of the log. A data batch of an aborted transaction can go at once. A marker is needed as
long as a record of its transaction is in the log: without a commit nobody may read them, without an abort nobody may skip
them. So it can go when, since the front of the log, no batch of its transaction was passed; an abort marker that stays is
noted, for the new segment's transaction index.

Kafka's class: `CleanedTransactionMetadata`.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop

from ...protocol.batch_header import BatchHeader
from ...protocol.record_reader import ControlType
from ...protocol.values import dataclass
from ..txn_index import AbortedTransaction


@dataclass(slots=True)
class _Aborted:
    transaction: AbortedTransaction
    has_batches: bool = False  # some that were passed


class Transactions:
    """What is open at the place the cleaner has come to. `aborted` are those of all that is going to be passed."""

    __slots__ = ("_aborted", "_coming", "_committed", "kept_aborts")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = [(each.first_offset, each) for each in set(aborted)]
        heapify(self._coming)
        self._aborted: dict[int, _Aborted] = {}  # by producer id
        self._committed: set[int] = set()
        self.kept_aborts: list[AbortedTransaction] = []

    def is_aborted(self, header: BatchHeader) -> bool:
        """Pass a data batch; whether it is of an aborted transaction."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        aborted = self._aborted.get(header.producer_id)
        if aborted is None:
            self._committed.add(header.producer_id)
            return False
        aborted.has_batches = True
        return True

    def is_needless(self, header: BatchHeader, marker: int | None) -> bool:
        """Pass a control batch; whether nothing needs it. `marker` is its type, None when it is empty already."""
        self._begin_up_to(header.last_offset)
        if marker == ControlType.COMMIT:
            needed = header.producer_id in self._committed
            self._committed.discard(header.producer_id)
            return not needed
        if marker == ControlType.ABORT:
            aborted = self._aborted.pop(header.producer_id, None)
            if aborted is None or not aborted.has_batches:
                return True
            self.kept_aborts.append(aborted.transaction)
            return False
        return marker is None

    def _begin_up_to(self, offset: int) -> None:
        while self._coming and self._coming[0][0] <= offset:
            transaction = heappop(self._coming)[1]
            self._aborted.setdefault(transaction.producer_id, _Aborted(transaction))
