"""Which transactional ids a ListTransactions asks for: pure."""

from __future__ import annotations

from collections.abc import Iterable

from ....protocol.values import dataclass
from ..consumer_groups.regex import Pattern, compiled
from .transaction import NO_TIME, Transaction, TransactionState

STATES = {state.kafka_name: state for state in TransactionState}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """All of them must match; an empty one matches everything. `longer_than_ms` is -1 for no limit."""

    asks_for_states: bool
    states: frozenset[TransactionState]
    unknown_states: list[str]
    producer_ids: frozenset[int]
    longer_than_ms: int
    pattern: Pattern | None

    @classmethod
    def of(
        cls, *, states: Iterable[str], producer_ids: Iterable[int], longer_than_ms: int, pattern: str | None
    ) -> Filters:
        """As a request has them. KafkaError: INVALID_REGULAR_EXPRESSION."""
        names = list(states)
        return cls(
            asks_for_states=bool(names),
            states=frozenset(STATES[name] for name in names if name in STATES),
            unknown_states=[name for name in dict.fromkeys(names) if name not in STATES],
            producer_ids=frozenset(producer_ids),
            longer_than_ms=longer_than_ms,
            pattern=compiled(pattern) if pattern else None,
        )

    def match(self, transaction: Transaction, now_ms: int) -> bool:
        """Whether the id is asked for."""
        if self.asks_for_states and transaction.state not in self.states:
            return False
        if self.producer_ids and transaction.producer_id not in self.producer_ids:
            return False
        if self.longer_than_ms != NO_TIME and now_ms - transaction.started_ms <= self.longer_than_ms:
            return False
        return self.pattern is None or self.pattern.fullmatch(transaction.transactional_id) is not None
