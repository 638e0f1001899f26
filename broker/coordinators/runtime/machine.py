"""What a coordinator puts upon the mechanism: a state per partition of its topic that only records change."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

R = TypeVar("R")


class TransactionalProducer(NamedTuple):
    """Who wrote a record in a transaction."""

    producer_id: int
    producer_epoch: int


class Machine(Protocol[R]):
    """A state and its records of type R. While it is loaded a thread has it to itself, afterwards the loop."""

    def encode(self, record: R) -> tuple[bytes, bytes | None]:
        """The record's key and value as the log keeps them; a value of None is a tombstone."""

    def decode(self, key: bytes, value: bytes | None) -> R | None:
        """None for a record of a kind that is not known here (a later release's): it is passed over, and stays in the
        log. ValueError when these bytes cannot be a record.
        """

    def apply(self, record: R, *, offset: int, producer: TransactionalProducer | None) -> None:
        """Change the state; must not fail, for the record is history already. What a `producer` wrote counts only
        when its transaction is committed.
        """

    def end_transaction(self, producer_id: int, *, committed: bool) -> None:
        """What this producer wrote here since the last end counts from now on, or never."""
