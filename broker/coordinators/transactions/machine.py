"""The transactional ids of one partition of `__transaction_state`: a state that only records change.

A record is the whole new state of an id, so applying one is putting it in the other's place, and the last one of each id
is all that a start needs: the topic is compacted. The records are written outside of any transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..runtime.machine import TransactionalProducer
from .records import TransactionRecord, decode_key, decode_value, encode_key, encode_value
from .transaction import Transaction


class TransactionMachine:
    """The states by transactional id."""

    __slots__ = ("_transactions",)

    def __init__(self) -> None:
        self._transactions: dict[str, Transaction] = {}

    def __len__(self) -> int:
        return len(self._transactions)

    def __iter__(self) -> Iterator[Transaction]:
        return iter(self._transactions.values())

    def get(self, transactional_id: str) -> Transaction | None:
        return self._transactions.get(transactional_id)

    def encode(self, record: TransactionRecord) -> tuple[bytes, bytes | None]:
        """Key and value as the log keeps them."""
        value = None if record.transaction is None else encode_value(record.transaction)
        return encode_key(record.transactional_id), value

    def decode(self, key: bytes, value: bytes | None) -> TransactionRecord | None:
        """None for what a later release wrote, ValueError for what cannot be a record."""
        transactional_id = decode_key(key)
        if transactional_id is None:
            return None
        if value is None:
            return TransactionRecord(transactional_id, None)
        transaction = decode_value(transactional_id, value)
        return None if transaction is None else TransactionRecord(transactional_id, transaction)

    def apply(self, record: TransactionRecord, *, offset: int, producer: TransactionalProducer | None) -> None:
        """Put the new state in the old one's place."""
        if record.transaction is None:
            self._transactions.pop(record.transactional_id, None)
        else:
            self._transactions[record.transactional_id] = record.transaction

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """Nothing here is written in a transaction."""
