"""One transactional id: whose it is, and where its present transaction stands.

                +------------------- InitProducerId ---------------------+
                v                                                        |
    Empty --AddPartitions--> Ongoing --EndTxn--> PrepareCommit --markers--> CompleteCommit --AddPartitions--> Ongoing
                                |  `--EndTxn, timeout,                   |
                                |     a second producer--> PrepareAbort --markers--> CompleteAbort --> ...
    Empty, Complete* --EndTxn abort (v2)--> PrepareAbort
    Empty, Complete* --silent for transactional.id.expiration.ms--> gone

A transaction is decided by its Prepare record, and by nothing else: what comes after, the markers in every partition
and the Complete record, follows from it, after a crash as well.

Who may act is told by producer id and epoch. Every InitProducerId raises the epoch, so that an earlier instance of the
producer is fenced. In version 2 of the protocol (KIP-890) every end raises it, too, so that nothing of an earlier
transaction can get into a later one; the epoch of the markers is then one above that of the records. An epoch
grows up to 32,767, which no client gets to see; then the producer goes on under another id (`next_producer_id`).

Kafka's classes: `TransactionMetadata`, `TransactionState`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ....protocol.values import dataclass
from ....storage.directory_names import TopicPartition

NO_PRODUCER_ID = -1
NO_EPOCH = -1
NO_TIME = -1
MAX_EPOCH = 2**15 - 1
LAST_EPOCH_OF_CLIENTS = MAX_EPOCH - 1
"""Above it the coordinator keeps one, to be able to fence."""

BUMPS_EPOCH_FROM = 2
"""The transaction version in which each transaction has an epoch of its own."""


class ProducerIdAndEpoch(NamedTuple):
    """Who a producer says it is."""

    producer_id: int
    epoch: int


class TransactionState(IntEnum):
    """The numbers are those of the log, the names Kafka's (`kafka_name`)."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def kafka_name(self) -> str:
        """As DescribeTransactions shows it."""
        return "".join(part.capitalize() for part in self.name.split("_"))


PREPARED = frozenset({TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT})
AT_REST = frozenset({TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The state of a transactional id; a new value for every change. Times in milliseconds, -1 for none.

    `last_producer_epoch` is the one before a bump that the producer may not have heard of; it is not in the log, so after
    a restart a producer that repeats its request is fenced, as in Kafka.
    """

    transactional_id: str
    producer_id: int
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = NO_EPOCH
    last_producer_epoch: int = NO_EPOCH
    timeout_ms: int
    state: TransactionState = TransactionState.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    started_ms: int = NO_TIME
    updated_ms: int
    client_version: int = 0

    @property
    def is_epoch_exhausted(self) -> bool:
        """Whether a producer that gets another epoch must get another id with it."""
        return self.producer_epoch >= LAST_EPOCH_OF_CLIENTS

    @property
    def bumps_epoch(self) -> bool:
        """Whether its present transaction goes by version 2 of the protocol."""
        return self.client_version >= BUMPS_EPOCH_FROM

    @property
    def commits(self) -> bool:
        """How a prepared transaction is to end."""
        assert self.state in PREPARED, self
        return self.state is TransactionState.PREPARE_COMMIT

    def is_late(self, now_ms: int) -> bool:
        """Whether it has been open for longer than its producer allowed."""
        return self.state is TransactionState.ONGOING and self.started_ms + self.timeout_ms < now_ms

    def is_forgotten(self, now_ms: int, expiration_ms: int) -> bool:
        """Whether nobody has used the id for so long."""
        return self.state in AT_REST and self.updated_ms <= now_ms - expiration_ms
