"""Transactions against a coordinator that answers by a script."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.offset_requests import Committer, OffsetAndMetadata
from ottla.client.errors import RequestTimedOut, TransactionFailed
from ottla.client.retry import Backoff
from ottla.client.transactions import State, Transactions, TransactionSettings
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.consuming import run


class LosesTheAnswerToACommit:
    """A cluster of one coordinator, which has committed; it is its own connection."""

    async def coordinator(self, *_: object) -> Any:
        return self

    def forget_coordinator(self, *_: object) -> None:
        pass

    async def request(self, key: ApiKey, question: Message, *, at_most: int | None) -> Message:
        if key is not ApiKey.END_TXN:
            return Message(error_code=ErrorCode.NONE)
        if question.committed:
            raise RequestTimedOut("no answer")
        return Message(error_code=ErrorCode.INVALID_TXN_STATE)


def test_an_abort_after_a_commit_whose_answer_was_lost_says_so_and_lets_the_next_begin() -> None:
    async def scenario() -> None:
        cluster: Any = LosesTheAnswerToACommit()
        transactions = Transactions(TransactionSettings("t", 60_000, 1, Backoff(100, 1_000)), cluster, Random(0))
        transactions.begin()
        await transactions.send_offsets({TopicPartition("a", 0): OffsetAndMetadata(1)}, Committer("g"))
        with pytest.raises(RequestTimedOut):
            await transactions.end(committed=True)

        with pytest.raises(TransactionFailed, match="it was committed"):
            await transactions.end(committed=False)

        assert transactions.state is State.READY
        transactions.begin()

    run(scenario())
